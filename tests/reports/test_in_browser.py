"""The pages in headless Chromium, opened from the disk: they load nothing, complain of nothing, zoom, and print."""

import os
import shutil

import numpy as np
import pytest

from selfpab.activities import HARTH
from selfpab.recording import Recording
from selfpab.reports.day_lines import lines_of, local_seconds
from selfpab.reports.page_parts import figure, page, section, table
from selfpab.reports.recording_page import write_report

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium: install it with the system's package manager, or name it in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=path, args=["--no-sandbox"])  # root, as in CI, has none
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Path -> page with what it said and asked for; at the end neither may be more than the file itself."""
    told, asked, contexts = [], [], []

    def _open(path, ready="#zoom[data-ready=yes]", **settings):
        contexts.append(browser.new_context(viewport={"width": 1000, "height": 900}, **settings))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: told.append(message.text))
        tab.on("pageerror", lambda error: told.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector(ready, timeout=20_000)
        return tab

    yield _open
    for context in contexts:
        context.close()
    assert told == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == len(contexts)


@pytest.fixture(scope="module")
def path(tmp_path_factory, prediction, facts):
    return write_report(prediction, facts, tmp_path_factory.mktemp("page") / "report.html")


def view(tab):
    return tuple(int(tab.get_attribute("#zoom", f"data-{end}")) for end in ("first", "stop"))


def place(tab, share, what="#signals"):
    """Where a share of the picture's time is, in its middle height."""
    box = tab.locator(what).bounding_box()
    left, right = (88, 8) if what == "#signals" else (128 * box["width"] / 994, 26 * box["width"] / 994)
    return box["x"] + left + share * (box["width"] - left - right), box["y"] + box["height"] / 2


def drag(tab, *shares):
    tab.mouse.move(*place(tab, shares[0]))
    tab.mouse.down()
    tab.mouse.move(*place(tab, sum(shares) / 2))
    tab.mouse.move(*place(tab, shares[1]))
    tab.mouse.up()


def test_a_ribbon_per_line_and_all_of_it_shown(opened, path, prediction):
    tab = opened(path)
    assert view(tab) == (0, len(prediction.seconds))
    assert (
        tab.locator("#days path[fill='#0072B2']").count() == 3
    )  # walked on both days, and in the hour that came twice
    assert not tab.get_by_text("Zooming needs JavaScript").is_visible()
    assert tab.locator("#days").bounding_box()["width"] > 500
    assert tab.locator("table").count() == 3


def test_dragging_zooms_and_the_buttons_lead_back(opened, path, prediction):
    rows = len(prediction.seconds)
    tab = opened(path)
    drag(tab, 0.25, 0.5)
    np.testing.assert_allclose(view(tab), (rows / 4, rows / 2), atol=rows / 200)
    tab.wait_for_selector("#view rect", state="attached", timeout=5_000)  # drawn with the next picture
    drag(tab, 0.5, 0.4)
    first, stop = view(tab)
    assert stop - first == pytest.approx(rows / 40, rel=0.05)
    tab.click("button[value=later]")
    assert view(tab)[0] == pytest.approx((first + stop) / 2, abs=2)
    tab.click("button[value=out]")
    assert view(tab)[1] - view(tab)[0] == pytest.approx(2 * (stop - first), abs=3)
    tab.click("button[value=whole]")
    assert view(tab) == (0, rows)
    tab.select_option("#day", "2")  # the hour that comes twice
    again = lines_of(local_seconds(prediction.seconds["time"], prediction.recording.start))[2].rows
    assert view(tab) == (again[0], again[-1] + 1)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.24, 0.41, 0.7, 0.97])
def test_pointing_reads_the_second_of_the_table(opened, path, prediction, share):
    tab = opened(path)
    tab.mouse.move(*place(tab, share))
    words = tab.locator("#readout").inner_text()
    seconds = prediction.seconds
    near = seconds[max(int(share * len(seconds)) - 30, 0) : int(share * len(seconds)) + 30]  # a pixel is some 17 s
    (row,) = [r for r in near.iter_rows(named=True) if f"{r['time']:%H:%M:%S}" in words][:1]
    if row["gap"]:
        assert words.endswith("not recorded")
        return
    assert (row["activity_name"] if row["wear"] else "not worn") in words
    assert f"{row['activity_name']} {100 * row['probability']:.0f} %" in words
    assert ("uncertain" in words) is row["uncertain"]
    assert all(flag in words for flag in row["flags"].split(";"))


def test_what_is_drawn_has_the_colour_of_the_table(opened, path, prediction):
    """One pixel of the strip of activities, at the foot of its box."""
    tab = opened(path)
    row = "() => { const c = document.getElementById('signals'); const y = 41 * c.width / c.clientWidth;"
    row += "return [c.clientWidth, ...c.getContext('2d').getImageData(0, y, c.width, 1).data]; }"
    width, *values = tab.evaluate(row)
    pixels = np.array(values).reshape(-1, 4)[:, :3]
    for share, colour in ((0.05, "009E73"), (0.18, "0072B2"), (0.55, "999999")):
        x = (88 + share * (width - 96)) * len(pixels) / width
        assert bytes(pixels[int(x)].tolist()).hex().upper() == colour


def test_the_keyboard_does_what_the_mouse_does(opened, path, prediction):
    tab = opened(path)
    tab.focus("#signals")
    for key in ("ArrowRight", "ArrowRight", "+"):
        tab.keyboard.press(key)
    rows = len(prediction.seconds)
    assert view(tab)[1] - view(tab)[0] == pytest.approx(rows / 2, abs=2)
    tab.keyboard.press("ArrowLeft")
    assert tab.get_attribute("#readout", "aria-live") == "polite"
    before = view(tab)
    tab.keyboard.press("PageDown")
    assert view(tab)[0] > before[0]
    tab.keyboard.press("Home")
    assert view(tab) == (0, rows)
    for _ in range(20):
        tab.keyboard.press("+")
    assert view(tab)[1] - view(tab)[0] == 10


def test_the_wheel_scrolls_the_page_until_the_picture_was_clicked(opened, path, prediction):
    tab = opened(path)
    tab.locator("#signals").scroll_into_view_if_needed()
    tab.mouse.move(*place(tab, 0.5))
    tab.mouse.wheel(0, -200)
    tab.wait_for_timeout(100)
    assert view(tab) == (0, len(prediction.seconds))
    tab.mouse.click(*place(tab, 0.5))
    tab.mouse.wheel(0, -200)
    tab.wait_for_function("document.getElementById('zoom').dataset.first > 0")
    assert view(tab)[1] - view(tab)[0] < 0.6 * len(prediction.seconds)


def test_the_ribbon_leads_to_the_hour_that_is_clicked(opened, path, prediction):
    tab = opened(path)
    box = tab.locator("#days").bounding_box()
    x, _ = place(tab, 2.5 / 24, "#days")  # half past two, on the line of the second time
    scale = box["width"] / 994
    tab.mouse.click(x, box["y"] + (8 + 2 * 42 + 17) * scale)
    first, stop = view(tab)
    middle = prediction.seconds["time"][(first + stop) // 2]
    assert stop - first == 3600
    assert (middle.hour, middle.fold) == (2, 1)


def test_without_a_script_pictures_and_tables_are_there(opened, path):
    tab = opened(path, ready="#days", java_script_enabled=False)
    assert not tab.locator("#zoom").is_visible()
    assert tab.locator("#days").is_visible()
    assert tab.locator("#minutes-1 tr").count() > 5
    assert tab.get_by_text("Zooming needs JavaScript").is_visible()


def test_it_prints_without_controls(opened, path):
    tab = opened(path)
    assert tab.pdf(format="A4").startswith(b"%PDF")
    tab.emulate_media(media="print")
    assert not tab.locator("#zoom").is_visible()
    assert tab.locator("#days").is_visible()
    wide = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1]


def test_an_odd_name_and_no_date(opened, undated, tmp_path):
    tab = opened(write_report(undated, {}, tmp_path / "odd.html"))
    assert tab.title() == "Activities of <b>&\"x\"/$y$ 'é'</script>"
    tab.mouse.move(*place(tab, 0.5))
    assert tab.locator("#readout").inner_text().startswith("day 1 ")


def test_ten_seconds(opened, prediction, tmp_path):
    part = Recording("short", None, 50.0, prediction.recording.acceleration_g[:500])
    short = type(prediction)(part, prediction.activities, prediction.frames, prediction.seconds[:10])
    seconds = short.seconds.with_columns(time=np.arange(10))
    tab = opened(write_report(type(short)(part, short.activities, short.frames, seconds), {}, tmp_path / "short.html"))
    assert view(tab) == (0, 10)


def test_a_page_of_the_same_bricks_without_a_script(opened, tmp_path):
    """As the page of an evaluation is made: its policy lets its pictures through, and nothing else."""
    dot = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
    parts = table("t", HARTH.names, [HARTH.names]) + figure(dot, "a dot", "caption")
    (tmp_path / "page.html").write_text(page("title", "lead", section("part", parts)), encoding="utf-8")
    tab = opened(tmp_path / "page.html", ready="main")
    assert tab.locator("img").evaluate("image => image.complete")
