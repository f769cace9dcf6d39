"""Two people of one name are two people, of folders and of tables."""

from pathlib import Path

import numpy as np
import pytest

from selfpab.cohorts.folder_names import named
from selfpab.data.sources import Source, sources_in
from selfpab.data.store import add_recording, write_index
from selfpab.recording import Recording


def told(*sources: Source) -> dict[str, str | None]:
    names, found = named(sources)
    assert [(source.path, source.study) for source in found] == [(source.path, source.study) for source in sources]
    return dict(zip(names, (source.subject for source in found), strict=True))


def test_people_of_one_folder_keep_their_names(tmp_path):
    one, other = (Source(tmp_path, tmp_path / name) for name in ("p1.csv", "p2.csv"))
    assert told(one, other) == {"p1": None, "p2": None}
    visits = [Source(tmp_path, tmp_path / f"{v}.cwa", tmp_path / f"{v}t.cwa", "p1", visit=v) for v in "12"]
    assert told(*visits) == {"p1_1": "p1", "p1_2": "p1"}


def test_people_of_one_name_from_two_folders_are_told_apart(tmp_path):
    found = [Source(tmp_path / study, tmp_path / study / f"{name}.csv") for study in "ab" for name in ("p1", study)]
    assert told(*found) == {"a-p1": "a/p1", "a": None, "b-p1": "b/p1", "b": None}


def test_a_person_who_is_named_may_have_files_of_other_names(tmp_path):
    """Of a table of pairs or a dataset.json: the folders differ, the people would not."""
    one = Source(tmp_path / "a", tmp_path / "a" / "monday.csv", subject="anna")
    other = Source(tmp_path / "b", tmp_path / "b" / "1.cwa", tmp_path / "b" / "2.cwa", "anna", visit="2")
    assert told(one, other) == {"monday": "a/anna", "anna_2": "b/anna"}


def test_hours_of_one_name_are_of_the_people_whose_folders_hold_them(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "2018-03-05_10.npz").touch()
    assert told(*(Source(tmp_path / name, tmp_path / name / "2018-03-05_10.npz") for name in "ab")) == {
        "a-2018-03-05_10": None,
        "b-2018-03-05_10": None,
    }


def test_entries_of_two_corpora_are_called_as_ingest_would(tmp_path):
    nothing = (0, np.zeros(156), np.zeros(156))
    for corpus in ("one", "two"):
        recording = Recording("study/p1", None, 50.0, np.zeros((100, 6), np.float32))
        add_recording(recording, tmp_path / corpus, "study-p1", checksum="1", moments=nothing)
        write_index(tmp_path / corpus)
    found = [source for corpus in ("one", "two") for source in sources_in(tmp_path / corpus)[0]]
    assert told(*found) == {"one-study-p1": "one/study/p1", "two-study-p1": "two/study/p1"}
    (tmp_path / "two" / "recordings" / "study-p1.json").write_text("{")
    assert told(*found) == {"one-study-p1": None, "two-study-p1": None}


def test_two_studies_of_one_name_with_a_person_of_one_name_are_refused(tmp_path):
    found = [Source(tmp_path / place / "study", Path(f"{place}.csv"), subject="anna") for place in ("x", "y")]
    with pytest.raises(ValueError, match=r"x.csv and y.csv would both be told of the person study/anna; rename a fold"):
        named(found)
