"""Every column of the tables of a prediction folder: unit and definition, for who only has the files."""

from __future__ import annotations

import polars as pl

from selfpab.activities import Activities
from selfpab.data.quality import COLUMNS as QUALITY
from selfpab.inference.days import minute_columns
from selfpab.inference.seconds import NON_WEAR, SENSOR_MISSING
from selfpab.recording import SENSORS

PARTS_OF_WEEK = {
    "": "valid days",
    "_weekday": "valid days from Monday to Friday",
    "_weekend": "valid Saturdays and Sundays",
}
UNITS = {"hours": "h", "mg": "mg", "s": "s", "ppm": "ppm", "gaps": "count", "lost": "count", "confidence": "0 to 1"}


def column_dictionary(activities: Activities, *, intervals: bool = False) -> pl.DataFrame:
    """file, column, unit, definition of every column of every table that `predict` writes, in their order.

    The tables of a recording (seconds.parquet, whose columns seconds.csv.gz shares, daily.csv, bouts.csv, diary.csv) and
    those over all (people.csv, people_diary.csv, quality.csv, failures.csv, dictionary.csv). intervals : daily.csv has the
    columns low_minutes_<class> ... and high_minutes_<class> ..., as with a calibrated model.

    >>> from selfpab.activities import HARTH
    >>> column_dictionary(HARTH).filter(pl.col("column") == "wear_minutes").select("file", "unit", "definition").row(0)
    ('daily.csv', 'min', 'recorded time with wear')
    """
    classes = list(zip(activities.columns, activities.names, strict=True))
    clock = "on the recording's clock (UTC where its stamps have an offset and tz= was not given)"
    dated = f"{clock}; seconds from the start where it has no date"
    rows = [
        ("seconds.parquet", "time", "", f"beginning of the second, {dated}"),
        (
            "seconds.parquet",
            "activity",
            "code",
            "class named: as the decision in info.json says, else the most probable; empty in gaps and where neither sensor, or "
            f"one that the model needs, measured ({SENSOR_MISSING})",
        ),
        ("seconds.parquet", "activity_name", "", "its name"),
        ("seconds.parquet", "probability", "0 to 1", "its probability"),
        *(
            ("seconds.parquet", column, "0 to 1", f"probability of {name}, mean over the second's samples")
            for column, name in classes
        ),
        (
            "seconds.parquet",
            "uncertain",
            "true/false",
            "probability below the uncertain_below of info.json; of one sensor alone, its uncertain_below_single",
        ),
        (
            "seconds.parquet",
            "wear",
            "true/false",
            f"no mark of {NON_WEAR}, or none of the one sensor that the activity was told from; info.json says whether it was "
            "looked for",
        ),
        ("seconds.parquet", "gap", "true/false", "the recording has no sample in this second"),
        *(
            (
                "seconds.parquet",
                f"enmo_{s}_mg",
                "mg",
                f"{s}: mean of max(|acceleration| - 1 g, 0) over the samples; as good as their calibration",
            )
            for s in SENSORS
        ),
        ("seconds.parquet", "flags", "", "kinds of the marks that touch the second, with ; between them"),
        (
            "seconds.parquet",
            "sensors",
            "",
            "what the activity was told from: both, or back or thigh alone; empty where none",
        ),
        ("daily.csv", "date", "", "civil day on the recording's clock; empty where it has no date"),
        ("daily.csv", "day", "", "its number, from 1"),
        ("daily.csv", "wear_minutes", "min", "recorded time with wear"),
        ("daily.csv", "recorded_minutes", "min", "recorded time: seconds that are no gap"),
        *(
            (
                "daily.csv",
                column,
                "min",
                f"worn time named {name} (activity of seconds.parquet)",
            )
            for column, name in zip(minute_columns(activities), activities.names, strict=True)
        ),
        (
            "daily.csv",
            "sit_to_stand",
            "count",
            "seconds of sitting directly followed by one of walking, running, shuffling, stairs or standing; not smoothed",
        ),
        (
            "daily.csv",
            "sitting_bouts_30min",
            "count",
            "bouts of sitting of 30 minutes and more that start on this day; a single other second ends a bout",
        ),
        *(("daily.csv", f"enmo_{s}_mg", "mg", f"{s}: mean over the worn seconds") for s in SENSORS),
        *(
            (
                "daily.csv",
                f"{side}_{column}",
                "min",
                f"{word} end of the interval for the minutes of {name}; its level, and the people it was fitted on: "
                "calibration.json of the model",
            )
            for side, word in (("low", "lower"), ("high", "upper"))
            for column, name in zip(minute_columns(activities), activities.names, strict=True)
            if intervals
        ),
        (
            "daily.csv",
            "single_sensor_minutes",
            "min",
            "worn time whose activity was told from one sensor alone (sensors of seconds.parquet); on days with more than one "
            "such minute there are no intervals",
        ),
        ("bouts.csv", "start", "", f"beginning of the first second, {dated}"),
        ("bouts.csv", "end", "", "end of the last second"),
        ("bouts.csv", "seconds", "s", "end - start"),
        (
            "bouts.csv",
            "activity",
            "code",
            "the class of all its seconds; gaps, non-wear and missing sensors end a bout",
        ),
        ("bouts.csv", "activity_name", "", "its name"),
    ]
    rows += [*_people(activities), *_diary(activities), *_bookkeeping()]
    return pl.DataFrame(rows, schema=["file", "column", "unit", "definition"], orient="row")


def _people(activities: Activities) -> list[tuple[str, str, str, str]]:
    """A row per person; what is per day once over all valid days, then over weekdays and over weekends alone."""
    rows = [
        ("subject", "", "person; study/person where several folders that were given have one of that name"),
        ("recordings", "count", "finished recordings of the person; those of the same files count once"),
        ("first_date", "", "first civil day with recorded time; empty where recordings have no date"),
        ("last_date", "", "last civil day with recorded time"),
        ("days", "count", "civil days with recorded time; two recordings on one day are one day"),
        ("valid_days", "count", "of these, those with wear_minutes of at least valid_day_minutes (600 unless set)"),
        ("valid_weekdays", "count", "valid days from Monday to Friday"),
        ("valid_weekend_days", "count", "valid Saturdays and Sundays"),
    ]
    per_day = [("wear_minutes", "min", "recorded time with wear")]
    for column, name in zip(minute_columns(activities), activities.names, strict=True):
        per_day.append((column, "min", f"worn time named {name} (activity of seconds.parquet)"))
    per_day.append(("sit_to_stand", "count", "sit_to_stand of daily.csv"))
    per_day.append(("sitting_bouts_30min", "count", "sitting_bouts_30min of daily.csv"))
    per_day += [(f"enmo_{sensor}_mg", "mg", f"enmo_{sensor}_mg of daily.csv") for sensor in SENSORS]
    per_day.append(("single_sensor_minutes", "min", "single_sensor_minutes of daily.csv"))
    for suffix, days in PARTS_OF_WEEK.items():
        rows += [(name + suffix, unit, f"{text}; mean over the {days}") for name, unit, text in per_day]
    rows += [
        ("uncertain_share", "0 to 1", "uncertain seconds among the worn ones with an activity, over all recordings"),
        ("quality_remarks", "count", "remarks on the person's recordings in quality.csv"),
        ("remarks", "", "what else should be known of this row"),
    ]
    return [("people.csv", *row) for row in rows]


def _diary(activities: Activities) -> list[tuple[str, str, str, str]]:
    """A row per interval of a recording, and a row per person and kind of interval."""
    measured = [
        ("recorded_minutes", "min", "recorded time in it"),
        ("wear_minutes", "min", "recorded time with wear in it"),
    ]
    for column, name in zip(minute_columns(activities), activities.names, strict=True):
        measured.append((column, "min", f"worn time in it named {name} (activity of seconds.parquet)"))
    measured.append(("sit_to_stand", "count", "as in daily.csv, of the seconds in it"))
    measured += [(f"enmo_{sensor}_mg", "mg", f"{sensor}: mean over the worn seconds in it") for sensor in SENSORS]
    each = [
        ("diary_row", "", "row of the diary's file, as a spreadsheet numbers them: the header is row 1"),
        ("kind", "", "what the diary calls it, in lower case; nothing is inferred from it"),
        ("start", "", "the interval's beginning, as in seconds.parquet; a second that begins in the interval is in it"),
        ("end", "", "its end"),
        ("minutes", "min", "end - start, recorded or not"),
        *measured,
    ]
    kinds = [
        ("subject", "", "person"),
        ("kind", "", "kind of interval in the diary"),
        ("intervals", "count", "intervals of this kind"),
        ("intervals_worn", "count", "of these, those with wear time"),
        ("days", "count", "civil days on which one with wear time starts; empty where recordings have no date"),
        ("minutes", "min", "length of all together, recorded or not"),
        *((name, unit, text.replace("in it", "in all of them")) for name, unit, text in measured),
    ]
    return [*(("diary.csv", *row) for row in each), *(("people_diary.csv", *row) for row in kinds)]


def _bookkeeping() -> list[tuple[str, str, str, str]]:
    return [
        *(("quality.csv", name, UNITS.get(name.rpartition("_")[2], ""), text) for name, text in QUALITY.items()),
        ("failures.csv", "path", "", "what could not be used"),
        ("failures.csv", "reason", "", "why, and what to do"),
        ("dictionary.csv", "file", "", "table; seconds.csv.gz has the columns of seconds.parquet"),
        ("dictionary.csv", "column", "", "its name"),
        ("dictionary.csv", "unit", "", "empty: none"),
        ("dictionary.csv", "definition", "", "what it means"),
    ]
