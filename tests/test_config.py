"""Defaults <- preset <- key=value; a typo is an error with a suggestion."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from selfpab.config import ConfigError, build, changed, describe, dump, load, preset_names, preset_values
from selfpab.data.preparation import ReadConfig


@dataclass(frozen=True)
class Inner:
    time_width: int = 3
    fraction: float = 0.15
    last: bool = True


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    steps: int = 10
    rate: float = 1e-4
    hours: float | None = None
    precision: Literal["auto", "fp32"] = "auto"
    name: str = ""


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("pretrain:\n  steps: 20\n  inner:\n    time_width: 5\nevaluate:\n  steps: 99\n")
    return path


def test_precedence(preset):
    assert load(Outer) == Outer()
    assert load(Outer, preset=preset, section="pretrain") == Outer(inner=Inner(time_width=5), steps=20)
    settings = ["steps=30", "inner.fraction=0.5"]
    assert load(Outer, preset=preset, section="pretrain", settings=settings) == Outer(Inner(5, 0.5), steps=30)


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("rate=1e-5", "rate", 1e-5),  # PyYAML alone reads a string
        ("rate=2", "rate", 2.0),
        ("steps=1e3", "steps", 1000),
        ("hours=null", "hours", None),
        ("hours=12", "hours", 12.0),
        ("precision=fp32", "precision", "fp32"),
        ("name=12", "name", "12"),
        ("name=a=b", "name", "a=b"),
    ],
)
def test_values_have_the_declared_type(setting, key, value):
    found = getattr(load(Outer, settings=[setting]), key)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("inner.time_widht=5", r"no setting 'inner.time_widht'; did you mean 'inner.time_width'\?"),
        ("Steps=5", r"no setting 'Steps'; did you mean 'steps'\?"),
        ("inner.Last=no", r"no setting 'inner.Last'; did you mean 'inner.last'\?"),
        ("zzzz=5", "no setting 'zzzz'; there are inner.time_width"),
        ("steps", "a setting is key=value, got 'steps'"),
        ("steps=1.5", "steps must be int, got 1.5"),
        ("steps=true", "steps must be int, got True"),
        ("steps=many", "steps must be int, got 'many'"),
        ("steps=.inf", "steps must be int, got inf"),
        ("steps=.nan", "steps must be int, got nan"),
        ("steps=[1", r"steps=\[1"),
        ("rate=fast", "rate must be float, got 'fast'"),
        ("rate=", "rate must be float, got ''"),
        ("inner.last=1", "inner.last must be bool, got 1"),
        ("precision=fp64", r"precision must be auto \| fp32, got 'fp64'"),
        ("hours=x", r"hours must be float \| None, got 'x'"),
        ("inner=3", "inner needs settings below it, got 3"),
        ("steps.x=3", "steps must be int"),
    ],
)
def test_what_does_not_fit_says_what_was_wanted(setting, message):
    with pytest.raises(ConfigError, match=message):
        load(Outer, settings=[setting])


def test_a_typo_in_a_preset_names_the_preset(preset):
    preset.write_text("pretrain:\n  stepz: 20\n")
    with pytest.raises(ConfigError, match=r"mine.yaml: no setting 'stepz'; did you mean 'steps'"):
        load(Outer, preset=preset, section="pretrain")
    with pytest.raises(ConfigError, match="no preset file"):
        load(Outer, preset=preset.with_name("none.yaml"))
    with pytest.raises(ConfigError, match="no preset 'tniy'; did you mean 'tiny'"):
        preset_values("tniy")


def test_what_is_dumped_is_a_preset_that_repeats_the_run(tmp_path):
    config = Outer(Inner(7, 1e-7, False), 5, 1e-5, 3.0, "fp32", "1e-4")
    path = tmp_path / "config.yaml"
    path.write_text(dump("pretrain", config))
    assert load(Outer, preset=path, section="pretrain") == config


def test_every_setting_is_described():
    assert ("inner.fraction", "0.15", "float") in describe(Outer)
    assert len(describe(Outer)) == 8


def test_building_needs_only_plain_values():
    assert build(Outer, {"inner": {"time_width": 1}, "steps": 2}) == Outer(Inner(1), 2)


def test_every_preset_is_a_mapping_of_sections():
    assert {"paper", "authors", "small", "tiny"} <= set(preset_names())
    for name in preset_names():
        assert all(isinstance(section, dict) for section in preset_values(name).values())


def test_a_text_is_taken_as_typed_even_if_it_is_no_yaml():
    settings = ["pairs={subject}_LB_*.cwa,{subject}_RT_*.cwa", "tz=Europe/Oslo", "repair=off"]
    config = load(ReadConfig, preset="paper", section="predict", settings=settings)
    assert config.repair == "off"
    assert changed(config, {"repair": False}).repair == "off"  # of a preset file
    assert (config.pairs, config.tz) == ("{subject}_LB_*.cwa,{subject}_RT_*.cwa", "Europe/Oslo")
