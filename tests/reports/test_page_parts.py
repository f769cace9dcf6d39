"""The bricks of the page escape what they are given."""

import pytest

from selfpab.reports.page_parts import figure, page, section, table

EVIL = '<script>"&'
SAFE = "&lt;script&gt;&quot;&amp;"


@pytest.mark.parametrize(
    ("made", "times"),
    [
        (page(EVIL, EVIL, ""), 3),
        (section(EVIL, ""), 1),
        (table("t", (EVIL, "b"), [(EVIL, EVIL)]), 3),
        (figure("data:image/png;base64,AA==", EVIL, EVIL), 2),
    ],
)
def test_text_is_escaped(made, times):
    assert EVIL not in made
    assert made.count(SAFE) == times


def test_a_table_has_headings_for_those_who_hear_it():
    made = table("t", ("method", "F1"), [("svm", "1.0")])
    assert made.count('<th scope="col">') == 2
    assert '<th scope="row">svm</th><td>1.0</td>' in made


def test_the_page_fits_narrow_windows_and_forbids_requests():
    made = page("t", "", "<p>x</p>")
    assert 'content="width=device-width, initial-scale=1"' in made
    assert "default-src 'none'" in made
    assert made.index("<main>") < made.index("<p>x</p>") < made.index("</main>")
