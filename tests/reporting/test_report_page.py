"""The report in a real browser: from disk, without a network, by mouse and keyboard, and its accessibility checked."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import PATIENCE_S
from conftest import Once
from numpy.typing import NDArray
from oracle import NETWORKS, recipe_of
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from targets import require_in_page

from stepladder import Store, collect, load
from stepladder.climbing.climbing import climb
from stepladder.datasets import data
from stepladder.datasets.image_set import Labelled
from stepladder.engines import choose_engine
from stepladder.engines.training import initial_arrays, weights
from stepladder.networks.geometry import ImageShape
from stepladder.networks.reference import activations, normalised
from stepladder.reporting.html.html_page import html_page
from stepladder.reporting.html.page_networks import network_record
from stepladder.reporting.numbers import percent
from stepladder.reporting.writing import ablation_in
from stepladder.runs.results import Results
from stepladder.runs.stats import typical_run

SHORT = 1  # epochs: enough for digits drawn with care
SMALL = ["conv 8 3x3 stride 2", "conv 8 3x3 stride 2", "conv 16 3x3 bare", "gap", "linear 32", "linear 10"]

LADDER = """\
name = "short"
about = "A small network and the last of mnist-8k, for one epoch."
data = "mnist"
evaluate_on = "test"
budget = {{ params = 10_000, epochs = 15 }}
target = {{ accuracy = 98.0, last_epochs = 1 }}

[[rung]]
name = "skeleton"
why = "Does it learn?"
[rung.recipe]
network = {first}
epochs = {epochs}

[[rung]]
name = "rotation"
why = "Tilted digits."
change.augment = {{ rotation_deg = 10.0 }}

[[rung]]
name = "receptive field"
why = "See more."
change.network = {last}
"""


def results_in(folder: Path) -> tuple[Results, Store]:
    ladder, store = load(folder / "short.toml"), Store.open(folder / "runs", create=True)
    return collect(ladder, store), store


@pytest.fixture(scope="module")
def trained_in(once: Once) -> Path:
    """A folder with a ladder, its runs (real digits, real networks, two seeds) and their page."""

    def make(folder: Path) -> None:
        first, last = json.dumps(SMALL), json.dumps(NETWORKS["receptive-field"])
        (folder / "short.toml").write_text(LADDER.format(first=first, last=last, epochs=SHORT))
        store = Store.open(folder / "runs", create=True)
        engine, _ = choose_engine("jit")
        assert not climb(load(folder / "short.toml"), seeds=[1, 2], store=store, engine=engine)
        results, store = results_in(folder)
        ablation, down = ablation_in(results, store)
        page = html_page(results, store=store, ablation=ablation, down=down)
        (folder / "report.html").write_text(page, encoding="utf-8")

    return once("report-page", make)


@pytest.fixture(scope="module")
def trained(trained_in: Path) -> tuple[Results, Store]:
    return results_in(trained_in)


@pytest.fixture(scope="module")
def file(trained_in: Path) -> Path:
    return trained_in / "report.html"


@contextmanager
def opened(
    browser: Browser, file: Path, *, scheme: Literal["light", "dark"] = "light", width: int = 1280
) -> Iterator[tuple[Page, list[str]]]:
    """The report, its charts drawn; and what the page complained of and asked for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: complaints.append(asked.url) if not asked.url.startswith(("file:", "data:", "blob:")) else None,
    )
    page.goto(file.as_uri())
    expect(page.locator("[data-chart]:not([data-drawn])")).to_have_count(0, timeout=30_000)
    yield page, complaints
    context.close()


@pytest.fixture
def page(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The report, its charts drawn; the test fails if the page complained or asked for anything."""
    scheme: Literal["light", "dark"]
    scheme, width = getattr(request, "param", ("light", 1280))
    with opened(browser, file, scheme=scheme, width=width) as (each, complaints):
        yield each
    assert not complaints


@pytest.fixture(scope="module")
def opened_once(browser: Browser, file: Path) -> Iterator[tuple[Page, list[str]]]:
    with opened(browser, file) as found:
        yield found


@pytest.fixture
def still(opened_once: tuple[Page, list[str]]) -> Iterator[Page]:
    """As ``page``, for tests that read and change nothing: opened once, because to draw its charts takes seconds."""
    each, complaints = opened_once
    yield each
    assert not complaints


def test_the_page_is_whole_and_small(still: Page, file: Path) -> None:
    headings = still.locator("h2").all_inner_texts()
    assert headings == ["The ladder", "Verdicts", "Curves", "The rungs", "Draw a digit", "Budget", "Provenance"]
    assert still.locator("article").count() == 3
    assert still.locator(".chart svg").count() == 7
    assert file.stat().st_size < 3_000_000
    text = file.read_text("utf-8")
    assert not re.search(
        r"""(?:src|href)=["'](?!data:|#)""", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    )


def test_it_says_what_the_runs_say(still: Page, trained: tuple[Results, Store]) -> None:
    results, _ = trained
    for shown, result in zip(reversed(still.locator(".ladder > li:not(.scale)").all()), results.rungs, strict=True):
        target = result.rung.target.accuracy
        assert percent(result.summary.final_mean, target=target) in shown.locator(".result").inner_text()
        assert shown.locator(".dot").count() == 2
    top = still.locator("article").last
    assert "sees 32 px" in top.locator(".fields").inner_text()
    assert "conv 8 3x3 pad 1" in top.locator(".change .in").first.inner_text()


def test_hovering_shows_values(page: Page, trained: tuple[Results, Store]) -> None:
    chart = page.locator("article .chart").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    said = tip.inner_text()
    result = trained[0].rungs[0]
    assert re.search(rf"epoch\s*{SHORT}\n", said)
    assert percent(result.summary.final_mean, target=result.rung.target.accuracy) in said


def test_a_mistake_in_the_matrix_filters_the_gallery(page: Page) -> None:
    rung = page.locator("article").first
    button = rung.locator(".confusion button").first
    label, predicted = re.findall(r"\d+", button.get_attribute("aria-label") or "")[:2]
    everything = rung.locator(".images figure:visible").count()
    button.click()
    shown = rung.locator(".images figure:visible")
    assert 0 < shown.count() < everything
    for image in shown.all():
        assert f"{label}-{predicted}" in (image.get_attribute("data-pairs") or "").split()
    assert rung.locator("[data-shown]").inner_text() == f"{shown.count()} of {everything} images"
    rung.locator("select[data-pair]").select_option("")
    rung.locator("select[data-least]").select_option("2")
    for image in rung.locator(".images figure:visible").all():
        assert image.get_attribute("data-wrong") == "2"


def test_the_matrix_of_one_seed_and_of_all(page: Page, trained: tuple[Results, Store]) -> None:
    rung, runs = page.locator("article").first, trained[0].rungs[0].runs
    matrices = [np.array(run.final.confusion) for run in runs if run.final]

    def shown() -> NDArray[np.int64]:
        cells = rung.locator(".confusion tbody td").all_inner_texts()
        return np.array([int(cell.replace(",", "") or 0) for cell in cells]).reshape(10, 10)

    assert (shown() == sum(matrices)).all()
    rung.locator("select[data-seeds]").select_option("2")
    assert (shown() == matrices[1]).all()


STROKES = {
    0: [[(140 + 62 * np.sin(t), 140 - 90 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 40)]],
    1: [[(145, 45), (140, 140), (135, 235)]],
    7: [[(75, 60), (140, 62), (205, 58), (170, 140), (130, 235)]],
}


@pytest.mark.parametrize("digit", STROKES)
def test_a_digit_drawn_with_the_mouse_is_recognised(page: Page, digit: int) -> None:
    canvas = page.locator("canvas.paper")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    for stroke in STROKES[digit]:
        page.mouse.move(box["x"] + stroke[0][0], box["y"] + stroke[0][1])
        page.mouse.down()
        for x, y in stroke[1:]:
            page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
        page.mouse.up()
    page.locator(f"[data-answer='{digit}']").wait_for(state="attached")
    assert page.locator(".bars .best").inner_text().startswith(str(digit))
    page.locator("[data-clear]").click()
    assert page.locator("[data-answer]").get_attribute("data-answer") == ""


def test_a_digit_drawn_with_the_keyboard_is_recognised(page: Page) -> None:
    canvas = page.locator("canvas.paper")
    canvas.focus()
    page.keyboard.press("Escape")
    for key, times in (("ArrowUp", 12), ("Shift+ArrowDown", 26)):
        for _ in range(times):
            page.keyboard.press(key)
    page.locator("[data-answer='1']").wait_for(state="attached")


def js_activations(page: Page, record: str, pixels: NDArray[np.uint8], *, first: int = 0) -> list[NDArray[np.float64]]:
    """The page's maps after each layer from the first on for an image; ``record`` is JavaScript for a network's."""
    maps = f"activations(readNetwork({record}), Float32Array.from(pixels)).slice({first})"
    found = page.evaluate(f"(pixels) => {maps}.map((map) => Array.from(map))", pixels.ravel().tolist())
    return [np.array(each) for each in found]


def test_the_javascript_network_answers_as_the_engine(still: Page, trained: tuple[Results, Store]) -> None:
    results, store = trained
    splits = data.splits(data.load("mnist"), n_dev=0)
    run = typical_run(results.rungs[-1].runs)
    assert run is not None
    engine, _ = choose_engine("jit")
    network = run.identity.recipe.network_for(splits.image)
    model = engine.model(network, run.identity.recipe, splits=splits)
    arrays = store.weights(run)
    model.parameters[:] = np.concatenate([arrays[name].ravel() for name in network.parameter_shapes])
    model.set_statistics({name: arrays[name] for name in network.statistic_shapes})
    expected = model.logits(splits.evaluated[:100])
    images = splits.evaluated.images[:100]
    got = np.array([js_activations(still, "data().networks[0]", each, first=-1)[0] for each in images])
    assert np.abs(got - expected).max() < 1e-3
    assert (got.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize(
    ("name", "norm_scale", "height", "width"),
    [
        ("all layers", True, 28, 28),
        ("all layers", False, 28, 28),
        ("windows of two numbers", True, 28, 28),
        ("windows of two numbers", True, 28, 21),
    ],
)
def test_the_javascript_network_knows_every_layer(
    still: Page, name: str, norm_scale: bool, height: int, width: int
) -> None:
    few = data.load("mnist").train[:50]
    cut = Labelled(np.ascontiguousarray(few.images[:, :, :height, :width]), few.labels)
    splits = data.Splits(cut, cut, ImageShape(1, (height, width), 10))
    recipe = recipe_of(name, norm_scale=norm_scale)
    network = recipe.network_for(splits.image)
    require_in_page(network)
    rng = np.random.default_rng(3)
    state = initial_arrays(network, 1)
    state |= {name: array + rng.uniform(0, 0.3, array.shape).astype(np.float32) for name, array in state.items()}
    arrays = weights(network, state)
    record = json.dumps(network_record(network, arrays, splits=splits))
    image = splits.evaluated.images[:1]
    x = normalised(image, pixel_mean=splits.pixel_mean, pixel_std=splits.pixel_std)
    for ours, theirs in zip(js_activations(still, record, image), activations(network, arrays, x=x), strict=True):
        np.testing.assert_allclose(ours, theirs.ravel(), rtol=1e-3, atol=1e-4)


def test_a_drawing_for_images_that_are_not_square_fills_as_much_of_them(still: Page) -> None:
    """A bar across a canvas as wide as the image is to the other side: 20 of 28 parts of its height, in the middle."""
    script = """() => {
        const ink = new Float64Array(320 * 160);
        for (let y = 40; y < 240; y++) for (let x = 20; x < 60; x++) ink[y * 160 + x] = 255;
        return Array.from(preprocessed(ink, [320, 160], [56, 28]));
    }"""
    got = np.array(still.evaluate(script)).reshape(56, 28)
    rows, columns = (np.flatnonzero(got.max(axis) > 100) for axis in (1, 0))
    assert (len(rows), len(columns)) == (40, 8)
    assert abs(rows.mean() - 28) <= 1
    assert abs(columns.mean() - 14) <= 1


def test_a_drawing_is_prepared_as_mnist_was(still: Page) -> None:
    """MNIST's own images, drawn ten times as large and elsewhere on the canvas, come back nearly as they were."""
    script = """([pixels, left, top]) => {
        const ink = new Float64Array(320 * 320);
        pixels.forEach((value, k) => {
            for (let y = 0; y < 10; y++) for (let x = 0; x < 10; x++)
                ink[(10 * Math.floor(k / 28) + y + top) * 320 + 10 * (k % 28) + x + left] = value;
        });
        return Array.from(preprocessed(ink, 320, 28));
    }"""
    images = data.load("mnist").test.images[:50, 0]
    correlations = []
    for number, image in enumerate(images):
        got = np.array(still.evaluate(script, [image.ravel().tolist(), number % 40, (7 * number) % 40]))
        assert got.max() <= 255
        correlations.append(np.corrcoef(got, image.ravel())[0, 1])
    assert np.mean(np.array(correlations) > 0.99) > 0.9  # in some the centre of mass lies between two pixels
    assert still.evaluate("preprocessed(new Float64Array(320 * 320), 320, 28)") is None


def test_a_picture_that_is_dropped_is_made_alike_and_answered(still: Page, tmp_path: Path) -> None:
    """One of the network's size comes as it is; of a wide one all is seen, padded with the colour of its edge."""
    image = data.load("mnist").test.images[0, 0]
    Image.fromarray(image).save(tmp_path / "seven.png")
    still.locator("[data-file]").set_input_files(tmp_path / "seven.png")
    expect(still.locator("[data-answer]")).to_have_text(re.compile("says the network"))
    assert still.evaluate("Array.from(window.drawing.pixels)") == image.ravel().tolist()
    wide = np.full((28, 56), 90, np.uint8)
    wide[10:18, 20:36] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    still.evaluate("document.querySelector('[data-answer]').textContent = 'none yet'")
    still.locator("[data-file]").set_input_files(tmp_path / "wide.png")
    expect(still.locator("[data-answer]")).to_have_text(re.compile("says the network"))
    seen = np.array(still.evaluate("Array.from(window.drawing.pixels)")).reshape(28, 28)
    assert (seen[:7] == 90).all()
    assert (seen[21:] == 90).all()
    assert seen[13:15, 11:17].min() > 250
    (tmp_path / "no.png").write_text("no picture")
    still.locator("[data-file]").set_input_files(tmp_path / "no.png")
    expect(still.locator("[data-answer]")).to_have_text("no.png is no picture that this browser can show.")


@pytest.mark.parametrize("page", [("light", 1280), ("dark", 400)], indirect=True, ids=["light", "dark"])
def test_no_accessibility_violation(page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    found = Axe().run(page).response["violations"]
    assert not [(each["id"], each["impact"], each["nodes"][0]["html"][:200]) for each in found]


NARROW = pytest.mark.parametrize("page", [("light", 400)], indirect=True, ids=["narrow"])


@NARROW
def test_nothing_sticks_out_of_a_narrow_page(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == 400


@NARROW
def test_what_came_out_is_in_sight_on_a_narrow_page(page: Page) -> None:
    """Rows become cards, with the verdict on top; nothing that is said lies beyond the right edge."""
    for cell in page.locator("#verdicts .outcome, #verdicts .cards tbody th").all():
        box = cell.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400
    first = page.locator("#verdicts .cards tbody tr").first
    tops = [each.evaluate("each => each.getBoundingClientRect().top") for each in first.locator("th, td").all()]
    verdict = first.locator(".outcome").evaluate("each => each.getBoundingClientRect().top")
    assert sorted(tops)[:2] == [tops[0], verdict]
    assert page.locator("#verdicts [role=columnheader]").first.inner_text() == "rung"  # still a table to a reader
    right = page.locator(".chart svg").evaluate_all(
        "all => all.map((svg) => Math.max(...[...svg.querySelectorAll('.role-legend text')]"
        ".map((text) => text.getBoundingClientRect().right - svg.getBoundingClientRect().right)))"
    )
    assert max(right) <= 0  # no name of a line is cut


@NARROW
def test_what_is_long_is_closed_on_a_narrow_page_and_open_on_paper(page: Page) -> None:
    parts = page.locator("details.part")
    assert parts.evaluate_all("all => all.some((each) => each.open)") is False
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert parts.evaluate_all("all => all.every((each) => each.open)") is True
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert parts.evaluate_all("all => all.some((each) => each.open)") is False


@pytest.mark.parametrize("page", [("light", 1280), ("dark", 400)], indirect=True, ids=["wide", "narrow"])
def test_the_navigation_stays_and_says_where_one_is(page: Page) -> None:
    for number in (2, 3):
        # not by the mouse: to reach a link, its driver scrolls the page, which moves the list under the pointer
        page.locator(f"nav a[href='#rung-{number}']").evaluate("each => each.click()")
        page.locator(f"nav a[aria-current][href='#rung-{number}']").wait_for()
        nav, rung = page.locator("nav").bounding_box(), page.locator(f"#rung-{number}").bounding_box()
        assert nav
        assert rung
        assert nav["y"] == 0
        assert nav["height"] < 80
        assert nav["y"] + nav["height"] <= rung["y"] < nav["height"] + 60  # not under it


def test_on_paper_headings_stay_with_what_they_head_and_charts_are_whole(page: Page) -> None:
    page.emulate_media(media="print")
    style = "(each) => getComputedStyle(each)"
    for heading in page.locator("h2:visible, h3:visible, h4:visible, h5:visible, #curves > .note").all():
        assert heading.evaluate(f"{style}.breakAfter") == "avoid"
    for whole in page.locator(".chart, .sees, .mistakes, .cards, .notes, tr").all():
        assert whole.evaluate(f"{style}.breakInside") == "avoid"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for chart in page.locator(".chart").all():
        widths = chart.evaluate("each => [each.clientWidth, each.querySelector('svg').getBoundingClientRect().width]")
        assert widths[1] == pytest.approx(widths[0], abs=1)
    assert not page.locator("nav, .save, #draw").first.is_visible()
    n_pages = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
    assert n_pages <= 3 * page.locator("article").count() + 3


def test_a_chart_can_be_saved(page: Page) -> None:
    menu = page.locator("article details.save").first
    menu.locator("summary").click()
    with page.expect_download() as svg:
        menu.get_by_role("button", name="SVG").click()
    text = Path(svg.value.path()).read_text()
    assert svg.value.suggested_filename == "short-1-skeleton-Accuracy-by-epoch.svg"
    assert "target 98.0%" in text
    assert "var(" not in text  # the page's colours, as values
    with page.expect_download() as png:
        menu.get_by_role("button", name="PNG").click()
    assert Path(png.value.path()).read_bytes().startswith(b"\x89PNG")


def test_what_is_aimed_at_and_what_spreads_has_its_name(still: Page) -> None:
    assert still.locator(".ladder .aim").inner_text() == "target 98.0%"
    assert re.search(
        r"sd \d\.\d\d; mean’s 95% interval \d+\.\d\d to \d+\.\d\d", still.locator(".result").first.inner_text()
    )
    assert "target 98.0%" in (still.locator(".chart svg").nth(1).text_content() or "")
    assert "dropout" not in still.locator(".blocks").first.inner_text()  # this ladder has none
    assert "3x3 convolution" in (still.locator("#ladder details").text_content() or "")


def test_a_whole_verdict_is_told_once(still: Page) -> None:
    verdict = still.locator("#verdicts .outcome").first.inner_text().lstrip("? ")
    assert verdict == "not decided yet: 5 seeds are the least that could tell, and there are 2"
    assert still.locator("body").inner_text().count(verdict) == len(
        re.findall(re.escape(verdict), still.locator("#verdicts").inner_text())
    )


def test_the_theme_button(page: Page) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    before = paper()
    page.locator("[data-theme-button]").click()
    assert paper() != before
    page.locator("[data-theme-button]").click()
    assert paper() == before
