"""What a group of commands does when it is given none."""

from __future__ import annotations

import rich_click as click

__all__ = ["WRONG_USAGE", "CommandGroup"]

WRONG_USAGE = 64


class CommandGroup(click.RichGroup):
    """Without a command it shows its help and leaves as after any other wrong usage. Click would leave with 2, which says
    that a specification is wrong."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The words after the options."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit(WRONG_USAGE)
        return super().parse_args(ctx, args)
