from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns import Text
from piccolo.columns.indexes import IndexMethod

ID = "good_notes_2026_11_20t00_00_00"
VERSION = "1.38.0"
DESCRIPTION = "Notes"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="good_notes", description=DESCRIPTION)
    manager.add_table(class_name="Note", tablename="good_note", schema=None, columns=None)
    manager.add_column(
        table_class_name="Note",
        tablename="good_note",
        column_name="text",
        db_column_name="text",
        column_class_name="Text",
        column_class=Text,
        params={
            "default": "",
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )
    return manager
