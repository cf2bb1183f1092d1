"""What commands print: a page for people, JSON for machines. Modules are imported when something is printed."""

from typing import Any

import click

from stepladder._base import plain
from stepladder.cli import ending


def echo_notes(store: Any) -> None:
    """What a store has to say, each thing once."""
    for note in dict.fromkeys(store.notes):
        ending.say(f"note: {note}")


def print_verdicts(results: Any, as_json: bool) -> None:
    if as_json:
        from stepladder.reporting.data.compare_json import compare_dict

        print_json(compare_dict(results))
    else:
        from stepladder.reporting.pages.compare_page import compare_page

        print_page(compare_page(results))


def print_results(results: Any, as_json: bool) -> None:
    if as_json:
        from stepladder.reporting.data.result_json import results_dict

        print_json(results_dict(results))
    else:
        from stepladder.reporting.pages.result_page import result_page

        print_page(result_page(results))


def print_ablation(ablation: Any, up: Any, down: Any, as_json: bool) -> None:
    if as_json:
        from stepladder.reporting.data.ablation_json import ablation_dict

        print_json(ablation_dict(ablation, up=up, down=down))
    else:
        from stepladder.reporting.pages.ablation_page import ablation_page

        print_page(ablation_page(ablation, up=up, down=down))


def print_records(found: Any, as_json: bool) -> None:
    from stepladder.reporting.pages.record_page import records_dict, records_page

    if as_json:
        print_json(records_dict(found))
    else:
        print_page(records_page(found))


def print_reproduction(again: Any, as_json: bool) -> None:
    from stepladder.reporting.pages.record_page import reproduction_dict, reproduction_page

    if as_json:
        print_json(reproduction_dict(again))
    else:
        print_page(reproduction_page(again))


def print_found(found: Any, path: Any, as_json: bool, *, force: bool) -> None:
    """What a search has found; its ladder and picture are written where there is a winner."""
    from stepladder._base.ours import signed, write_ours
    from stepladder.reporting.pages.search_page import search_dict, search_page, search_picture
    from stepladder.searching.ladder_of_winner import NOT_OURS, ladder_text

    files = {}
    if found.winner:
        picture = signed(search_picture(found), suffix=".svg")
        files = {path: ladder_text(found.quest, found.winner, folder=path.parent), path.with_suffix(".svg"): picture}
    for file, text in files.items():
        write_ours(file, text, force=force, what=NOT_OURS)
    if as_json:
        print_json(search_dict(found, written=list(map(str, files))))
    else:
        print_page(search_page(found))
        click.echo(plain.neutral("\n".join(map(str, files))), nl=bool(files))


def print_page(page: Any) -> None:
    from stepladder.reporting.terminal import show

    show(page)


def print_json(value: dict[str, Any]) -> None:
    click.echo(plain.json_text(value))
