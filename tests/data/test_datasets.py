"""Data sets: which files, which labels, which version."""

import json
from pathlib import Path

import numpy as np
import pytest

from selfpab.activities import HAR70PLUS, HARTH, Activities
from selfpab.config import ConfigError
from selfpab.data.datasets import Dataset, check_names, open_dataset, with_classes
from selfpab.data.parquet import write_parquet
from selfpab.recording import CHANNELS, Recording, RecordingError

MINE = {
    "name": "mine",
    "version": "3",
    "classes": [{"code": 5, "name": "ski"}, {"code": 2, "name": "skate (fast)"}],
    "merge": {"7": 5},
}


def put(folder: Path, stem: str, label: int = 7, thigh_z: float = -1.0, rows: int = 100) -> Path:
    samples = np.zeros((rows, 6), np.float32)
    samples[:, 0], samples[:, 5] = -1, thigh_z
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(Recording(stem, None, 50.0, samples, np.full(rows, label, np.int16)), folder / f"{stem}.parquet")
    return folder / f"{stem}.parquet"


def mine(folder: Path, **change) -> Path:
    put(folder, "a", 5)
    put(folder, "b", 2)
    given = {key: value for key, value in {**MINE, **change}.items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(given))
    return folder


def test_a_folder_with_dataset_json(tmp_path):
    folder = mine(tmp_path / "x")
    (folder / "c.cwa").write_bytes(b"MD")
    (folder / "notes.txt").write_text("")
    dataset = open_dataset(folder)
    assert (dataset.name, dataset.version, dataset.folder) == ("mine", "3", folder)
    assert dataset.activities.codes == (5, 2)
    assert dataset.activities.columns == ("p_ski", "p_skate_fast")
    assert dataset.activities.merge == {7: 5}
    assert dataset.files == (folder / "a.parquet", folder / "b.parquet")
    assert dataset.ignored == (folder / "c.cwa",)
    assert [r.subject for r in dataset.recordings()] == ["a", "b"]
    for name in (folder / "b.parquet", "b.parquet", "b"):
        assert dataset.load(name).subject == "b"
    with pytest.raises(RecordingError, match=r"z: is no file of mine in .*; it has a\.parquet, b\.parquet"):
        dataset.load("z")


def test_two_files_of_one_subject(tmp_path):
    dataset = open_dataset(mine(tmp_path, subjects={"b": "a"}))
    assert [r.subject for r in dataset.recordings()] == ["a", "a"]


def test_the_checksum_is_of_names_and_contents_and_not_of_the_place(tmp_path):
    first = open_dataset(mine(tmp_path / "x")).sha256
    assert open_dataset(mine(tmp_path / "y")).sha256 == first
    put(tmp_path / "y", "b", 5)
    assert open_dataset(tmp_path / "y").sha256 != first


def test_an_unknown_label_is_named_with_file_line_and_code(tmp_path):
    folder = mine(tmp_path)
    lines = [f"{i / 50},-1,0,0,-1,0,0,{5 if i < 3 else 130}" for i in range(10)]
    (folder / "c.csv").write_text("\n".join([f"time_s,{','.join(CHANNELS)},label", *lines]))
    dataset = open_dataset(folder)
    with pytest.raises(RecordingError, match=r"c\.csv, line 5 .*label 130 is no activity of mine.*dataset\.json"):
        dataset.load("c")
    assert dataset.load("a").labels is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "has no name; wanted a name"),
        ({"version": None}, "has no version; wanted a version such as"),
        ({"classes": None}, 'has no classes; wanted a list .*"code": 1'),
        ({"classes": []}, r"classes is \[\]; wanted a list"),
        ({"classes": {"1": "ski"}}, "classes is {'1': 'ski'}; wanted a list"),
        ({"classes": [{"code": "1", "name": "ski"}]}, "a class is .*'1'.*; wanted {\"code\": whole number"),
        ({"classes": [{"code": -1, "name": "ski"}]}, 'a class is .*-1.*; wanted {"code": whole number but -1'),
        ({"classes": [{"code": 1}]}, "a class is {'code': 1}; wanted"),
        ({"classes": [{"code": 1, "name": "a"}, {"code": 1, "name": "b"}]}, "a class's code is 1; it is there twice"),
        (
            {"classes": [{"code": 5, "name": "a b"}, {"code": 1, "name": "A-B"}]},
            "a class's name is 'A-B'; wanted distinct",
        ),
        ({"merge": {"7": 9}}, r"merge is {'7': 9}; wanted a code that is no class, to one of the classes \(5, 2\)"),
        ({"merge": {"2": 5}}, "merge is {'2': 5}; wanted a code that is no class"),
        ({"merge": {"seven": 5}}, "merge is {'seven': 5}; wanted"),
        ({"merge": [7, 5]}, r"merge is \[7, 5\]; wanted"),
        ({"subjects": {"q": "a"}}, "subjects is {'q': 'a'}; wanted {file name without suffix: subject}"),
        ({"clases": []}, "the key is 'clases'; did you mean classes"),
    ],
)
def test_a_wrong_dataset_json_says_what_was_wanted(tmp_path, change, message):
    with pytest.raises(RecordingError, match=r"dataset\.json: " + message):
        open_dataset(mine(tmp_path, **change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": ', "is no JSON as wanted: Expecting value: line 1"),
        ("[]", r"the file is \[\]; wanted an object {name, version"),
        ('{"name": "a", "name": "b"}', "the key 'name' is there twice"),
    ],
)
def test_a_dataset_json_that_is_none(tmp_path, text, message):
    mine(tmp_path)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(RecordingError, match=message):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"S006": (7, 1.0), "S029": (7, -1.0)}, "1.2"),
        ({"S006": (7, -1.0), "S029": (7, 1.0)}, "2.0"),
        ({"S006": (6, 1.0), "S022": (7, -1.0)}, "2.0"),  # who only stands says nothing
        ({"S006": (6, 1.0), "S023": (7, 1.0)}, "unknown"),  # S023 was never turned
        ({"S029": (7, -1.0), "S035": (7, -1.0)}, "2.0"),
    ],
)
def test_the_version_of_harth_is_told_by_its_data(tmp_path, files, version):
    for stem, (label, thigh_z) in files.items():
        put(tmp_path / "harth", stem, label, thigh_z)
    dataset = open_dataset(tmp_path / "harth")
    assert (dataset.name, dataset.version, dataset.activities) == ("harth", version, HARTH)


def test_published_names_are_looked_up_and_stray_files_named(tmp_path, monkeypatch):
    put(tmp_path / "har70plus", "501")
    stray = put(tmp_path / "har70plus", "sample_501_first60s")
    put(tmp_path / "harth-2.0", "S035")
    put(tmp_path / "harth-2.0", "501")
    dataset = open_dataset("har70plus", root=tmp_path)
    assert (dataset.version, dataset.activities, dataset.ignored) == ("1.0", HAR70PLUS, (stray,))
    assert [file.stem for file in dataset.files] == ["501"]
    monkeypatch.setenv("SELFPAB_DATA", str(tmp_path))
    assert [file.stem for file in open_dataset("harth").files] == ["S035"]
    put(tmp_path / "harth-1.2", "S006")
    with pytest.raises(RecordingError, match=r"harth: there are harth-1\.2, harth-2\.0 in"):
        open_dataset("harth")
    put(tmp_path / "data/harth", "S034")
    monkeypatch.delenv("SELFPAB_DATA")
    monkeypatch.chdir(tmp_path)
    assert [file.stem for file in open_dataset("harth").files] == ["S034"]


def test_what_is_not_there(tmp_path):
    for name, uci in (("harth", 779), ("har70plus", 780)):
        with pytest.raises(
            RecordingError, match=rf"no folder .*{name}; put the files .* there, from .*id {uci}.*SELFPAB"
        ):
            open_dataset(name, root=tmp_path)
    (tmp_path / "harth").mkdir()
    with pytest.raises(RecordingError, match=r"harth: has no recordings; wanted S006\.csv .* from .*id 779"):
        open_dataset("harth", root=tmp_path)
    with pytest.raises(RecordingError, match=r"hrth: there is no such folder; did you mean 'harth'\?"):
        open_dataset("hrth", root=tmp_path)
    with pytest.raises(RecordingError, match="is a file; wanted the folder"):
        open_dataset(put(tmp_path / "mine", "a"))
    with pytest.raises(RecordingError, match=r"mine: has no dataset\.json, and its name begins neither with harth"):
        open_dataset(tmp_path / "mine")


def test_the_same_recording_twice(tmp_path):
    put(tmp_path / "harth", "S035")
    (tmp_path / "harth/S035.csv").write_text("")
    with pytest.raises(RecordingError, match="has S035 twice, as csv and as parquet"):
        open_dataset(tmp_path / "harth")


@pytest.mark.shared
def test_real_harth_and_har70plus(shared):
    harth = open_dataset("harth", root=shared / "data")
    assert (harth.version, len(harth.files), harth.ignored) == ("2.0", 11, ())
    present = set()
    for recording in harth.recordings():
        assert recording.labels is not None
        present |= set(recording.labels.tolist())
        assert harth.activities.indices(recording.labels).max() < 10
    assert {130, 140} <= present
    assert present <= {-1, *HARTH.codes, *HARTH.merge}

    har70plus = open_dataset("har70plus", root=shared / "data")
    assert (har70plus.version, len(har70plus.files)) == ("1.0", 18)
    assert [file.name for file in har70plus.ignored] == ["sample_501_first60s.csv"]
    assert [recording.subject for recording in har70plus.recordings()] == [str(n) for n in range(501, 519)]


def test_a_folder_of_results_with_the_name_of_a_data_set_does_not_hide_it(tmp_path, monkeypatch):
    put(tmp_path / "data" / "har70plus", "501")
    (tmp_path / "runs" / "har70plus" / "selfpab").mkdir(parents=True)
    monkeypatch.setenv("SELFPAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "runs")
    assert [file.stem for file in open_dataset("har70plus").files] == ["501"]
    put(tmp_path / "runs" / "har70plus", "502")
    assert [file.stem for file in open_dataset("har70plus").files] == ["502"]


def test_a_code_means_one_activity_in_all_data_sets_that_are_joined(tmp_path):
    """Labels are joined by their codes: somebody's sitting, 1, would be walking."""
    check_names(HARTH, HAR70PLUS)
    check_names(
        HARTH, Activities("own", (1, 130), ("Walking ", "rowing"))
    )  # 130 is merged in HARTH, and a class of mine
    own = Activities("own", (9, 1), ("rowing", "sitting"))
    with pytest.raises(
        ConfigError, match=r"the code 1 is 'sitting' in own and 'walking' in harth, and labels are joined"
    ):
        check_names(own, HARTH)
    mine = Dataset("own", "1", own, (), "", tmp_path)
    with pytest.raises(ConfigError, match=r"the code 1 is 'sitting' in own and 'walking' in harth"):
        with_classes(mine, "harth")
    assert with_classes(mine, None) is mine
