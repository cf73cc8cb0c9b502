"""A template package: ``factory.toml``, Jinja files and a toolchain lock. Data only, never imported.

``factory.toml`` is the manifest below in TOML. Each ``[[work]]`` is a kind of work; the planner makes one task of it per
node (``each``), and the agent it names renders its ``files``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

__all__ = [
    "Each",
    "GateSpec",
    "Manifest",
    "TemplateFile",
    "TemplatePackage",
    "ToolchainSpec",
    "TrackSpec",
    "WorkSpec",
]

Each = Literal["project", "entity", "endpoint", "view", "case"]


class TemplateFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``source`` is relative to the template's ``files`` folder; a name ending in ``.j2`` is rendered, anything else
    copied. ``path`` may hold ``{module}``, ``{slug}``, ``{collection}``, ``{package}`` and
    ``{migration}`` of the node."""

    source: str
    path: str
    when: str = ""
    """A flag of the rendering context (``roles``, ``states`` …) that must be true for the file to exist."""
    executable: bool = False


class WorkSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of work: which agent renders what, for each node of which kind, after what."""

    name: str
    agent: str
    each: Each = "project"
    team: str = "backend"
    stage: str = "build"
    """``analyse``, ``design``, ``build``, ``test``, ``integrate``, ``verify``, ``document`` or ``deliver``: the order of
    work, and what named phases of a spec are matched with."""
    title: str = ""
    after: tuple[str, ...] = ()
    """Names of other work. Between two works of the same ``each`` an edge joins equal nodes; otherwise all."""
    seconds: float = 0.05
    """What one task of it usually takes on one core, for the quote."""
    files: tuple[TemplateFile, ...] = ()
    params: dict[str, str] = {}
    reads: tuple[str, ...] | None = None
    """What a task of it gets to read, and all that its result is remembered under: ``blueprint`` (as far as the task's
    scope goes) or parts of it such as ``blueprint.entities``; patterns of paths such as ``app/**/*.py`` (files of the tasks
    before it); ``release:`` and such a pattern (files of the release that the build stands on); names of other works (their
    data). The project's own facts are always read. What is not declared is not
    handed over: the less it is, the less is done again when the spec changes. Left out, it reads everything."""
    coordinates: bool = False
    """It hands on neither files nor data that later work needs: agents that agree among themselves need not wait for it."""
    on: Literal["", "integration"] = ""
    """Not planned: spawned when this happens, if the spec asks for it (``behaviors.on_integration``)."""


class GateSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate the template's output can pass: ``command`` runs in the sandbox, in the project's folder."""

    name: str
    command: tuple[str, ...] = ()
    seconds: float = 60.0
    memory_mib: int = 1024


class TrackSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A track: the works whose files go to one branch. A work that makes files and is in none belongs to the track of its
    team."""

    name: str
    works: tuple[str, ...]
    title: str = ""


class ToolchainSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The locked dependencies of the output. ``lock`` is a requirements file with hashes, relative to the package."""

    lock: str
    python: str = ">=3.11"


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``factory.toml``."""

    name: str
    version: str
    title: str
    description: str = ""
    technology: dict[str, str] = {}
    """``name -> version`` of what the output is made with; compared with the spec's ``technology:`` lines."""
    toolchain: ToolchainSpec
    work: tuple[WorkSpec, ...]
    gates: tuple[GateSpec, ...] = ()
    tracks: tuple[TrackSpec, ...] = ()
    """In the order their branches are merged."""
    changelog: str = ""
    """Path of the change log that every track adds its part to when it is merged; none when empty."""


class TemplatePackage(Struct, frozen=True, kw_only=True):
    """An installed template. ``root`` is the folder that holds ``factory.toml`` and ``files``."""

    manifest: Manifest
    root: Path
    digest: str
    """SHA-256 over every file of the package; part of every memo key."""
