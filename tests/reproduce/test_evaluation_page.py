"""The page of an evaluation: whole, self-contained, true to results.json, and honest about what it lacks."""

import base64
import io
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from selfpab.evaluation.comparison import differences, gather, per_class, row, subject_scores, total_confusion
from selfpab.paper import CLASSES, SUBJECTS, TABLE_1
from selfpab.reproduce.evaluation_page import write_page

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Tables by id, pictures, sections, and every tag closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.confusions: list[list[list[str]]] = []
        self.images: list[dict[str, str]] = []
        self.sections: dict[str, str] = {}
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.add(tag)
        self.references += [found[key] for key in ("src", "href", "srcset", "action", "data") if key in found]
        assert not [key for key in found if key.startswith("on")]
        if tag in VOID:
            self.images += [found] if tag == "img" else []
            return
        self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(found["id"], []) if "id" in found else []
            if "confusion" in found.get("class", ""):
                self.confusions.append(self.rows)
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "h2":
            self.sections[""] = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "h2":
            self.sections[self.sections.pop("")] = ""

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data + (" " if "small" in self.open else "|")
        elif "h2" in self.open:
            self.sections[""] += data
        elif self.sections:
            self.sections[list(self.sections)[-1]] += data

    def table(self, name: str) -> dict[str, list[str]]:
        rows = [[cell.rstrip("|") for cell in cells] for cells in self.tables[name]]
        return {heading: cells for heading, *cells in rows[1:]}


def lookup(people):
    return lambda subject: people[subject]


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes most of the time; where only words count, every picture is the same dot."""
    for module in ("page", "scores"):
        monkeypatch.setattr(
            f"selfpab.reproduce.evaluation_{module}.data_uri", lambda *_, **__: "data:image/png;base64,AA=="
        )


@pytest.fixture(scope="module")
def text(run, people):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUBJECTS, "har70plus", len(people))  # as many as the paper had, so that its numbers are shown
        patch.setitem(CLASSES, "har70plus", {7, 6, 1})
        path = write_page(run, lookup(people))
    assert path == run / "report.html"
    assert path.stat().st_size < 2_000_000
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


class TestForm:
    def test_it_loads_nothing_from_outside(self, page, text):
        assert all(reference.startswith("data:image/") for reference in page.references)
        assert len(page.references) == len(page.images) == 5
        assert not page.tags & {"script", "link", "iframe", "object", "embed", "video", "base"}
        assert not re.search(r"url\(|@import|https?://", re.sub(r"base64,[^\"]*", "", text))
        assert "default-src 'none'" in text

    def test_every_picture_decodes_and_has_words(self, page):
        from matplotlib.image import imread

        for image in page.images:
            kind, content = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", image["src"]).groups()
            data = base64.b64decode(content, validate=True)
            if kind == "png":
                assert min(imread(io.BytesIO(data)).shape[:2]) > 300
            else:
                tree = ElementTree.fromstring(data)
                assert tree.tag.endswith("svg")
                links = [value for node in tree.iter() for key, value in node.attrib.items() if key.endswith("href")]
                assert all(link.startswith("#") for link in links)
                assert b"<image" not in data
            assert len(image["alt"]) > 30

    def test_the_same_results_give_the_same_page(self, run, people, text, tmp_path, monkeypatch):
        monkeypatch.setitem(SUBJECTS, "har70plus", len(people))
        monkeypatch.setitem(CLASSES, "har70plus", {7, 6, 1})
        again = write_page(run, lookup(people), tmp_path / "other" / "again.html")
        assert again.read_text(encoding="utf-8") == text

    def test_names_are_text_and_not_markup(self, page, text, people):
        assert "<b>&" not in text
        assert "<script>" not in text
        assert "<all>" not in text
        assert set(page.table("people")) == set(people)
        assert "walking & <running>" in page.table("activities")


class TestNumbers:
    def test_the_methods(self, page, run):
        runs, table = gather(run), page.table("methods")
        assert list(table) == list(runs)
        for method, seeds in runs.items():
            line = row(method, seeds)
            assert table[method][:4] == [
                f"{100 * line.mean:.1f} ± {100 * line.sem:.1f}",
                f"{100 * line.seed_sd:.2f}",
                "2",
                "4",
            ]

    def test_the_paper_stands_beside_where_it_has_the_method(self, page):
        table = page.table("methods")
        assert table["svm"][4] == "{} ± {}".format(*TABLE_1["svm"][1])
        assert table["random-encoder"][4] == "not in it"
        assert "not a result of this run" in page.sections["The methods"]

    def test_the_differences(self, page, run):
        table = page.table("differences")
        for pair in differences(gather(run)):
            cells = table[f"{pair.first} minus {pair.second}"]
            assert cells[0] == f"{100 * pair.mean:+.1f}"
            assert cells[1] == f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}"
            assert cells[2] == f"{pair.better} of 4"
        assert len(table) == 3
        assert "3 comparisons" in page.sections["Differences, person by person"]

    def test_activities_and_people(self, page, run):
        for place, seeds in enumerate(gather(run).values()):
            for name, score in per_class(seeds).items():
                shown = f"{100 * score.mean:.1f} ± {100 * score.sem:.1f} ({score.n})"
                assert page.table("activities")[name][place] == shown
            for subject, score in subject_scores(seeds).items():
                assert page.table("people")[subject][place] == f"{100 * score:.1f}"
        first = subject_scores(gather(run)["selfpab"])
        assert list(page.table("people")) == sorted(first, key=lambda subject: -first[subject])

    def test_minutes_are_those_of_the_labels_and_order_the_activities(self, page, people, activities):
        labels = np.concatenate([recording.labels for own in people.values() for recording in own])
        minutes = {n: (labels == c).sum() / 3000 for n, c in zip(activities.names, activities.codes, strict=True)}
        table = page.table("minutes")
        assert {name: float(cells[0]) for name, cells in table.items()} == pytest.approx(minutes, abs=0.051)
        assert list(table) == list(page.table("activities")) == sorted(minutes, key=lambda name: -minutes[name])
        assert list(table) != list(activities.names)
        assert table["sitting"][2] == "3 of 4"
        assert f"scored{sum(minutes.values()):.1f} minutes" in page.sections["What was evaluated"]
        assert f"{5 * 75 / 3000:.1f} had no label" in page.sections["What was evaluated"]

    def test_confusions_in_per_cent_and_minutes(self, page, run, activities):
        assert len(page.confusions) == 3
        for rows, seeds in zip(page.confusions, gather(run).values(), strict=True):
            total = np.mean(
                [sum(np.array(s["confusion"]) for s in c["subjects"].values()) for c in seeds.values()], axis=0
            )
            assert [heading.rstrip("|") for heading, *_ in rows[1:]] == list(activities.names)
            for line, (_, *cells) in zip(total, rows[1:], strict=True):
                shown = np.array([re.fullmatch(r"([\d.]+)\|([\d.]+) min ", cell).groups() for cell in cells], float)
                assert shown[:, 0] == pytest.approx(100 * line / line.sum(), abs=0.051)
                assert shown[:, 1] == pytest.approx(line / 3000, abs=0.051)

    def test_calibration_layers_and_validation(self, page, run):
        for method, seeds in gather(run).items():
            pooled = [c["calibration"] for c in seeds.values()]
            n, right, sure = (
                sum(
                    np.array(c["n"]) * np.array([v or 0 for v in c[key]]) if key != "n" else np.array(c["n"])
                    for c in pooled
                )
                for key in ("n", "correct", "confidence")
            )
            gap, nll = page.table("calibration")[method]
            assert float(gap) == pytest.approx(100 * np.abs(right - sure).sum() / n.sum(), abs=0.051)
            assert float(nll) == pytest.approx(np.mean([c["nll"] for c in pooled]), abs=0.00051)
            assert page.table("layers")[method] == ["0.250", "0.750"]
            assert page.table("validation")[method] == ["91.2", "0.346"]

    def test_failures_are_named(self, page, run, activities):
        told = page.sections["Where it fails"]
        for method, seeds in gather(run).items():
            scores, classes = subject_scores(seeds), per_class(seeds)
            worst, weak = min(scores, key=scores.get), min(classes, key=lambda name: classes[name].mean)
            assert f"{method}: lowest person {worst} (macro F1 {100 * scores[worst]:.1f} %)" in told
            assert f"lowest activity {weak} (F1 {100 * classes[weak].mean:.1f} %)" in told
            total = total_confusion(seeds) / 3000
            wrong = total * (1 - np.eye(3))
            named = [
                float(minutes) for minutes in re.findall(r"([\d.]+) of [\d.]+ minutes of", told.split(method + ":")[1])
            ]
            assert named[:3] == pytest.approx(np.sort(wrong.ravel())[:-4:-1], abs=0.051)
            done, said = np.unravel_index(wrong.argmax(), wrong.shape)
            first = (
                f"of {total[done].sum():.1f} minutes of {activities.names[done]} were called {activities.names[said]}"
            )
            assert f"most time lost: {wrong.max():.1f} {first}" in told

    def test_how_it_was_made(self, page):
        told = page.sections["What was evaluated"] + page.sections["How it was made"]
        for words in ("har70plus, version 1.0", "ab12", "paper & <all>", "seeds 0, 1", "21.5 hours", '"steps": 7'):
            assert words in told


class TestHour:
    def test_it_is_that_of_the_median_person_by_the_first_method(self, page, run):
        scores = subject_scores(gather(run)["selfpab"])
        told = page.sections["One person's hour"]
        assert f"person {sorted(scores, key=scores.get)[1]} is the median one by the macro F1 of selfpab" in told
        assert "signals are left out" not in told

    def test_without_recordings_the_signals_are_left_out_and_it_says_so(self, undrawn, run, tmp_path):
        page = Page(write_page(run, out=tmp_path / "page.html").read_text(encoding="utf-8"))
        assert "The signals are left out" in page.sections["One person's hour"]
        assert len(page.images) == 5

    def test_without_seconds_it_is_left_out_and_it_says_so(self, undrawn, run, people, tmp_path):
        bare = tmp_path / "bare"
        shutil.copytree(run, bare, ignore=shutil.ignore_patterns("seconds", "folds", "report.html"))
        page = Page(write_page(bare, lookup(people)).read_text(encoding="utf-8"))
        assert re.search(
            r"Left out: selfpab/seed-0/seconds/.*is not in the run folder", page.sections["One person's hour"]
        )
        assert len(page.images) == 4


@pytest.mark.usefixtures("undrawn")
class TestLess:
    def test_one_method_with_one_seed(self, write_run, people, tmp_path):
        run = write_run(tmp_path, {"own": 0.5})
        page = Page(write_page(run, lookup(people)).read_text(encoding="utf-8"))
        assert page.table("methods")["own"][1] == "one seed"
        assert len(page.tables["methods"][0]) == 5  # no column of the paper
        assert "Differences, person by person" not in page.sections
        assert not {"layers", "validation"} & set(page.tables)
        assert len(page.images) == 4

    def test_another_data_set_has_no_numbers_of_the_paper(self, write_run, tmp_path):
        run = write_run(tmp_path, {"svm": 0.5}, with_seconds=False, dataset="mine")
        assert "Table 1" not in write_page(run).read_text(encoding="utf-8")

    def test_other_people_or_another_version_have_no_numbers_of_the_paper(self, write_run, tmp_path):
        run = write_run(tmp_path, {"svm": 0.5}, with_seconds=False, dataset="harth", data={"version": "2.0"})
        told = Page(write_page(run).read_text(encoding="utf-8"))
        assert (
            "The paper's numbers are of harth 1.2 with 22 people, these of version 2.0 with 4"
            in told.sections["The methods"]
        )
        assert len(told.tables["methods"][0]) == 5

    def test_methods_as_asked(self, run, tmp_path):
        path = write_page(run, out=tmp_path / "page.html", methods=["svm", "selfpab"])
        assert list(Page(path.read_text(encoding="utf-8")).table("methods")) == ["svm", "selfpab"]

    def test_what_does_not_belong_together_makes_no_page(self, write_run, tmp_path):
        write_run(tmp_path, {"svm": 0.5}, with_seconds=False)
        write_run(tmp_path, {"own": 0.5}, with_seconds=False, data={"version": "2"})
        with pytest.raises(ValueError, match="differ in version"):
            write_page(tmp_path)
        assert not (tmp_path / "report.html").exists()
