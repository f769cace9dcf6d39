"""A dataset.json says whose recordings lie beside it."""

import json

import pytest

from selfpab.data.named_people import MANIFEST, with_subjects
from selfpab.data.preparation import ReadConfig, found_in
from selfpab.data.sources import Source
from selfpab.recording import RecordingError

ANNA = {"anna-monday": "anna", "anna-friday": "anna", "anna-hours": "anna"}


@pytest.fixture
def study(tmp_path):
    """Three recordings of anna and one of bob, and a pair of device files."""
    names = ("anna-monday.csv", "anna-friday.parquet", "anna-hours/2018-03-05_10.npz", "bob.csv", "P1_back.cwa")
    for name in (*names, "P1_thigh.cwa"):
        path = tmp_path / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    say(tmp_path / "study", subjects=ANNA)
    return tmp_path / "study"


def say(folder, **given):
    (folder / MANIFEST).write_text(json.dumps({"name": "mine", "version": "1", "classes": [], **given}))


def test_files_of_one_person_are_of_one_person(study):
    found, problems = found_in([study], ReadConfig())
    assert not problems
    assert {source.path.name: source.subject for source in found} == {
        "anna-monday.csv": "anna",
        "anna-friday.parquet": "anna",
        "anna-hours": "anna",
        "bob.csv": None,
        "P1_back.cwa": "P1",
    }
    assert [source.short_name for source in found] == ["anna-hours", "anna-friday", "anna-monday", "bob", "P1"]


def test_one_file_of_the_folder_is_of_the_same_person(study):
    for name in ("anna-monday.csv", "anna-hours"):
        ((source,), _) = found_in([study / name], ReadConfig())
        assert source.subject == "anna"


@pytest.mark.parametrize("text", [None, "[]", '{"name": "mine"}'])
def test_without_subjects_files_are_called_as_they_are(study, text):
    (study / MANIFEST).unlink()
    if text is not None:
        (study / MANIFEST).write_text(text)
    source = Source(study, study / "anna-monday.csv")
    assert with_subjects([source]) == [source]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "dataset.json: is no JSON as wanted: .*; mend it, or take it away"),
        ('{"subjects": ["anna"]}', r"subjects is \['anna'\]; wanted {file name without suffix: subject}"),
        ('{"subjects": {"bob": ""}}', "wanted {file name without suffix: subject}"),
        ('{"subjects": {"bob.csv": "bob", "ana": "anna"}}', "subjects names ana, bob.csv, and there is no such file"),
    ],
)
def test_subjects_that_cannot_be_meant_are_refused(study, text, words):
    (study / MANIFEST).write_text(text)
    with pytest.raises(RecordingError, match=words):
        found_in([study], ReadConfig())
