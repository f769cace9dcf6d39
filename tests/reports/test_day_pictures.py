"""What is drawn is as wide as what it stands for."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from selfpab.reports.day_lines import axis_of, heights_of, lines_of, local_seconds, states_of
from selfpab.reports.day_pictures import LEFT, PATTERNS, ROW, WIDTH, draw_days, draw_minutes, legend, places_of_lines
from selfpab.reports.day_tables import day_names


@pytest.fixture(scope="module")
def drawn(prediction):
    local = local_seconds(prediction.seconds["time"], prediction.recording.start)
    states = states_of(prediction.seconds, prediction.activities)
    return draw_days(states, local, prediction.activities, dated=True), states, local


def boxes(path):
    """(left, top, width, height) of every box."""
    found = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)H([\d.]+)z", path)
    assert found
    assert all(box[0] == box[4] for box in found)
    return np.array(found, float)[:, :4]


def test_a_ribbon_is_as_wide_as_its_time(drawn, prediction):
    picture, states, local = drawn
    lines = lines_of(local)
    per_second = WIDTH / 86_400
    for place, line in enumerate(lines):
        bottom = places_of_lines(lines)[place]["top"] + ROW
        wide = np.zeros(6)
        fills = [*prediction.activities.colours, "url(#off)", "url(#missing)", "url(#gap)"]
        for path, fill in re.findall(r'<path d="([^"]+)" fill="([^"]+)"/>', picture):
            own = boxes(path)
            own = own[np.isclose(own[:, 1] + own[:, 3], bottom, atol=0.11)]
            wide[fills.index(fill)] += own[:, 2].sum()
        expected = np.bincount(states[line.rows], minlength=6) * per_second
        np.testing.assert_allclose(wide, expected, atol=60 * per_second)  # half a minute at either end
    assert len(lines) == 3
    for name in ("Sat 26 Oct", "Sun 27 Oct", "Sun 27 Oct, again"):
        assert f">{name}</text>" in picture


def test_heights_tell_activities_apart_without_colour(drawn, prediction):
    for colour, level in zip(prediction.activities.colours, heights_of(prediction.activities), strict=True):
        (path, *_) = re.findall(rf'<path d="([^"]+)" fill="{colour}"', drawn[0])
        np.testing.assert_allclose(boxes(path)[:, 3], ROW * level, atol=0.06)


def test_ticks_of_a_day(drawn):
    assert re.findall(r">(\d\d:\d\d)</text>", drawn[0]) == [f"{hour:02}:00" for hour in range(0, 25, 3)]


def test_bars_are_as_long_as_their_minutes(prediction):
    daily = prediction.daily()
    picture = ElementTree.fromstring(draw_minutes(daily, prediction.activities, day_names(daily)))
    groups = list(picture.iter("g"))
    longest = 30 * np.ceil(daily["recorded_minutes"].max() / 30)  # half hours: seven to the axis
    shown = {}
    for group in groups:
        name, minutes = re.fullmatch(r"(.+), ([\d.]+) min", group.find("title").text).groups()
        box = group.find("rect").attrib
        assert float(box["width"]) == pytest.approx(WIDTH * float(minutes) / longest, abs=0.05 * WIDTH / longest + 0.01)
        shown.setdefault(box["y"], []).append((name, minutes, float(box["x"]), float(box["width"])))
    for day, pieces in zip(daily.iter_rows(named=True), shown.values(), strict=True):
        for name, minutes, _, _ in pieces:
            expected = day["recorded_minutes"] - day["wear_minutes"] if name == "not worn" else day[f"minutes_{name}"]
            assert minutes == f"{expected:.1f}"
        assert pieces[0][2] == LEFT
        for (_, _, x, wide), (_, _, following, _) in pairwise(pieces):
            assert following == pytest.approx(x + wide, abs=0.02)


def test_the_legend_names_every_state(prediction):
    names = re.findall(r"</svg> ([^<]+)</li>", legend(prediction.activities))
    assert names == ["lying", "sitting", "walking", "not worn", "a sensor missing", "not recorded"]
    assert {f'id="{name}"' for name in ("off", "missing", "gap")} <= set(re.findall(r'id="\w+"', PATTERNS))


def test_a_short_recording_has_the_hours_it_needs(prediction):
    local = np.arange(36_000, 36_090) + 86_400
    picture = draw_days(np.zeros(90, np.uint8), local, prediction.activities, dated=False)
    assert axis_of(lines_of(local)).tick_s == 10
    assert re.findall(r">(\d\d:\d\d:\d\d)</text>", picture)[:2] == ["10:00:00", "10:00:10"]
    (path,) = re.findall(r'<path d="([^"]+)" fill="#009E73"/>', picture)
    np.testing.assert_allclose(boxes(path), [[LEFT, 8 + ROW * 0.35, WIDTH, ROW * 0.65]], atol=0.1)
