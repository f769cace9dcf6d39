"""The bricks of a self-contained HTML page: frame, sections, tables, pictures. Text is escaped here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light; --ink: #222; --line: #d5dbe1; --accent: #12304f; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; color: var(--accent); margin: .5rem 0; }
h2 { font-size: 1.2rem; color: var(--accent); border-top: 2px solid var(--line); padding-top: .8rem; margin: 2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.lead { font-size: 1.1rem; }
dl { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .2rem 1rem; margin: 0 0 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; color: #555; font-size: .9rem; padding-bottom: .3rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { white-space: normal; } th[scope=row] { min-width: 6rem; overflow-wrap: anywhere; }
th[scope=row], thead th:first-child { text-align: left; }
thead th { border-bottom: 2px solid var(--accent); }
.confusion td, .confusion thead th { text-align: center; min-width: 5rem; white-space: normal; }
.confusion tbody td { border: 1px solid var(--line); padding: .2rem; }
.confusion td.right { outline: 2px solid var(--ink); outline-offset: -2px; font-weight: 600; }
.confusion small { display: block; font-weight: 400; font-size: .75rem; }
figure { margin: .6rem 0; } figcaption { color: #555; font-size: .9rem; }
figure img { display: block; width: 100%; height: auto; min-width: 34rem; }
details { margin: .4rem 0; } summary { cursor: pointer; }
pre { white-space: pre-wrap; font-size: .8rem; background: #f4f6f8; padding: .6rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } th, td { padding: .25rem .4rem; } }
@media print { .scroll { overflow: visible; } figure img { min-width: 0; } section { break-inside: avoid-page; } }
"""


def page(title: str, lead: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole document; `body` is HTML, `title` and `lead` are text; `style` and `script` are what this page has of its own.

    Nothing but what is inside the file may be loaded, and no other script than this one is run, whatever a subject is
    called: the document's own policy says so, by the script's checksum.

    >>> page("a < b", "", "<p>text</p>").count("a &lt; b")
    2
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{checksum}'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n"
        f'<body><main><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>\n{body}\n</main>'
        f"{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A part of the page; `body` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with the id `name`; all cells are text, the first of a row is its heading. It scrolls where it is too wide.

    >>> table("t", ("who", "F1"), [("<b>", "1.0")]).count("&lt;b&gt;")
    1
    """
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(heading)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for heading, *cells in rows
    )
    return f'<div class="scroll"><table id="{escape(name)}"><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def figure(uri: str, alt: str, caption: str) -> str:
    """A picture given as a data URI, with the words for those who do not see it; it scrolls in a narrow window."""
    picture = f'<img src="{uri}" alt="{escape(alt)}">'
    return f'<figure><div class="scroll">{picture}</div><figcaption>{escape(caption)}</figcaption></figure>'
