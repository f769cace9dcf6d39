"""How methods look in the paper's figures: a shape per family, filled or empty within it, and a colour on top.

So a grey print and a colour-blind reader tell them apart as well; a method looks the same in every figure, whichever
others are in it. Colours are of Okabe and Ito. (Ours.)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfpab.paper import TABLE_1

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"
PNG_DPI = 200
LOOKS = {  # marker, filled, colour, dashes of a line
    "svm": ("s", False, "#D55E00", (0, (1, 1.5))),
    "xgb": ("s", True, "#D55E00", (0, (4, 1.5))),
    "deepconvlstm-ts": ("^", False, "#0072B2", (0, (1, 3))),
    "deepconvlstm-spectr": ("^", True, "#0072B2", (0, (6, 2, 1, 2))),
    "spectr-mlp": ("D", False, "#007A5A", (0, (2, 2))),
    "spectr-te": ("D", True, "#007A5A", (0, (9, 2))),
    "selfpab": ("o", True, "#000000", "solid"),
}
MORE = ("o", "X", "v", "P", "*", "<", ">", "p", "h")  # our own methods and users', by name
MORE_DASHES = ((0, (3, 1, 1, 1)), (0, (5, 4)), (0, (1, 1)), (0, (8, 1, 1, 1, 1, 1)))


def looks(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Keywords of matplotlib's `plot` for each method: marker, its colours, `linestyle`.

    >>> looks(["mine", "svm"])["mine"]["marker"], looks(["svm"])["svm"]["markerfacecolor"]
    ('o', 'white')
    """
    own = sorted(set(methods) - set(TABLE_1))
    chosen = {
        **LOOKS,
        **{
            method: (MORE[place % len(MORE)], False, "#666666", MORE_DASHES[place % len(MORE_DASHES)])
            for place, method in enumerate(own)
        },
    }
    return {
        method: {
            "marker": chosen[method][0],
            "color": chosen[method][2],
            "markeredgecolor": chosen[method][2],
            "markerfacecolor": chosen[method][2] if chosen[method][1] else "white",
            "linestyle": chosen[method][3],
        }
        for method in methods
    }


def save(figure: Figure, out: Path, stem: str) -> list[Path]:
    """OUT/<stem>.pdf with real letters, and .png; the same figure gives the same bytes."""
    from matplotlib import rc_context

    from selfpab.writing import write_whole

    paths = [out / f"{stem}.pdf", out / f"{stem}.png"]
    with rc_context({"pdf.fonttype": 42}):
        for path, none in zip(paths, ("CreationDate", "Software"), strict=True):
            kind = path.suffix[1:]
            write_whole(path, lambda t, k=kind, n=none: figure.savefig(t, format=k, dpi=PNG_DPI, metadata={n: None}))
    return paths
