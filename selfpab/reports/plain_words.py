"""Sentences of the page of a recording that are the same for everybody."""

STILL = "Zooming needs JavaScript and a browser of 2023 or later; pictures and tables are complete without it."
REST = "Point at a picture to read a second; drag over it to zoom in; double-click to zoom out."
BUTTONS = (
    ("whole", "whole recording"),
    ("in", "zoom in"),
    ("out", "zoom out"),
    ("earlier", "◀ earlier"),
    ("later", "later ▶"),
)
RANKS = "look: before you use the numbers; note: to know; good: looked for, and nothing found."
ZOOM = (
    "Back and thigh: lowest to highest acceleration of each axis (x along the body, y across, z front to back). "
    "Probability: of every activity, one on the other. With the keyboard: tab here, + and − zoom, ← and → point, page keys "
    "move, Home shows all. The wheel zooms once the picture was clicked."
)
LIMITS = (
    "An activity is what two sensors' movement looks like to a model that was trained on labelled recordings of other people. "
    "It is often right and never certain; people who move unlike those (other ages, illnesses, walking aids) are "
    "recognised less well.",
    "Only the activities in the tables exist here. Whatever else was done is counted as one of them.",
    "Lying is a posture. It is never called sleep, and sitting is never called rest.",
    "A probability says how sure the model is. Where the model is calibrated, of seconds given 80 % about 80 in 100 were right "
    "on people like those it was tested on; otherwise it may be more or fewer. Uncertain seconds are marked, and counted like "
    "the others.",
    "Minutes of gaps and of time not worn are in no activity. A day with little worn time says little of the day.",
    "This is a research tool and no medical device: it is not for diagnosis or treatment.",
)
FILES = (
    ("seconds.parquet", "one row per second: activity, probabilities, wear, movement, flags"),
    ("daily.csv", "one row per day: the minutes above"),
    ("bouts.csv", "one row per bout"),
    ("info.json", "all that is known of the source and of how this was made"),
)
TERMS = (
    ("bout", "stretch of one activity without a second of anything else"),
    ("civil day", "midnight to midnight on the recording's clock; 23 or 25 hours when clocks change"),
    ("ENMO", "mean of what acceleration exceeds gravity by, max(|a| − 1 g, 0): how much a sensor moved, in mg"),
    ("g, mg", "acceleration of gravity, 9.81 m/s², and a thousandth of it"),
    ("gap", "time without samples between the first and the last"),
    ("not worn", "a sensor lay still, without the turns and the breath of a body; such time counts for no activity"),
    ("probability", "how sure the model is of an activity, 0 to 100 %"),
    ("shuffling", "small steps on the spot or in a small space"),
    ("sit to stand", "a second of sitting directly followed by an upright one"),
    ("uncertain", "the activity that was named is less probable than the limit in info.json"),
)
