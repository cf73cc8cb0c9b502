"""Its migration cannot be applied."""

from pathlib import Path

from litestar import get
from piccolo.conf.apps import AppConfig

from factory_core.hooks import hookimpl


@get("/api/v1/half")
async def half() -> str:
    return "would need the table"


@hookimpl
def factory_routes(boot):
    return [half]


@hookimpl
def factory_piccolo_apps(boot):
    return [AppConfig(app_name="half", migrations_folder_path=Path(__file__).parent / "piccolo_migrations")]
