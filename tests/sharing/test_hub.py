"""Model folders to a hub and back; the hub is a stand-in (hub_server.py), the client is the real one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import selfpab
from selfpab.inference.model_names import MODEL_FILES, located
from selfpab.recording import Recording
from selfpab.sharing.hub import PushConfig, pull, push, with_header
from selfpab.upstream.checkpoint import weights_sha256

NOISE = np.random.default_rng(0).normal(0, 1, (700, 6)).astype(np.float32)


def given():
    return Recording("p", None, 50.0, NOISE)


def test_what_is_pushed_is_what_is_pulled_and_loaded(model_folder, hub, tmp_path):
    name = push(model_folder, "someone/two", PushConfig(license="mit"))
    assert name.startswith("hub:someone/two@")
    assert hub.private == {"someone/two": True}
    ((oid, files),) = hub.repositories["someone/two"]
    assert name == f"hub:someone/two@{oid}"
    assert sorted(files) == sorted(MODEL_FILES)
    assert files["README.md"].decode().endswith("---\n\n# Two\n")
    assert "license: mit\nlibrary_name: selfpab\n" in files["README.md"].decode()
    assert (model_folder / "README.md").read_text() == "# Two\n"

    assert pull("someone/two", tmp_path / "mine") == name
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == sorted([*MODEL_FILES, "hub.json"])
    for file in set(MODEL_FILES) - {"README.md"}:
        assert (tmp_path / "mine" / file).read_bytes() == (model_folder / file).read_bytes()
        assert not (tmp_path / "mine" / file).is_symlink()
    assert located(tmp_path / "mine").origin == f"someone/two@{oid}"

    expected = selfpab.load(model_folder).predict(given()).seconds
    for where in (tmp_path / "mine", "hub:someone/two", name):
        assert selfpab.load(where).predict(given()).seconds.equals(expected)


def test_a_revision_stays_what_it_was(model_folder, hub, tmp_path):
    first = push(model_folder, "someone/two", PushConfig())
    hub.commit("someone/two", {"README.md": b"# Changed\n", "evil.pkl": b"\x80"})
    pull(first, tmp_path / "old")
    pull("hub:someone/two", tmp_path / "new")
    assert "# Two" in (tmp_path / "old" / "README.md").read_text()
    assert (tmp_path / "new" / "README.md").read_text() == "# Changed\n"
    assert not [path for path in tmp_path.rglob("*.pkl")]  # nor in the cache
    kept = json.loads((tmp_path / "new" / "hub.json").read_text())
    assert kept == {"repository": "someone/two", "revision": hub.repositories["someone/two"][-1][0]}


def test_a_second_load_by_commit_asks_nobody(model_folder, hub):
    name = push(model_folder, "someone/two", PushConfig())
    selfpab.load(name)
    hub.requests.clear()
    assert selfpab.load(name).activities.codes == (7, 1)
    assert hub.requests == []


def test_offline_the_cache_is_taken(model_folder, hub, tmp_path):
    """In another process, as the variables are read when huggingface_hub is imported."""
    name = push(model_folder, "someone/two", PushConfig())
    selfpab.load("hub:someone/two")
    hub.requests.clear()
    code = (
        "import selfpab, sys\n"
        "from selfpab.upstream.checkpoint import weights_sha256\n"
        "print(weights_sha256(selfpab.load('hub:someone/two').head.state_dict()))\n"
        "try: selfpab.load('hub:someone/other')\n"
        "except OSError as error: print(error)\n"
    )
    cache = tmp_path / "cache"
    more = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": hub.address}
    done = subprocess.run(
        (sys.executable, "-c", code), env=os.environ | more, capture_output=True, text=True, check=True
    )
    sha256, error = done.stdout.splitlines()
    assert sha256 == weights_sha256(selfpab.load(name).head.state_dict())
    assert error == f"hub:someone/other is not in the cache {cache}, and HF_HUB_OFFLINE is set"
    assert hub.requests == []


def test_a_hub_that_cannot_be_reached(hub, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        FileNotFoundError, match=r"hub:someone/two is not in the cache .*, and the hub cannot be reached"
    ):
        selfpab.load("hub:someone/two")


def test_what_is_no_model_is_not_pulled(model_folder, hub, tmp_path):
    hub.commit("someone/thing", {"README.md": b"# Thing\n", "model.bin": b"\x80"})
    with pytest.raises(FileNotFoundError, match=r"hub:someone/thing is no selfpab model: it has no config.json, norm"):
        pull("someone/thing", tmp_path / "thing")
    files = {file: (model_folder / file).read_bytes() for file in MODEL_FILES}
    hub.commit("someone/cut", files | {"weights.safetensors": files["weights.safetensors"][:500]})
    with pytest.raises(ValueError, match=r"weights.safetensors cannot be read \(cut off\?\)"):
        pull("someone/cut", tmp_path / "cut")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]


def test_who_is_not_there_is_said(hub, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"(?s)the hub at http.* has no hub:someone/no for you: .* needs a token"
    ):
        pull("someone/no", tmp_path / "no")
    hub.commit("someone/two", {})
    with pytest.raises(FileNotFoundError, match=r"has no hub:someone/two@v9 for you"):
        pull("someone/two@v9", tmp_path / "no")


def test_nothing_is_overwritten(model_folder, hub, tmp_path):
    push(model_folder, "someone/two", PushConfig())
    (tmp_path / "mine").mkdir()
    pull("someone/two", tmp_path / "mine")  # empty: as if it were not there
    with pytest.raises(ValueError, match=r"mine is there already; take it away, or name another"):
        pull("someone/two", tmp_path / "mine")


def test_a_push_that_is_refused(model_folder, hub):
    hub.refuses = 403
    with pytest.raises(OSError, match=r"did not take someone/two: .* needs a token that may write there"):
        push(model_folder, "someone/two", PushConfig())


def test_what_is_no_model_or_no_name_is_not_pushed(model_folder, hub, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no model folder"):
        push(tmp_path, "someone/two", PushConfig())
    with pytest.raises(ValueError, match=r"a model on the hub is hub:owner/name or .*, got 'two'"):
        push(model_folder, "two", PushConfig())
    with pytest.raises(ValueError, match="a push goes to a branch: say revision=v2, not someone/two@v2"):
        push(model_folder, "someone/two@v2", PushConfig())
    assert hub.requests == []


def test_a_card_with_a_header_keeps_it():
    assert with_header("---\nlicense: other\n---\n# Mine\n", "mit") == "---\nlicense: other\n---\n# Mine\n"
    assert "license" not in with_header("# Mine\n")


def test_predictions_say_which_commit_made_them(model_folder, hub, tmp_path):
    from selfpab.cohorts import PredictConfig, predict_folder
    from selfpab.data.parquet import write_parquet

    name = push(model_folder, "someone/two", PushConfig())
    write_parquet(given(), tmp_path / "p.parquet")
    pull(name, tmp_path / "mine")
    hashes = set()
    for model in ("hub:someone/two", str(tmp_path / "mine")):
        out = tmp_path / Path(model).name
        out = out.with_name(f"out-{out.name.replace(':', '-')}")
        assert predict_folder([tmp_path / "p.parquet"], out, PredictConfig(model=model))[0][1] is None
        info = json.loads((out / "p" / "info.json").read_text())
        assert info["model"]["hub"] == name.removeprefix("hub:")
        assert info["windows"] == "ours"
        hashes.add(info["model"]["model_sha256"])
    assert len(hashes) == 1  # where it came from is no part of what it is
