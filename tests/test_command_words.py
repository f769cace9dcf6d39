"""What stands on a command line: names and settings, in any order."""

from selfpab import command_words
from selfpab.upstream import PretrainConfig


def test_the_preset_comes_before_the_settings_wherever_it_stands():
    for words in (["steps=7", "preset=tiny"], ["preset=tiny", "steps=7"]):
        found = command_words.chosen_config(PretrainConfig, "pretrain", words)
        assert (found.steps, found.encoder.d_model) == (7, 48)


def test_names_may_hold_an_equals_sign_and_settings_stand_anywhere():
    found = command_words.split(["steps=3", "./a=b", "masking.time_width=5", "B=c"], "CORPUS", "RUN")
    assert found == (["./a=b", "B=c"], ["steps=3", "masking.time_width=5"])
