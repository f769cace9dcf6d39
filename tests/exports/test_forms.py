"""One way into the forms, and what is said where there is nothing to export."""

import re
from pathlib import Path

import pytest

from selfpab.config import ConfigError
from selfpab.exports.forms import FORMS, ExportConfig, export_tables
from selfpab.exports.ggir import EMPTY, FIRST
from tests.predicted_lives import write_life

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "exports.md"


def test_a_form_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="wanted the form ggir or oxwearables, got 'actipass'"):
        export_tables("actipass", tmp_path, tmp_path / "to", ExportConfig())


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_export_is_an_error(tmp_path, form):
    with pytest.raises(ValueError, match="has no finished prediction; wanted the OUT of selfpab predict"):
        export_tables(form, tmp_path, tmp_path / "to", ExportConfig())
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("form", FORMS)
def test_every_file_is_told(tmp_path, form):
    for name in ("a", "b"):
        write_life(tmp_path / "out", name, [7] * 60, None)
    written = export_tables(form, tmp_path / "out", tmp_path / "to", ExportConfig())
    assert sorted(written) == sorted(path for path in (tmp_path / "to").rglob("*") if path.is_file())


def test_the_page_says_of_every_column_that_is_empty(tmp_path):
    text = PAGE.read_text()
    for name in (*FIRST, *EMPTY):
        stem = re.sub(r"(?<=dur_spt_wake_)\w+", "*", name)
        stem = re.sub(r"dur_day_total(_(?:LIG|MOD|VIG)_)min", r"\1", stem)
        assert f"`{stem}`" in text, name
