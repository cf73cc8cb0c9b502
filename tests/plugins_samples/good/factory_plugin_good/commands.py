"""Commands of ``studio``."""

from __future__ import annotations

import rich_click as click


@click.command()
@click.option("--loud", is_flag=True, help="Shout.")
def notes(loud: bool) -> None:
    """Say what notes are for."""
    text = "Notes are for remembering."
    click.echo(text.upper() if loud else text)
