"""Model folders to and from the Hugging Face hub (extra `hub`): the same folder there as here."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from selfpab.inference.model import load
from selfpab.inference.model_names import MODEL_FILES, ORIGIN, PREFIX, fetched, hub_library, parsed

TAGS = ("selfpab", "accelerometer", "human-activity-recognition", "wearables")


@dataclass(frozen=True)
class PushConfig:
    private: bool = True  # of a repository that is not there yet; ours: nothing becomes public by accident
    license: str = ""  # as the hub names them: mit, cc-by-4.0; none: the card says nothing of it
    revision: str = "main"  # branch
    message: str = "Upload with selfpab"


def push(model: Path, repository: str, config: PushConfig) -> str:
    """Upload a model folder as one commit; returns hub:owner/name@commit, by which it is loaded and pulled.

    The repository is made where there is none. The folder is opened first, as `load` would. Its card gets a header with
    library, tags and `license`, unless it has one of its own.

    Raises what `load` raises, and OSError where the hub refuses.
    """
    load(model)
    hub = hub_library()
    name, revision = parsed(repository)
    if revision:
        raise ValueError(f"a push goes to a branch: say revision={revision}, not {repository}")
    files = {file: (model / file).read_bytes() for file in MODEL_FILES if (model / file).is_file()}
    files["README.md"] = with_header(files.get("README.md", b"").decode(), config.license).encode()
    added = [hub.CommitOperationAdd(path_in_repo=file, path_or_fileobj=content) for file, content in files.items()]
    api = hub.HfApi()
    try:
        api.create_repo(name, private=config.private, exist_ok=True)
        made = api.create_commit(name, added, commit_message=config.message, revision=config.revision)
    except hub.errors.HfHubHTTPError as error:
        raise OSError(
            f"the hub at {hub.constants.ENDPOINT} did not take {name}: {str(error).splitlines()[0]} It needs a token that "
            "may write there (`hf auth login`, or HF_TOKEN)"
        ) from error
    return f"{PREFIX}{name}@{made.oid}"


def pull(reference: str, folder: Path) -> str:
    """A model of the hub as a folder of its own; returns hub:owner/name@commit, which also stands in its `hub.json`.

    Raises ValueError where `folder` holds something, or what came is no model; what `inference.model_names.fetched` raises.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already; take it away, or name another")
    found = fetched(f"{PREFIX}{reference.removeprefix(PREFIX)}")
    load(found.folder)
    repository, _, revision = str(found.origin).partition("@")
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        for file in MODEL_FILES:
            if (found.folder / file).is_file():
                shutil.copyfile(found.folder / file, beside / file)  # the cache may hold links
        (beside / ORIGIN).write_text(json.dumps({"repository": repository, "revision": revision}, indent=1) + "\n")
        if folder.exists():
            folder.rmdir()
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return f"{PREFIX}{found.origin}"


def with_header(card: str, license: str = "") -> str:
    """A card that the hub can file: YAML between lines of three dashes before it, unless there is some.

    >>> print(with_header("# Mine", "mit").splitlines()[:3])
    ['---', 'license: mit', 'library_name: selfpab']
    """
    if card.startswith("---\n"):
        return card
    lines = [*([f"license: {license}"] if license else []), "library_name: selfpab", "tags:", *(f"- {t}" for t in TAGS)]
    return "\n".join(["---", *lines, "---", "", card])
