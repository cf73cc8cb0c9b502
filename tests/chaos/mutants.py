"""Faults planted in the engine on purpose: a chaos run that stays green over one of them would prove nothing.

SQL is changed in the migrated database, so it does not matter in which file a function lies.
"""

from __future__ import annotations

from typing import Any

SQL: dict[str, tuple[str, str, str]] = {
    "no fence check": (
        "conclude",
        "t.state = 'running' and t.fence = i.fence as fits",
        "t.state = 'running' as fits",
    ),
    "no build lock": (
        "step",
        "perform from build where id = any (p_build) order by id for update;",
        "",
    ),
    "no ready condition": ("claim", "and t.state = 'ready'", "and t.state in ('ready', 'waiting')"),
    "complete not idempotent": ("conclude", "when a.end_fence = a.fence then a.end_seq end", "end"),
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

SIGNS = {
    "no fence check": {"A-3", "A-7"},
    "no build lock": {"A-1", "A-2", "A-5"},
    "no ready condition": {"A-4"},
    "complete not idempotent": {"A-13"},
    "publish before commit": {"A-5"},
}
"""What each must be found by. That a build does not end in time would prove nothing: the machine may be busy."""


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
