"""Where numbers come from, in words."""

from pathlib import Path

from selfpab.reproduce.provenance_lines import commit_of, encoder_of, made, settings_of

CONTENT = {"protocol": "loso", "seed": 0, "config": {"steps": 7, "off": None, "search": {"trials": 3}}}


def test_seeds_made_alike_share_a_line():
    seeds = {0: CONTENT, 1: CONTENT | {"seed": 1}, 2: CONTENT | {"seed": 2, "precision": "fp32"}}
    assert made(seeds, Path("results/x")) == [
        "seeds 0, 1; loso; settings steps=7 search.trials=3; commit not known; from results/x",
        "seed 2; loso; settings steps=7 search.trials=3; precision fp32; commit not known; from results/x",
    ]
    assert made({0: {"protocol": "loso", "seed": None}}, Path("x")) == ["seed none; loso; commit not known; from x"]


def test_everything_that_results_say_is_told():
    content = CONTENT | {
        "train_with": [{"name": "harth", "version": "2.0", "sha256": "a"}],
        "search": {"trials": 20, "data": {"name": "mine", "version": "1"}, "macro_f1": 0.5125, "best": {"svm.C": 1}},
        "environment": {"selfpab": "0.2", "command": "selfpab evaluate svm harth x preset=small"},
    }
    (line,) = made({0: content}, Path("x"))
    assert "; trained also on all of harth 2.0; settings from 20 trials on mine 1 (macro F1 51.2 there); " in line
    (nested,) = made({0: CONTENT | {"search": {"nested": {"501": {"svm.C": 1}}}}}, Path("x"))
    assert "; settings searched for in every fold among its training people; " in nested
    assert "; selfpab 0.2, commit not known; made by: selfpab evaluate svm harth x preset=small; " in line


def test_parts():
    assert settings_of({}) == {}
    assert commit_of({"environment": {"commit": "0123456789abcdef", "clean": True}}) == "commit 0123456789ab"
    assert commit_of({"environment": {"commit": "0123456789abcdef"}}).endswith(" with uncommitted changes")
    assert encoder_of({"upstream": None}) == ""
    assert encoder_of({"upstream": {"sha256": "f" * 64}}) == f"encoder {'f' * 12}"
    corpora = [{"name": "a", "sha256": "b" * 64}]
    assert encoder_of({"upstream": {"sha256": "f" * 64, "hours": 21.333, "steps": 12000, "corpora": corpora}}) == (
        f"encoder {'f' * 12}: 21.333 hours, 12000 steps, corpora: a {'b' * 12}"
    )
