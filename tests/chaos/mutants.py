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
    "no version check": (
        "post",
        "and v_item.version > 0 and b.version = v_item.version;",
        "and v_item.version > 0;",
    ),
    "lost tries may send": (
        "send",
        "and fence = p_fence and state = 'running' for share;\n    if not found then\n        return false;",
        "for share;\n    if not found then\n        return false;",
    ),
    "letters of other rounds replaced": (
        "send",
        "where build_id = p_build and sender = p_sender and round = p_round;",
        "where build_id = p_build and sender = p_sender and round <= p_round;",
    ),
    "timers fire at once": (
        "fire",
        "v_now timestamptz := factory_now();\n    v_build uuid[];\n    v_task text[];\nbegin",
        "v_now timestamptz := factory_now() + interval '1 hour';\n    v_build uuid[];\n    v_task text[];\nbegin",
    ),
    "no deadline": (
        "expire",
        "(select build_id from task where state = 'running' and deadline_at < v_now)",
        "(select build_id from task where false)",
    ),
    "a halt holds nothing": ("halt", "state = 'halted', held_at =", "held_at ="),
    "one pays for all": (
        "conclude",
        "select n.org_id, p_worker, n.used / o.weight",
        "select (select min(id::text)::uuid from organisation), p_worker, n.used / o.weight",
    ),
    "anybody may pause": (
        "pause",
        "org_id = p_org for update;\n    if not found then\n        return;\n    end if;\n    if v_state in ('queued',",
        "true for update;\n    if not found then\n        return;\n    end if;\n    if v_state in ('queued',",
    ),
}
STATEMENTS = {"every organisation's rows": "alter table event disable row level security"}
PYTHON = ("publish before commit",)
ALL = (*SQL, *STATEMENTS, *PYTHON)
BRIEF = {*SQL, *STATEMENTS}
"""With these, not everything ends."""

BLOWS = {
    "no fence check": ("worker stopped", "worker isolated"),
    "no build lock": ("called twice",),
    "no ready condition": ("called twice",),
    "complete not idempotent": ("answer cut off",),
    "no version check": ("called twice",),
    "lost tries may send": ("worker isolated",),
    "letters of other rounds replaced": ("called twice",),
    "timers fire at once": ("called twice",),
    "no deadline": ("called twice",),
    "a halt holds nothing": ("called twice",),
    "one pays for all": ("called twice",),
    "anybody may pause": ("called twice",),
    "every organisation's rows": ("called twice",),
    "publish before commit": ("called twice",),
}
"""What brings each to light soonest."""

KINDS = {
    "no build lock": "wide",
    "no version check": "board",
    "lost tries may send": "mesh",
}
"""What builds of one kind show best: many tasks of one build that end at once, or tries that lose their task in time."""

SIGNS = {
    "no fence check": {"A-3", "A-7"},
    "no build lock": {"A-1", "A-2", "A-5"},
    "no ready condition": {"A-4"},
    "complete not idempotent": {"A-13"},
    "no version check": {"A-16"},
    "lost tries may send": {"A-17"},
    "letters of other rounds replaced": {"A-17"},
    "timers fire at once": {"A-19"},
    "no deadline": {"A-19"},
    "a halt holds nothing": {"A-20"},
    "one pays for all": {"A-18"},
    "anybody may pause": {"A-18"},
    "every organisation's rows": {"A-18"},
    "publish before commit": {"A-5"},
}
"""What each must be found by. That a build does not end in time would prove nothing: the machine may be busy."""


async def plant(connection: Any, name: str) -> None:
    """Change the function. Raises LookupError when its rule is no longer spelt like this."""
    if name in STATEMENTS:
        await connection.execute(STATEMENTS[name])
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
