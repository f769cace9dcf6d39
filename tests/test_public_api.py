"""The front door: few names, and nothing heavy behind it until it is used."""

import importlib
import subprocess
import sys

import pytest

import selfpab

NAMES = ["Recording", "__version__", "f1", "leave_one_subject_out", "load", "read", "simulate"]


def test_these_names_and_no_others():
    assert selfpab.__all__ == NAMES
    assert dir(selfpab) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_can_be_imported(name):
    thing = getattr(selfpab, name)
    if name != "__version__":
        assert thing.__name__ == name
        assert getattr(importlib.import_module(thing.__module__), name) is thing


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'selfpab' has no attribute 'predict'"):
        _ = selfpab.predict


@pytest.mark.parametrize(
    "code",
    ["import selfpab", "from selfpab import Recording", "import selfpab.cli", "from selfpab import simulate"],
)
def test_what_needs_no_torch_and_no_tables_loads_neither(code):
    heavy = "{'torch', 'polars', 'pyarrow', 'scipy', 'matplotlib'} & {*sys.modules}"
    found = subprocess.run(
        (sys.executable, "-c", f"import sys; {code}; print(sorted({heavy}))"),
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("code", ["from selfpab import read, f1, leave_one_subject_out"])
def test_reading_and_scoring_need_no_torch(code):
    check = f"import sys; {code}; sys.exit('torch' in sys.modules)"
    subprocess.run((sys.executable, "-c", check), check=True)
