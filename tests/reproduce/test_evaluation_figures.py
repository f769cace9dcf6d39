"""Figures: what is drawn where, told apart without colour, the same bytes every time."""

import base64
import math

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from selfpab.evaluation.comparison import difference, gather, per_class, scores_by_seed, subject_scores
from selfpab.reproduce import evaluation_figures as figures


@pytest.fixture(scope="module")
def runs(run):
    return gather(run)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_gives_the_same_bytes_twice(kind):
    def picture():
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().bar([0], [1], hatch="//")
        return figures.data_uri(figure, kind)

    head, content = picture().split(",")
    assert head == {"svg": "data:image/svg+xml;base64", "png": "data:image/png;base64"}[kind]
    assert base64.b64decode(content, validate=True)[:5] in (b"<?xml", b"\x89PNG\r")
    assert picture() == picture()


def test_bars_are_the_means_with_their_errors(runs, activities):
    order = ["sitting", "standing", "walking & <running>"]
    (axes,) = figures.draw_activities(runs, activities, order).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == order
    assert axes.yaxis_inverted()
    colours = dict(zip(activities.names, activities.colours, strict=True))
    bars = iter([bar for container in axes.containers if hasattr(container, "patches") for bar in container.patches])
    errors = iter([container.errorbar for container in axes.containers if getattr(container, "errorbar", None)])
    for number, seeds in enumerate(runs.values()):
        scores = per_class(seeds)
        for place, name in enumerate(order):
            bar, ((low, high),) = next(bars), next(errors).lines[2][0].get_segments()[0][:, :1].T
            assert bar.get_width() == pytest.approx(scores[name].mean)
            assert (high - low) / 2 == pytest.approx(scores[name].sem)
            assert bar.get_y() + bar.get_height() / 2 == pytest.approx(place + (number - 1) * 0.8 / 3)
            assert to_hex(bar.get_facecolor()).upper() == colours[name]
            assert bar.get_hatch() == figures.HATCHES[number]
    assert next(bars, None) is None


def test_a_bar_too_short_to_see_is_written_out(runs, activities, monkeypatch):
    monkeypatch.setattr(figures, "BARELY", 0.5)
    (axes,) = figures.draw_activities(runs, activities, activities.names).axes
    low = sum(score.mean < 0.5 for seeds in runs.values() for score in per_class(seeds).values())
    assert len(axes.texts) == low > 0


def test_every_person_has_a_mark_per_method_and_a_line_over_seeds(runs):
    (axes,) = figures.draw_subjects(runs).axes
    first = subject_scores(runs["selfpab"])
    order = sorted(first, key=lambda subject: -first[subject])
    assert [label.get_text().replace("\\", "") for label in axes.get_yticklabels()] == order
    assert len({line.get_marker() for line in axes.lines}) == 3
    for seeds, line, spread in zip(runs.values(), axes.lines, axes.collections, strict=True):
        assert line.get_xdata() == pytest.approx([subject_scores(seeds)[subject] for subject in order])
        ends = np.array([segment[:, 0] for segment in spread.get_segments()])
        assert ends == pytest.approx(np.sort([scores_by_seed(seeds)[subject] for subject in order], axis=1))


def test_differences_are_points_of_people_and_an_interval(runs):
    (axes,) = figures.draw_differences(runs).axes
    people, interval, mean = axes.lines[3:6]  # the second comparison
    pair = difference("selfpab", "random-encoder", runs)
    assert np.mean(people.get_xdata()) == pytest.approx(100 * pair.mean)
    assert interval.get_xdata() == pytest.approx([100 * pair.low, 100 * pair.high])
    assert mean.get_xdata()[0] == pytest.approx(100 * pair.mean)
    assert axes.lines[-1].get_xdata() == [0, 0]


@pytest.mark.parametrize("methods", [1, 3, 4])
def test_calibration_has_two_panels_per_method(methods):
    empty = math.nan
    bins = {
        f"m{i}": {"n": [0, 30, 10], "confidence": np.array([empty, 0.5, 0.9]), "correct": np.array([empty, 0.4, 1.0])}
        for i in range(methods)
    }
    axes = [axes for axes in figures.draw_calibration(bins).axes if axes.get_visible()]
    assert len(axes) == 2 * methods
    above, below = axes[0], next(part for part in axes if part.patches)
    assert above.lines[1].get_ydata()[1:] == pytest.approx([0.4, 1.0])
    assert [bar.get_height() for bar in below.patches] == pytest.approx([0, 0.75, 0.25])
    assert {part.get_title() for part in axes} >= set(bins)


def test_a_name_with_dollars_is_no_formula(write_run, tmp_path):
    run = write_run(tmp_path, {"svm": 0.5}, with_seconds=False)
    figure = figures.draw_subjects(gather(run))
    assert any(r"\$y\$" in label.get_text() for label in figure.axes[0].get_yticklabels())
