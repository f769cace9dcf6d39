"""What was found in a recording and what was done to it, in plain words, from info.json and the recording's marks.

Every finding has a rank: "look" is what a person should look at before using the numbers, "note" what they should know,
"good" what was looked for and not found. The limits are ours and stand here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from selfpab.data.quality import PLACEMENT
from selfpab.devices.calibration import LARGE_MG
from selfpab.recording import CLIPPING, NON_WEAR, NON_WEAR_OF, SENSORS, Mark, Recording
from selfpab.reports.day_lines import length

MUCH_MISSING = 0.1  # of the time from the first to the last sample
LEAST_MISSING_S = 1.0  # by a step of 20 ms nearly all pairs begin and end apart
MUCH_UNCERTAIN = 0.2  # of the seconds with an activity
LITTLE_CONFIDENCE = 0.5  # of the alignment of two clocks
LEAST_S = 600  # of a recording that can say something of a person's day
GAPLESS = "No gaps: both sensors recorded from the first to the last sample."
NOTHING_FOUND = "nothing found"  # of quality.csv
LESS_SURE = {  # by what the model in the box did to people it never saw (its card)
    "back": "From it sitting and standing are hard to tell apart, and shuffling and stairs from walking.",
    "thigh": "From it lying cannot be told from sitting: take both together.",
}


class Finding(NamedTuple):
    rank: str  # look, note or good
    words: str


def findings(recording: Recording, facts: Mapping[str, Any]) -> list[Finding]:
    """All findings, those to look at first.

    facts : what info.json holds (DESIGN 2); of what is not in it nothing is said.
    """
    found = [
        *_gaps(recording, facts),
        *_wear(recording, facts),
        *_single(facts),
        *_certainty(facts),
        *_placement(recording, facts),
        *_calibration(facts),
        *_clocks(facts),
        *_values(recording, facts),
        *_warnings(facts),
    ]
    ranks = ("look", "note", "good")
    return sorted(found, key=lambda finding: ranks.index(finding.rank))


def _gaps(recording: Recording, facts: Mapping[str, Any]) -> Iterator[Finding]:
    if facts.get("seconds_recorded", LEAST_S) < LEAST_S:
        yield Finding("look", f"Only {length(facts['seconds_recorded'])} were recorded: too little to speak of a day.")
    gaps_s = [gap.seconds for gap in recording.gaps]
    missing = (facts.get("source") or {}).get("missing_seconds") or 0.0
    if missing >= LEAST_MISSING_S:
        yield Finding(
            "note", f"For {_about(missing)} one of the two sensors had no data; such time counts as not recorded."
        )
    if not gaps_s:
        alone = missing >= LEAST_MISSING_S
        both = "between the first and the last moment that both sensors recorded"
        yield Finding("good", f"No gaps {both}." if alone else GAPLESS)
        return
    total = sum(gaps_s)
    share = total / (total + recording.seconds)
    many = "There is a gap in the recording" if len(gaps_s) == 1 else f"There are {len(gaps_s):,} gaps in the recording"
    together = "" if len(gaps_s) == 1 else " together"
    longest = "" if len(gaps_s) == 1 else f", the longest of {_about(max(gaps_s))}"
    yield Finding(
        "look" if share > MUCH_MISSING else "note",
        f"{many}, {_about(total)}{together} ({100 * share:.1f} % of the time){longest}. No activity is given there.",
    )


def _wear(recording: Recording, facts: Mapping[str, Any]) -> Iterator[Finding]:
    told = facts.get("non_wear")
    if told is None:
        return
    if isinstance(told, str):
        yield Finding("look", "Nobody looked whether the sensors were worn: all recorded time counts as worn.")
        return
    if not sum(told["stretches"].values()):
        yield Finding("good", "Both sensors were worn all the time that was recorded, as far as can be told.")
        return
    hours = {
        kind: sum(mark.stop - mark.first for mark in recording.marks if mark.kind == kind) / recording.rate_hz
        for kind in (NON_WEAR, *NON_WEAR_OF.values())
    }
    which = dict(zip(hours, ("both sensors", *(f"the {name}'s sensor alone" for name in NON_WEAR_OF)), strict=True))
    parts = [f"{which[kind]} for {_about(seconds)}" for kind, seconds in hours.items() if seconds]
    share = told["seconds"] / max(facts.get("seconds_recorded", told["seconds"]), 1)
    much = f"{100 * share:.1f} % of what was recorded"
    counts = f" ({much}). These minutes count for no activity."
    if any(facts.get("seconds_single", {}).values()):
        counts = f". {_about(told['seconds'])} ({much}) count for no activity; the rest was told from the other sensor."
    worst = " For most of the recording nothing can be said of the person." if share > 0.5 else ""
    yield Finding("look" if share > MUCH_MISSING else "note", f"Not worn: {', '.join(parts)}{counts}{worst}")


def _single(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Of what was told from one sensor alone."""
    for sensor, seconds in facts.get("seconds_single", {}).items():
        if seconds:
            other = next(name for name in SENSORS if name != sensor)
            yield Finding(
                "look",
                f"For {_about(seconds)} the {sensor}'s sensor alone was there to tell activities from; the {other}'s measured "
                f"nothing or was not worn. {LESS_SURE[sensor]} The column sensors says where.",
            )


def _certainty(facts: Mapping[str, Any]) -> Iterator[Finding]:
    given = sum(facts.get("seconds_per_activity", {}).values())
    if not given or "seconds_uncertain" not in facts:
        return
    share = facts["seconds_uncertain"] / given
    below = facts.get("uncertain_below")
    meaning = "" if below is None else f" (what was named has a probability below {100 * below:g} %{_of_one(facts)})"
    yield Finding(
        "look" if share > MUCH_UNCERTAIN else "note",
        f"{100 * share:.1f} % of the worn seconds are uncertain{meaning}. They are counted like the others.",
    )


def _of_one(facts: Mapping[str, Any]) -> str:
    """Below what those are uncertain that one sensor alone told, if any were."""
    told = [sensor for sensor, seconds in facts.get("seconds_single", {}).items() if seconds]
    limits = facts.get("uncertain_below_single", {})
    return "".join(f"; told from the {s}'s sensor alone, below {100 * limits[s]:g} %" for s in told if s in limits)


def _placement(recording: Recording, facts: Mapping[str, Any]) -> Iterator[Finding]:
    told = (facts.get("quality") or {}).get("placement", "")
    if told is None:
        yield Finding("note", "Nobody looked whether the sensors sat the right way round.")
        return
    marks = [mark for mark in recording.marks if mark.kind.startswith(PLACEMENT)]
    doubts = told.removeprefix(NOTHING_FOUND).strip("; ")
    if told == NOTHING_FOUND:
        yield Finding("good", "Neither sensor was found turned, and back and thigh were not found swapped.")
    elif told.startswith(NOTHING_FOUND):
        yield Finding("note", f"Whether the sensors sat the right way round could not be told for certain: {doubts}.")
    for mark in marks:
        yield _placed(mark, recording)


def _placed(mark: Mark, recording: Recording) -> Finding:
    """Words of a mark: what, for how long, whether it was undone; its evidence behind."""
    part = mark.kind.removeprefix(PLACEMENT).strip()
    how = mark.evidence.partition(";")[0].partition(": ")[2]
    what = (
        "Back and thigh were swapped" if part == "swap" else f"The {part}'s sensor was turned ({how or 'unknown how'})"
    )
    undone = not mark.evidence.endswith("not repaired")
    end = (
        "it was put right before anything else" if undone else "it was NOT put right: the activities may be wrong there"
    )
    seconds = (mark.stop - mark.first) / recording.rate_hz
    return Finding("note" if undone else "look", f"{what} for {_about(seconds)}; {end}. Evidence: {mark.evidence}.")


def _calibration(facts: Mapping[str, Any]) -> Iterator[Finding]:
    source = facts.get("source") or {}
    for name in SENSORS:
        about = source.get(name)
        if not isinstance(about, Mapping) or not isinstance(about.get("calibration"), Mapping):
            continue
        own = about["calibration"]
        before, after = own.get("error_before_mg"), own.get("error_after_mg")
        if own.get("applied"):
            good = after is not None and after <= LARGE_MG
            yield Finding(
                "note" if good else "look",
                f"The {name}'s sensor, lying still, measured gravity {_mg(before)} off; calibrated by its own still moments, "
                f"{_mg(after)}.{'' if good else f' Above {LARGE_MG:g} mg movement in mg (ENMO) is doubtful.'}",
            )
        else:
            off = "" if before is None else f" It is {_mg(before)} off."
            yield Finding("look", f"The {name}'s sensor was not calibrated: {own.get('why') or 'unknown why'}.{off}")
    if not any(isinstance(source.get(name), Mapping) for name in SENSORS) and source:
        yield Finding(
            "note", "The file has no raw device data: calibration and clocks are as they were when it was made."
        )


def _clocks(facts: Mapping[str, Any]) -> Iterator[Finding]:
    alignment = (facts.get("source") or {}).get("alignment")
    if not isinstance(alignment, Mapping) or alignment.get("offset_s") is None:
        return
    sure = alignment.get("confidence") or 0.0
    if not sure:
        yield Finding(
            "look", "How the two sensors' clocks lie could not be found from the movement; they were taken as they are."
        )
        return
    offset, drift = alignment["offset_s"], alignment.get("drift_ppm") or 0.0
    ahead = "ahead of" if offset >= 0 else "behind"
    gains = "gained" if drift >= 0 else "lost"
    yield Finding(
        "look" if sure < LITTLE_CONFIDENCE else "note",
        f"The thigh's clock was {abs(offset):.2f} s {ahead} the back's at the start and {gains} {abs(drift):.1f} millionths "
        f"({abs(drift) * 0.6048:.1f} s a week); this was found from the movement (confidence {sure:.2f} of 1) and corrected.",
    )


def _values(recording: Recording, facts: Mapping[str, Any]) -> Iterator[Finding]:
    clipped = [mark for mark in recording.marks if mark.kind == CLIPPING]
    if clipped:
        seconds = sum(mark.stop - mark.first for mark in clipped) / recording.rate_hz
        yield Finding(
            "note", f"Movement beyond a sensor's range in {len(clipped):,} places ({_about(seconds)}), flagged there."
        )
    lost = (facts.get("quality") or {}).get("blocks_lost")
    if lost:
        yield Finding(
            "note", f"{lost:,} blocks of the device files were damaged or missing; they count as not recorded."
        )


def _warnings(facts: Mapping[str, Any]) -> Iterator[Finding]:
    warnings = (facts.get("source") or {}).get("warnings")
    for line in warnings if isinstance(warnings, list | tuple) else ():
        if ": not calibrated: " not in line:  # said above
            yield Finding("look", f"{line[:1].upper()}{line[1:]}.")


def treatment(facts: Mapping[str, Any]) -> list[str]:
    """What was done to the data, in the order in which it was done."""
    source = facts.get("source") or {}
    repairs = source.get("repairs")
    done = [f"{line[:1].upper()}{line[1:]}." for line in (repairs if isinstance(repairs, list | tuple) else ())]
    if not done:
        done = ["Read as it is: no sample was repaired, filtered or left out."]
    if "uncertain_below" in facts:
        done.append(
            "Every frame of one second, half a second apart, was given a probability for each activity; a second of the clock "
            f"has the mean of its samples' probabilities{_naming(facts.get('decision'), facts.get('decision_over_s', 1))}"
        )
    return done


def _naming(decision: Mapping[str, Any] | None, over_s: int) -> str:
    """How an activity was named for them, by the decision in info.json: activities with weight and shortest_s.

    over_s : so many seconds, itself in the middle, have a say in a second's activity.
    """
    weights = {name: each["weight"] for name, each in (decision or {}).items()}
    shortest = {name: each["shortest_s"] for name, each in (decision or {}).items() if each["shortest_s"] > 1}
    weighted = len(set(weights.values())) > 1
    if not weighted and not shortest and over_s == 1:
        return " and the most probable activity. Nothing was smoothed afterwards."
    words = ", and the activity whose probability is highest."
    if over_s > 1:
        words = f". It is named for the mean of {over_s} seconds, itself in the middle: the activity most probable in these."
    if weighted:
        low, high = min(weights, key=weights.__getitem__), max(weights, key=weights.__getitem__)
        first = (
            ". The activity named is"
            if over_s == 1
            else f". It is named for the mean of {over_s} seconds, itself in the middle, and"
        )
        words = (
            f"{first} not always the most probable one: so that rare activities are not overlooked, the "
            f"probabilities are multiplied by weights from {weights[low]:.2g} ({low}) to {weights[high]:.2g} ({high}) first."
        )
    for seconds in sorted(set(shortest.values())):
        names = ", ".join(name for name, least in shortest.items() if least == seconds)
        words += f" Bouts under {seconds} s of {names} are given, second by second, to the next best activity."
    return f"{words} Nothing else was smoothed."


def _about(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else length(seconds)


def _mg(value: float | None) -> str:
    return "an unknown amount" if value is None else f"{value:.1f} mg"
