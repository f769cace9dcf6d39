"""Every column of the tables of a prediction folder: unit and definition, for who only has the files."""

from __future__ import annotations

import polars as pl

from selfpab.activities import Activities
from selfpab.inference.seconds import NON_WEAR, SENSOR_MISSING
from selfpab.recording import SENSORS


def column_dictionary(activities: Activities) -> pl.DataFrame:
    """file, column, unit, definition of every column of seconds.parquet, daily.csv and bouts.csv, in their order.

    >>> from selfpab.activities import HARTH
    >>> column_dictionary(HARTH).filter(pl.col("column") == "minutes_sitting").rows()
    [('daily.csv', 'minutes_sitting', 'min', 'worn time whose most probable class is sitting')]
    """
    classes = list(zip(activities.columns, activities.names, strict=True))
    dated = "on the recording's clock; seconds from the start where it has no date"
    rows = [
        ("seconds.parquet", "time", "", f"beginning of the second, {dated}"),
        ("seconds.parquet", "activity", "code", f"most probable class; empty in gaps and at a {SENSOR_MISSING}"),
        ("seconds.parquet", "activity_name", "", "its name"),
        ("seconds.parquet", "probability", "0 to 1", "its probability"),
        *(
            ("seconds.parquet", column, "0 to 1", f"probability of {name}, mean over the second's samples")
            for column, name in classes
        ),
        ("seconds.parquet", "uncertain", "true/false", "probability below the uncertain_below of info.json"),
        ("seconds.parquet", "wear", "true/false", f"no mark of {NON_WEAR}; info.json says whether it was looked for"),
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
        ("daily.csv", "date", "", "civil day on the recording's clock; empty where it has no date"),
        ("daily.csv", "day", "", "its number, from 1"),
        ("daily.csv", "wear_minutes", "min", "recorded time with wear"),
        ("daily.csv", "recorded_minutes", "min", "recorded time: seconds that are no gap"),
        *(
            (
                "daily.csv",
                column.replace("p_", "minutes_", 1),
                "min",
                f"worn time whose most probable class is {name}",
            )
            for column, name in classes
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
    return pl.DataFrame(rows, schema=["file", "column", "unit", "definition"], orient="row")
