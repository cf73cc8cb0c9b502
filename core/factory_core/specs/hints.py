"""What only the planner uses: comments about agents, shares, preferences, the way of working."""

from __future__ import annotations

import re

from msgspec.structs import replace

from factory_core.contracts.blueprint import AgentHint, Hints, Node, TeamHint

from .comments import Comment
from .notes import Notes, quote
from .tree import Entry, Mapping, Scalar, Tree

__all__ = ["find_agent_hints", "hint_nodes", "read_hints"]

ABOUT_AGENTS = re.compile(r"\bagents\b|\d agent\b|\b(?:trigger|spawn)s?\b", re.IGNORECASE)
RANGE = re.compile(
    r"(~\s*)?(\d{1,5})(?:\s*(?:-|–|to)\s*(\d{1,5}))?\s+(?:[\w/&-]+\s+){0,3}agents?\b", re.IGNORECASE
)
PERCENT = re.compile(r"(\d{1,3})\s*% of (?:the |all )?agents", re.IGNORECASE)
PARADIGMS = ("hierarchical", "swarm", "neural", "neural_mesh", "temporal", "hybrid", "auto")
TYPED = ("entities", "tables", "states", "rules", "roles", "endpoints", "views", "requirements", "acceptance")
"""Sections about the product, where a comment that says "agent" means one of the product's."""


def find_agent_hints(comments: list[Comment], taken: set[str]) -> tuple[AgentHint, ...]:
    """The comments that are about agents, each under a path of its own; ``taken`` are the paths of leaves."""
    hints: list[AgentHint] = []
    seen: dict[str, int] = {}
    for comment in comments:
        if not ABOUT_AGENTS.search(comment.text) or re.split(r"[.\[]", comment.path)[0] in TYPED:
            continue
        path = comment.path or "document"
        seen[path] = seen.get(path, int(path in taken)) + 1
        if seen[path] > 1:
            path = f"{path}#{seen[path]}"
        hints.append(sized(AgentHint(path=path, text=comment.text, line=comment.line)))
    return tuple(hints)


def sized(hint: AgentHint) -> AgentHint:
    """The hint with the numbers its text holds. ``~70 agents`` beside a share only restates the share."""
    percent = PERCENT.search(hint.text)
    if percent:
        return replace(hint, percent=min(100, int(percent[1])))
    found = RANGE.search(hint.text)
    if found is None or found[1]:
        return hint
    low, high = sorted((int(found[2]), int(found[3] or found[2])))
    return replace(hint, low=low, high=high)


def hint_nodes(hints: tuple[AgentHint, ...]) -> tuple[Node, ...]:
    """The hints as nodes of the document."""
    return tuple(Node(path=hint.path, line=hint.line, part="hint") for hint in hints)


def read_hints(root: Mapping, agents: tuple[AgentHint, ...], notes: Notes) -> Hints:
    """Everything the planner may use."""
    section = notes.mapping(root.get("agent_hints"), "agent_hints")
    get = section.get if section else nothing
    paradigm, style = read_meta(root, notes)
    return Hints(
        agents=agents,
        shares=read_shares(get("resource_allocation"), notes),
        preferred_agents=read_preferred(get("preferred_agents"), notes),
        spawn_thresholds=read_thresholds(get("spawn_threshold_overrides"), notes),
        paradigm=paradigm,
        style=style,
        orchestration=read_orchestration(root, notes),
    )


def nothing(*_names: str) -> Tree | None:
    """The value of any key of a map that is not there."""
    return None


def read_meta(root: Mapping, notes: Notes) -> tuple[str, str]:
    """The paradigm and the style of ``meta``."""
    meta = notes.mapping(root.get("meta", "_meta"), "meta")
    paradigm = meta.get("paradigm") if meta else None
    style = meta.get("orchestration_style") if meta else None
    word = notes.text(paradigm, "paradigm") or "hierarchical"
    if paradigm is not None and word not in PARADIGMS:
        message = f"The paradigm {quote(word)} is not understood; hierarchical is used."
        notes.warn("paradigm", message, paradigm, f"Known: {', '.join(PARADIGMS)}.")
        word = "hierarchical"
    elif paradigm is not None:
        notes.claim(paradigm, "hint")
    if isinstance(style, Scalar):
        notes.claim(style, "hint")
    return word, style.text if isinstance(style, Scalar) else ""


def read_orchestration(root: Mapping, notes: Notes) -> tuple[str, ...]:
    """The sequence of ways of working under ``special_instructions``."""
    section = root.get("special_instructions")
    tree = section.get("orchestration_style") if isinstance(section, Mapping) else None
    words = notes.words(tree, "orchestration_style")
    for word in words:
        notes.claim(word, "hint")
    return tuple(word.text for word in words)


def read_shares(tree: Tree | None, notes: Notes) -> tuple[TeamHint, ...]:
    """``team: 35%``; together at most a hundred."""
    mapping = notes.mapping(tree, "resource_allocation")
    shares: list[TeamHint] = []
    for entry in mapping.entries if mapping else ():
        percent = percent_of(entry)
        if percent is None:
            message = f"The share of {quote(entry.key.text)} cannot be read."
            notes.error("share", message, entry.value, f"For example: {entry.key.text}: 35%")
        else:
            shares.append(TeamHint(name=entry.key.text, percent=percent, line=entry.key.line))
            notes.claim(entry.value, "hint")
    total = sum(share.percent for share in shares)
    if mapping is not None and total > 100:
        notes.warn("share", f"The shares add up to {total} %.", mapping, "They are scaled to 100 %.")
    return tuple(shares)


def percent_of(entry: Entry) -> int | None:
    """``35%`` or ``35``."""
    text = entry.value.text if isinstance(entry.value, Scalar) else ""
    found = re.fullmatch(r"(\d{1,3})\s*%?", text)
    return int(found[1]) if found and int(found[1]) <= 100 else None


def read_preferred(tree: Tree | None, notes: Notes) -> dict[str, str]:
    """``agent: way of working`` as a map, or as a list of such texts."""
    found: dict[str, str] = {}
    if isinstance(tree, Mapping):
        for entry in tree.entries:
            found[entry.key.text] = notes.text(entry.value, entry.key.text) or ""
            notes.claim(entry.value, "hint")
        return found
    for item in notes.items(tree, "preferred_agents"):
        if isinstance(item, Mapping):
            found |= read_preferred(item, notes)
        elif isinstance(item, Scalar):
            agent, _, way = item.text.partition(":")
            found[agent.strip()] = way.strip()
            notes.claim(item, "hint")
    return found


def read_thresholds(tree: Tree | None, notes: Notes) -> dict[str, float]:
    """``agent: 0.5``, between 0 and 1."""
    mapping = notes.mapping(tree, "spawn_threshold_overrides")
    found: dict[str, float] = {}
    for entry in mapping.entries if mapping else ():
        value = entry.value.value if isinstance(entry.value, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            message = f"The threshold of {quote(entry.key.text)} is no number between 0 and 1."
            notes.error("threshold", message, entry.value, f"For example: {entry.key.text}: 0.5")
        else:
            found[entry.key.text] = float(value)
            notes.claim(entry.value, "hint")
    return found
