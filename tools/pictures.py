"""The README's pictures of a report: ``python tools/pictures.py REPORT.html``, with Chromium and stepladder[test].

The report is that of ``climb mnist-8k --seeds 8`` and ``climb mnist-8k --down --seeds 8``.
"""

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import cos, pi, sin
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

FOLDER = Path(__file__).parent.parent / "docs" / "report"
N_COLOURS = 128  # of a picture's palette: a third of the bytes


@contextmanager
def opened(browser: Browser, report: Path, *, width: int, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    """A report in a window of this width, its charts drawn."""
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    page.wait_for_function("document.querySelectorAll('[data-chart]:not([data-drawn])').length === 0")
    page.locator("details.part").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    page.add_style_tag(content="nav { position: static !important }")  # not over what is larger than the window
    yield page
    context.close()


def keep(what: Locator | Page, name: str) -> None:
    """Save a picture in few colours."""
    picture = Image.open(io.BytesIO(what.screenshot())).convert("RGB")
    FOLDER.mkdir(exist_ok=True)
    picture.quantize(N_COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def draw_three(page: Page) -> None:
    """A 3 by mouse: two arcs."""
    canvas = page.locator("canvas.paper")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    arcs = [(135, 95, 50, -0.75, 1.2), (130, 193, 58, -0.5, 1.25)]
    points = [
        (box["x"] + x + r * cos(pi * (start + part * k / 20)), box["y"] + y + r * sin(pi * (start + part * k / 20)))
        for x, y, r, start, part in arcs
        for k in range(21)
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(x, y, steps=2)
    page.mouse.up()
    page.wait_for_function("document.querySelector('[data-answer]').dataset.answer === '3'")


def hover(page: Page, chart: Locator) -> None:
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    for part in (0.4, 0.55):
        page.mouse.move(box["x"] + part * box["width"], box["y"] + 0.5 * box["height"])
    page.locator("#vg-tooltip-element.visible").wait_for()


def main(report: Path) -> None:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        with opened(browser, report, width=1280, scheme="light") as page:
            keep(page.locator("#ladder"), "ladder")
            top = page.locator("article").last
            keep(top.locator(".mistakes"), "gallery")
            keep(top.locator(".fields"), "fields")
            keep(top.locator(".notes"), "notes")
            draw_three(page)
            keep(page.locator("#draw"), "draw")
            chart = top.locator(".chart").first
            hover(page, chart)
            keep(top.locator(".two"), "curves")
        with opened(browser, report, width=400, scheme="dark") as page:
            page.locator("#ladder").scroll_into_view_if_needed()
            keep(page, "narrow-ladder")
            draw_three(page)
            page.locator("#draw").evaluate("each => each.scrollIntoView()")
            keep(page, "narrow-draw")
            page.locator("article .mistakes").last.evaluate("each => each.scrollIntoView()")
            keep(page, "narrow-mistakes")
            page.locator("article .two").last.evaluate("each => each.scrollIntoView()")
            keep(page, "narrow-curves")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
