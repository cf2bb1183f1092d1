"""``stepladder schema``: what an editor needs to know of ladder files."""

import click

from stepladder.cli.usage import Command


@click.command(cls=Command, short_help="The JSON schema of ladder files, for editors.")
@click.option("--json", is_flag=True, expose_value=False, help="Changes nothing: the schema is JSON anyway.")
def schema() -> None:
    """Print the JSON schema of ladder files: an editor that has it completes fields and marks mistakes as you type.

    Save it, as in 'stepladder schema > ladder.schema.json', and begin a ladder file with '#:schema
    ./ladder.schema.json'. VS Code with Even Better TOML, and other editors with Taplo, then use it.
    """
    from importlib import resources

    file = resources.files("stepladder.ladders") / "ladder.schema.json"
    click.echo(file.read_text(encoding="utf-8"), nl=False)
