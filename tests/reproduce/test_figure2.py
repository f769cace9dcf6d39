"""Figure 2: what is drawn where, in which order, told apart without colour, nothing printed over anything."""

import csv
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from selfpab.activities import HARTH
from selfpab.evaluation.comparison import minutes_by_activity
from selfpab.paper import TABLE_1
from selfpab.reproduce.collected_results import ReproduceConfig, collect
from selfpab.reproduce.figure2 import draw, write_figure

PEOPLE = [f"S{number:03d}" for number in range(6, 13)]
RIGHT = dict(zip(TABLE_1, (0.72, 0.74, 0.51, 0.6, 0.61, 0.66, 0.81), strict=True))


@pytest.fixture(scope="module")
def collected(put_results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    put_results(folder / "har70plus", {"mine": 0.5, "xgb": 0.7, "selfpab": 0.8})
    put_results(folder / "harth", RIGHT, "harth", (0, 1), PEOPLE, "2.0")
    return collect(ReproduceConfig(str(folder)))


@pytest.fixture(scope="module")
def drawn(collected):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw(collected)
    FigureCanvasAgg(figure).draw()
    return figure


def by_hand(one, method: str, place: int) -> np.ndarray:
    """F1 of one class for every person who has it, as 2TP/(2TP+FP+FN), averaged over the seeds."""
    seeds = list(one.runs[method].values())
    scores = []
    for person in seeds[0]["subjects"]:
        own = []
        for content in seeds:
            counts = content["subjects"][person]["confusion"]
            right = counts[place][place]
            wrong = sum(counts[place]) + sum(line[place] for line in counts) - 2 * right
            own += [2 * right / (2 * right + wrong)] if right or wrong else []
        scores += [np.mean(own)] if own else []
    return np.array(scores)


def test_activities_are_ordered_by_their_minutes_which_stand_below_the_names(collected, drawn):
    for axes, one in zip(drawn.axes, collected, strict=True):
        first = next(iter(one.runs.values()))[0]
        samples = sum(np.array(own["confusion"]).sum(axis=1) for own in first["subjects"].values())
        order = np.argsort(-samples, kind="stable")
        names = [first["classes"][place]["name"] for place in order]
        assert list(minutes_by_activity(one.runs).values()) == pytest.approx(samples[order] / 3000)
        shown = [label.get_text() for label in axes.get_yticklabels()]
        assert [text.rsplit("\n", 1)[0].replace("\n", " ") for text in shown] == names
        assert [float(text.rsplit("\n", 1)[1].removesuffix(" min")) for text in shown] == pytest.approx(
            samples[order] / 3000, abs=0.5
        )
        assert axes.yaxis_inverted()


@pytest.mark.parametrize(("panel", "method"), [(0, "svm"), (0, "selfpab"), (1, "mine")])
def test_marks_are_means_with_their_errors(collected, drawn, panel, method):
    one, axes = collected[panel], drawn.axes[panel]
    names = [item["name"] for item in one.first["classes"]]
    (container,) = (c for c in axes.containers if c.get_label() == method)
    values, places = container.lines[0].get_data()
    whiskers = [segment[:, 0] for segment in container.lines[2][0].get_segments()]
    for value, place, name, (low, high) in zip(values, places, minutes_by_activity(one.runs), whiskers, strict=True):
        scores = 100 * by_hand(one, method, names.index(name))
        assert value == pytest.approx(scores.mean())
        assert (high - low) / 2 == pytest.approx(stats.sem(scores))
        assert abs(place - list(minutes_by_activity(one.runs)).index(name)) < 0.5


def test_methods_lie_in_the_order_of_the_table_and_look_the_same_in_every_panel(drawn):
    marks = {}
    for axes, names in zip(drawn.axes, (list(TABLE_1), ["xgb", "selfpab", "mine"]), strict=True):
        assert [container.get_label() for container in axes.containers] == names
        first = [container.lines[0].get_ydata()[0] for container in axes.containers]
        assert first == sorted(first)
        for container in axes.containers:
            line = container.lines[0]
            look = (line.get_marker(), line.get_markerfacecolor() == "white")
            assert marks.setdefault(container.get_label(), look) == look
    assert len(set(marks.values())) == len(marks) == 8  # without colour
    legend = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert legend == [*TABLE_1, "mine"]


def test_nothing_is_printed_over_anything(drawn):
    boxes = [label.get_window_extent() for axes in drawn.axes for label in axes.get_yticklabels()]
    boxes += [axes.title.get_window_extent() for axes in drawn.axes] + [drawn.legends[0].get_window_extent()]
    boxes += [axes.xaxis.label.get_window_extent() for axes in drawn.axes]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= drawn.bbox.x1 and box.y1 <= drawn.bbox.y1 for box in boxes)
    marks = [c.lines[0].get_ydata()[0] for c in drawn.axes[0].containers]
    apart = abs(np.diff(drawn.axes[0].transData.transform([(0, mark) for mark in marks])[:, 1])) * 72 / drawn.dpi
    assert min(apart) > 4.6  # points: marks do not touch


def test_one_method_alone_leaves_room_for_the_names(collected):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    one = collected[0]._replace(runs={"svm": collected[0].runs["svm"]})
    figure = draw([one])
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_an_activity_without_scores_has_no_mark(put_results, tmp_path):
    put_results(tmp_path / "harth", {"svm": 1.0}, "harth", (0,), PEOPLE[:2], "2.0", samples=15)  # rare ones: nobody
    one, *_ = collect(ReproduceConfig(str(tmp_path)))
    scored = [name for place, name in enumerate(HARTH.names) if len(by_hand(one, "svm", place))]
    (container,) = draw([one]).axes[0].containers
    assert len(container.lines[0].get_xdata()) == len(scored) < len(HARTH)


def test_files(collected, tmp_path):
    paths = write_figure(collected, tmp_path)
    assert [path.name for path in paths] == ["figure2.pdf", "figure2.png", "figure2.csv", "figure2.txt"]
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    with paths[2].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7 * 10 + 3 * 7
    row = next(r for r in rows if (r["dataset"], r["method"], r["activity"]) == ("harth", "xgb", "walking"))
    scores = by_hand(collected[0], "xgb", HARTH.names.index("walking"))
    assert [float(row[key]) for key in ("mean", "sem", "people_with_one")] == pytest.approx(
        [scores.mean(), stats.sem(scores), len(scores)]
    )
    caption = paths[3].read_text()
    assert "F1 in per cent of every activity" in caption
    assert "harth: version 2.0, SHA-256 of the files 2.0-harth000, 7 people" in caption
    assert caption.count("; from ") == 7 + 3 + 10  # seeds with other commits have a line each
