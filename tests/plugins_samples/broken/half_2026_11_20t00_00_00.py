from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "half_2026_11_20t00_00_00"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="half", description="")

    async def run() -> None:
        await engine_finder().run_ddl("CREATE TABLE half_done (id int)")
        await engine_finder().run_ddl("ALTER TABLE no_such_table ADD x int")

    manager.add_raw(run)
    return manager
