"""Prediction folders of lives that a test writes down second by second; no model is asked."""

import json
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.prediction import Prediction
from selfpab.recording import Recording

THREE = Activities("three", (7, 1, 8), ("sitting", "walking", "lying"))
GAP = -1


def seconds_of(codes, start, *, activities=THREE, worn=None, uncertain=None, enmo=20.0):
    """The table `seconds`: codes (R,) of which -1 is a gap; ENMO of the thigh is `enmo`, of the back half of it."""
    codes = np.asarray(codes)
    gap = codes == GAP
    worn = np.ones(len(codes), bool) if worn is None else np.asarray(worn)
    uncertain = np.zeros(len(codes), bool) if uncertain is None else np.asarray(uncertain)
    count = np.arange(len(codes))
    times = pl.Series(count) if start is None else _times(start, len(codes))
    names = dict(zip(activities.codes, activities.names, strict=True))
    shares = {
        column: pl.Series(np.where(codes == code, 0.9, 0.05), dtype=pl.Float32)
        for code, column in zip(activities.codes, activities.columns, strict=True)
    }
    table = pl.DataFrame(
        {
            "time": times,
            "activity": pl.Series(codes, dtype=pl.Int32),
            "activity_name": pl.Series([names.get(int(code)) for code in codes], dtype=pl.String),
            "probability": pl.Series(np.full(len(codes), 0.9), dtype=pl.Float32),
            **shares,
            "uncertain": uncertain,
            "wear": worn,
            "gap": gap,
            "enmo_back_mg": pl.Series(np.full(len(codes), enmo / 2), dtype=pl.Float32),
            "enmo_thigh_mg": pl.Series(np.full(len(codes), enmo), dtype=pl.Float32),
            "flags": "",
        }
    )
    empty = [name for name in table.columns if name not in ("time", "gap", "flags")]
    return table.with_columns(pl.when(~pl.col("gap")).then(pl.col(name)).alias(name) for name in empty)


def _times(start, count):
    begin = start.astimezone(UTC).replace(tzinfo=None) if start.tzinfo else start
    times = pl.datetime_range(begin, begin + timedelta(seconds=count - 1), "1s", eager=True)
    if start.tzinfo is None:
        return times
    return times.dt.replace_time_zone("UTC").dt.convert_time_zone(getattr(start.tzinfo, "key", "UTC"))


def write_life(out, name, codes, start, *, subject=None, activities=THREE, warnings=(), csv=False, sha256=None, **how):
    """A finished prediction in `out`/`name`, as `predict_folder` leaves it."""
    seconds = seconds_of(codes, start, activities=activities, **how)
    folder = Path(out) / name
    empty = np.zeros(0, np.int64)
    frames = FrameProbabilities(np.zeros((0, len(activities))), empty, empty, 50)
    recording = Recording(subject or name, start, 50.0, np.zeros((50, 6), np.float32))
    Prediction(recording, activities, frames, seconds).write(folder, csv=csv)
    worn = seconds.filter("wear")
    counted = worn.drop_nulls("activity")["activity_name"].value_counts().rows()
    info = {
        "subject": subject or name,
        "start": None if start is None else start.isoformat(),
        "source": {"warnings": list(warnings)},
        "gaps_in_all": 0,
        "seconds": len(seconds),
        "seconds_uncertain": int(worn["uncertain"].sum()),
        "seconds_per_activity": dict(counted),
        "classes": [{"code": c, "name": n} for c, n in zip(activities.codes, activities.names, strict=True)],
        "files": sorted(path.name for path in folder.iterdir()),
        "key": name,
    }
    if sha256 is not None:
        info["content"] = {"sha256": sha256}
    (folder / "info.json").write_text(json.dumps(info))
    return folder
