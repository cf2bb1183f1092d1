"""Commands, options and arguments that are not there, or not given: click's refusals, with what to do instead.

Click guesses by spelling alone; here a command or option is suggested only where it means the same (see ``foreign``).
"""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from stepladder._base.wording import LONGEST_MESSAGE, cut, did_you_mean, shown


class Choice(click.Choice[str]):
    """One of a few words; ``place`` says which table of foreign words an unknown one is looked up in."""

    def __init__(self, choices: Sequence[str], *, place: str) -> None:
        super().__init__(choices)
        self.place = place

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices:
            hint = did_you_mean(str(value), self.choices, place=self.place)
            self.fail(f"no {self.place} {shown(value)}{hint}", param, ctx)
        return str(value)


class Command(click.Command):
    """A command whose refusals of its options and arguments say what to do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _refuse_in_words(error, ctx)


class Commands(click.Group):
    """A group of such commands."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            words = [name for name in self.commands if error.option_name in _options(self.commands[name])]
            hint = f"; it belongs behind a command, such as stepladder {words[0]}" if words else ""
            raise click.UsageError(f"no option {shown(error.option_name)} here{hint}", ctx) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            path = args[0].endswith(".toml")
            hint = "; write the command before the ladder, as in stepladder check" if path else ""
            hint = hint or did_you_mean(args[0], list(self.commands), place="command")
            raise click.UsageError(f"no command {shown(args[0])}{hint}", ctx)
        return super().resolve_command(ctx, args)


def _refuse_in_words(error: click.UsageError, ctx: click.Context) -> NoReturn:
    if isinstance(error, click.NoSuchOption):
        raise click.UsageError(_unknown_option(error.option_name, ctx), ctx) from None
    if (
        isinstance(error, click.MissingParameter)
        and error.param is not None
        and error.param.name in ("ladder", "ladders")
    ):
        raise click.UsageError(_which_ladder(ctx), ctx) from None
    if error.message.startswith("Got unexpected extra argument"):
        raise click.UsageError(_too_many(error.message, ctx), ctx) from None
    message = error.format_message()
    if len(message) > LONGEST_MESSAGE:
        raise click.UsageError(cut(message, most=LONGEST_MESSAGE), ctx) from None
    raise error


def _options(command: click.Command) -> list[str]:
    return [name for param in command.params if isinstance(param, click.Option) for name in param.opts]


def _unknown_option(option: str, ctx: click.Context) -> str:
    """What was meant by an option that a command lacks, or where it belongs."""
    known = [name for name in _options(ctx.command) if name.startswith("--")]
    words = option.lstrip("-").replace("-", "_")
    if (home := _concept(words)) and not did_you_mean(option, known, place="option").startswith("; did you mean"):
        return f"no option {shown(option)}; {home}"
    group = ctx.parent.command if ctx.parent else None
    commands = group.commands if isinstance(group, click.Group) else {}
    others = [name for name, each in commands.items() if option in _options(each)]
    hint = did_you_mean(option, known, place="option")
    if others and "known are" in hint:
        last = " and ".join(others[-2:])
        hint = f"; it is an option of stepladder {', '.join([*others[:-2], last])}"
    return f"no option {shown(option)}{hint}"


def _concept(word: str) -> str | None:
    """Where a field of a recipe is set that was written as an option."""
    from stepladder._base.wording import translation
    from stepladder.recipes.recipe import Recipe

    name = word if word in Recipe.model_fields else translation(word, list(Recipe.model_fields), place="recipe")
    if name not in Recipe.model_fields:
        return None
    return f"{name} belongs in the recipe of the ladder file: {name} = ... under [rung.recipe], or change.{name}"


def _which_ladder(ctx: click.Context) -> str:
    """The ladders that there are, to a command that was given none."""
    from stepladder.ladders import ladder_file

    listed = {name: " ".join(ladder_file.load(name).about.split()) for name in ladder_file.shipped()}
    width = max(map(len, listed))
    lines = [f"  {name:{width}}  {_first_sentence(about)}" for name, about in listed.items()]
    asked = f"which ladder? Name a TOML file of your own, as in {ctx.command_path} mine.toml, or one of"
    return "\n".join([asked, *lines])


def _first_sentence(text: str) -> str:
    """A text's beginning, of at most a line."""
    sentence = re.split(r"(?<=[.:;])\s", text, maxsplit=1)[0].rstrip(".:;")
    return sentence if len(sentence) <= 90 else sentence[:87].rsplit(" ", 1)[0] + " ..."


def _too_many(message: str, ctx: click.Context) -> str:
    extra = cut(message.partition("(")[2].rpartition(")")[0], most=200)
    words = extra.split()
    if not words:
        return f"{ctx.command_path} was given an empty word, '': leave it out"
    takes = [param.name for param in ctx.command.params if isinstance(param, click.Argument)]
    if "ladder" not in takes:
        return f"{ctx.command_path} takes {'one name' if takes else 'no arguments'}: leave {extra} out"
    return (
        f"one ladder at a time, and {extra} {'comes' if len(words) == 1 else 'come'} on top of one: run"
        f" {ctx.command_path} {words[0]} on its own"
    )
