"""The week as a picture, drawn as SVG: a ribbon per day, and what the days add up to. No script is needed to see it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.inference.days import minute_columns
from selfpab.reports.day_lines import (
    DAY_S,
    NOT_COUNTED,
    Axis,
    Line,
    axis_of,
    day_name,
    heights_of,
    lines_of,
    majority,
)

LEFT, WIDTH, RIGHT = 128, 840, 26  # of a picture, in its own units
ROW, APART, TOP, BOTTOM = 34, 8, 8, 24
COLUMNS = 2880  # of a line: half a minute of a day
PATTERNS = (  # once in a page that holds these pictures
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="off" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#eee"/>'
    '<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="#666" stroke-width="1"/></pattern>'
    '<pattern id="missing" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#fff"/>'
    '<path d="M0 0L6 6M6 0L0 6" stroke="#666" stroke-width=".8"/></pattern>'
    '<pattern id="gap" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" fill="#fff"/>'
    '<circle cx="2.5" cy="2.5" r=".9" fill="#444"/></pattern></defs></svg>'
)
_FILLS = ("url(#off)", "url(#missing)", "url(#gap)")  # of NOT_COUNTED


def draw_days(states: np.ndarray, local_s: np.ndarray, activities: Activities, *, dated: bool) -> str:
    """One ribbon per line of `day_lines.lines_of`; of every half minute (less where there is less) the most frequent state.

    states, local_s : of every second, (R,); of `day_lines`.
    """
    lines = lines_of(local_s)
    axis = axis_of(lines)
    step = max(1, -(-(axis.stop_s - axis.first_s) // COLUMNS))
    height = TOP + len(lines) * (ROW + APART) + BOTTOM
    parts = [_grid(axis, height)]
    looks = [*zip(activities.colours, heights_of(activities), strict=True), *((fill, 1.0) for fill in _FILLS)]
    for place, line in enumerate(lines):
        top = TOP + place * (ROW + APART)
        columns = (line.times_s - axis.first_s) // step
        count = -(-(axis.stop_s - axis.first_s) // step)
        shown = majority(states[line.rows].astype(np.int64), columns, count)
        scale = WIDTH * step / (axis.stop_s - axis.first_s)
        name = day_name(line, dated, lines[0].day)
        parts.append(
            f'<text x="{LEFT - 10}" y="{top + ROW / 2 + 4}" text-anchor="end">{escape(name)}</text>'
            f'<path d="M{LEFT} {top + ROW + 0.5}h{WIDTH}" stroke="#bbb"/>'
        )
        for state, (fill, level) in enumerate(looks):
            if path := _bars(shown == state, scale, top, level):
                parts.append(f'<path d="{path}" fill="{fill}"/>')
    return _svg(height, f"A ribbon for each of {len(lines)} lines of 24 hours", "".join(parts), 'id="days"')


def places_of_lines(lines: Sequence[Line]) -> list[dict[str, int]]:
    """Where every ribbon of `draw_days` is, and of which rows, for who points at it."""
    return [
        {
            "top": TOP + place * (ROW + APART),
            "midnight": line.day * DAY_S,
            "first": line.stretches[0].start,
            "last": line.stretches[-1].stop - 1,
        }
        for place, line in enumerate(lines)
    ]


def _bars(here: np.ndarray, scale: float, top: float, level: float) -> str:
    """Path of one box per stretch of True."""
    edges = np.flatnonzero(np.diff(here.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    tall = round(ROW * level, 1)
    y = round(top + ROW - tall, 1)
    return "".join(
        f"M{LEFT + a * scale:.6g} {y:g}h{(b - a) * scale:.4g}v{tall:g}H{LEFT + a * scale:.6g}z"
        for a, b in edges.tolist()
    )


def _grid(axis: Axis, height: float) -> str:
    parts = []
    for tick in range(axis.first_s, axis.stop_s + 1, axis.tick_s):
        x = LEFT + WIDTH * (tick - axis.first_s) / (axis.stop_s - axis.first_s)
        words = f"{tick // 3600:02}:{tick % 3600 // 60:02}" + (f":{tick % 60:02}" if axis.tick_s < 60 else "")
        parts.append(
            f'<path d="M{x:.5g} {TOP}V{height - BOTTOM + 2}" stroke="#ddd"/>'
            f'<text x="{x:.5g}" y="{height - 6}" text-anchor="middle">{words}</text>'
        )
    return "".join(parts)


def legend(activities: Activities) -> str:
    """A small box for every state, as high as on the ribbon, lowest first."""
    levels = heights_of(activities)
    order = sorted(range(len(activities)), key=lambda place: levels[place])
    boxes = [(activities.names[place], activities.colours[place], levels[place]) for place in order]
    boxes += [(name, fill, 1.0) for name, fill in zip(NOT_COUNTED, _FILLS, strict=True)]
    items = "".join(
        f'<li><svg width="16" height="18" aria-hidden="true"><rect x=".5" y="{17.5 - 17 * level:.3g}" width="15" '
        f'height="{17 * level:.3g}" fill="{fill}" stroke="#888" stroke-width=".5"/></svg> {escape(name)}</li>'
        for name, fill, level in boxes
    )
    return f'<ul class="legend">{items}</ul>'


def draw_minutes(daily: pl.DataFrame, activities: Activities, names: Sequence[str]) -> str:
    """A bar per row of `daily`: its minutes in every class side by side, lowest first, then those not worn."""
    levels, columns = heights_of(activities), minute_columns(activities)
    order = sorted(range(len(activities)), key=lambda place: levels[place])
    longest = daily["recorded_minutes"].to_numpy().max()  # of at least one second
    step = next((step for step in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240) if longest <= 9 * step), 240)
    end = -(-longest // min(step, 60)) * min(step, 60)
    unit, per = ("h", 60) if step >= 60 else ("min", 1)
    height = TOP + len(daily) * (ROW + APART) + BOTTOM
    parts = []
    for tick in range(0, int(end) + 1, step):
        x = LEFT + WIDTH * tick / end
        parts.append(
            f'<path d="M{x:.5g} {TOP}V{height - BOTTOM + 2}" stroke="#ddd"/>'
            f'<text x="{x:.5g}" y="{height - 6}" text-anchor="middle">{tick // per} {unit}</text>'
        )
    for place, (row, name) in enumerate(zip(daily.iter_rows(named=True), names, strict=True)):
        top, x = TOP + place * (ROW + APART), float(LEFT)
        parts.append(f'<text x="{LEFT - 10}" y="{top + ROW / 2 + 4}" text-anchor="end">{escape(name)}</text>')
        pieces = [(activities.names[k], row[columns[k]], activities.colours[k]) for k in order]
        pieces.append((NOT_COUNTED[0], row["recorded_minutes"] - row["wear_minutes"], _FILLS[0]))
        for what, minutes, fill in pieces:
            wide = WIDTH * minutes / end
            parts.append(_piece(f"{what}, {minutes:.1f} min", what, f"{minutes:.1f}", fill, (x, top, wide)))
            x += wide
    return _svg(height, "Minutes in every activity, a bar per day; the numbers stand in the table", "".join(parts))


def _piece(title: str, what: str, number: str, fill: str, box: tuple[float, float, float]) -> str:
    """A box that says what it is where it is wide enough."""
    x, top, wide = box
    if not wide:
        return ""
    lines = [words for words in (what, number) if wide > 7 * max(len(words), 1)]
    ink = "#111" if fill.startswith("url") or _light(fill) else "#fff"
    text = "".join(
        f'<text x="{x + 4:.5g}" y="{top + (13 if len(lines) > 1 else 21) + 14 * place}" style="fill:{ink}">{escape(words)}</text>'
        for place, words in enumerate(lines)
        if len(lines) > 1 or words == what
    )
    shape = (
        f'<rect x="{x:.5g}" y="{top}" width="{wide:.5g}" height="{ROW}" fill="{fill}" stroke="#fff" stroke-width=".7"/>'
    )
    return f"<g><title>{escape(title)}</title>{shape}{text}</g>"


def _light(colour: str) -> bool:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140


def _svg(height: float, label: str, body: str, more: str = "") -> str:
    box = f'viewBox="0 0 {LEFT + WIDTH + RIGHT} {height:g}"'
    return f'<div class="scroll"><svg {more} role="img" aria-label="{escape(label)}" {box}>{body}</svg></div>'
