"""Plain lines where nobody watches, a bar on a terminal, nothing when quiet."""

import io

import pytest

from selfpab import progress as module
from selfpab.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_line_now_and_then_and_one_at_the_end(clock):
    out = io.StringIO()
    with Progress("folds", 10, stream=out) as progress:
        for number in range(10):
            clock[0] += 12
            progress.advance(note=f"fold {number}")
    lines = out.getvalue().splitlines()
    assert lines == [
        "folds 1/10, 108 s left, fold 0",
        "folds 4/10, 72 s left, fold 3",
        "folds 7/10, 36 s left, fold 6",
        "folds 10/10, 0 s left, fold 9",
    ]


def test_what_was_done_before_does_not_make_the_rest_look_fast(clock):
    out = io.StringIO()
    progress = Progress("steps", 100, done=90, stream=out)
    clock[0] += 100
    progress.advance()
    assert out.getvalue() == "steps 91/100, 15 min left\n"


def test_quiet_is_quiet(clock):
    for stream in (io.StringIO(), Terminal()):
        with Progress("folds", 1, stream=stream, quiet=True) as progress:
            progress.advance()
            progress.say("something")
        assert stream.getvalue() == ""
        assert progress.done == 1


def test_a_terminal_gets_a_bar_and_lines_above_it():
    out = Terminal()
    with Progress("folds", 2, stream=out) as progress:
        progress.advance(note="S006")
        progress.say("step 5: [brackets] stay")
        progress.advance()
    assert "folds" in out.getvalue()
    assert "step 5: [brackets] stay" in out.getvalue()
    assert "2/2" in out.getvalue()
    assert "S006" in out.getvalue()


def test_an_error_inside_is_not_swallowed():
    with pytest.raises(ValueError, match="no"), Progress("folds", 2, stream=Terminal()):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (172_800, "2.0 days")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said
