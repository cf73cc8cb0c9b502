"""What the owner can check off: requirements, and the cases that prove them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

__all__ = ["AcceptanceCase", "Requirement", "RequirementState", "Step"]


class RequirementState(StrEnum):
    """spec_format, "Requirements and acceptance"."""

    PROVEN = "proven"
    BUILT = "built"
    FAILED = "failed"
    STUBBED = "stubbed"
    NOT_UNDERSTOOD = "not understood"


class Requirement(Struct, frozen=True, kw_only=True):
    """A sentence the owner can check off. Linked by ``requirement:`` keys or ``by:``, never by guessing."""

    id: str
    text: str
    by: tuple[str, ...] = ()
    """Paths such as ``Card.board`` or ``POST /cards/{id}/finish`` that it names as its implementation."""
    line: int = 0


class Step(Struct, frozen=True, kw_only=True):
    """One HTTP call of an acceptance case."""

    method: str
    path: str
    body: Any = None
    has_body: bool = False
    role: str | None = None
    """None = the default role, or no authentication when the spec has no roles. ``nobody`` sends no token."""
    status: int | None = None
    """None = any 2xx."""
    expect_body: Any = None
    has_expect_body: bool = False
    count: int | None = None
    headers: dict[str, str] = {}
    absent: tuple[str, ...] = ()
    save: str | None = None
    line: int = 0


class AcceptanceCase(Struct, frozen=True, kw_only=True):
    """A story told as HTTP calls on an empty database with the demo accounts."""

    name: str
    steps: tuple[Step, ...]
    requirements: tuple[str, ...] = ()
    line: int = 0
