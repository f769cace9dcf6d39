"""Two devices on one clock: signals of one simulated person on two clocks, strangers, quiet people, real recordings."""

import math

import numpy as np
import pytest

from selfpab.data.reading import read
from selfpab.devices.surveys import Movement
from selfpab.devices.synchronisation import NotTogether, synchronise
from selfpab.recording import RecordingError

START_NS = 1_709_164_800 * 10**9
HOUR = 3600.0


def knocks(seed: int, hours: float, quiet: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """When something shakes a person, s, and how it reaches back and thigh, (knocks, 2) in g.

    Walks of steps that are alike, every second one stronger on the thigh, and now and then a change of posture; in the
    second half of each day nothing but that. A quiet person only lies there, and turns once.
    """
    rng = np.random.default_rng(seed)
    if quiet:
        return np.array([700.0, 700.6]), np.array([[0.2, 0.3], [0.3, 0.2]])
    times, sizes, now = [], [], 0.0
    while now < hours * HOUR:
        asleep = now % (24 * HOUR) > 14 * HOUR
        if asleep or rng.random() < 0.4:
            count = int(rng.integers(2, 8))
            at = np.sort(rng.uniform(0, 3, count))
            size = rng.uniform(0.03, 0.3, (count, 2))
        else:
            count = int(np.clip(rng.lognormal(3, 1), 4, 600))
            at = np.cumsum(rng.normal(rng.normal(0.55, 0.03), 0.015, count))
            size = np.array([0.35, 0.4]) * np.exp(0.3 * rng.standard_normal((count, 2)))
            size[::2, 1] *= 2.0
        times.append(now + at)
        sizes.append(size)
        now += at[-1] + rng.exponential(900.0 if asleep else 40.0)
    return np.concatenate(times), np.concatenate(sizes)


def worn(seconds: np.ndarray, size_g: np.ndarray, first_s: float, last_s: float, seed: int) -> Movement:
    """Movement on a device's clock from `first_s` to `last_s`, of knocks at these times of that clock."""
    count = int((last_s - first_s) * 25)
    values = 1 + 0.003 * np.random.default_rng([seed, count]).standard_normal(count)
    places = (seconds - first_s) * 25 - 0.5
    for step in range(-8, 9):
        index = np.rint(places).astype(np.int64) + step
        inside = (index >= 0) & (index < count)
        away = (index - places)[inside] / 25
        ringing = np.exp(-((away / 0.06) ** 2)) - 0.4 * np.exp(-(((away - 0.12) / 0.1) ** 2))
        np.add.at(values, index[inside], size_g[inside] * ringing)
    return Movement(START_NS + round(first_s * 1e9), 25.0, values.astype(np.float32))


def pair(seed: int, hours: float, clock, quiet: bool = False) -> tuple[Movement, Movement]:
    """Back, whose clock is right, and thigh; clock(t) is what the thigh's shows at t s."""
    times, sizes = knocks(seed, hours, quiet)
    first, last = clock(np.array([0.0, hours * HOUR]))
    back = worn(times, sizes[:, 0], 0.0, hours * HOUR, seed)
    return back, worn(clock(times), sizes[:, 1], float(first), float(last), seed + 1)


def bent(offset_s, hours, rates_ppm):
    """A clock that is off by so much and drifts by these rates between these hours."""
    knots = np.array(hours) * HOUR
    gained = np.concatenate([[0.0], np.cumsum(np.diff(knots) * np.array(rates_ppm) * 1e-6)])
    return lambda t: t + offset_s + np.interp(t, knots, gained)


def errors(found, clock) -> tuple[np.ndarray, np.ndarray]:
    """Of the thigh's clock, s, and of its rate, ppm, minute by minute of the common time."""
    since = np.arange(found.knots_ns[0], found.knots_ns[-1], 60 * 10**9) - START_NS
    shown = (found.thigh_ns(since + START_NS) - START_NS) * 1e-9
    late = shown - clock(since * 1e-9)
    return np.abs(late), np.abs(np.diff(late)) / 60e-6


@pytest.fixture(scope="module")
def walker():
    return pair(1, 1.5, lambda t: t + 12.0)


class TestOnePerson:
    @pytest.mark.parametrize(
        "clock",
        [
            bent(-47.3, (0, 48), (80.0,)),
            bent(3600 + 8.25, (0, 20, 48), (-70.0, 60.0)),
            bent(-86400 + 150.0, (0, 10, 30, 48), (-90.0, 95.0, 20.0)),
        ],
        ids=["drift", "an hour off, one bend", "a day off, two bends"],
    )
    def test_two_days(self, clock):
        found = synchronise(*pair(3, 48, clock))
        late, rate = errors(found, clock)
        assert late.max() < 0.1
        assert np.percentile(rate, 95) < 2
        assert abs(found.offset_s - (clock(0.0))) < 0.05
        assert found.drift_ppm == pytest.approx((clock(48 * HOUR) - clock(0.0)) / (48 * HOUR) * 1e6 - 1e6, abs=1)
        assert found.confidence > 0.8
        assert found.windows["used"].mean() > 0.8

    def test_gaps_and_hours_on_a_table_and_a_hum(self):
        clock = bent(95.0, (0, 24), (-40.0,))
        back, thigh = pair(4, 24, clock)
        rng = np.random.default_rng(0)
        for movement, table in ((back, 5), (thigh, 5.1)):
            values = movement.magnitude_g
            a, b = round(table * HOUR * 25), round((table + 3) * HOUR * 25)
            values[a:b] = 1.01 + 0.003 * rng.standard_normal(b - a)
            ride = slice(10 * 90_000, 11 * 90_000)
            values[ride] += 0.05 * np.sin(np.arange(90_000) * 2.1 + rng.uniform(0, 6))
            for first in rng.integers(0, len(values), 30):
                values[first : first + 2000] = np.nan
        late, rate = errors(synchronise(back, thigh), clock)
        assert late.max() < 0.1
        assert np.percentile(rate, 95) < 2

    def test_one_began_later_and_the_other_ended_sooner(self):
        back, thigh = pair(5, 4, lambda t: t - 61.5)
        late = Movement(thigh.start_ns + 3600 * 10**9, 25.0, thigh.magnitude_g[90_000:])
        found = synchronise(back._replace(magnitude_g=back.magnitude_g[: 3 * 90_000]), late)
        assert found.offset_s == pytest.approx(-61.5, abs=0.05)
        assert (found.knots_ns[[0, -1]] - START_NS) * 1e-9 == pytest.approx([3600, 3 * 3600], abs=0.1)

    def test_too_short_for_a_drift(self):
        found = synchronise(*pair(6, 0.2, bent(5.0, (0, 1), (3.0,))))
        assert found.drift_ppm == 0
        assert "no drift found" in found.told
        assert found.offset_s == pytest.approx(5.0, abs=0.05)

    def test_what_is_told(self, walker):
        found = synchronise(*walker)
        count = f"{found.windows['used'].sum()} of {len(found.windows)} minutes"
        assert "thigh's clock 12.0" in found.told
        assert "ahead of" in found.told
        assert count in found.told
        behind = synchronise(walker[1], walker[0])
        assert "12.0" in behind.told
        assert "behind" in behind.told
        assert behind.offset_s == pytest.approx(-12, abs=0.05)

    def test_the_clock_goes_on_beyond_the_ends(self):
        clock = bent(0.0, (-100, 100), (100.0,))
        found = synchronise(*pair(7, 12, clock))
        times = START_NS + np.array([-10, 30]) * 3600 * 10**9
        assert (found.thigh_ns(times) - times) * 1e-9 == pytest.approx(
            clock(np.array([-10, 30]) * HOUR) - np.array([-10, 30]) * HOUR, abs=0.1
        )

    def test_a_clock_set_to_a_wrong_year(self, walker):
        back, thigh = walker
        thigh = thigh._replace(start_ns=thigh.start_ns - 400 * 86400 * 10**9)
        with pytest.raises(NotTogether, match=r"not the same time.*26 hours apart.*longest_offset_s="):
            synchronise(back, thigh)
        assert synchronise(back, thigh, longest_offset_s=math.inf).offset_s == pytest.approx(12 - 400 * 86400, abs=0.05)


class TestStrangers:
    @pytest.mark.parametrize("hours", [1.0, 30.0])
    def test_are_refused(self, hours):
        back, _ = pair(8, hours, lambda t: t)
        _, thigh = pair(9, hours, lambda t: t + 5)
        with pytest.raises(NotTogether, match=r"not the same person or not the same time: of \d+ minutes .* Pair the"):
            synchronise(back, thigh)

    def test_one_person_at_two_times_is_refused(self):
        back, thigh = pair(10, 4, lambda t: t)
        half = 2 * 90_000
        with pytest.raises(RecordingError, match="not the same person or not the same time"):
            synchronise(
                back._replace(magnitude_g=back.magnitude_g[:half]), thigh._replace(magnitude_g=thigh.magnitude_g[half:])
            )


class TestTooLittleMovement:
    def test_the_clocks_are_taken_as_they_are(self):
        found = synchronise(*pair(11, 1.0, lambda t: t + 30.0, quiet=True))
        assert (found.offset_s, found.drift_ppm, found.confidence) == (0.0, 0.0, 0.0)
        assert "offset 0 assumed" in found.told
        assert not found.windows["used"].any()
        assert np.isnan(found.residual_s)
        assert (found.knots_ns - START_NS).tolist() == [30 * 10**9, 3600 * 10**9]

    def test_not_if_these_have_no_time_in_common(self):
        back, thigh = pair(11, 1.0, lambda t: t + 7200.0, quiet=True)
        with pytest.raises(NotTogether, match=r"not the same time: the back's clock from 2024-02-29T00:00:00.*too few"):
            synchronise(back, thigh)

    def test_nothing_recorded_together(self):
        back, thigh = pair(11, 1.0, lambda t: t, quiet=True)
        thigh.magnitude_g[:] = np.nan
        assert synchronise(back, thigh).confidence == 0
        with pytest.raises(NotTogether, match="less than five minutes in common"):
            synchronise(back._replace(magnitude_g=back.magnitude_g[:0]), thigh)


def test_another_rate(walker):
    with pytest.raises(ValueError, match="25 values per second, got 50"):
        synchronise(walker[0]._replace(rate_hz=50.0), walker[1])


@pytest.mark.shared
def test_real_recordings(shared):
    """All of recipes/check_synchronisation.py in small; results/synchronisation has the whole."""
    signals = []
    for name in ("har70plus/505", "har70plus/509", "har70plus/514", "harth/S029", "harth/S033"):
        recording = read(shared / "data" / f"{name}.parquet")
        times, g = recording.sample_times_s(), recording.acceleration_g
        signals.append((times, np.linalg.norm(g[:, :3], axis=1), np.linalg.norm(g[:, 3:], axis=1)))

    def movement(times, magnitude):
        place = np.floor((times - times[0]) * 25).astype(np.int64)
        count = np.bincount(place)
        values = np.where(count, np.bincount(place, magnitude) / np.maximum(count, 1), np.nan)
        return Movement(START_NS + round(float(times[0]) * 1e9), 25.0, values.astype(np.float32))

    def clock(t):
        return t + 212.7 - 65e-6 * t

    for i, (times, back, _) in enumerate(signals):
        for j, (others, _, thigh) in enumerate(signals):
            if i == j:
                late, _ = errors(synchronise(movement(times, back), movement(clock(times), thigh)), clock)
                assert late.max() < 0.1
            elif abs(i - j) == 1:
                with pytest.raises(NotTogether):
                    synchronise(movement(times, back), movement(others, thigh))
