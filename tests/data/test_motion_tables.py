"""The fitted tables are complete; what they do is tested in test_movement.py."""

import numpy as np

from selfpab.activities import NAMES
from selfpab.data import motion_tables


def test_every_activity_has_finite_numbers():
    tables = {name: value for name, value in vars(motion_tables).items() if name.isupper()}
    assert tables
    by_code = [table for table in tables.values() if isinstance(table, dict) and set(table) <= set(NAMES)]
    assert by_code
    for table in by_code:
        for code, rows in table.items():
            assert np.isfinite(np.asarray(rows, float)).all(), code
