"""Which windows a model looks through: ours in one pass, or the authors' fifty-fold average.

`ours` (DESIGN 5a): windows inside runs, so that no frame crosses a gap; neighbours share some frames.
`authors` (BEHAVIOUR (e)): times and gaps are ignored, zeros stand behind the end and are attended to, a window begins every
12 of its 599 frames, so that 50 of them hold a frame. It costs as many times the computing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from selfpab.downstream import release
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor, States
from selfpab.recording import Recording

Windows = Literal["auto", "ours", "authors"]
OVERLAP = 120  # frames that neighbouring windows share where nothing says otherwise; a quarter of shorter windows
SURE = 0.9  # ours: a frame whose best probability is less is looked at in a second window (results/second-look)
FOLD = 50  # windows of the release that hold a frame: 599 / 12


def chosen_windows(windows: str, finetune: Mapping[str, Any]) -> Literal["ours", "authors"]:
    """What `auto` means: the windows with which a model fine-tuned by these settings is evaluated.

    Raises ValueError for another word than those of `Windows`.

    >>> chosen_windows("auto", {"framing": "release"}), chosen_windows("auto", {}), chosen_windows("ours", {})
    ('authors', 'ours', 'ours')
    """
    if windows == "auto":
        return "authors" if finetune.get("framing") == "release" else "ours"
    if windows == "ours" or windows == "authors":
        return windows
    raise ValueError(f"windows must be auto, ours or authors, got {windows!r}")


def step_of(
    extractor: Extractor,
    finetune: Mapping[str, Any],
    windows: Literal["ours", "authors"],
    overlap: int | None = None,
) -> int:
    """Frames between neighbouring windows: as in the evaluation where that had these windows, else by `OVERLAP` or `FOLD`.

    overlap : frames that they share instead; fewer are faster. Raises ValueError where windows would not move on.
    """
    frames = extractor.shape.window_frames
    if overlap is not None:
        if not 0 <= overlap < frames:
            raise ValueError(
                f"overlap must lie between 0 and {frames - 1}, the windows have {frames} frames; got {overlap}"
            )
        return frames - overlap
    if "overlap" in finetune and windows == chosen_windows("auto", finetune):
        return frames - finetune["overlap"]
    return frames - min(OVERLAP, frames // 4) if windows == "ours" else max(1, round(frames / FOLD))


def window_states(
    recording: Recording,
    extractor: Extractor,
    finetune: Mapping[str, Any],
    windows: Literal["ours", "authors"],
    overlap: int | None = None,
    *,
    head: Head | None = None,
    doubting: bool = False,
) -> States:
    """States of all windows over a recording, for one pass.

    finetune : the settings of a fine-tuned model (`FinetuneConfig` as plain values); of an encoder, none.
    overlap : frames that neighbouring windows share; None: `step_of` says.
    head : its readers of one sensor answer where the other says nothing (`ours` alone); None: everything is for the encoder.
    doubting : where windows share half of their frames or more, so that every other one holds all frames, give the others for
        a second look where the first leaves doubt.
    """
    step = step_of(extractor, finetune, windows, overlap)
    if windows == "ours":
        sure = SURE if doubting and 2 * step <= extractor.shape.window_frames else None
        return extractor.states_for(head, recording, step=step, sure=sure)
    if recording.rate_hz != 50:
        raise ValueError(f"{recording.subject} has {recording.rate_hz:g} Hz; the spectrograms need 50 Hz")
    if not len(recording):
        raise ValueError("the recording is empty: there is nothing to predict")
    padded = release.padded(recording, extractor.shape)
    spans = release.prediction_windows(padded, extractor.shape, step=step)
    return replace(extractor, attend_padding=True).span_states(padded, spans)
