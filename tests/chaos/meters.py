"""Triggers that count, in the database of a chaos run, what the tables do not tell afterwards.

``meter`` has what each organisation is charged, ``breach`` what a try wrote that no longer held its task.
"""

from __future__ import annotations

from typing import Any

_METERS = """
    create table meter (org_id uuid not null, vt double precision not null);
    create function meter() returns trigger language plpgsql as $$
    begin
        insert into meter values (new.org_id, new.vt - case tg_op when 'UPDATE' then old.vt else 0 end);
        return null;
    end $$;
    create trigger meter after insert or update on usage for each row execute function meter();

    -- What a fork takes over has the fences of its source, which are above its own.
    create table breach (build_id uuid not null, task text not null, fence integer not null, what text not null);
    create function breach() returns trigger language plpgsql as $$
    begin
        insert into breach select new.build_id, new.task, new.fence, tg_table_name from task t
        where t.build_id = new.build_id and t.id = new.task
            and (t.fence > new.fence or (t.fence = new.fence and t.state <> 'running'));
        return null;
    end $$;
    create trigger breach after insert or update on board for each row execute function breach();
    create trigger breach after insert or update on mail for each row execute function breach();"""


async def install(connection: Any) -> None:
    """Once, before anything runs."""
    await connection.execute(_METERS)


async def paid(connection: Any) -> dict[Any, tuple[int, float]]:
    """Organisation -> its weight, and the virtual time it was charged."""
    rows = await connection.fetch(
        "select o.id, o.weight, coalesce((select sum(m.vt) from meter m where m.org_id = o.id), 0) as paid"
        " from organisation o"
    )
    return {row["id"]: (row["weight"], row["paid"]) for row in rows}


async def breaches(connection: Any) -> list[Any]:
    """Build, task and fence of each try that wrote too late, and where."""
    return list(await connection.fetch("select * from breach"))
