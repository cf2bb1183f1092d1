"""The report as one self-contained HTML page: no file beside it, no network, no server.

The template, style and scripts in page/ lay out what is put together here; Vega's scripts are vega.py's.
"""

import json
from base64 import b64encode
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stepladder import __version__
from stepladder._base.plain import neutral
from stepladder.analysis.attempts import Tried, tried
from stepladder.analysis.comparing import Comparison, compare, compare_with_top
from stepladder.datasets import data
from stepladder.datasets.data import Splits
from stepladder.datasets.sources import DataInfo
from stepladder.datasets.spec import spec_of
from stepladder.ladders.ablation import Ablation
from stepladder.ladders.checking import CheckedRung, check_rungs
from stepladder.ladders.evaluated import data_identity, splits_for
from stepladder.networks.effective_field import EffectiveField, effective_fields
from stepladder.networks.geometry import Network
from stepladder.networks.sides import is_line
from stepladder.recipes.recipe import SHORTHAND
from stepladder.reporting.html.charts import Spec, ladder_chart, ladder_epochs_table
from stepladder.reporting.html.ladder_picture import ladder_picture
from stepladder.reporting.html.network_picture import face
from stepladder.reporting.html.page_networks import can_run, network_record
from stepladder.reporting.html.pictures import aspect_style, image_uri, is_long, shares
from stepladder.reporting.html.rung_page import RungContent, Shown, rung_content
from stepladder.reporting.html.vega import vega_script
from stepladder.reporting.pages.ablation_page import ablation_table
from stepladder.reporting.pages.check_page import check_tables
from stepladder.reporting.pages.compare_page import comparison_notes, comparison_tables, target_table
from stepladder.reporting.pages.provenance import provenance
from stepladder.reporting.pages.result_page import result_notes, result_tables
from stepladder.reporting.summary import facts, headline, headline_so_far
from stepladder.reporting.tables import MARKS
from stepladder.runs.results import Results
from stepladder.runs.run import Run
from stepladder.runs.stats import typical_run
from stepladder.runs.store import Store

N_FIELD_IMAGES = 100
MOST_GALLERY_BYTES = 1_080_000  # of a page that is to stay below 3 MB; Vega takes 0.9
MOST_NETWORK_BYTES = 450_000
MOST_CELLS = 24_000  # of confusion matrices, some 9 bytes each
MOST_EXAMPLES = 10
PAPER = 280  # pixels of the longer side of what is drawn on
DROPPED = (1, 3)  # channels of images that a browser can make of a picture


@dataclass(frozen=True)
class Live:
    """How far a climb is that goes on while the page is looked at; ``version`` changes with what the page shows.

    ``ended``: it goes on no more, whatever the reason.
    """

    lines: tuple[str, ...]
    n_done: int
    n_total: int
    version: str
    ended: bool = False


@dataclass(frozen=True, eq=False)
class Material:
    """What a page is made from: results, verdicts, what was tried, images, networks, the run that each rung shows.

    ``checked`` and ``networks`` are those of the rungs, then of their variants.
    """

    results: Results
    store: Store
    info: DataInfo
    splits: Splits
    checked: tuple[CheckedRung, ...]
    comparisons: tuple[Comparison, ...]
    known: Tried
    typical: tuple[Run | None, ...]

    @property
    def networks(self) -> list[Network]:
        return [each.network for each in self.checked]


def html_page(
    results: Results,
    *,
    store: Store,
    ablation: Ablation | None = None,
    down: Results | None = None,
    live: Live | None = None,
) -> str:
    """The report of a ladder's stored runs.

    ``down`` are the results of ``ablation.as_plan``, where there are any. Raises DataError if the images are missing or
    not those of the ladder.
    """
    material = _material(results, store)
    charts = [chart] if (chart := ladder_chart(results)) else []
    rungs = [_rung(material, index, charts) for index in range(len(results.rungs))]
    drawing, networks = _drawing(material)
    image = material.splits.image
    page = {
        "policy": policy(live=live is not None),
        "version": __version__,
        "style": _own("style.css"),
        "scripts": _scripts(),
        "ladder": results.ladder,
        "split": results.ladder.evaluate_on,
        "headline": _headline(results, live),
        "facts": facts(results),
        "picture": ladder_picture(results, material.comparisons),
        "verdicts": _verdicts(material, ablation, down),
        "ladder_chart": 0 if chart else None,
        "ladder_epochs": ladder_epochs_table(results),
        "rungs": rungs,
        "shorthand": SHORTHAND if any("network" in each.rung.changes for each in results.trained) else "",
        "marks": MARKS,
        "image": image,
        "face": face(image.size, image.size),
        "aspect": aspect_style(image),
        "paper": [round(PAPER * part) for part in shares(image)],
        "n_field_images": min(N_FIELD_IMAGES, len(material.splits.evaluated)),
        "drawing": drawing,
        "budget": _budget(material),
        "checks": check_tables(results.ladder, material.checked),
        "provenance": provenance(results),
        "live": live,
        "data": _data(rungs, charts, networks, live),
    }
    return _environment().get_template("report.html.j2").render(page=page)


def _headline(results: Results, live: Live | None) -> tuple[str, str]:
    """The sentence above all others, and its look: what is still being climbed to is no warning."""
    if results.reached:
        return headline(results), "good"
    if live and not live.ended:
        return headline_so_far(results), "plain"
    return headline(results), "open"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("stepladder.reporting.html", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_neutral,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _neutral(value: object) -> object:
    """What the template shows; text that is not marked safe may be of any kind."""
    return neutral(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _material(results: Results, store: Store) -> Material:
    ladder = results.ladder
    images = data.load(ladder.data)
    comparisons = tuple(compare(results))
    return Material(
        results=results,
        store=store,
        info=images.info,
        splits=splits_for(images, data_identity(ladder)),
        checked=check_rungs(ladder, images.info),
        comparisons=comparisons,
        known=tried(results, comparisons),
        typical=tuple(typical_run(result.runs) for result in results.rungs),
    )


def _rung(material: Material, index: int, charts: list[Spec]) -> RungContent:
    run, name = material.typical[index], material.results.rungs[index].rung.name
    shown = Shown(
        images=material.splits.evaluated.images,
        most_picture_bytes=MOST_GALLERY_BYTES // len(material.results.rungs),
        most_cells=MOST_CELLS // len(material.results.rungs),
        class_names=material.info.class_names,
        seed=run.identity.seed if run else None,
        fields=_fields(material, index),
        charts=charts,
    )
    comparison = next((each for each in material.comparisons if each.rung == name), None)
    return rung_content(
        material.results,
        index,
        comparison=comparison,
        known=material.known,
        networks=material.networks,
        shown=shown,
    )


_FIELDS: dict[str, tuple[EffectiveField, ...]] = {}  # by a run's weights: a live page asks again and again


def _fields(material: Material, index: int) -> tuple[EffectiveField, ...]:
    """Where the layers of a rung's shown network look; nothing without a run."""
    run, splits = material.typical[index], material.splits
    if run is None:
        return ()
    if run.weights_sha256 not in _FIELDS:
        _FIELDS[run.weights_sha256] = effective_fields(
            material.networks[index],
            material.store.weights(run),
            images=splits.evaluated.images[:N_FIELD_IMAGES],
            pixel_mean=splits.pixel_mean,
            pixel_std=splits.pixel_std,
        )
    return _FIELDS[run.weights_sha256]


def _verdicts(material: Material, ablation: Ablation | None, down: Results | None) -> dict[str, Any]:
    results = material.results
    at_top = compare_with_top(down) if down else []
    return {
        "comparisons": comparison_tables(results, material.comparisons),
        "variants": result_tables(results)[1:],
        "notes": comparison_notes(material.comparisons, results.ladder),
        "targets": target_table(results),
        "result_notes": result_notes(results),
        "down": ablation_table(ablation, at_top, up=results, down=down) if ablation and down else None,
        "down_notes": comparison_notes(at_top, results.ladder, down=True),
    }


def _budget(material: Material) -> list[dict[str, Any]]:
    """What each rung uses of what it is allowed."""
    found = []
    for each in material.checked:
        rung, network = each.rung, each.network
        used = ((network.params, rung.budget.params, "parameters"), (rung.recipe.epochs, rung.budget.epochs, "epochs"))
        found.append(
            {
                "name": rung.name,
                "lines": [
                    {"words": f"{n:,} of {most:,} {what}", "used": min(n, most), "most": most} for n, most, what in used
                ],
                "macs": f"{network.macs:,} multiply-adds per image",
            }
        )
    return found


def _drawing(material: Material) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The section to draw in, and its networks from the top down, as many as there is room for.

    None without a trained network that the page can run. Colour images and lines of pixels nobody draws with a pen: a
    picture is dropped.
    """
    image = material.splits.image
    records, names, n_bytes = [], [], 0
    for index, run in reversed(list(enumerate(material.typical))):
        network = material.networks[index]
        if run is None or image.channels not in DROPPED or not can_run(network):
            continue
        record = network_record(network, material.store.weights(run), splits=material.splits)
        record["classes"] = material.info.class_names
        n_bytes += len(record["arrays"])
        if n_bytes > MOST_NETWORK_BYTES:
            break
        records.append(record)
        names.append(f"{material.results.rungs[index].rung.name}, seed {run.identity.seed}")
    if not records:
        return None, []
    data, may_draw = material.results.ladder.data, image.channels == 1 and not (is_line(image.size) or is_long(image))
    title = "Draw a digit" if data == "mnist" else "Draw or drop an image" if may_draw else "Drop an image"
    drawing = {"title": title, "names": names, "examples": _examples(material), "may_draw": may_draw}
    return drawing | {"resize": spec_of(data).resize or "pad"}, records


def _examples(material: Material) -> list[dict[str, Any]]:
    """The first evaluated image of each class, of the first few classes."""
    part = material.splits.evaluated
    labels, first = np.unique(part.labels, return_index=True)
    chosen = list(zip(labels.tolist(), first.tolist(), strict=True))[:MOST_EXAMPLES]
    return [{"label": material.info.class_name(label), "uri": image_uri(part.images[index])} for label, index in chosen]


def _data(rungs: list[RungContent], charts: list[Spec], networks: list[dict[str, Any]], live: Live | None) -> Markup:
    """What the scripts read, as JSON that no text can end."""
    body = {
        "charts": charts,
        "confusion": [{"seeds": rung.matrices, "classes": rung.class_names} for rung in rungs],
        "networks": networks,
        "live": live.version if live else None,
    }
    return Markup(json.dumps(body, separators=(",", ":")).replace("<", "\\u003c"))


def policy(*, live: bool) -> str:
    """The Content-Security-Policy of a page (w3.org/TR/CSP3): its own scripts by their hashes, nothing from outside.

    No script is made from text, not even by Vega, whose expressions are interpreted (page.js). Styles may stand
    anywhere: places and sizes are written at the elements, and Vega makes some for its tooltip. ``live`` pages ask the
    server that they come from.
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(each.encode()).digest()).decode()}'" for each in _scripts())
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {hashes}",
            "style-src 'unsafe-inline'",
            "img-src data:",
            *(["connect-src 'self'"] if live else []),
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


@lru_cache
def _own(name: str) -> Markup:
    """A file of page/, as it is."""
    return Markup((resources.files("stepladder.reporting.html") / "page" / name).read_text("utf-8"))


@cache
def _scripts() -> tuple[Markup, ...]:
    vega = vega_script().replace("</script", "<\\/script")
    return (Markup(vega), *map(_own, ("network.js", "drawing.js", "save.js", "page.js", "growing.js", "live.js")))
