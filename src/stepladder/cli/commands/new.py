"""``stepladder new``: a first ladder for a data set."""

import click

from stepladder._base import plain
from stepladder.cli.ending import command_line, say
from stepladder.cli.options import JSON, data_options
from stepladder.cli.printing import print_json
from stepladder.cli.usage import Command
from stepladder.errors import LadderError

SCHEMA_VERSION = 1


@click.command(cls=Command, short_help="Write a first ladder for your images, or for MNIST.")
@click.argument("source", metavar="PATH|mnist")
@data_options
@click.option("-o", "--output", help="Ladder file to write, - for stdout [default: the name of the images, .toml].")
@JSON
def new(source: str, output: str | None, as_json: bool) -> None:
    """Write a first ladder that climbs: a small network that fits the images, and two changes worth trying.

    PATH is a folder or file of images of any form that is read (docs/data.md; 'stepladder data PATH' shows what was
    understood); mnist is in the package. The images are read, and nothing trains. Comments in the ladder explain the
    format. A file that exists already is never overwritten.
    """
    from stepladder._base.outputs import write_output
    from stepladder.ladders.first_ladder import first_ladder, output_path

    path = output_path(source, output)
    text = first_ladder(source, path)
    if output == "-" and as_json:
        raise LadderError("--json says where a ladder was written, and -o - writes it nowhere: give one of them")
    if output == "-":
        click.echo(text, nl=False)
        return
    write_output(path, text)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "written": str(path)})
        return
    click.echo(plain.neutral(str(path)))
    look, climb = (command_line([command, str(path)]) for command in ("check", "climb"))
    say(f"Look at it:   {look}\nThen climb it: {climb}")
