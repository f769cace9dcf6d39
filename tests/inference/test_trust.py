"""The whole calibration: fitted, cross-fitted, written and read."""

from dataclasses import replace

import numpy as np
import pytest

from selfpab.evaluation.answers import Answers
from selfpab.evaluation.diagrams import reliability
from selfpab.inference import trust as trust_module
from selfpab.inference.decisions import most_probable
from selfpab.inference.doubt import fit_threshold
from selfpab.inference.trust import (
    Trust,
    cross_fitted,
    fit_single,
    fit_trust,
    judge,
    judge_by,
    read_trust,
    write_trust,
)


def overconfident(count=6, seconds=600, seed=0):
    """People in bouts of ten seconds whose probabilities are the squares of the true ones; a gap in the middle."""
    rng = np.random.default_rng(seed)
    people = {}
    for number in range(count):
        true = np.repeat(rng.dirichlet([0.6, 0.6, 0.3], seconds // 10), 10, axis=0)
        truth = (true.cumsum(axis=1) < rng.random((seconds, 1))).sum(axis=1).clip(0, 2)
        said = true**2 / (true**2).sum(axis=1, keepdims=True)
        said[seconds // 2] = np.nan
        truth[:3] = -1
        people[f"p{number}"] = Answers(truth, said)
    return people


@pytest.fixture(scope="module")
def people():
    return overconfident()


@pytest.fixture(scope="module")
def fitted(people):
    return fit_trust(people, accuracy=0.8)


def test_probabilities_become_reliable(people, fitted):
    assert fitted.map.temperature == pytest.approx(2, rel=0.15)
    judged = judge(people["p0"], fitted)
    kept = judged.scored
    before = reliability(judged.truth[kept], people["p0"].probabilities[kept])
    after = reliability(judged.truth[kept], judged.probabilities[kept])
    assert after.nll < before.nll
    assert after.ece < before.ece


def test_gaps_have_no_class_and_unlabelled_seconds_no_score(people, fitted):
    judged = judge(people["p0"], fitted)
    assert judged.named[300] == -1
    assert judged.scored.sum() == 600 - 4
    assert len(judged.answered[0]) == 596
    assert judged.minutes.named.sum() == pytest.approx(596 / 60)


def test_confidence_is_that_of_what_was_named(people, fitted):
    judged = judge(people["p1"], fitted)
    rows = np.flatnonzero(judged.scored)
    np.testing.assert_array_equal(judged.answered[0], [judged.probabilities[r, judged.named[r]] for r in rows])
    np.testing.assert_array_equal(judged.answered[1], judged.named[rows] == judged.truth[rows])


def test_everyone_is_judged_by_the_others_only(people, monkeypatch):
    asked = []
    real = trust_module.fit_trust
    monkeypatch.setattr(
        trust_module, "fit_trust", lambda others, **how: asked.append(set(others)) or real(others, **how)
    )
    found = cross_fitted(people, plain=True)
    assert asked == [set(people) - {name} for name in people]
    assert list(found) == list(people)
    judged, trust = found["p2"]
    others = {name: a for name, a in people.items() if name != "p2"}
    assert trust == real(others, decision=most_probable(3))
    np.testing.assert_array_equal(judged.probabilities, trust.map(people["p2"].probabilities))


def test_written_and_read(fitted, tmp_path):
    write_trust(tmp_path / "calibration.json", fitted)
    assert read_trust(tmp_path / "calibration.json") == fitted


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "no calibration"), ('{"schema": 7}', "schema 7"), ('{"schema": 1}', "no calibration.*'map'")],
)
def test_what_is_no_calibration(tmp_path, text, message):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_trust(tmp_path / "calibration.json")


def test_two_people_are_too_few_to_leave_one_out(people):
    with pytest.raises(ValueError, match=r"at least three people, got \['p0', 'p1'\]"):
        cross_fitted({name: people[name] for name in ("p0", "p1")})


def test_one_sensor_alone_has_its_own_map_and_threshold_and_no_decision(people, fitted, tmp_path):
    flat = {
        name: Answers(a.truth, np.sqrt(a.probabilities) / np.sqrt(a.probabilities).sum(1, keepdims=True))
        for name, a in people.items()
    }
    own = fit_single(flat, fitted.decision, accuracy=0.8)
    assert own.map.temperature == pytest.approx(fitted.map.temperature / 2, rel=0.1)
    named = {name: judge_by(a, own.map, fitted.decision) for name, a in flat.items()}
    assert own.uncertain == fit_threshold({name: judged.answered for name, judged in named.items()}, accuracy=0.8)
    write_trust(tmp_path / "calibration.json", replace(fitted, single={"back": own}))
    assert read_trust(tmp_path / "calibration.json").single == {"back": own}
    older = fitted.to_json()
    del older["single"]
    assert Trust.from_json(older).single == {}
