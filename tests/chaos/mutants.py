"""Faults planted in the engine on purpose: a chaos run that stays green over one of them would prove nothing.

SQL is changed in the migrated database, so it does not matter in which file a function lies.
"""

from __future__ import annotations

from typing import Any

SQL: dict[str, tuple[str, str, str]] = {
    "no fence check": (
        "conclude",
        "where t.state = 'running' and t.fence = i.fence",
        "where t.state = 'running'",
    ),
    "no build lock": (
        "step",
        "perform from build where id = any (p_build) order by id for update;",
        "",
    ),
    "no ready condition": ("claim", "and t.state = 'ready'", "and t.state in ('ready', 'waiting')"),
    "complete not idempotent": ("conclude", "case t.end_fence when r.fence then t.end_seq end", "null"),
}
PYTHON = ("publish before commit",)
ALL = (*SQL, *PYTHON)

BLOWS = {
    "no fence check": ("worker stopped", "worker isolated"),
    "no build lock": ("called twice",),
    "no ready condition": ("called twice",),
    "complete not idempotent": ("answer cut off",),
    "publish before commit": ("called twice",),
}
"""What brings each to light soonest."""


async def plant(connection: Any, name: str) -> None:
    """Change the function. Raises LookupError when its rule is no longer spelt like this."""
    if name not in SQL:
        return
    function, rule, mutation = SQL[name]
    text = await connection.fetchval(
        "select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = 'journal' and p.proname = $1",
        function,
    )
    if rule not in text:
        raise LookupError(f"journal.{function} has no {rule!r}")
    await connection.execute(text.replace(rule, mutation))
