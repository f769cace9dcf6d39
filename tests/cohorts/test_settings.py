"""A setting that would do nothing is none, an error or a line that says so."""

from dataclasses import fields
from pathlib import Path

import pytest

from selfpab.cohorts.settings import EmbedConfig, PredictConfig, check_pairs, deciding, idle_words
from selfpab.config import ConfigError
from selfpab.data.sources import Problem, Source

FILE = Source(Path("s"), Path("s/P1.csv"))
PAIR = Source(Path("s"), Path("s/P1_b.cwa"), Path("s/P1_t.cwa"), "P1")
PATTERNS = "{subject}_b.cwa,{subject}_t.cwa"


def test_each_command_has_the_settings_that_it_uses():
    predict, embed = ({field.name for field in fields(kind)} for kind in (PredictConfig, EmbedConfig))
    only = {"windows", "overlap", "uncertain_below", "csv", "report", "diary", "valid_day_minutes"}
    assert predict - embed == only
    assert embed - predict == {"form"}


def test_what_decides_a_folders_content_has_neither_workers_nor_what_is_over_all():
    other = PredictConfig(workers=3, part="1/2", diary="d.csv", valid_day_minutes=1)
    assert deciding(other) == deciding(PredictConfig())
    assert deciding(PredictConfig(csv=True)) != deciding(PredictConfig())


def test_pairs_that_match_nothing_are_an_error():
    asked = PredictConfig(pairs=PATTERNS)
    with pytest.raises(ConfigError, match=r"pairs=\{subject\}_b.cwa,\S+ matches no device file here; leave it out, or"):
        check_pairs(asked, [FILE], [])
    with pytest.raises(ConfigError, match="matches no device file"):  # the only pair was named
        check_pairs(PredictConfig(pairs=PATTERNS, back="s/P1_b.cwa", thigh="s/P1_t.cwa"), [PAIR], [])
    check_pairs(asked, [FILE, PAIR], [])
    check_pairs(asked, [FILE], [Problem(Path("s/x.cwa"), "whose is it")])  # which says more
    check_pairs(PredictConfig(), [FILE], [])


def test_settings_for_device_files_alone_are_told_where_there_is_none():
    asked = PredictConfig(calibrate=False, longest_offset_s=9)
    told = "calibrate=, longest_offset_s= had nothing to do: it is for device files, and none is here"
    assert idle_words(asked, [FILE]) == told
    assert idle_words(asked, [FILE, PAIR]) is None
    assert idle_words(PredictConfig(), [FILE]) is None
