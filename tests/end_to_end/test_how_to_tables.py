"""docs/how-to/r.md is run where there is R; docs/how-to/excel.md says how the tables are written, and so they are."""

import csv
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from selfpab.cohorts.cohort_tables import write_cohort_tables
from selfpab.cohorts.diaries import Interval
from selfpab.cohorts.diary_tables import join_diary
from tests.predicted_lives import GAP, write_life

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
FRIDAY = datetime(2024, 5, 3)


@pytest.fixture
def out(tmp_path):
    """Two people, from Friday to Sunday."""
    for number, name in enumerate(("P001", "P002")):
        codes = np.random.default_rng(number).choice([7, 1, 8, GAP], 3 * 144, p=[0.5, 0.3, 0.18, 0.02]).repeat(600)
        folder = write_life(tmp_path / "out", name, codes, FRIDAY, csv=True, warnings=["turned, and\nsaid so"])
        join_diary(folder, [Interval(2, name, "work", datetime(2024, 5, 3, 8), datetime(2024, 5, 3, 16))])
    write_cohort_tables(tmp_path / "out", 600.0)
    return tmp_path / "out"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (r-base-core)")
def test_the_r_code_runs_and_says_what_the_tables_say(out, tmp_path):
    blocks = re.findall(r"```r\n(.*?)```", (PAGES / "r.md").read_text(), re.DOTALL)
    assert len(blocks) >= 7
    (tmp_path / "page.R").write_text("options(warn = 2)\n" + "\n".join(blocks))  # a warning is an error
    done = subprocess.run(("Rscript", "page.R"), cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert {"days.pdf", "day.pdf"} <= {path.name for path in tmp_path.iterdir()}
    (row, _) = list(csv.DictReader((out / "people.csv").read_text().splitlines()))
    told = re.search(r"name +minutes_sitting.*\n1 +P001 +([\d.]+)", done.stdout)
    assert told
    assert float(told[1]) == pytest.approx(float(row["minutes_sitting"]), abs=0.01)
    assert "P001 work" in re.sub(" +", " ", done.stdout)


def test_tables_open_as_the_page_says(out):
    tables = [*out.glob("*.csv"), *out.glob("*/*.csv")]
    assert len(tables) == 3 + 2 * 3
    for path in tables:
        raw = path.read_bytes()
        assert not raw.startswith(b"\xef\xbb\xbf")
        assert b"\r" not in raw
        rows = list(csv.reader(raw.decode("utf-8").splitlines()))
        assert {len(row) for row in rows} == {len(rows[0])}, path.name
        for cell in (cell for row in rows[1:] for cell in row):
            assert cell not in ("NA", "nan", "NaN", "None", "null")
            if re.match(r"\d{4}-", cell):
                assert re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", cell)
            if re.match(r"-?\d+[.,]\d", cell):
                assert re.fullmatch(r"-?\d+\.\d{1,4}", cell), (path.name, cell)
        if path.name not in ("dictionary.csv", "people.csv"):
            assert b'"' not in raw, path.name


def test_what_the_pages_name_is_there(out):
    """Columns and files that are named in the pages exist."""
    columns = {row["column"] for row in csv.DictReader((out / "dictionary.csv").read_text().splitlines())}
    text = (PAGES / "r.md").read_text() + (PAGES / "excel.md").read_text()
    named = set(re.findall(r"\b(?:minutes|enmo|valid|wear)_[a-z_]+\b", text)) - {"valid_day_minutes", "minutes_"}
    assert {"minutes_sitting_weekend", "wear_minutes"} <= named <= columns
