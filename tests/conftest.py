"""Fixtures for everybody."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers made by the authors' code (tests/golden/README.md)."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings beside the checkout; elsewhere the test is skipped, and says why."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real recordings in ../shared/data, which are not part of the repository")
    return SHARED
