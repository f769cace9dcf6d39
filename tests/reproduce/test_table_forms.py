"""Tables as text, Markdown and LaTeX."""

import pytest

from selfpab.reproduce.table_forms import escaped, latex, markdown, text

HEAD = ("method", "F1 (%)")
ROWS = [("a_b & c", "1.0 ± 0.1"), ("d|e", "")]


def test_columns_of_a_text_lie_below_one_another():
    lines = text(HEAD, ROWS)
    assert lines == ["method   F1 (%)", "a_b & c  1.0 ± 0.1", "d|e"]


def test_a_row_with_a_cell_too_few_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        text(HEAD, [("only one",)])


def test_markdown_has_a_rule_and_as_many_bars_everywhere():
    lines = markdown(HEAD, ROWS)
    assert lines[1] == "|---|---|"
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}


def test_what_latex_would_read_is_escaped():
    assert escaped(r"\ ~ ^ # $ { } < >") == (
        r"\textbackslash{} \textasciitilde{} \textasciicircum{} \# \$ \{ \} \textless{} \textgreater{}"
    )
    lines = latex(HEAD, ROWS, caption="50 %", label="x", rule_above=1)
    assert r"\caption{50 \%}" in lines
    assert lines[lines.index(r"\midrule", lines.index(r"\midrule") + 1) + 1] == r"d|e &  \\"
    assert r"\begin{tabular}{lr}" in lines
    assert latex(HEAD, ROWS, caption="", label="x", rule_above=2).count(r"\midrule") == 1
