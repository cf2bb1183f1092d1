"""The report of odd ladders, in all its forms: few runs or none, diverged ones, many classes, hostile names."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from browser import PATIENCE_S
from click.testing import CliRunner
from conftest import CommandLine
from here import Here
from markdown_it import MarkdownIt
from markdown_it.token import Token
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from stepladder import Ladder, Store, collect, load
from stepladder.cli.main import main
from stepladder.climbing.climbing import climb
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.jit.code import object_cache
from stepladder.errors import StoreError
from stepladder.ladders.ablation import ablate
from stepladder.ladders.ladder import Plan
from stepladder.reporting.html.pictures import MOST_SIDE
from stepladder.reporting.html.vega import vega_script
from stepladder.reporting.writing import ablation_in, report_text, write_report
from stepladder.runs.run import Run, WrongImage
from stepladder.runs.stats import accuracy, typical_run
from stepladder.runs.weight_files import weights_file

FORMS = ("html", "markdown", "json", "csv")
SMALL_PAGE = 3_000_000

HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">"""
TEXTS = {
    "script": HOSTILE,
    "closing": "</script></style></title><!-- ]]>" + HOSTILE,
    "template": "{{ 7*7 }} {% if %} {# #} ${7*7}",
    "markdown": "# a|b\\|c `code` **bold** _it_ [link](javascript:alert(1)) ![i](x) &amp; ~~s~~ #",
    "quotes": "\"double\" 'single' & <b> \\ \\n",
    "languages": "Ziffern für数字 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f9d7",
    "long": "very " + "long" * 100,
    "list": "- 1. [ ] no item",
    "title": "title",
    "__proto__": "__proto__",
}


def toml_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def write_images(
    path: Path, *, n_classes: int, channels: int = 1, size: int = 12, n_train: int = 400, n_test: int = 100
) -> Path:
    """An .npz file of images that can be learnt: a pattern for each class, and noise."""
    rng = np.random.default_rng(n_classes)
    patterns = rng.integers(0, 256, (n_classes, channels, size, size))

    def labelled(n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labels = np.arange(n) % n_classes
        noise = rng.integers(0, 256, (n, channels, size, size))
        return ((patterns[labels] + noise) // 2).astype(np.uint8), labels

    (x_train, y_train), (x_test, y_test) = labelled(n_train), labelled(n_test)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


def make_ladder(
    data_path: Path,
    changes: Sequence[str] = (),
    *,
    names: Sequence[str] = (),
    name: str = "odd",
    about: str = "",
    evaluate_on: str = "test",
    epochs: int = 2,
    accuracy: float = 50,
) -> Ladder:
    """A ladder beside its images: a bottom rung and one for each change."""
    info = data.describe(str(data_path))
    names = names or [f"rung {number}" for number in range(len(changes) + 1)]
    network = ["conv 4 3x3 stride 2 pad 1", "gap", f"linear {info.image.n_classes}"]
    lines = [
        f"name = {toml_text(name)}\nabout = {toml_text(about)}\ndata = {toml_text(data_path.name)}",
        f"evaluate_on = '{evaluate_on}'\nbudget = {{ params = 5000, epochs = 100 }}",
        f"target = {{ accuracy = {accuracy}, last_epochs = 1 }}",
    ]
    recipe = f"recipe = {{ network = {json.dumps(network)}, lr = 0.05, batch_size = 32, epochs = {epochs} }}"
    for rung, what in zip(names, [recipe, *(f"change = {{ {change} }}" for change in changes)], strict=True):
        lines.append(f"[[rung]]\nname = {toml_text(rung)}\nwhy = {toml_text(f'Why {rung}?')}\n{what}")
    path = data_path.with_name(f"ladder-{sha256(repr(lines).encode()).hexdigest()[:8]}.toml")
    path.write_text("\n".join(lines), encoding="utf-8")
    return load(path)


def train(ladder: Plan, store: Store, *, seeds: Sequence[int], engine: str = "jit", rungs: slice = slice(None)) -> None:
    """Real runs, in this process."""
    part = ladder.with_rungs(ladder.rungs[rungs])
    with Here() as executor:
        assert not climb(part, seeds=seeds, store=store, engine=choose_engine(engine)[0], executor=executor)


def save_altered(store: Store, run: Run, **changes: Any) -> None:
    """Keep a record that was never trained, with the weights of one that was."""
    content = weights_file(store.weights(run))
    store.save(run.model_copy(update={**changes, "weights_sha256": sha256(content).hexdigest()}), content)


def page_of(ladder: Ladder, store: Store) -> str:
    return report_text(ladder, store, engine=None, form="html")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    """Four classes of 12 x 12 pixels."""
    return write_images(folder / "four.npz", n_classes=4)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "runs", create=True)


@pytest.fixture(scope="module")
def climbed(images: Path) -> tuple[Ladder, Store]:
    """Three rungs, three seeds, and the ablation."""
    ladder = make_ladder(images, ["dropout = 0.1", "augment = { rotation_deg = 10.0 }"], about="An odd ladder.")
    store = Store.open(images.with_name("climbed"), create=True)
    train(ladder, store, seeds=[1, 2, 3])
    train(ablate(ladder).as_plan, store, seeds=[1, 2, 3])
    return ladder, store


@pytest.fixture(scope="module")
def hostile(folder: Path) -> tuple[Ladder, Store]:
    """A ladder with texts that mean something in HTML, templates, Markdown or Vega."""
    path = write_images(folder / """<script>hacked=1<script>"&'{{ 7*7 }}|`é.npz""", n_classes=2, n_train=40, n_test=20)
    changes, names = [f"lr = 0.0{number}" for number in range(1, len(TEXTS))], list(TEXTS.values())
    ladder = make_ladder(path, changes, names=names, name=TEXTS["closing"], about=" ".join(names))
    store = Store.open(folder / "hostile", create=True)
    train(ladder, store, seeds=[1, 2])
    return ladder, store


# Pages in a browser.

Look = Callable[[str], Page]


@pytest.fixture
def look(browser: Browser, tmp_path: Path) -> Iterator[Look]:
    """Open a page, its charts drawn; the test fails if it complained or asked for anything."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(1000 * PATIENCE_S)

    def opened(html: str) -> Page:
        page, path = context.new_page(), tmp_path / "page.html"
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("requestfailed", lambda asked: complaints.append(asked.url))
        path.write_text(html, encoding="utf-8")
        page.goto(path.as_uri())
        expect(page.locator("[data-chart]:not([data-drawn])")).to_have_count(0, timeout=30_000)
        return page

    yield opened
    context.close()
    assert not complaints


def hover(page: Page, chart: int, *, at: float = 0.95) -> str:
    """What the tooltip of a chart says at a part of its width; 0.95 is the last of a few epochs."""
    place = page.locator(".chart").nth(chart)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.move(box["x"] + at * box["width"], box["y"] + 0.6 * box["height"])
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    return tip.inner_text()


def wide(page: Page) -> bool:
    """Whether a page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_no_runs_at_all(images: Path, store: Store, look: Look) -> None:
    ladder = make_ladder(images, ["dropout = 0.1"])
    page = look(page_of(ladder, store))
    assert "Not climbed yet" in page.locator(".headline").inner_text()
    assert page.locator(".chart, .mistakes, .fields, canvas").count() == 0
    assert page.locator("article").count() == 2
    assert page.locator("article").first.locator(".blocks li").count() == 4
    assert "Train this rung first." in page.locator("article").last.inner_text()


def test_one_seed_of_one_rung_of_one_epoch(images: Path, store: Store, look: Look) -> None:
    ladder = make_ladder(images, epochs=1)
    train(ladder, store, seeds=[5])
    page = look(page_of(ladder, store))
    assert page.locator(".ladder .dot").count() == 1
    assert page.locator(".ladder .interval").count() == 0
    assert "with one seed" in page.locator("article").inner_text()
    assert all(each.endswith("%") for each in page.locator(".ladder .ticks i:not(.aim)").all_inner_texts())
    assert page.locator(".ladder .axis").inner_text() == "final test accuracy"
    assert "ends in an arrow" not in page.locator("#ladder").inner_text()
    assert "One rung alone is compared with nothing." in page.locator("#verdicts").inner_text()
    assert re.search(r"epoch\s*1\n", hover(page, 1, at=0.2))


def test_rungs_without_runs_and_of_other_lengths_and_seeds(images: Path, store: Store, look: Look) -> None:
    ladder = make_ladder(images, ["dropout = 0.1", "epochs = 3", "weight_decay = 0.001"])
    for rung, seeds in ((0, [1, 2, 3]), (2, [3, 7])):
        train(ladder, store, seeds=seeds, rungs=slice(rung, rung + 1))
    html = page_of(ladder, store)
    page = look(html)
    assert [rung.locator(".dot").count() for rung in page.locator(".ladder > li:not(.scale)").all()] == [0, 2, 0, 3]
    for row in page.locator(".ladder > li:not(.scale)").filter(has=page.locator(".interval")).all():
        low, high = map(float, re.findall(r"interval ([\d.]+) to ([\d.]+)", row.inner_text())[0])
        ticks = [float(each.rstrip("%")) for each in page.locator(".ladder .ticks i:not(.aim)").all_inner_texts()]
        arrows = row.locator(".interval").get_attribute("class") or ""
        assert low < ticks[0] or "low" not in arrows
        assert high > ticks[-1] or "high" not in arrows
    assert page.locator(".interval.low, .interval.high").count() > 0, "the interval of two seeds is wide"
    assert "ends in an arrow goes on beyond the picture" in page.locator("#ladder").inner_text()
    tip = hover(page, 0)
    assert re.search(r"epoch\s*3", tip)
    assert re.search(r"1\. rung 0\s*–", tip)
    assert "undefined" not in tip
    assert "not decided yet: 'rung 1' is not trained yet" in page.locator("#verdicts").inner_text()
    assert "1, 2, 3, 7" in page.locator(".provenance").inner_text()
    assert [each.inner_text() for each in page.locator("article").nth(2).locator("[data-seeds] option").all()] == [
        "all seeds together",
        "seed 3",
        "seed 7",
    ]


def test_diverged_runs(images: Path, store: Store, look: Look) -> None:
    ladder = make_ladder(images, ["lr = 1e38", "dropout = 0.1"])
    train(ladder, store, seeds=[1, 2])
    runs = collect(ladder, store).rungs
    assert all(run.diverged_at_epoch for rung in runs[1:] for run in rung.runs)
    seed_3 = runs[0].runs[0].identity.model_copy(update={"seed": 3})
    save_altered(
        store, runs[0].runs[0], identity=seed_3, epochs=runs[0].runs[0].epochs[:1], diverged_at_epoch=2, wrong_images=()
    )
    for form in FORMS:
        assert report_text(ladder, store, engine=None, form=form)
    page = look(page_of(ladder, store))
    first, second = (page.locator("article").nth(k) for k in (0, 1))
    assert "Diverged: seed 3 at epoch 2." in first.inner_text()
    assert first.locator("select[data-seeds] option").count() == 3
    assert first.locator(".fields figure").count() == 3
    assert second.locator(".mistakes, .fields").count() == 0
    assert "2 of 2 runs diverged" in second.inner_text()
    assert "held in" in page.locator(".ladder").inner_text()
    assert re.search(r"\bnan\b|undefined|None", page.locator("main").inner_text()) is None
    assert not wide(page)


@pytest.mark.parametrize("n_classes", [2, 62])
def test_few_and_many_classes(folder: Path, store: Store, look: Look, n_classes: int) -> None:
    path = write_images(folder / f"{n_classes}.npz", n_classes=n_classes, n_test=310)
    ladder = make_ladder(path, accuracy=100)
    train(ladder, store, seeds=[1, 2])
    html = page_of(ladder, store)
    assert len(html.encode()) < SMALL_PAGE
    page, runs = look(html), collect(ladder, store).rungs[0].runs
    expected = sum(np.array(run.final.confusion) for run in runs if run.final)
    cells = page.locator(".confusion tbody td").all_inner_texts()
    shown = np.array([int(cell.replace(",", "") or 0) for cell in cells]).reshape(n_classes, n_classes)
    assert (shown == expected).all()
    assert page.locator("[data-bars] li").count() == n_classes
    assert 0 < page.locator("[data-example]").count() <= 10
    page.locator("[data-example]").last.click()
    assert re.fullmatch(r"\d+, says the network\.", page.locator("[data-answer]").inner_text())
    assert not wide(page)


def many_mistakes(ladder: Ladder, store: Store, *, n_seeds: int, n_wrong: int) -> None:
    """Records as a large test split leaves them, for each rung: what a real run shows, with this many images wrong."""
    train(ladder, store, seeds=[1], rungs=slice(1))
    (run,) = collect(ladder, store).rungs[0].runs
    test = data.load(ladder.data).test
    n_classes = int(test.labels.max()) + 1
    rng = np.random.default_rng(1)
    for rung in ladder.rungs:
        for seed in range(1, n_seeds + 1):
            wrong = np.sort(rng.choice(len(test), n_wrong, replace=False))
            predicted = test.labels.copy()
            predicted[wrong] = (test.labels[wrong] + rng.integers(1, n_classes, n_wrong)) % n_classes
            confusion = np.zeros((n_classes, n_classes), int)
            np.add.at(confusion, (test.labels, predicted), 1)
            counts = {"n_correct": len(test) - n_wrong, "confusion": tuple(map(tuple, confusion.tolist()))}
            save_altered(
                store,
                run,
                identity=run.identity.model_copy(update={"recipe": rung.recipe, "seed": seed}),
                epochs=(*run.epochs[:-1], run.epochs[-1].model_copy(update=counts)),
                wrong_images=tuple(
                    WrongImage(index=int(k), label=int(test.labels[k]), predicted=int(predicted[k]), probability=0.9)
                    for k in wrong
                ),
            )


def test_vegas_scripts_are_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = vega_script()
    assert "window.vegaEmbed=" in made
    (key,) = [path.name for path in object_cache.folder().glob("[!.]*") if path.read_bytes().endswith(made.encode())]
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    object_cache.write(key, b"other scripts")
    assert vega_script() == "other scripts"
    (object_cache.folder() / key).chmod(0o666)  # whose they are now nobody knows
    assert vega_script() == made
    assert object_cache.read(key) == made.encode()


def test_a_page_of_many_classes_seeds_and_mistakes_is_small(folder: Path, store: Store, look: Look) -> None:
    path = write_images(folder / "many.npz", n_classes=62, size=28, n_train=620, n_test=6200)
    ladder = make_ladder(path, ["lr = 0.04"], epochs=1)
    many_mistakes(ladder, store, n_seeds=8, n_wrong=2000)
    html = page_of(ladder, store)
    assert len(html.encode()) < SMALL_PAGE
    page = look(html)
    rung, result = page.locator("article").last, collect(ladder, store).rungs[-1]
    assert "Left out: " in rung.inner_text()
    shown = rung.locator(".images figure").count()
    assert shown > 50
    assert rung.locator("[data-shown]").inner_text() == f"{shown} of {shown} images"
    everything = sum(run.final.n_evaluated for run in result.runs if run.final)
    cells = rung.locator(".confusion tbody td").all_inner_texts()
    assert sum(int(cell.replace(",", "") or 0) for cell in cells) == everything
    assert rung.locator("select[data-seeds]").count() == 0  # nothing to choose
    assert f"Final epoch of all {len(result.runs)} seeds together" in rung.inner_text()


def test_of_colour_images_one_is_dropped_not_drawn(folder: Path, store: Store, look: Look) -> None:
    ladder = make_ladder(write_images(folder / "rgb.npz", n_classes=3, channels=3), ["dropout = 0.1"], accuracy=100)
    train(ladder, store, seeds=[1, 2])
    page = look(page_of(ladder, store))
    headings = page.locator("h2").all_inner_texts()
    assert headings == ["The ladder", "Verdicts", "Curves", "The rungs", "Drop an image", "Budget", "Provenance"]
    assert page.locator("nav > ul > li > a").count() == 7
    assert page.locator("[data-drawing] canvas.paper").get_attribute("role") == "img"
    assert page.locator("nav ol a").count() == page.locator("article").count()
    assert page.locator(".fields figure").count() == 6
    assert page.locator(".images figure").count() > 0
    assert "3 × 12 × 12" in page.locator(".blocks").first.inner_text()


def test_pictures_of_large_images_are_shrunk(folder: Path, store: Store) -> None:
    path = write_images(folder / "large.npz", n_classes=2, size=160, n_train=40, n_test=20)
    ladder = make_ladder(path, accuracy=100)
    train(ladder, store, seeds=[1])
    html = page_of(ladder, store)
    assert len(html) < SMALL_PAGE
    gallery = re.findall(r'<figure data-pairs.*?src="data:image/png;base64,([^"]*)"', html)
    assert gallery
    assert max(map(len, gallery)) < 1.5 * MOST_SIDE**2


def test_evaluated_on_dev(images: Path, store: Store, look: Look) -> None:
    ladder = make_ladder(images, evaluate_on="dev", accuracy=100)
    train(ladder, store, seeds=[1, 2])
    page = look(page_of(ladder, store))
    assert "dev accuracy, mean" in page.locator(".facts").inner_text()
    assert "the last 66 of the training images; the test images were not looked at" in page.locator("main").inner_text()
    run = typical_run(collect(ladder, store).rungs[0].runs)
    assert run is not None
    assert {image.index for image in run.wrong_images} <= set(range(66))


def test_hostile_texts_are_shown_as_written(hostile: tuple[Ladder, Store], look: Look) -> None:
    ladder, store = hostile
    page = look(page_of(ladder, store))
    assert page.title() == f"{ladder.name} – Stepladder"
    assert page.locator("h1").inner_text() == ladder.name
    assert page.locator(".about").inner_text() == ladder.about
    for heading, (step, rung) in zip(page.locator("h3").all(), enumerate(ladder.rungs, 1), strict=False):
        assert heading.inner_text().removeprefix(str(step)).strip() == rung.name
    said = page.locator("main").inner_text()
    assert all(f"Why {text}?" in said for text in TEXTS.values())
    assert Path(ladder.data).stem in page.locator(".provenance").inner_text()
    tip = hover(page, 0)
    assert all(f"{step}. {rung.name}" in tip for step, rung in enumerate(ladder.rungs, 1))
    legend = page.locator(".chart").first.text_content() or ""
    assert all(f"{step}. {rung.name}"[:30] in legend for step, rung in enumerate(ladder.rungs, 1))
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src='x']").count() == 0
    assert not wide(page)


# Markdown.


def parsed(markdown: str) -> list[Token]:
    """As GitHub reads it, nearly: CommonMark with tables and strikethrough. All rows of a table are equally long."""
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)


def words(token: Token) -> str:
    """What an inline token shows; nothing but text and bold text is expected."""
    assert {child.type for child in token.children or ()} <= {"text", "strong_open", "strong_close"}, token.content
    return "".join(child.content for child in token.children or ())


def texts(tokens: Sequence[Token], opening: str) -> list[str]:
    """What stands in all headings, paragraphs or cells, as ``opening`` calls them."""
    return [words(after) for token, after in pairwise(tokens) if token.type == opening]


def tables(tokens: Sequence[Token]) -> list[list[list[str]]]:
    """The cells of all tables, by row, with the header first."""
    found: list[list[list[str]]] = []
    for token, after in pairwise(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            found[-1][-1].append(words(after))
    return found


def test_markdown_is_whole(climbed: tuple[Ladder, Store]) -> None:
    ladder, store = climbed
    markdown = report_text(ladder, store, engine=None, form="markdown")
    tokens = parsed(markdown)
    headings = texts(tokens, "heading_open")
    of_rungs = [[f"{step}. {rung.name}", "Targets", "Results", "Analysis"] for step, rung in enumerate(ladder.rungs, 1)]
    expected = ["odd", "Verdicts", "The rungs", *chain(*of_rungs), "Receptive fields", "Provenance"]
    assert headings == expected
    levels = [int(token.tag[1]) for token in tokens if token.type == "heading_open"]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    results, verdicts, targets, down, layers = tables(tokens)
    assert [row[0] for row in results[1:]] == [row[0] for row in targets[1:]] == [rung.name for rung in ladder.rungs]
    assert [row[0] for row in verdicts[1:]] == [row[0] for row in down[1:]] == [rung.name for rung in ladder.rungs[1:]]
    network = ladder.rungs[0].network(data.describe(ladder.data).image)
    names = ("in_size", "kernel", "padding", "stride", "out_size", "jump_in", "jump_out", "rf_in", "rf_out")
    assert [[int(cell) for cell in row[3:12]] for row in layers[1:]] == [
        [getattr(row, name) for name in names] for row in network.rows
    ]
    assert "rung 0, rung 1, rung 2: 64 parameters" in markdown


def test_a_climb_up_says_nothing_of_the_way_down(images: Path, store: Store) -> None:
    ladder = make_ladder(images, ["dropout = 0.1", "weight_decay = 0.001"])
    train(ladder, store, seeds=[1, 2])
    assert ablation_in(collect(ladder, store), store) == (None, None)
    assert "at the top" not in report_text(ladder, store, engine=None, form="markdown")


def test_markdown_shows_texts_as_written(hostile: tuple[Ladder, Store]) -> None:
    ladder, store = hostile
    markdown = report_text(ladder, store, engine=None, form="markdown")
    tokens = parsed(markdown)
    assert not [token for token in tokens if token.type in ("html_block", "fence", "code_block", "blockquote_open")]
    headings, paragraphs = texts(tokens, "heading_open"), texts(tokens, "paragraph_open")
    assert headings[0] == ladder.name
    assert paragraphs[0] == ladder.about
    for step, rung in enumerate(ladder.rungs, 1):
        assert f"{step}. {rung.name}" in headings
        assert rung.why in paragraphs
    results = tables(tokens)[0]
    assert [row[0] for row in results[1:]] == [rung.name for rung in ladder.rungs]
    assert {len(row) for row in results} == {9}


# JSON and CSV.


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def read_json(ladder: Ladder, store: Store) -> dict[str, Any]:
    body = json.loads(report_text(ladder, store, engine=None, form="json"), parse_constant=refuse)
    assert isinstance(body, dict)
    return body


def read_csv(ladder: Ladder, store: Store) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report_text(ladder, store, engine=None, form="csv"), newline="")))


def test_json_holds_everything_unrounded(climbed: tuple[Ladder, Store]) -> None:
    ladder, store = climbed
    body, results = read_json(ladder, store), collect(ladder, store)
    assert body["schema_version"] == 2
    assert (body["ladder"], body["about"]) == (ladder.name, ladder.about)
    for record, result in zip(body["rungs"], results.rungs, strict=True):
        finals = [run.final for run in result.runs if run.final]
        assert record["test_final_mean"] == float(mean(map(accuracy, finals)))
        assert np.sum(record["confusion"]) == sum(final.n_evaluated for final in finals)
        assert np.trace(record["confusion"]) == sum(final.n_correct for final in finals)
        wrong = Counter(image.index for run in result.runs for image in run.wrong_images)
        assert {each["index"]: each["n_wrong"] for each in record["wrong_images"]} == wrong
        assert record["runs"] == [json.loads(json.dumps(run.numbers())) for run in result.runs]
        assert record["recipe"]["dropout"] == result.rung.recipe.dropout
        assert all(record["notes"].values())
    assert len(body["comparisons"]) == len(body["down"]["at_the_top"]) == 2
    assert body["provenance"]["Seeds"] == "1 to 3"


def test_csv_has_a_row_for_each_epoch(climbed: tuple[Ladder, Store]) -> None:
    ladder, store = climbed
    runs = [(each.rung.name, run) for each in collect(ladder, store).rungs for run in each.runs]
    epochs = [(name, run, number, epoch) for name, run in runs for number, epoch in enumerate(run.epochs, 1)]
    for row, (name, run, number, epoch) in zip(read_csv(ladder, store), epochs, strict=True):
        assert (row["ladder"], row["rung"], row["split"]) == ("odd", name, "test")
        assert (int(row["seed"]), int(row["epoch"])) == (run.identity.seed, number)
        assert int(row["params"]) == 64
        assert row["engine"] == run.identity.engine.tag
        for field in ("n_train", "n_train_correct", "n_evaluated", "n_correct"):
            assert int(row[field]) == getattr(epoch, field)
        for field in ("train_loss", "loss", "train_s", "evaluate_s"):
            assert float(row[field]) == getattr(epoch, field)


def test_texts_come_back_from_json_and_csv(hostile: tuple[Ladder, Store]) -> None:
    ladder, store = hostile
    body, names = read_json(ladder, store), [rung.name for rung in ladder.rungs]
    assert (body["ladder"], body["about"]) == (ladder.name, ladder.about)
    assert [(each["name"], each["why"]) for each in body["rungs"]] == [(rung.name, rung.why) for rung in ladder.rungs]
    assert f"{Path(ladder.data).stem}, SHA-256" in body["provenance"]["Images"]
    rows = read_csv(ladder, store)
    in_cells = [f"'{name}" if name == TEXTS["list"] else name for name in names]  # a spreadsheet would compute - 1
    assert list(dict.fromkeys(row["rung"] for row in rows)) == in_cells
    assert {row["ladder"] for row in rows} == {ladder.name}


# Engines.


@pytest.fixture(scope="module")
def two_engines(images: Path) -> tuple[Ladder, Store]:
    ladder = make_ladder(images, ["dropout = 0.1"], name="two engines", epochs=1)
    store = Store.open(images.with_name("two-engines"), create=True)
    train(ladder, store, seeds=[1, 2, 3], engine="jit")
    train(ladder, store, seeds=[1, 2], engine="torch", rungs=slice(1))
    return ladder, store


@pytest.mark.parametrize(("engine", "n_runs", "other"), [("jit", 6, "2 runs by torch"), ("torch", 2, "6 runs by jit")])
def test_engines_are_kept_apart(two_engines: tuple[Ladder, Store], engine: str, n_runs: int, other: str) -> None:
    ladder, store = two_engines
    body = json.loads(report_text(ladder, store, engine=engine, form="json"))
    assert body["engine"]["name"] == engine
    assert sum(len(each["runs"]) for each in body["rungs"]) == n_runs
    assert all(run["identity"]["engine"]["name"] == engine for each in body["rungs"] for run in each["runs"])
    assert body["n_test_looks"] == 8
    rows = csv.DictReader(io.StringIO(report_text(ladder, store, engine=engine, form="csv")))
    assert {row["engine"].split("-")[0] for row in rows} == {engine}
    for form in ("html", "markdown"):
        assert f"Kept apart: {other}" in report_text(ladder, store, engine=engine, form=form)


def test_an_engine_without_runs_is_refused(two_engines: tuple[Ladder, Store], stepladder: CommandLine) -> None:
    ladder, store = two_engines
    done = stepladder("report", ladder.source, "--store", store.folder, "--engine", "abacus")
    assert done.returncode == 2
    assert "no stored run of an engine 'abacus'; there are runs of jit" in done.stderr
    done = stepladder("report", ladder.source, "--store", store.folder, "--engine", "torch cpu", "--format", "csv")
    assert done.returncode == 0
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 2


# Files.


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist-8k", "mnist-8k-report.html"),
        ("a/b\\c d", "a-b-c-d-report.html"),
        ("../../etc/passwd", "etc-passwd-report.html"),
        ("數字 ?!", "ladder-report.html"),
        (".-.", "ladder-report.html"),
        ("x" * 300, f"{'x' * 100}-report.html"),
    ],
)
def test_default_names(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str) -> None:
    monkeypatch.chdir(tmp_path)
    ladder = make_ladder(images, name=name)
    assert write_report("a report", ladder, output=None) == Path(file)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    with pytest.raises(StoreError, match="is no report of Stepladder's"):
        write_report("another", ladder, output=None)
    assert (tmp_path / file).read_text() == "a report"


def test_what_cannot_be_written_is_said(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ladder, file = make_ladder(images), tmp_path / "file"
    file.write_text("no folder")
    (tmp_path / "odd-report.html").mkdir()
    for output in (str(file / "report.html"), str(tmp_path), None):
        with pytest.raises(StoreError, match=r"cannot write .*: give another file with path="):
            write_report("a report", ladder, output=output)
    with pytest.raises(StoreError, match="an empty path is no file"):
        write_report("a report", ladder, output="")
    assert write_report("caf\udce9", ladder, output="new/folder/r.html").read_text() == "caf?"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new", "odd-report.html"]


def test_the_command_writes_its_own_page_again_and_no_other(
    climbed: tuple[Ladder, Store], stepladder: CommandLine, tmp_path: Path
) -> None:
    ladder, store = climbed
    command = ("report", ladder.source, "--store", store.folder)
    page, first = tmp_path / "odd-report.html", stepladder(*command)
    assert (first.returncode, first.stdout, first.stderr) == (0, "odd-report.html\n", "")
    content = page.read_bytes()
    assert content.decode() == page_of(ladder, store)
    page.write_bytes(content[:3000])
    assert stepladder(*command, "-o", "-").stdout == content.decode()
    assert stepladder(*command).returncode == 0
    assert page.read_bytes() == content
    page.write_text("my own notes")
    refused = stepladder(*command)
    assert refused.returncode == 2
    assert "odd-report.html is there already and is no report of Stepladder's: give another" in refused.stderr
    assert page.read_text() == "my own notes"


@pytest.mark.parametrize(
    ("output", "form"),
    [("r.html", "csv"), ("r.HTM", "markdown"), ("r.csv", "html"), ("r.md", "json"), ("r.json", "csv")],
)
def test_a_form_that_the_ending_contradicts_is_refused(
    climbed: tuple[Ladder, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, form: str
) -> None:
    ladder, store = climbed
    monkeypatch.chdir(tmp_path)
    command = ["report", ladder.source, "--store", str(store.folder), "-o", output]
    result = CliRunner().invoke(main, [*command, "--format", form], standalone_mode=False)
    assert isinstance(result.exception, StoreError)
    suffix = {"markdown": "md"}.get(form, form)
    assert str(result.exception).endswith(f"leave --format out, or give a file that ends in .{suffix}")
    assert not list(tmp_path.iterdir())
    assert CliRunner().invoke(main, command).exit_code == 0, "without --format"
    named = f"r.{suffix}"
    assert CliRunner().invoke(main, [*command[:-1], named, "--format", form]).exit_code == 0


@pytest.mark.parametrize("form", ["markdown", "json", "csv"])
def test_other_forms_go_to_stdout(
    climbed: tuple[Ladder, Store], stepladder: CommandLine, tmp_path: Path, form: str
) -> None:
    ladder, store = climbed
    done = stepladder("report", ladder.source, "--store", store.folder, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip("\n") == report_text(ladder, store, engine=None, form=form).rstrip("\n")
    assert done.stdout.endswith("\n")
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_is_missing(images: Path, stepladder: CommandLine, tmp_path: Path) -> None:
    ladder, store = make_ladder(images), Store.open(tmp_path / "runs", create=True)
    done = stepladder("report", ladder.source, "--store", tmp_path / "nowhere")
    assert done.returncode == 2
    assert f"no runs at {tmp_path / 'nowhere'}: climb first" in done.stderr
    done = stepladder("report", ladder.source, "--store", store.folder, "--format", "csv", "-o", "/proc/r.csv")
    assert done.returncode == 2
    assert "cannot write /proc/r.csv" in done.stderr
    copy = tmp_path / "ladder.toml"
    copy.write_text(Path(ladder.source).read_text())
    done = stepladder("report", copy, "--store", store.folder)
    assert done.returncode == 4
    assert "no data at" in done.stderr
    (tmp_path / images.name).write_bytes(images.read_bytes()[:500])
    done = stepladder("report", copy, "--store", store.folder, "--format", "json")
    assert done.returncode == 4
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_damaged_record_is_left_out_and_said(images: Path, stepladder: CommandLine, tmp_path: Path) -> None:
    ladder, store = make_ladder(images, ["dropout = 0.1"], epochs=1), Store.open(tmp_path / "runs", create=True)
    train(ladder, store, seeds=[1, 2])
    record = next(store.folder.glob("*/seed-2.*.json"))
    record.write_bytes(record.read_bytes()[:-100])
    done = stepladder("report", ladder.source, "--store", store.folder, "--format", "json")
    assert done.returncode == 0
    assert done.stderr.count("note: ") == 1
    assert f"{record} is damaged" in done.stderr
    assert sorted(len(each["runs"]) for each in json.loads(done.stdout)["rungs"]) == [1, 2]
    assert record.exists()
