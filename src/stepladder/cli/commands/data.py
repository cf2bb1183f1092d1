"""``stepladder data``: what was understood of a set of images."""

from pathlib import Path

import click

from stepladder._base import plain
from stepladder.cli.ending import command_line, say
from stepladder.cli.options import JSON, data_options, words_of
from stepladder.cli.printing import print_json, print_page
from stepladder.cli.usage import Command


@click.command(cls=Command, short_help="What is in a folder or file of images, and what is odd about it.")
@click.argument("source", metavar="PATH|mnist")
@data_options
@click.option("--sheet", metavar="FILE.png", help="Write a picture with the first images of each class.")
@JSON
def data(source: str, sheet: str | None, as_json: bool) -> None:
    """Show how a set of images was understood: its form, its classes and parts, and whatever is remarkable.

    PATH is a folder or file of any form that is read: class folders of pictures, CSV, arrays, IDX and many more
    (docs/data.md). Nothing trains, and nothing is changed. Counts, ranges of pixels, twins across parts, images with
    two labels, and what was converted are all said here before a ladder is written.
    """
    from stepladder._base.outputs import write_output
    from stepladder.datasets import data as data_sets
    from stepladder.datasets.contact_sheet import contact_sheet
    from stepladder.datasets.remarks import remarks
    from stepladder.reporting.pages.data_page import data_dict, data_page

    images = data_sets.load(source)
    notes = remarks(source, images) if source != "mnist" else ()
    if sheet is not None:
        write_output(Path(sheet), contact_sheet(images))
    if as_json:
        print_json(data_dict(images, notes))
        return
    print_page(data_page(images, notes))
    if sheet is not None:
        click.echo(plain.neutral(sheet))
    say(f"A first ladder for it: {command_line(['new', *words_of(source)])}")
