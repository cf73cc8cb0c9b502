"""What is asked of the build service, and how it is refused."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from factory_core.contracts.events import BuildState
from factory_core.contracts.plan import Quote
from factory_core.errors import FactoryError
from factory_core.specs import Problem

__all__ = ["OWN_PARAMS", "ArtifactMissing", "BuildOrder", "Fork", "ForkUnfit", "SpecRejected", "Started"]


class SpecRejected(FactoryError):
    """The specification has errors, so nothing was started."""

    status = 422
    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        errors = sum(problem.severity == "error" for problem in problems)
        super().__init__(
            f"The specification has {errors} error{'s' if errors != 1 else ''}; the first: {_first(problems)}"
        )


def _first(problems: tuple[Problem, ...]) -> str:
    problem = next(problem for problem in problems if problem.severity == "error")
    return f"line {problem.line}, column {problem.column}: {problem.message}"


class ArtifactMissing(FactoryError):
    """The build made no such file."""

    status = 404

    def __init__(self, build: UUID, name: str, state: BuildState) -> None:
        self.build = build
        self.name = name
        self.state = state
        super().__init__(
            f"Build {build} ({state}) has no {name}. A build that failed leaves its report and no archive; "
            "one that runs leaves nothing yet."
        )


class BuildOrder(Struct, frozen=True, kw_only=True):
    """A build to start. ``key`` is the idempotency key; without one every order is a new build.

    ``onto`` names the build whose artifact is the release that it stands on, or ``newest``; or ``release`` is such an
    artifact."""

    spec: bytes
    name: str = "spec.yaml"
    template: str = ""
    max_agents: int | None = None
    onto: str = ""
    release: bytes = b""
    key: str = ""


class Fork(Struct, frozen=True, kw_only=True):
    """A fork to be made of ``source``: from ``task`` (without one, all of it), whose ``params`` may be changed; or of
    another specification, with the source's template and caps."""

    source: UUID
    task: str = ""
    params: dict[str, str] = {}
    spec: bytes | None = None
    name: str = ""
    key: str = ""


OWN_PARAMS = frozenset({"spec", "spec_name", "template", "release", "max_agents"})
"""Parameters of the first task that the service sets from what it has checked. They name stored content by digest,
which may be anybody's."""


class ForkUnfit(FactoryError):
    """A fork from a task and by another specification at once, or with a parameter that is not for callers to change."""

    status = 422
    exit_code = 64

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            f"{reason} Fork with another specification, or start a build."
            if reason
            else "A fork with another specification is planned anew, so it takes no task and no params: what is equal is "
            "reused by itself. Leave the task and the params out, or the specification."
        )


class Started(Struct, frozen=True, kw_only=True):
    """``created`` is false when the order's key had started the build before."""

    build: UUID
    created: bool
    quote: Quote
