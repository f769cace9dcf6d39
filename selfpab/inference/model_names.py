"""What a model is called: `default`, the one in the box; a folder; or hub:owner/name[@revision] on the Hugging Face hub
(extra `hub`).

Nothing but `hub:` ever asks the network. What comes from the hub lies in the cache of huggingface_hub, by its commit;
HF_HUB_OFFLINE=1 takes what is there, HF_ENDPOINT another server. Only the files of a model folder are fetched, none of
which can run code, and they are read like those of any other folder.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT = "default"
IN_THE_BOX = Path(__file__).parents[1] / "models" / DEFAULT
PREFIX = "hub:"
NEEDED_FILES = ("config.json", "normalisation.json", "weights.safetensors")
CALIBRATION = "calibration.json"
MODEL_FILES = ("README.md", "classes.json", CALIBRATION, *NEEDED_FILES)  # all that a model folder can hold
ORIGIN = "hub.json"  # beside them in a folder that was pulled: where it came from
REPOSITORY = r"[\w.-]+/[\w.-]+"


@dataclass(frozen=True)
class Located:
    """A model folder, and where on the hub it came from: "owner/name@commit"; none: from nowhere there."""

    folder: Path
    origin: str | None


def located(name: str | Path) -> Located:
    """The folder of a model. A name on the hub is looked up there, and fetched where the cache does not have it.

    Raises FileNotFoundError for owner/name without a folder of that name, saying how to mean the hub; what `fetched`
    raises; a folder that is no model is found out by who opens it.
    """
    if str(name).startswith(PREFIX):
        return fetched(str(name))
    folder = IN_THE_BOX if str(name) == DEFAULT and not Path(DEFAULT).is_dir() else Path(name)
    if not folder.exists() and re.fullmatch(REPOSITORY, str(name)):
        raise FileNotFoundError(
            f"no folder {name} here; is it a model on the Hugging Face hub? Then say {PREFIX}{name}"
        )
    try:
        read = json.loads((folder / ORIGIN).read_text())
        return Located(folder, f"{read['repository']}@{read['revision']}")
    except FileNotFoundError:
        return Located(folder, None)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / ORIGIN} is damaged: {error!r}; pull the model again, or take the file away"
        ) from error


def parsed(reference: str) -> tuple[str, str | None]:
    """Repository and revision of a name on the hub, with or without "hub:" before it.

    >>> parsed("hub:someone/walks@v2"), parsed("someone/walks")
    (('someone/walks', 'v2'), ('someone/walks', None))
    """
    found = re.fullmatch(rf"(?:{PREFIX})?({REPOSITORY})(?:@(.+))?", reference)
    if not found:
        raise ValueError(f"a model on the hub is {PREFIX}owner/name or {PREFIX}owner/name@revision, got {reference!r}")
    return found[1], found[2]


def fetched(reference: str) -> Located:
    """A model of the hub, in the cache; a branch or tag (`main` where none is named) becomes the commit it stands for.

    Raises RuntimeError without huggingface_hub, FileNotFoundError where hub or cache do not have it, or files are missing.
    """
    repository, revision = parsed(reference)
    hub = hub_library()
    try:
        folder = Path(hub.snapshot_download(repository, revision=revision, allow_patterns=list(MODEL_FILES)))
    except hub.errors.LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE is set" if hub.constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise FileNotFoundError(f"{reference} is not in the cache {hub.constants.HF_HUB_CACHE}, and {why}") from error
    except hub.errors.HfHubHTTPError as error:
        raise FileNotFoundError(
            f"the hub at {hub.constants.ENDPOINT} has no {reference} for you: {str(error).splitlines()[0]} A private one "
            "needs a token (`hf auth login`, or HF_TOKEN)"
        ) from error
    if missing := [name for name in NEEDED_FILES if not (folder / name).is_file()]:
        raise FileNotFoundError(f"{reference} is no selfpab model: it has no {', '.join(missing)}")
    return Located(folder, f"{repository}@{folder.name}")


def hub_library() -> Any:
    """huggingface_hub, or RuntimeError that says how to get it."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise RuntimeError(f"{PREFIX}owner/name needs huggingface_hub: pip install 'selfpab[hub]'") from error
    return huggingface_hub
