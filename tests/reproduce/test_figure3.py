"""Figure 3: points at their hours, seeds averaged, and nothing drawn together that was not made alike."""

import csv
import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import stats

from selfpab.evaluation.results import read_results, write_results
from selfpab.reproduce.collected_results import ReproduceConfig, collect, find
from selfpab.reproduce.figure3 import Curve, draw, points_of, printed, remarks, write_figure

HOURS = {1.0: 0.6, 3.0: 0.65, 10.0: 0.7}


@pytest.fixture(scope="module")
def results(put_results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    others = {"svm": 0.62, "xgb": 0.621, "spectr-mlp": 0.622, "spectr-te": 0.66, "mine": 0.5}
    put_results(folder / "har70plus", others)
    put_results(folder / "har70plus", {"selfpab": 0.8, "selfpab-unfrozen": 0.75}, hours=46.4)
    for hours, right in HOURS.items():
        put_results(folder / f"har70plus-{hours:g}h", {"selfpab": right}, hours=hours)
    return folder


@pytest.fixture(scope="module")
def found(results):
    return find(ReproduceConfig(str(results)), hours=True)


def by_hand(folder, method="selfpab") -> np.ndarray:
    """Every person's score as results.json has it, averaged over the seeds."""
    contents = [json.loads(path.read_text()) for path in folder.glob(f"{method}/seed-*/results.json")]
    return np.mean([[own["macro_f1"] for own in content["subjects"].values()] for content in contents], axis=0)


def test_points_stand_at_their_hours_with_means_over_seeds(results, found):
    points = points_of(found["har70plus"])
    assert [point.hours for point in points] == [1, 3, 10, 46.4]
    for point, name in zip(points, ("har70plus-1h", "har70plus-3h", "har70plus-10h", "har70plus"), strict=True):
        scores = by_hand(results / name)
        assert (point.score.mean, point.score.sem) == pytest.approx((scores.mean(), stats.sem(scores)))
        assert (len(point.seeds), point.folders) == (2, (results / name,))


def test_folders_with_as_many_hours_are_seeds_of_one_point(put_results, results, tmp_path):
    """As two pre-trainings, whose held-out people leave not quite as many hours."""
    put_results(tmp_path / "a", {"selfpab": 0.6}, seeds=(0,), hours=10.04)
    put_results(tmp_path / "b", {"selfpab": 0.7}, seeds=(0,), hours=9.96)
    put_results(tmp_path / "c", {"selfpab": 0.7}, seeds=(0,), hours=20.0)
    found = find(ReproduceConfig(f"{tmp_path}/a,{tmp_path}/b,{tmp_path}/c"))["har70plus"]
    points = points_of(found)
    assert [(point.hours, len(point.seeds)) for point in points] == [(9.96, 1), (10.0, 1), (20, 1)]
    put_results(tmp_path / "b", {"selfpab": 0.7}, seeds=(0,), hours=9.998)
    put_results(tmp_path / "a", {"selfpab": 0.6}, seeds=(0,), hours=10.002)
    points = points_of(find(ReproduceConfig(f"{tmp_path}/a,{tmp_path}/b,{tmp_path}/c"))["har70plus"])
    assert [(point.hours, len(point.seeds)) for point in points] == [(10, 2), (20, 1)]
    both = (by_hand(tmp_path / "a") + by_hand(tmp_path / "b")) / 2
    assert points[0].score.mean == pytest.approx(both.mean())
    assert points[0].folders == (tmp_path / "a", tmp_path / "b")


def test_what_was_not_trained_alike_is_no_curve(put_results, results, tmp_path):
    put_results(tmp_path / "a", {"selfpab": 0.6}, hours=5.0, config={"steps": 9, "rate": 0.01})
    with pytest.raises(
        ValueError, match=r"har70plus-1h and .*a: selfpab was not trained alike: steps 7 and 9; a curve"
    ):
        points_of(find(ReproduceConfig(f"{results}/har70plus-1h,{tmp_path}/a"))["har70plus"])
    put_results(tmp_path / "b", {"selfpab": 0.6}, hours=5.0, protocol="another")
    with pytest.raises(ValueError, match="protocol leave one subject out and another"):
        points_of(find(ReproduceConfig(f"{results}/har70plus-1h,{tmp_path}/b"))["har70plus"])


def test_one_encoder_and_seed_twice_is_an_error(put_results, results, tmp_path):
    put_results(tmp_path / "a", {"selfpab": 0.9}, hours=1.0)
    with pytest.raises(ValueError, match=r"har70plus-1h and .*a hold selfpab with the same encoder and seed"):
        points_of(find(ReproduceConfig(f"{results}/har70plus-1h,{tmp_path}/a"))["har70plus"])


def test_without_hours_there_is_no_place_on_the_axis(put_results, tmp_path):
    put_results(tmp_path / "a", {"selfpab": 0.9}, upstream={"sha256": "a" * 64})
    with pytest.raises(ValueError, match=r"a: selfpab does not say how many hours .* \(upstream\.hours\)"):
        points_of(find(ReproduceConfig(f"{tmp_path}/a"))["har70plus"])


def test_fewer_than_two_hours_say_what_is_there_and_what_to_run(put_results, results, tmp_path):
    found = find(ReproduceConfig(f"{results}/har70plus-3h"))
    with pytest.raises(ValueError, match="at least two amounts of hours") as error:
        write_figure(found, tmp_path)
    assert "har70plus: selfpab with fewer than two amounts of pre-training: 3 h in " in str(error.value)
    assert "selfpab pretrain CORPUS PRETRAINED hours=10; selfpab evaluate selfpab DATASET" in str(error.value)
    put_results(tmp_path / "only", {"svm": 0.5})
    with pytest.raises(ValueError, match="amounts of pre-training: none"):
        write_figure(find(ReproduceConfig(f"{tmp_path}/only")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["only"]


@pytest.fixture(scope="module")
def files(found, tmp_path_factory):
    return write_figure(found, tmp_path_factory.mktemp("out"))


def test_the_table_has_our_points_the_papers_and_the_lines(results, files):
    with files[2].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["whose"], row["method"], row["hours"]) for row in rows] == [
        *(("ours", "selfpab", hours) for hours in ("1.0", "3.0", "10.0", "46.4")),
        ("the paper", "selfpab", "100000.0"),
        *(("ours", method, "") for method in ("svm", "xgb", "spectr-mlp", "spectr-te", "mine")),
    ]
    assert float(rows[2]["mean"]) == pytest.approx(by_hand(results / "har70plus-10h").mean())
    assert (rows[4]["mean"], rows[4]["sem"], rows[4]["people"]) == ("0.785", "0.021", "")
    assert float(rows[8]["mean"]) == pytest.approx(by_hand(results / "har70plus", "spectr-te").mean())
    assert (rows[0]["encoder_steps"], rows[0]["seeds"]) == ("3000", "2")


def test_the_caption_says_where_points_and_lines_are_from(results, files):
    caption = files[3].read_text()
    assert "har70plus: every encoder was pre-trained for 3000 steps." in caption
    assert (
        f"har70plus, selfpab 3 h: seed 0; leave one subject out; settings steps=7 rate=0.01; encoder {'0' * 12}"
        in caption
    )
    assert f"from {results.as_posix()}/har70plus-10h" in caption
    assert "har70plus, xgb: seed 1; " in caption
    assert "selfpab-unfrozen" not in caption  # it has an encoder, and only one


def test_files_are_pictures(files):
    assert [path.name for path in files] == ["figure3.pdf", "figure3.png", "figure3.csv", "figure3.txt"]
    assert [path.read_bytes()[:4] for path in files[:2]] == [b"%PDF", b"\x89PNG"]


def test_unlike_steps_are_told(put_results, results, tmp_path):
    put_results(tmp_path / "a", {"selfpab": 0.6}, hours=5.0)
    for path in (tmp_path / "a").glob("*/*/results.json"):
        content = read_results(path)
        content["upstream"]["steps"] = 12
        write_results(path, content)
    write_figure(find(ReproduceConfig(f"{results}/har70plus-1h,{tmp_path}/a")), tmp_path)
    assert "were NOT pre-trained for as many steps each: [12, 3000]" in (tmp_path / "figure3.txt").read_text()


def test_where_the_data_are_not_the_papers_its_points_are_not_drawn(put_results, results, tmp_path):
    people = ["S009", "S023", "S026"]
    for hours, right in ((1.0, 0.6), (2.0, 0.7)):
        put_results(tmp_path / f"harth-{hours}h", {"selfpab": right}, "harth", (0,), people, "2.0", hours)
    found = find(ReproduceConfig(f"{tmp_path},{results}/har70plus"), hours=True)
    files = write_figure(found, tmp_path / "out")
    assert "the paper" not in files[2].read_text()
    caption = files[3].read_text()
    assert "the paper's numbers are of harth 1.2 with 22 people, these of version 2.0 with 3" in caption
    assert "har70plus: selfpab with fewer than two amounts of pre-training: 46.4 h in " in caption


def test_points_that_were_trained_with_others_do_not_stand_beside_the_papers(found):
    points = points_of(found["har70plus"])
    others = collect(ReproduceConfig(str(found["har70plus"][0].folder)))[0]
    assert printed(Curve(points, others))
    seeds = {0: {**points[0].seeds[0], "train_with": [{"name": "harth"}]}}
    mixed = Curve((points[0]._replace(seeds=seeds), *points[1:]), others)
    assert printed(mixed) == {}
    assert "har70plus: the paper trained on har70plus alone, these were trained with harth too" in remarks(mixed)[-1]


def test_what_is_drawn(found):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from selfpab.reproduce.figure3 import _others

    curve = Curve(points_of(found["har70plus"]), _others(found["har70plus"]))
    figure = draw({"har70plus": curve})
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    ours, paper = axes.containers
    assert ours.lines[0].get_xdata() == pytest.approx([1, 3, 10, 46.4])
    assert ours.lines[0].get_ydata() == pytest.approx([100 * point.score.mean for point in curve.points])
    highs = [segment[1, 1] - segment[0, 1] for segment in ours.lines[2][0].get_segments()]
    assert np.array(highs) / 2 == pytest.approx([100 * point.score.sem for point in curve.points])
    assert (list(paper.lines[0].get_xdata()), list(paper.lines[0].get_ydata())) == ([100_000], [78.5])
    lines = {
        line.get_label(): line for line in axes.lines if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2
    }
    assert set(lines) == {"svm", "xgb", "spectr-mlp", "spectr-te", "mine"}
    assert len({str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in lines.values()}) == 5
    ends = [line.get_xdata()[1] for line in sorted(lines.values(), key=lambda line: line.get_ydata()[0])]
    assert all(one != other for one, other in pairwise(ends))  # marks of neighbours side by side
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "10", "46.4", "100,000"]
    boxes = [label.get_window_extent() for label in (*axes.get_xticklabels(), axes.xaxis.label, axes.title)]
    boxes.append(figure.legends[0].get_window_extent())
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["svm", "xgb", "spectr-mlp", "spectr-te", "selfpab", "mine", "selfpab in the paper"]


def test_hours_that_lie_close_have_one_tick(put_results, tmp_path):
    for hours in (10.0, 11.0, 30.0):
        put_results(tmp_path / f"har70plus-{hours}h", {"selfpab": 0.6}, seeds=(0,), hours=hours)
    found = find(ReproduceConfig(str(tmp_path)), hours=True)["har70plus"]
    from selfpab.reproduce.figure3 import _others

    (axes,) = draw({"x": Curve(points_of(found), _others(found))}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "30", "100,000"]
