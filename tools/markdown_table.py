"""Tables in Markdown, for all pages that scripts make."""

from collections.abc import Collection, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Collection[int] = ()) -> str:
    """A table; ``numeric`` columns align right."""
    rule = ["--:" if column in numeric else "---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))
