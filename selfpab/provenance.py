"""How a result was made: versions, machine, threads, commit, command line.

Nothing is imported to be asked for its version, so that this costs no start-up time.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "selfpab",
    "numpy",
    "scipy",
    "polars",
    "pyarrow",
    "torch",
    "lightning-fabric",
    "safetensors",
    "scikit-learn",
    "xgboost",
)
PACKAGE = Path(__file__).resolve().parent


def environment() -> dict[str, Any]:
    """Plain values for environment.json: what could make the same command give other numbers.

    Keys: python, one per installed package of `PACKAGES` (version), platform, machine (processor), cpus (that this
    process may use), threads (of torch where it is loaded, else OMP_NUM_THREADS or None), command; and, where the
    source is a git checkout, commit and clean (no uncommitted change inside the package).

    >>> environment()["python"] == platform.python_version()
    True
    """
    return {
        "python": platform.python_version(),
        **_versions(),
        "platform": platform.platform(),
        "machine": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": _threads(),
        "command": shlex.join([_program(Path(sys.argv[0])), *sys.argv[1:]]),
        **git_state(PACKAGE),
    }


def _program(path: Path) -> str:
    """`selfpab` also for `python -m selfpab`, and no folder of this machine."""
    return path.parent.name if path.name == "__main__.py" else path.name


def git_state(package: Path) -> dict[str, Any]:
    """{"commit", "clean"} of a package's source; {} where it is no checkout.

    A package installed into a virtual environment that lies inside somebody else's checkout is not tracked there, and
    that commit would be a lie.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {}
    commit = _git(package, "rev-parse", "--verify", "HEAD")
    if commit is None:  # tracked, but nothing was committed yet
        return {}
    return {"commit": commit.strip(), "clean": not _git(package, "status", "--porcelain", "--", ".")}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(("git", "-C", str(folder), *arguments), capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        loaded = sys.modules.get(name.replace("-", "_"))  # also right in a checkout that was never installed
        version = getattr(loaded, "__version__", None)
        try:
            found[name] = str(version or metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0] if names else platform.processor()}".strip()


def _threads() -> int | None:
    if torch := sys.modules.get("torch"):
        return torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() else None
