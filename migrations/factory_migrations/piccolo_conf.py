"""For Piccolo's own command line: ``PICCOLO_CONF=factory_migrations.piccolo_conf piccolo migrations new <app> --auto``."""

from __future__ import annotations

from factory_core.kernel.boot import start
from factory_core.kernel.database import APP_REGISTRY, DB
from factory_migrations.files import register

__all__ = ["APP_REGISTRY", "DB"]

_studio = start(hooks=("factory_settings", "factory_database_url", "factory_piccolo_apps"))
DB.config = {"dsn": _studio.database_url()}
register(_studio.apps())
