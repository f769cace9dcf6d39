"""What a model says of one recording, as one page that a person can read: report.html (DESIGN 2), self-contained.

Its numbers are those of seconds.parquet, daily.csv, bouts.csv and info.json: made from the same tables. What is drawn on
zoom is our own script on a canvas (zoom.js): plotly's alone is 4.7 MB, and what smaller libraries draw well, lines, is not
what there is to draw here: stretches of activities, stacked probabilities, lowest to highest, on the recording's own
clock. Without a script the pictures of the days and the tables are all there, and so they are on paper.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from selfpab.inference.prediction import Prediction
from selfpab.recording import CHANNELS
from selfpab.reports.day_lines import (
    DAY_S,
    NOT_COUNTED,
    axis_of,
    by_pieces,
    clock_changes,
    day_name,
    heights_of,
    length,
    lines_of,
    local_seconds,
    moment,
    states_of,
)
from selfpab.reports.day_pictures import LEFT, PATTERNS, ROW, WIDTH, draw_days, draw_minutes, legend, places_of_lines
from selfpab.reports.day_tables import bouts_table, day_names, minutes_tables, sitting_table, span
from selfpab.reports.packing import STEPS_PER_G, packed_probabilities, packed_signal, stretches
from selfpab.reports.page_parts import page, section
from selfpab.reports.plain_words import BUTTONS, FILES, LIMITS, RANKS, REST, STILL, TERMS, ZOOM
from selfpab.reports.quality_words import findings, treatment
from selfpab.writing import write_text

HERE = Path(__file__).parent
NAME = "report.html"


def write_report(prediction: Prediction, facts: Mapping[str, Any], path: Path) -> Path:
    """Write the page of one recording, whole or not at all, and return where it is.

    Parameters
    ----------
    prediction : its tables give the numbers, its recording the signals (read block by block).
    facts : what info.json holds or will hold (`cohorts.folders`): subject, source, gaps, non_wear, seconds_uncertain,
        quality, model, environment and so on; what is absent is left out of the page.
    path : the file, e.g. FOLDER/report.html; the links in it name the tables that lie beside it.

    At most 5 MB for a week: signals and probabilities are kept for every second, or for so many together that they fit,
    which the page says. A recording without samples raises ValueError.
    """
    recording, activities, seconds = prediction.recording, prediction.activities, prediction.seconds
    if not len(seconds):
        raise ValueError(f"{recording.subject} has no samples, so there is nothing to report; leave it out")
    dated = recording.start is not None
    local_s, states = local_seconds(seconds["time"], recording.start), states_of(seconds, activities)
    daily, bouts = prediction.daily(), prediction.bouts()
    levels = heights_of(activities)
    order = sorted(range(len(activities)), key=lambda place: levels[place])
    data = _data(prediction, states, local_s, order)
    found = findings(recording, facts)
    urgent = "".join(f'<p class="look"><b>Look first:</b> {escape(f.words)}</p>' for f in found if f.rank == "look")
    body = [
        PATTERNS + urgent,
        section("The days", _days(prediction, states, local_s, data)),
        section("Minutes in every activity", _minutes(prediction, daily, order)),
        section("Bouts", _bouts(prediction, bouts, order)),
        section("What was found", _found(found)),
        section("What was done to the data", _list(treatment(facts))),
        section("How it was made", _made(facts)),
        section("What these numbers can and cannot say", _list(LIMITS)),
        section("The other files", _files()),
        section("Words", _terms(TERMS)),
        f'<script type="application/json" id="recording">{json.dumps(data).replace("<", chr(92) + "u003c")}</script>',
    ]
    files = ("recording.css", "unpacking.js", "zoom.js")
    style, *scripts = ((HERE / name).read_text(encoding="utf-8") for name in files)
    title = f"Activities of {facts.get('subject', recording.subject)}"
    lead = _headline(daily, bouts, local_s, dated)
    write_text(path, page(title, lead, "\n".join(body), style=style, script="\n".join(scripts)))
    return path


def _headline(daily: pl.DataFrame, bouts: pl.DataFrame, local_s: np.ndarray, dated: bool) -> str:
    """Who was told by the title; when, how long, worn how long, and what most of it was."""
    recorded, worn = (60 * float(daily[column].sum()) for column in ("recorded_minutes", "wear_minutes"))
    most = (
        bouts.group_by("activity_name", maintain_order=True)
        .agg(pl.col("seconds").sum())
        .sort("seconds", descending=True)
    )
    parts = [f"{name} ({length(seconds)})" for name, seconds in most.head(3).rows()]
    words = f"{span(local_s, dated)}: {length(recorded)} recorded, {length(worn)} of it worn."
    end = f" Most of it was {', then '.join(parts)}." if parts else " No activity can be given."
    return words[:1].upper() + words[1:] + end


def _data(prediction: Prediction, states: np.ndarray, local_s: np.ndarray, order: list[int]) -> dict[str, Any]:
    """What the script draws; `packing` says how the arrays are kept."""
    seconds, activities = prediction.seconds, prediction.activities
    lines = lines_of(local_s)
    axis = axis_of(lines)
    words = seconds["flags"].unique(maintain_order=True).to_list()
    numbers = dict(zip(words, range(len(words)), strict=True))
    classes = zip(activities.names, activities.colours, heights_of(activities), strict=True)
    return {
        "rows": len(seconds),
        "dated": prediction.recording.start is not None,
        "shifts": [[row, int(local_s[row]) - row] for row in (0, *clock_changes(local_s))],
        "classes": [{"name": name, "colour": colour, "level": level} for name, colour, level in classes],
        "order": order,
        "not_counted": list(NOT_COUNTED),
        "channels": list(CHANNELS),
        "steps_per_g": STEPS_PER_G,
        "states": stretches(states),
        "uncertain": stretches(by_pieces(seconds["uncertain"], lambda part: part.fill_null(False), np.uint8)),
        "flags": stretches(
            by_pieces(seconds["flags"], lambda part: part.replace_strict(numbers, return_dtype=pl.UInt16), np.uint16)
        ),
        "flag_words": words,
        "signal": packed_signal(prediction.recording, len(seconds)),
        "probabilities": packed_probabilities(seconds, activities),
        "picture": {
            "left": LEFT,
            "width": WIDTH,
            "row": ROW,
            "first_s": axis.first_s,
            "stop_s": axis.stop_s,
            "lines": places_of_lines(lines),
        },
    }


def _days(prediction: Prediction, states: np.ndarray, local_s: np.ndarray, data: Mapping[str, Any]) -> str:
    dated = prediction.recording.start is not None
    lines = lines_of(local_s)
    axis = axis_of(lines)
    whole = (
        "A line per day, midnight to midnight" if axis.stop_s - axis.first_s == DAY_S else "The hours of the recording"
    )
    picture = draw_days(states, local_s, prediction.activities, dated=dated)
    options = "".join(
        f'<option value="{place}">{escape(day_name(line, dated, lines[0].day))}</option>'
        for place, line in enumerate(lines)
    )
    width = data["signal"]["seconds"]
    kept = "every second" if width == 1 else f"every {width} seconds together"
    controls = "".join(f'<button type="button" value="{value}">{words}</button>' for value, words in BUTTONS)
    return (
        f"<p>{whole}, by {'the clock of the recording' if dated else 'the time since the start'}. The colour is the activity; "
        f"the higher the box, the more upright or quicker it is. {escape(_clock_changes(local_s))}</p>"
        f"{legend(prediction.activities)}<figure>{picture}</figure>"
        f'<div id="zoom" hidden><div class="controls">{controls}<label>day <select id="day"><option value="">–</option>{options}'
        f'</select></label></div><output id="readout" data-rest="{escape(REST)}">{escape(REST)}</output>'
        '<div class="plot"><canvas id="signals" tabindex="0" role="application" aria-label="Activity, probabilities and '
        'signals over time; plus and minus zoom, arrows point, page keys move, Home shows all"></canvas>'
        '<div id="cursor" hidden></div><div id="chosen" hidden></div></div>'
        f'<p class="small">{escape(ZOOM)} Drawn from values kept for {kept}, in steps of 1 % and of 1/{STEPS_PER_G} g; what is '
        "beyond 2.5 g is cut off. The tables have every second exactly.</p></div>"
        f'<p id="still" class="screen">{escape(STILL)}</p>'
    )


def _clock_changes(local_s: np.ndarray) -> str:
    """In words, when the recording's clock was put forward or back; its gaps are no such change."""
    told = []
    for row in clock_changes(local_s):
        forward = local_s[row] > local_s[row - 1]
        how = (
            "forward: the hours between do not exist"
            if forward
            else "back: what comes twice stands on a line of its own"
        )
        told.append(f"After {moment(int(local_s[row - 1]), True)} the clock was put {how}.")
    return " ".join(told)


def _minutes(prediction: Prediction, daily: pl.DataFrame, order: list[int]) -> str:
    note = (
        "<p>Worn time only, from daily.csv. Days that were not recorded or not worn as a whole have fewer minutes: compare "
        "days by their worn minutes.</p>"
    )
    bars = draw_minutes(daily, prediction.activities, day_names(daily))
    return f"{note}<figure>{bars}</figure>{minutes_tables(daily, prediction.activities, order)}"


def _bouts(prediction: Prediction, bouts: pl.DataFrame, order: list[int]) -> str:
    note = (
        "<p>A bout is a stretch of one activity without a second of another, from bouts.csv. None are joined, so a single "
        "second of something else cuts a long one in two: medians are short, and long bouts are rarer than in life.</p>"
    )
    start = prediction.recording.start
    tables = bouts_table(bouts, prediction.activities, order, start), sitting_table(bouts, prediction.activities, start)
    return f"{note}{tables[0]}<h3>Long sitting</h3>{tables[1]}"


def _found(found: list[Any]) -> str:
    items = "".join(f'<li class="{f.rank}"><b>{f.rank}</b>{escape(f.words)}</li>' for f in found)
    return f'<ul class="found">{items}</ul><p class="small">{escape(RANKS)}</p>'


def _list(lines: list[str] | tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _made(facts: Mapping[str, Any]) -> str:
    model, versions, source = (facts.get(key) or {} for key in ("model", "environment", "source"))
    rows = [
        ("recording", source.get("path")),
        ("form", source.get("form")),
        ("samples", f"{facts['samples']:,} at {facts['rate_hz']:g} per second" if "samples" in facts else None),
        ("model", model.get("folder")),
        ("model's checksum", str(model.get("weights_sha256", ""))[:12] or None),
        ("computed in", facts.get("precision")),
        (
            "versions",
            ", ".join(f"{k} {versions[k]}" for k in ("selfpab", "torch", "numpy", "python") if k in versions) or None,
        ),
    ]
    return _terms([(name, str(value)) for name, value in rows if value is not None])


def _files() -> str:
    items = "".join(f'<dt><a href="{name}">{name}</a></dt><dd>{escape(words)}</dd>' for name, words in FILES)
    return f"<p>They lie in the folder of this page.</p><dl>{items}</dl>"


def _terms(rows: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(words)}</dd>' for name, words in rows)}</dl>"
