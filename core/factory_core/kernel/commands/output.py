"""Where commands print for people."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["open_console"]

PIPE_WIDTH = 500
"""Columns. A row of a table stays on its line."""


def open_console(*, stderr: bool = False) -> Console:
    """As wide as the terminal, or as COLUMNS says; a pipe or a file has no edge to wrap at."""
    from rich.console import Console  # heavy, as for --help

    console = Console(stderr=stderr)
    if not console.file.isatty():
        console.width = shutil.get_terminal_size((PIPE_WIDTH, console.height)).columns
    return console
