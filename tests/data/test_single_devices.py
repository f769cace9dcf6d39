"""One device file -> a recording of which the other sensor measured nothing."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.data.device_pairs import read_pair
from selfpab.data.preparation import ReadConfig, found_in, prepared
from selfpab.data.reading import read
from selfpab.data.single_devices import read_single
from selfpab.devices.cwa_writer import Planted, write_cwa
from selfpab.recording import RecordingError
from selfpab.sensors import told_by

START = datetime(2024, 3, 4, 11)
AX6 = {"form": "ax6", "rate_hz": 100.0, "range_g": 8, "start": START, "planted": Planted(restarts={100: 40.0})}


def moved(seconds, sensor):
    times_s = np.arange(int(seconds * 100)) / 100
    hz = np.array([0.4, 1.1, 2.3]) + 0.2 * sensor
    return np.sin(2 * np.pi * hz * times_s[:, None]) * 0.8 + [-0.5, 0.1 * sensor, 0.2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    for sensor, name in enumerate(("back", "thigh")):
        write_cwa(folder / f"P1_{name}.cwa", moved(200, sensor), **(AX6 | {"device_id": 7 + sensor}))
    return {name: folder / f"P1_{name}.cwa" for name in ("back", "thigh")}


@pytest.mark.parametrize(
    ("sensor", "axes", "others"), [("back", slice(0, 3), slice(3, 6)), ("thigh", slice(3, 6), slice(0, 3))]
)
def test_it_has_the_samples_that_the_pair_has(files, sensor, axes, others):
    pair = read_pair(files["back"], files["thigh"], align=False, calibrate=False)
    alone = read_single(files[sensor], sensor, calibrate=False, subject="P1")
    assert np.array_equal(alone.samples[:, axes], pair.samples[:, axes])
    assert (alone.samples[:, others] == 0).all()
    assert alone.samples[:, axes].any()
    assert (alone.start, alone.segments, alone.counts_per_g) == (pair.start, pair.segments, pair.counts_per_g)
    assert len(alone.segments) == 2
    assert [told.sensors for told in told_by(alone)] == [(sensor,)]
    assert alone.source["form"] == "cwa"
    assert alone.source[sensor] == pair.source[sensor]
    other = {"back": "thigh", "thigh": "back"}[sensor]
    assert other not in alone.source
    assert all(line.startswith(f"{sensor}: ") for line in (*alone.source["repairs"], *alone.source["warnings"]))


def test_read_takes_it_in_its_place(files):
    alone = read((None, files["thigh"]), tz="Europe/Oslo")
    assert alone.subject == "P1_thigh"
    assert str(alone.start) == "2024-03-04 11:00:00+01:00"
    assert [told.sensors for told in told_by(alone)] == [("thigh",)]
    assert [told.sensors for told in told_by(read((str(files["back"]), None)))] == [("back",)]
    with pytest.raises(ValueError, match="at most one of them None; got neither"):
        read((None, None))


def test_what_cannot_be_read_is_told(files, tmp_path):
    with pytest.raises(ValueError, match=r"wanted back or thigh, where .*P1_back.cwa was worn; got 'wrist'"):
        read_single(files["back"], "wrist")
    with pytest.raises(RecordingError, match="there is no such file"):
        read_single(tmp_path / "none.cwa", "back")


@pytest.mark.parametrize("sensor", ["back", "thigh"])
def test_the_command_takes_one_and_names_the_person(files, sensor):
    config = ReadConfig(**{sensor: str(files[sensor])}, calibrate=False)
    (source,), problems = found_in([], config)
    assert (source.subject, source.short_name, source.sensor, problems) == ("P1", "P1", sensor, [])
    recording = prepared(source, config)
    assert recording.subject == "P1"
    assert [told.sensors for told in told_by(recording)] == [(sensor,)]
    assert any(
        f"the {'thigh' if sensor == 'back' else 'back'} sensor measured nothing" in w
        for w in recording.source["warnings"]
    )
