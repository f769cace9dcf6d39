"""What the commands over recordings are told."""

from dataclasses import fields

from selfpab.cohorts.settings import EmbedConfig, PredictConfig, deciding


def test_each_command_has_the_settings_that_it_uses():
    predict, embed = ({field.name for field in fields(kind)} for kind in (PredictConfig, EmbedConfig))
    only = {"windows", "overlap", "uncertain_below", "single_sensor", "csv", "report", "diary", "valid_day_minutes"}
    assert predict - embed == only
    assert embed - predict == {"form"}


def test_what_decides_a_folders_content_has_neither_workers_nor_what_is_over_all():
    other = PredictConfig(workers=3, part="1/2", diary="d.csv", valid_day_minutes=1)
    assert deciding(other) == deciding(PredictConfig())
    assert deciding(PredictConfig(csv=True)) != deciding(PredictConfig())
    assert deciding(PredictConfig(single_sensor=False)) != deciding(PredictConfig())
