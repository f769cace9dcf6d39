"""Table 1 of the paper for the results at hand: average F1 by method and data set, and differences person by person."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from selfpab.evaluation.comparison import Difference, Row, difference, p_text, row
from selfpab.paper import SUBJECTS, TABLE_1
from selfpab.reproduce.collected_results import Collected, beside_the_paper, in_order
from selfpab.reproduce.provenance_lines import commit_of, data_line, encoder_of, method_lines, settings_of
from selfpab.reproduce.table_forms import latex, markdown, plus_minus, text
from selfpab.writing import write_csv, write_text

OURS = "selfpab"  # whose differences from the others are listed
NOT_RUN = "not run"
TITLE = (
    "Average F1 in per cent of leave-one-subject-out cross-validations: mean over people ± standard error, a person's "
    "score being the mean over the seeds"
)
CSV = (
    *("dataset", "version", "sha256", "people", "left_out", "method", "mean", "sem", "seed_sd", "seeds"),
    *("paper_mean", "paper_sem", "protocol", "settings", "encoder", "commit", "folder"),
)


def write_table(collected: Sequence[Collected], out: Path) -> list[Path]:
    """OUT/table1.txt, .md, .tex, .csv and OUT/table1-differences.csv (both csv in shares of 1).

    Rows are those of the paper in its order, then our own methods by name; what was not run is said to be so. The
    paper's numbers stand beside those of the same version of a data set with as many people and its classes, where nobody else
    was trained on, and nowhere else.
    """
    head, rows = table_cells(collected)
    pairs = {one.dataset: paired(one) for one in collected}
    apart = difference_cells(pairs)
    said, sources = notes(collected), provenance(collected)
    files = {
        "table1.txt": [TITLE, "", *text(head, rows), "", *said, "", *_titled(apart, text), "", *sources],
        "table1.md": [
            *(f"{TITLE}.", "", *markdown(head, rows), "", *_listed(said), ""),
            *(*_titled(apart, markdown), "", "Where the numbers come from:", "", *_listed(sources)),
        ],
        "table1.tex": [
            *latex(head, rows, caption=" ".join([f"{TITLE}.", *said]), label="tab:f1", rule_above=len(TABLE_1)),
            *(latex(*apart, caption=DIFFERENCES, label="tab:differences") if apart[1] else []),
            *(f"% {line}" for line in sources),
        ],
    }
    for name, lines in files.items():
        write_text(out / name, "\n".join(lines) + "\n")
    apart_rows = [(name, *pair) for name, own in pairs.items() for pair in own]
    return [
        *(out / name for name in files),
        write_csv(out / "table1.csv", CSV, csv_rows(collected)),
        write_csv(out / "table1-differences.csv", ("dataset", *Difference._fields), apart_rows),
    ]


DIFFERENCES = (
    f"{OURS} minus each other method in percentage points, person by person: mean, 95 per cent interval (Student's t), "
    "people for whom it is better, p of a two-sided sign-flip test; not corrected for the number of comparisons"
)


def table_cells(collected: Sequence[Collected]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table, as text: a column per data set, two more where the paper's may stand beside it."""
    head, rows = ["method"], [[method] for method in methods_of(collected)]
    for one in collected:
        compared = not beside_the_paper(one)
        head += [f"{one.dataset} {one.first['data'].get('version') or ''}".strip()]
        head += ["the paper", "ours - paper"] if compared else []
        for cells in rows:
            found, printed = _row(one, cells[0]), reported(one, cells[0])
            cells.append(NOT_RUN if found is None else plus_minus(found.mean, found.sem))
            if compared:
                cells.append(f"{printed[0]} ± {printed[1]}" if printed else "not in it")
                cells.append(_against(found, printed) if found and printed else "")
    return head, rows


def methods_of(collected: Sequence[Collected]) -> list[str]:
    """The paper's rows, all of them, then what else was run."""
    return in_order([*TABLE_1, *(method for one in collected for method in one.runs)])


def reported(collected: Collected, method: str) -> tuple[float, float] | None:
    """What the paper prints for this method and data set, in per cent; None where it may not stand beside ours."""
    if beside_the_paper(collected) or method not in TABLE_1:
        return None
    return TABLE_1[method][list(SUBJECTS).index(collected.dataset)]


def paired(collected: Collected) -> list[Difference]:
    """Ours minus each other row; none where ours was not run."""
    if OURS not in collected.runs:
        return []
    return [difference(OURS, other, collected.runs) for other in collected.runs if other != OURS]


def difference_cells(pairs: dict[str, list[Difference]]) -> tuple[list[str], list[list[str]]]:
    head = ["data set", "minus", "difference", "95 % interval", "better for", "p"]
    rows = [
        [
            name,
            pair.second,
            f"{100 * pair.mean:+.1f}",
            "one person" if math.isnan(pair.low) else f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}",
            f"{pair.better} of {pair.n}",
            p_text(pair.p),
        ]
        for name, own in pairs.items()
        for pair in own
    ]
    return head, rows


def notes(collected: Sequence[Collected]) -> list[str]:
    """What a reader must know to read the table."""
    said = [f"{data_line(one)}." for one in collected]
    said += [f"{one.dataset}: {reason}." for one in collected if (reason := beside_the_paper(one))]
    if not all(beside_the_paper(one) for one in collected):
        said.append(
            "The paper's encoder was pre-trained on 100,000 hours of HUNT4. ours - paper: * where ours lies more than two "
            "of the paper's standard errors from its mean."
        )
    spreads = [
        f"{one.dataset} {method} {100 * found.seed_sd:.1f}"
        for one in collected
        for method in one.runs
        if (found := row(method, one.runs[method])) and not math.isnan(found.seed_sd)
    ]
    if spreads:
        said.append(f"Standard deviation of the mean over seeds: {', '.join(spreads)}.")
    for one in collected:
        if missing := [method for method in TABLE_1 if method not in one.runs]:
            said.append(f"{one.dataset}: not run: {', '.join(missing)}.")
        if OURS not in one.runs:
            said.append(f"{one.dataset}: no differences, for {OURS} was not run.")
    return said


def provenance(collected: Sequence[Collected]) -> list[str]:
    return [line for one in collected for line in (data_line(one), *method_lines(one))]


def csv_rows(collected: Sequence[Collected]) -> list[list[object]]:
    """A line per data set and method of the table; empty cells where there is nothing."""
    lines: list[list[object]] = []
    for one in collected:
        data, left_out = one.first["data"], " ".join(one.left_out)
        for method in methods_of(collected):
            found, printed = _row(one, method), reported(one, method) or (None, None)
            told: list[object] = [None] * 5
            seeds = ""
            if found:
                contents = list(one.runs[method].values())
                seeds = " ".join(str(c["seed"]) for c in contents if c.get("seed") is not None)
                told = [
                    contents[0]["protocol"],
                    " | ".join(_distinct(" ".join(f"{k}={v}" for k, v in settings_of(c).items()) for c in contents)),
                    " | ".join(_distinct(map(encoder_of, contents))),
                    " | ".join(_distinct(map(commit_of, contents))),
                    one.folders[method].as_posix(),
                ]
            scores = (found.mean, found.sem, found.seed_sd) if found else [None] * 3
            paper = [None if value is None else round(value / 100, 5) for value in printed]
            facts = [one.dataset, data.get("version"), data.get("sha256"), one.people, left_out, method]
            lines.append([*facts, *scores, seeds, *paper, *told])
    return lines


def _against(found: Row, printed: tuple[float, float]) -> str:
    apart = 100 * found.mean - printed[0]
    return f"{apart:+.1f}{' *' if abs(apart) > 2 * printed[1] else ''}"


def _row(collected: Collected, method: str) -> Row | None:
    return row(method, collected.runs[method]) if method in collected.runs else None


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))


def _titled(cells: tuple[list[str], list[list[str]]], form: Callable[..., list[str]]) -> list[str]:
    return [f"{DIFFERENCES}:", "", *form(*cells)] if cells[1] else []


def _listed(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in lines]
