"""Summaries of the shape that OxWearables' `accelerometer` gives: NAME-summary.json and NAME-timeSeries.csv.gz.

Keys after its data dictionary. Its classes (sleep, sedentary, light, ...) and its wrist acceleration `acc` are not ours:
`acc` is null, its classes are absent, and activities have keys of their own in the same patterns. Nothing is imputed;
an average is over worn time. Epochs have 30 seconds, as theirs.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import datetime, timezone, tzinfo
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import IO, Any, cast

import polars as pl

from selfpab.activities import Activities
from selfpab.cohorts.finished_folders import classes_of, clock_of, predictions_in
from selfpab.inference.bouts import worn_activity
from selfpab.writing import write_csv, write_text, write_whole

EPOCH_S = 30
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GOOD_DAYS = 3.0  # theirs: so much wear, and some in every hour of the day, is good
SENSORS = {"accBack": "enmo_back_mg", "accThigh": "enmo_thigh_mg"}
READ = ["time", "activity", "wear", "gap", *SENSORS.values()]
LONG_S = 3600


def write_summaries(predicted: Path, destination: Path) -> list[Path]:
    """Both files of every recording in a folder NAME, and all-summary.csv with a row per recording."""
    written: list[Path] = []
    summaries: list[dict[str, Any]] = []
    for folder, info in predictions_in(predicted):
        activities = classes_of(info)
        seconds = pl.read_parquet(folder / "seconds.parquet", columns=READ)
        clock = clock_of(seconds["time"], info)
        seconds = seconds.with_columns(_as_shown(seconds["time"], clock))
        epochs = epoch_table(seconds, activities, dated=info["start"] is not None)
        summary = summary_of(epochs, info, folder.name, activities, clock)
        place = destination / folder.name
        write_text(place / f"{folder.name}-summary.json", json.dumps(summary, indent=4))
        series = partial(_write_series, epochs, clock)
        write_whole(place / f"{folder.name}-timeSeries.csv.gz", series)
        written += [place / f"{folder.name}-summary.json", place / f"{folder.name}-timeSeries.csv.gz"]
        summaries.append(summary)
    if summaries:
        columns = list(dict.fromkeys(key for summary in summaries for key in summary))
        rows = [[summary.get(column) for column in columns] for summary in summaries]
        written.append(write_csv(destination / "all-summary.csv", columns, rows))
    return written


def epoch_table(seconds: pl.DataFrame, activities: Activities, *, dated: bool) -> pl.DataFrame:
    """A row per 30 seconds of the clock, from the table `seconds`.

    Returns
    -------
    time, worn (seconds with wear), recorded (seconds that are no gap), judged (worn seconds with an activity); <activity>
    (of these, how many), accBack and accThigh (sums of ENMO over the worn seconds, mg), and how many have it.
    """
    every = pl.col("time").dt.truncate(f"{EPOCH_S}s") if dated else pl.col("time") // EPOCH_S * EPOCH_S
    worn = pl.col("wear").fill_null(False)
    return (
        seconds.with_columns(code=worn_activity(seconds))
        .group_by(every.alias("time"), maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("seconds"),
            worn.sum().cast(pl.Int64).alias("worn"),
            (~pl.col("gap")).sum().cast(pl.Int64).alias("recorded"),
            pl.col("code").count().cast(pl.Int64).alias("judged"),
            *(
                (pl.col("code") == code).sum().cast(pl.Int64).alias(name)
                for code, name in zip(activities.codes, _names(activities), strict=True)
            ),
            *(pl.col(column).filter(worn).cast(pl.Float64).sum().alias(name) for name, column in SENSORS.items()),
            *(pl.col(column).filter(worn).count().alias(f"{name}_n") for name, column in SENSORS.items()),
        )
    )


def summary_of(
    epochs: pl.DataFrame, info: Mapping[str, Any], name: str, activities: Activities, clock: tzinfo | None
) -> dict[str, Any]:
    """The keys of NAME-summary.json; those of days and hours are absent where a recording has no date.

    clock : the recording's; the `time` of `epochs` is what it shows.
    """
    dated = info["start"] is not None
    worn, recorded = int(epochs["worn"].sum()), int(epochs["recorded"].sum())
    columns = {"wearTime": ("worn", "seconds"), **{a: (a, "judged") for a in _names(activities)}}
    columns |= {sensor: (sensor, f"{sensor}_n") for sensor in SENSORS}
    summary: dict[str, Any] = {"file-name": name, "file-startTime": None, "file-endTime": None}
    if dated:
        first, last = epochs["time"][0], epochs["time"][-1]
        start = datetime.fromisoformat(info["start"])  # which has the offset alone
        summary |= {"file-startTime": _text(start.astimezone(clock) if clock else start, clock)}
        summary["file-endTime"] = _text(last, clock)
        summary["file-firstDay(0=mon,6=sun)"] = first.weekday()
    summary |= {
        "errs-interrupts-num": info["gaps_in_all"],
        "errs-interrupt-mins": round((info["seconds"] - recorded) / 60, 1),
        "wearTime-numNonWearEpisodes(>1hr)": _long_non_wear(epochs),
        "wearTime-overall(days)": round(worn / 86_400, 2),
        "nonWearTime-overall(days)": round((info["seconds"] - worn) / 86_400, 2),
        "quality-goodWearTime": None,
        "acc-overall-avg": None,
        "acc-overall-sd": None,
    }
    if dated:
        hours = epochs.filter(pl.col("worn") > 0)["time"].dt.hour().n_unique()
        summary["quality-goodWearTime"] = int(hours == 24 and worn >= GOOD_DAYS * 86_400)
        table = epochs.group_by(pl.col("time").dt.date().alias("date"), maintain_order=True)
        recorded_on = table.agg(pl.col("worn", *_names(activities)).sum() / 3600).rename({"worn": "wearTime"})
        for number, day in enumerate(recorded_on.drop("date").rows(named=True)):
            summary |= {f"day{number}-recorded-{key}(hrs)": round(value, 2) for key, value in day.items()}
    for key, (part, whole) in columns.items():
        of = epochs.filter(pl.col(whole) > 0)
        shares = (of[part] / of[whole]).to_list()
        total = int(of[whole].sum())
        summary[f"{key}-overall-avg"] = round(of[part].sum() / total, 5) if total else None
        summary[f"{key}-overall-sd"] = round(stdev(shares), 5) if len(shares) > 1 else None
        if dated:
            summary |= _by_clock(key, part, whole, of)
    return summary


def _by_clock(key: str, part: str, whole: str, epochs: pl.DataFrame) -> dict[str, float | None]:
    """Means by day of the week and hour: first of every hour of every day of the week, then of these, as theirs are."""
    day, hour = (pl.col("time").dt.weekday() - 1).alias("day"), pl.col("time").dt.hour().alias("hour")
    sums = epochs.group_by(day, hour).agg(pl.col(part).sum(), pl.col(whole).sum())
    cells = {(day, hour): value / count for day, hour, value, count in sums.sort("day", "hour").rows()}
    found: dict[str, float | None] = {f"{key}-week-avg": _mean(cells.values())}
    for number, name in enumerate(WEEKDAYS):
        found[f"{key}-{name}-avg"] = _mean(value for (day, _), value in cells.items() if day == number)
    parts = {"Weekday": range(5), "Weekend": range(5, 7)}
    by_hour = {
        (name, hour): _mean(cells[day, hour] for day in days if (day, hour) in cells)
        for name, days in {"": range(7), **parts}.items()
        for hour in range(24)
    }
    for name in parts:
        found[f"{key}-{name.lower()}-avg"] = _mean(by_hour[name, hour] for hour in range(24))
    found |= {f"{key}-hourOfDay-{hour}-avg": by_hour["", hour] for hour in range(24)}
    found |= {f"{key}-hourOf{name}-{hour}-avg": by_hour[name, hour] for name in parts for hour in range(24)}
    return found


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 5) if known else None


def _long_non_wear(epochs: pl.DataFrame) -> int:
    """Stretches of recorded epochs without any wear that last more than an hour."""
    stretches = ((epochs["worn"] == 0) & (epochs["recorded"] > 0)).rle().struct.unnest()
    return int((stretches["value"] & (stretches["len"] * EPOCH_S > LONG_S)).sum())


def _write_series(epochs: pl.DataFrame, clock: tzinfo | None, path: Path) -> None:
    """time, acc (empty), accBack, accThigh, every activity's share of the epoch's worn seconds, imputed (0)."""
    skip = ("time", "seconds", "worn", "recorded", "judged", *SENSORS, *(f"{sensor}_n" for sensor in SENSORS))
    table = epochs.select(
        _series_time(epochs["time"], clock),
        pl.lit(None, dtype=pl.Float64).alias("acc"),
        *(_share(sensor, f"{sensor}_n") for sensor in SENSORS),
        *(_share(name, "judged") for name in epochs.columns if name not in skip),
        pl.lit(0, dtype=pl.Int8).alias("imputed"),
    )
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:
        table.write_csv(cast(IO[bytes], zipped), float_precision=4)


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole)).alias(part)


def _as_shown(times: pl.Series, clock: tzinfo | None) -> pl.Series:
    """What the clock showed: times of a bare offset, which the table has in UTC, become naive."""
    if isinstance(clock, timezone):
        return times.dt.replace_time_zone(None) + clock.utcoffset(None)
    return times


def _series_time(times: pl.Series, clock: tzinfo | None) -> pl.Series:
    if times.dtype.is_integer():
        return times
    return pl.Series("time", [_text(time, clock) for time in times], dtype=pl.String)


def _text(moment: datetime, clock: tzinfo | None) -> str:
    """As theirs: 2020-06-14 19:01:15.123000+0100 [Europe/London]; without an offset where the clock has none.

    >>> start = datetime.fromisoformat("2024-05-01T00:00:00+02:00")
    >>> _text(start, start.tzinfo)
    '2024-05-01 00:00:00.000000+0200 [+02:00]'
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=clock)
    zone = getattr(clock, "key", None) or str(clock).removeprefix("UTC") or "UTC"
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f%z") + (f" [{zone}]" if clock else "")


def _names(activities: Activities) -> list[str]:
    return [column.removeprefix("p_") for column in activities.columns]
