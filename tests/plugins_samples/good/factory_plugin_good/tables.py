"""What is stored."""

from __future__ import annotations

from piccolo.columns import Text
from piccolo.table import Table


class Note(Table, tablename="good_note"):
    """Something to remember."""

    text = Text()
