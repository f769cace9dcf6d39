"""How methods look: by shape and fill, the same whatever else is drawn."""

import pytest
from matplotlib.figure import Figure

from selfpab.paper import TABLE_1
from selfpab.reproduce.method_marks import MORE, looks, save


def test_shape_and_fill_tell_methods_apart():
    own = [f"own-{number}" for number in range(len(MORE))]
    style = looks([*TABLE_1, *own])
    marks = [(look["marker"], look["markerfacecolor"] == "white") for look in style.values()]
    assert len(set(marks)) == len(style)
    assert len({str(look["linestyle"]) for look in looks(list(TABLE_1)).values()}) == len(TABLE_1)


def test_a_method_of_the_paper_looks_the_same_in_any_company():
    assert looks(["xgb"])["xgb"] == looks(["mine", *TABLE_1])["xgb"]


def test_more_methods_than_marks_are_drawn_all_the_same():
    assert len(looks([str(number) for number in range(30)])) == 30


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    def files(folder):
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().plot([1, 2], label="x", **looks(["svm"])["svm"])
        return save(figure, tmp_path / folder, "f")

    first, second = files("a"), files("b")
    assert [path.name for path in first] == ["f.pdf", "f.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"CreationDate" not in first[0].read_bytes()


@pytest.mark.parametrize("kind", ["svm", "selfpab"])
def test_keywords_are_those_of_plot(kind):
    (line,) = Figure().add_subplot().plot([0, 1], **looks([kind])[kind])
    assert line.get_marker() == looks([kind])[kind]["marker"]
