"""selfpab: activities from two body-worn accelerometers, lower back and thigh.

    import selfpab
    recording = selfpab.read("501.csv")
    model = selfpab.load("path/of/a/model")
    prediction = model.predict(recording)

This is the front door; reading and scoring need no torch. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfpab.data.reading import read as read
    from selfpab.data.simulation import simulate as simulate
    from selfpab.evaluation.loso import leave_one_subject_out as leave_one_subject_out
    from selfpab.evaluation.metrics import f1 as f1
    from selfpab.inference.model import load as load
    from selfpab.recording import Recording as Recording

__version__ = "0.1.0"
__all__ = ["Recording", "__version__", "f1", "leave_one_subject_out", "load", "read", "simulate"]

_HOME = {
    "Recording": "selfpab.recording",
    "f1": "selfpab.evaluation.metrics",
    "leave_one_subject_out": "selfpab.evaluation.loso",
    "load": "selfpab.inference.model",
    "read": "selfpab.data.reading",
    "simulate": "selfpab.data.simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'selfpab' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
