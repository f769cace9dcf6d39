"""The faults of faults.py can still be put in: `make faults` takes minutes, that its texts have gone stale shows here."""

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAULTS = runpy.run_path(str(HERE / "faults.py"), run_name="faults")["FAULTS"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_its_text_is_there_once(fault):
    assert (HERE.parent / fault.file).read_text().count(fault.old) == 1
    assert (HERE.parent / fault.test).is_file()
