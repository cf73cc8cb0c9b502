"""The table and where its migrations are."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig

from factory_plugin_good.tables import Note

APP_CONFIG = AppConfig(
    app_name="good_notes",
    migrations_folder_path=Path(__file__).parent / "piccolo_migrations",
    table_classes=[Note],
)
