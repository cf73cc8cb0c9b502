"""Archives or packs builds until a crash point ends the process: ``pack_process.py DATABASE FOLDER POINT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg

from factory_core.builds.archive import Archivist
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.packing import Packer
from factory_plugin_storage.service import LocalStorage


async def main(url: str, folder: str, point: str) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        mover = Archivist if point.startswith("events") else Packer
        await mover(pool, LocalStorage(Path(folder)), after_seconds=0.0, crash=CrashPoints(point)).turn()


asyncio.run(main(*sys.argv[1:]))
