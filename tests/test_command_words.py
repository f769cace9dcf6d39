"""What stands on a command line: names and settings, in any order."""

import importlib
import inspect
import re

import pytest

from selfpab import cli, command_words, config
from selfpab.upstream import PretrainConfig


def test_the_preset_comes_before_the_settings_wherever_it_stands():
    for words in (["steps=7", "preset=tiny"], ["preset=tiny", "steps=7"]):
        found = command_words.chosen_config(PretrainConfig, "pretrain", words)
        assert (found.steps, found.encoder.d_model) == (7, 48)


def test_names_may_hold_an_equals_sign_and_settings_stand_anywhere():
    found = command_words.split(["steps=3", "./a=b", "masking.time_width=5", "b/C=c"], "CORPUS", "RUN")
    assert found == (["./a=b", "b/C=c"], ["steps=3", "masking.time_width=5"])


@pytest.mark.parametrize("command", command_words.SETTINGS)
def test_every_setting_that_the_help_lists_can_be_given(command):
    home, _, kind = command_words.SETTINGS[command].partition(":")
    given = [f"{key}=1" for key, _, _ in config.describe(getattr(importlib.import_module(home), kind))]
    assert command_words.split(given) == ([], given)


@pytest.mark.parametrize("command", command_words.SETTINGS)
def test_the_help_lists_the_settings_that_the_command_takes(command):
    function = getattr(cli, command.replace("-", "_"))
    taken = re.findall(r"chosen_config\(\s*(\w+),", inspect.getsource(function))
    assert taken == [command_words.SETTINGS[command].partition(":")[2]]


def test_settings_that_may_be_left_out_stand_in_brackets():
    """All may, but normalisation= of an imported checkpoint."""
    for command in set(command_words.SETTINGS) - {"import-checkpoint"}:
        told = inspect.getdoc(getattr(cli, command.replace("-", "_"))) or ""
        usage = re.sub(r"\[.*?\]", "", told.partition(": ")[0])
        assert "=" not in usage, command


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["c"], "got c; RUN missing"),
        (["steps=3"], "got steps=3; CORPUS and RUN missing"),
        (["c", "r", "x", "steps=3"], "got c r x steps=3; 'x' not wanted"),
        (["1steps=3", "c", "r"], "got 1steps=3 c r; '1steps=3' is no setting: a key begins with a letter"),
    ],
)
def test_too_few_or_too_many_names_are_told_one_by_one(words, wrong):
    with pytest.raises(command_words.WrongCall) as error:
        command_words.split(words, "CORPUS", "RUN")
    assert str(error.value) == f"wanted CORPUS RUN and then key=value settings, {wrong}"
