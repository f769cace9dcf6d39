"""What belongs together, and what is said of what does not."""

from pathlib import Path

import numpy as np
import pytest

from selfpab.data.sources import Problem, Source, check_distinct, person_name, sources_in
from selfpab.data.store import add_recording, write_index
from selfpab.recording import Recording


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder: Path, pairs: str | None = None) -> dict[str, tuple[str, ...]]:
    sources, problems = sources_in(folder, pairs)
    assert not problems
    return {str(s.subject): tuple(file.relative_to(folder).as_posix() for file in s.files) for s in sources}


def reasons(problems: list[Problem]) -> dict[str, str]:
    return {problem.path.name: problem.reason for problem in problems}


@pytest.mark.parametrize(
    ("back", "thigh", "subject"),
    [
        ("P1_back.cwa", "P1_thigh.cwa", "P1"),
        ("P1-lower_back.CWA", "P1-Thigh.cwa", "P1"),
        ("P1_B.cwa", "P1_T.cwa", "P1"),
        ("P1_back.bin", "P1_thigh.gt3x", "P1"),
        ("back_P1.cwa", "right-thigh_P1.cwa", "P1"),
        ("P1_lb_visit2.cwa", "P1_th_visit2.cwa", "P1_visit2"),
        ("P1/back.cwa", "P1/thigh.cwa", "P1"),
        ("P1/v2/back.cwa", "P1/v2/thigh.cwa", "P1/v2"),
        ("Tobias_B.cwa", "Tobias_T.cwa", "Tobias"),
        ("12back.cwa", "12thigh.cwa", "12"),
        ("B_back.cwa", "B_thigh.cwa", "B"),
        ("T_lowerback.cwa", "T_rightthigh.cwa", "T"),
        ("3_LB.cwa", "3_RT.cwa", "3"),
    ],
)  # fmt: skip
def test_words_for_the_places_tell_a_pair(tmp_path, back, thigh, subject):
    assert found(touch(tmp_path, back, thigh)) == {subject: (back, thigh)}


def test_a_file_without_a_partner_is_named_and_does_not_stop_the_others(tmp_path):
    touch(tmp_path, "P1_back.cwa", "P1_thigh.cwa", "P2_back.cwa", "P3_thigh.cwa", "wrist.cwa", "back_thigh.cwa")
    sources, problems = sources_in(tmp_path)
    assert [source.subject for source in sources] == ["P1"]
    told = reasons(problems)
    assert sorted(told) == ["P2_back.cwa", "P3_thigh.cwa", "back_thigh.cwa", "wrist.cwa"]
    assert "P2 has 1 of the back and 0 of the thigh; wanted one each" in told["P2_back.cwa"]
    assert "P3 has 0 of the back and 1 of the thigh" in told["P3_thigh.cwa"]
    for name in ("wrist.cwa", "back_thigh.cwa"):
        assert "cannot tell whose sensor it is" in told[name]
        assert "pairs={subject}_LB_*.cwa" in told[name]


def test_two_files_for_one_place_are_not_guessed_at(tmp_path):
    _, problems = sources_in(touch(tmp_path, "P1_back.cwa", "P1_b.cwa", "P1_thigh.cwa"))
    assert set(reasons(problems).values()) == {next(iter(reasons(problems).values()))}
    assert "P1 has 2 of the back and 1 of the thigh" in problems[0].reason
    assert len(problems) == 3


def test_patterns_tell_a_pair(tmp_path):
    touch(tmp_path, "11_LB_50012.cwa", "11_RT_49.cwa", "12_LB_1.cwa", "12_RT_2.cwa", "notes/x.cwa")
    sources, problems = sources_in(tmp_path, "{subject}_LB_*.cwa,{subject}_RT_*.cwa")
    assert [(s.subject, s.path.name, s.thigh.name) for s in sources if s.thigh] == [
        ("11", "11_LB_50012.cwa", "11_RT_49.cwa"), ("12", "12_LB_1.cwa", "12_RT_2.cwa"),
    ]  # fmt: skip
    assert list(reasons(problems)) == ["x.cwa"]
    assert found(
        touch(tmp_path / "b", "a/1/back 7.cwa", "a/1/leg 8.cwa"), "a/{subject}/back*.cwa, a/{subject}/leg*.cwa"
    ) == {"1": ("a/1/back 7.cwa", "a/1/leg 8.cwa")}


@pytest.mark.parametrize("pairs", ["{subject}_LB.cwa", "*_LB.cwa,{subject}_RT.cwa", "a,b,c"])
def test_patterns_that_cannot_be_used(tmp_path, pairs):
    touch(tmp_path, "1_LB.cwa")
    with pytest.raises(ValueError, match=r"wanted two patterns, the back's first, with \{subject\}"):
        sources_in(tmp_path, pairs)


def test_a_table_tells_pairs_and_their_clocks(tmp_path):
    touch(tmp_path, "x1.cwa", "x2.cwa", "sub/y1.cwa", "sub/y2.cwa", "unused.cwa")
    table = tmp_path / "who.csv"
    table.write_text(
        "\ufeffsubject,back,thigh,configured_at,note\nA,x1.cwa,x2.cwa,2024-03-01,n\nB,sub/y1.cwa,sub/y2.cwa,,\nC,z.cwa,x2.cwa,,\n"
        "D,x1.cwa,,,\nE,none,x1.cwa,,\nF,x2.cwa,None,,\nG,none,none,,\n"
    )  # fmt: skip
    sources, problems = sources_in(tmp_path, str(table))
    assert [(s.subject, s.path.name, s.configured_at, s.tz) for s in sources] == [
        ("A", "x1.cwa", "2024-03-01", None), ("B", "y1.cwa", None, None), ("E", "x1.cwa", None, None),
        ("F", "x2.cwa", None, None),
    ]  # fmt: skip
    assert [(s.sensor, s.short_name, len(s.files)) for s in sources[2:]] == [("thigh", "E", 1), ("back", "F", 1)]
    assert [problem.reason.split(" in /")[0] for problem in problems] == [
        "line 4 (C): no file z.cwa", "line 5 (D): no file is named (of one sensor alone say none for the other)",
        "line 8 (G): no file is named, neither of the back nor of the thigh",
    ]  # fmt: skip


def test_a_table_that_cannot_be_used(tmp_path):
    touch(tmp_path, "a.cwa")
    with pytest.raises(ValueError, match="there is no such file; wanted a table with the columns subject, back, thigh"):
        sources_in(tmp_path, str(tmp_path / "no.csv"))
    (tmp_path / "who.csv").write_text("subject;back;thigh\n")
    with pytest.raises(ValueError, match="subject, back, thigh missing"):
        sources_in(tmp_path, str(tmp_path / "who.csv"))


def test_all_forms_beside_each_other(tmp_path):
    touch(
        tmp_path, "a.csv", "b.parquet", "hunt/2018-03-05_10.npz", "P1_back.cwa", "P1_thigh.cwa", ".hidden.csv", "c.txt"
    )
    sources, problems = sources_in(tmp_path)
    assert not problems
    assert [source.short_name for source in sources] == ["hunt", "a", "b", "P1"]
    assert [source.name for source in sources] == [f"{tmp_path.name}-{name}" for name in ("hunt", "a", "b", "P1")]
    assert sources[0].files == (tmp_path / "hunt" / "2018-03-05_10.npz",)
    assert str(sources[3]) == f"{tmp_path / 'P1_back.cwa'} and {tmp_path / 'P1_thigh.cwa'}"


def test_one_file_and_one_persons_folder(tmp_path):
    touch(tmp_path, "study/a.csv", "study/hunt/2018-03-05_10.npz")
    for path in ("study/a.csv", "study/hunt"):
        assert sources_in(tmp_path / path)[0] == [Source(tmp_path / "study", tmp_path / path)]


def test_what_holds_no_recording(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*nowhere"):
        sources_in(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"holds no recordings: wanted .csv, .parquet, .npz, .* pairs of .cwa, .gt3x, .bin files"
    ):
        sources_in(tmp_path)
    touch(tmp_path, "P1_back.cwa")
    with pytest.raises(ValueError, match=r"one sensor; wanted both: back=FILE thigh=FILE"):
        sources_in(tmp_path / "P1_back.cwa")


def test_names_must_differ(tmp_path):
    one, other = Source(tmp_path / "x", tmp_path / "x" / "a.csv"), Source(tmp_path / "x", tmp_path / "x" / "a.parquet")
    with pytest.raises(ValueError, match="would both be written as x-a; rename a folder"):
        check_distinct([one.name, other.name], [one, other])
    check_distinct(["a", "b"], [one, other])
    assert person_name(Path("data/dsads"), "p1") == "dsads/p1"


def test_a_bin_file_of_something_else_is_not_a_device(tmp_path):
    touch(tmp_path, "P1_back.cwa", "P1_thigh.cwa")
    (tmp_path / "weights.bin").write_bytes(b"\x01\x02 something else")
    (tmp_path / "P2_back.bin").write_bytes(b"Device Identity\r\n")
    sources, problems = sources_in(tmp_path)
    assert [source.subject for source in sources] == ["P1"]
    assert list(reasons(problems)) == ["P2_back.bin"]


def test_a_table_with_short_rows_visits_and_spaces(tmp_path):
    touch(tmp_path, *(f"{who}{place}.cwa" for who in "abc" for place in (1, 2)))
    table = tmp_path / "who.csv"
    table.write_text(
        "subject,back,thigh,visit\nA, a1.cwa ,a2.cwa,1\nA,b1.cwa,b2.cwa,2\nB,c1.cwa\n,c1.cwa,c2.cwa,1\nA,c1.cwa,c2.cwa,2\n"
    )
    sources, problems = sources_in(tmp_path, str(table))
    assert [(s.subject, s.visit, s.short_name) for s in sources] == [("A", "1", "A_1"), ("A", "2", "A_2")]
    assert [problem.reason.split(" in /")[0] for problem in problems] == [
        "line 4 (B): no file is named (of one sensor alone say none for the other)", "line 5 names no subject",
        "line 6 (A): is there twice; tell them apart in a column visit",
    ]  # fmt: skip
    table.write_bytes("subject,back,thigh\nÅse,a1.cwa,a2.cwa\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"who\.csv is not UTF-8 .*; save it as CSV UTF-8"):
        sources_in(tmp_path, str(table))


def test_linked_folders_are_looked_into_once(tmp_path):
    touch(tmp_path / "elsewhere", "back.cwa", "thigh.cwa")
    touch(tmp_path / "cohort", "P1/back.cwa", "P1/thigh.cwa")
    (tmp_path / "cohort" / "P2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "cohort" / "P1" / "round").symlink_to(tmp_path / "cohort")
    assert sorted(found(tmp_path / "cohort")) == ["P1", "P2"]


def test_pairs_beside_hourly_files(tmp_path):
    touch(tmp_path, "2018-03-05_10.npz", "P1_back.cwa", "P1_thigh.cwa")
    assert [source.subject for source in sources_in(tmp_path)[0]] == [None, "P1"]


def test_hourly_files_hide_nothing_that_lies_beside_them(tmp_path):
    touch(tmp_path, "2018-03-05_10.npz", "a.csv", "b.parquet", "hunt/2018-03-05_10.NPZ", "spectra.npz")
    sources, problems = sources_in(tmp_path)
    assert problems == []  # reading tells of spectra.npz, for it may be an hour
    assert [source.path for source in sources] == [
        tmp_path,
        *(tmp_path / name for name in ("hunt", "a.csv", "b.parquet")),
    ]
    assert [source.name for source in sources][:3:2] == [
        f"{tmp_path.parent.name}-{tmp_path.name}",
        f"{tmp_path.name}-a",
    ]
    assert sources[1].files == (tmp_path / "hunt" / "2018-03-05_10.NPZ",)


def test_an_npz_of_another_name_is_told_and_hides_nothing(tmp_path):
    touch(tmp_path, "a.csv", "spectra.npz", ".hidden.npz")
    sources, problems = sources_in(tmp_path)
    assert [source.path.name for source in sources] == ["a.csv"]
    assert reasons(problems) == {
        "spectra.npz": "its name is no date and hour; wanted a name like 2018-03-05_14.npz, for these files hold no times"
    }


def test_a_corpus_gives_its_entries_in_the_order_of_the_index(tmp_path):
    corpus = tmp_path / "corpus"
    still = Recording("p", None, 50.0, np.zeros((60, 6), np.float32))
    for name in ("harth-S2", "harth-S1.v2"):
        add_recording(still, corpus, name, checksum="c", moments=(0, np.zeros(156), np.zeros(156)))
    write_index(corpus)
    add_recording(still, corpus, "unfinished", checksum="c", moments=(0, np.zeros(156), np.zeros(156)))
    sources, problems = sources_in(corpus)
    assert problems == []
    assert [(s.short_name, s.name) for s in sources] == [
        ("harth-S1.v2", "corpus-harth-S1.v2"), ("harth-S2", "corpus-harth-S2"),
    ]  # fmt: skip
    assert [source.files for source in sources] == [(source.path,) for source in sources]
    for path in (corpus / "harth-S2", corpus / "recordings" / "harth-S2.npy"):
        assert sources_in(path) == ([sources[1]], [])
    with pytest.raises(ValueError, match=r"has no entry 'S2'; did you mean 'harth-S2'\?"):
        sources_in(corpus / "S2")
