"""A table of texts in the forms that people use: aligned text, Markdown, LaTeX; scores as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
Rows = Sequence[Sequence[str]]


def text(head: Sequence[str], rows: Rows) -> list[str]:
    """Lines with the columns below one another.

    >>> text(("method", "F1"), [("svm", "64.3"), ("mine", "")])
    ['method  F1', 'svm     64.3', 'mine']
    """
    wide = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(f"{cell:{w}}" for cell, w in zip(row, wide, strict=True)).rstrip() for row in (head, *rows)]


def markdown(head: Sequence[str], rows: Rows) -> list[str]:
    """Lines of a Markdown table; a bar inside a cell is escaped.

    >>> markdown(("method", "F1"), [("a|b", "1")])
    ['| method | F1 |', '|---|---|', '| a\\\\|b | 1 |']
    """
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]


def latex(head: Sequence[str], rows: Rows, *, caption: str, label: str, rule_above: int | None = None) -> list[str]:
    """Lines of a `table` for the package booktabs; `rule_above` is the row over which a thin line goes."""
    body = [" & ".join(map(escaped, row)) + r" \\" for row in rows]
    if rule_above is not None and 0 < rule_above < len(body):
        body.insert(rule_above, r"\midrule")
    return [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"\toprule",
        " & ".join(map(escaped, head)) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def escaped(text: str) -> str:
    """Any text as LaTeX.

    >>> print(escaped("a_b & 5 % ± 1"))
    a\\_b \\& 5 \\% $\\pm$ 1
    """
    return "".join(LATEX.get(character, character) for character in text)


def plus_minus(mean: float, sem: float) -> str:
    """Shares of 1 in per cent, one decimal; without the error where one person has none.

    >>> plus_minus(0.7846, 0.021), plus_minus(0.5, math.nan)
    ('78.5 ± 2.1', '50.0')
    """
    return f"{100 * mean:.1f}" if math.isnan(sem) else f"{100 * mean:.1f} ± {100 * sem:.1f}"
