"""SQL scripts of many statements, run inside a migration's transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from piccolo import engine as piccolo_engine

__all__ = ["FUNCTIONS_V1", "FUNCTIONS_V2", "JOURNAL", "TABLES_V1", "TABLES_V2", "V2", "run_scripts"]

_SQL = Path(__file__).parent / "sql"

TABLES_V1 = tuple(_SQL / "v1" / name for name in ("01_tables.sql", "02_tenancy.sql"))
FUNCTIONS_V1 = tuple(sorted((_SQL / "v1").glob("0[3-9]_*.sql")))
V2 = tuple(sorted((_SQL / "v2").glob("[0-9]*.sql")))
TABLES_V2 = tuple(file for file in V2 if file.name.startswith("01_"))
FUNCTIONS_V2 = tuple(file for file in V2 if file not in TABLES_V2)
"""They replace schema ``journal`` as a whole and touch no table, so they may be run again at any time."""
JOURNAL = (*TABLES_V1, *V2)
"""The files that make the journal as it is now, in order, on an empty database."""


async def run_scripts(*files: Path) -> None:
    """Run these files in the current transaction."""
    library: Any = piccolo_engine
    engine = library.engine_finder()
    # Piccolo prepares what it runs, and only one statement can be prepared at a time; a plain query may hold many.
    connection: Any = engine.current_transaction.get().connection
    for file in files:
        await connection.execute(file.read_text())
