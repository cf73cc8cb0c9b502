"""SQL scripts of many statements, run inside a migration's transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from piccolo import engine as piccolo_engine

__all__ = ["SQL", "run_scripts"]

SQL = Path(__file__).parent / "sql"


async def run_scripts(*names: str) -> None:
    """Run files of ``sql/`` in the current transaction."""
    library: Any = piccolo_engine
    engine = library.engine_finder()
    # Piccolo prepares what it runs, and only one statement can be prepared at a time; a plain query may hold many.
    connection: Any = engine.current_transaction.get().connection
    for name in names:
        await connection.execute((SQL / name).read_text())
