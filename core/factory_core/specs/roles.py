"""``roles``: who may do what."""

from __future__ import annotations

import re

from factory_core.contracts.blueprint import Grant, Role

from .names import check_known, check_name
from .notes import Notes, nearest, quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["NOBODY", "is_mixed", "read_roles"]

NOBODY = "nobody"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
VERBS = ("all", "read", "write", "own")


def is_mixed(tree: Tree) -> bool:
    """Whether a list is the seed's ``[roles: admin, user, viewer]``: one pair, then bare names."""
    if not isinstance(tree, Sequence) or not tree.items:
        return False
    first, *rest = tree.items
    return (
        isinstance(first, Mapping)
        and len(first.entries) == 1
        and first.entries[0].key.text == "roles"
        and isinstance(first.entries[0].value, Scalar)
        and all(isinstance(item, Scalar) for item in rest)
    )


def read_roles(tree: Tree | None, mixed: list[Tree], entities: set[str], notes: Notes) -> tuple[Role, ...]:
    """The roles of a ``roles`` map, or of bare lists of names, whose rights are then assumed."""
    if isinstance(tree, Mapping):
        taken: dict[str, Scalar] = {}
        named = [entry for entry in tree.entries if allowed(entry.key, taken, notes)]
        return tuple(read_role(entry, entities, notes) for entry in named)
    words: list[Scalar] = list(notes.words(tree, "roles"))
    for found in mixed:
        words += mixed_words(found)
    return assumed(words, notes)


def mixed_words(tree: Tree) -> list[Scalar]:
    """The names in ``[roles: admin, user, viewer]``."""
    items = tree.items if isinstance(tree, Sequence) else ()
    values = [item.entries[0].value if isinstance(item, Mapping) else item for item in items]
    return [value for value in values if isinstance(value, Scalar)]


def assumed(words: list[Scalar], notes: Notes) -> tuple[Role, ...]:
    """Roles known by name only: admin may do all, viewer read, the others read and write."""
    rights = {"admin": ("all",), "viewer": ("read",)}
    roles: dict[str, Role] = {}
    taken: dict[str, Scalar] = {}
    for word in words:
        if word.text in roles or not allowed(word, taken, notes):
            continue
        verbs = rights.get(word.text.lower(), ("read", "write"))
        grants = tuple(Grant(verb=verb) for verb in verbs)
        roles[word.text] = Role(name=word.text, grants=grants, line=word.line)
        notes.assume(f"The role {word.text} may {' and '.join(verbs)}", word)
        notes.claim(word, f"role:{word.text}")
    return tuple(roles.values())


def allowed(key: Scalar, taken: dict[str, Scalar], notes: Notes) -> bool:
    """Whether a role may have that name; notes an error when not."""
    if key.text == NOBODY or not NAME.fullmatch(key.text):
        reason = "means a caller without a token" if key.text == NOBODY else "cannot name a role"
        notes.error("name", f"{quote(key.text)} {reason}.", key, "A letter, then letters, digits, _ and -.")
        return False
    return check_name(key, "a role", notes, taken)


def read_role(entry: Entry, entities: set[str], notes: Notes) -> Role:
    """A role with what it is granted."""
    words = notes.words(entry.value, f"The role {entry.key.text}")
    grants = [read_grant(word, entities, notes) for word in words]
    notes.claim(entry.value, f"role:{entry.key.text}")
    return Role(
        name=entry.key.text, grants=tuple(grant for grant in grants if grant is not None), line=entry.key.line
    )


def read_grant(word: Scalar, entities: set[str], notes: Notes) -> Grant | None:
    """``all``, ``read``, ``write``, or a verb with an entity; None with an error when it is none of these."""
    verb, _, entity = word.text.strip().partition(" ")
    entity = entity.strip()
    if verb not in VERBS or (verb == "all" and entity) or (verb == "own" and not entity):
        hint = (
            nearest(verb, VERBS) or "A right is: all, read, write, read Entity, write Entity or own Entity."
        )
        if verb == "own":
            hint = "Name the entity: own Card"
        notes.error("grant", f"{quote(word.text)} is no right.", word, hint)
        return None
    if not entity:
        return Grant(verb=verb)
    place = Scalar(text=entity, value=entity, quoted=False, line=word.line, column=word.column)
    return Grant(verb=verb, entity=entity) if check_known(place, entities, "an entity", notes) else None
