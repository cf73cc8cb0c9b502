"""The kernel's tables as a Piccolo app."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig

__all__ = ["APP_CONFIG"]

# No table classes: the schema is written in SQL (functions, policies, partial indexes), so there is nothing for Piccolo's
# automatic migrations to compare. ``factory_core.builds.tables`` mirrors it for queries, and a test compares the two.
APP_CONFIG = AppConfig(app_name="core", migrations_folder_path=Path(__file__).parent / "piccolo_migrations")
