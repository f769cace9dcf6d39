"""What a model may be called; what the hub does to it stands in tests/sharing/test_hub.py."""

import json

import pytest

from selfpab.inference.model import load
from selfpab.inference.model_names import hub_library, located, parsed


def test_a_folder_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone" / "two").mkdir(parents=True)
    assert located("someone/two").folder.is_dir()  # although it looks like a name on the hub
    assert located(tmp_path / "someone").origin is None


@pytest.mark.parametrize("name", ["someone/two", "some.one/t-w_o"])
def test_a_name_that_could_be_on_the_hub_is_never_looked_up_unasked(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no folder {name} here; is it a model on the .* say hub:{name}"):
        load(name)


def test_an_origin_that_is_damaged_is_said(tmp_path):
    for text in ("{", "[]", json.dumps({"repository": "a/b"})):
        (tmp_path / "hub.json").write_text(text)
        with pytest.raises(ValueError, match=r"hub.json is damaged: .*; pull the model again, or take the file away"):
            located(tmp_path)


@pytest.mark.parametrize("name", ["two", "hub:", "hub:a/b/c", "a/b@", "../b/c", "a b/c"])
def test_what_is_no_name_on_the_hub(name):
    with pytest.raises(ValueError, match="a model on the hub is hub:owner/name or hub:owner/name@revision, got"):
        parsed(name)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(RuntimeError, match=r"hub:owner/name needs huggingface_hub: pip install 'selfpab\[hub\]'"):
        hub_library()
