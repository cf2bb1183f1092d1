"""``stepladder ladders``: the ladders in the package."""

import click

from stepladder.cli.options import JSON
from stepladder.cli.printing import print_json, print_page
from stepladder.cli.usage import Command


@click.command(cls=Command, short_help="The ladders that come with Stepladder.")
@JSON
def ladders(as_json: bool) -> None:
    """List the ladders that come with Stepladder."""
    from stepladder.ladders import ladder_file

    found = [ladder_file.load(name) for name in ladder_file.shipped()]
    if as_json:
        from stepladder.reporting.data.check_json import ladders_dict

        print_json(ladders_dict(found))
    else:
        from stepladder.reporting.tables import Entry

        print_page([Entry(ladder.name, ladder.about) for ladder in found])
