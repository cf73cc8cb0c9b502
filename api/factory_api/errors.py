"""What can be wrong with a request to the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from factory_core.contracts.events import BuildState
from factory_core.errors import EnvironmentUnfit, FactoryError


class NoDatabase(EnvironmentUnfit):
    """The web process runs without a database."""

    def __init__(self) -> None:
        super().__init__("There is no database. Set FACTORY_DATABASE_URL or install factory-plugin-embedded.")


class SpecRefused(FactoryError):
    """A specification with errors; each has its line and column."""

    status = 422
    exit_code = 2

    def __init__(self, problems: tuple[dict[str, Any], ...]) -> None:
        self.errors = [{"field": "spec", **problem} for problem in problems]
        first = problems[0]
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(f"The specification is wrong at line {first['line']}: {first['message']}{more}.")


class BuildEnded(FactoryError):
    """A build that is over cannot be cancelled."""

    status = 409

    def __init__(self, build: UUID, state: BuildState) -> None:
        self.build = build
        self.state = state
        super().__init__(f"Build {build} has {state} already; there is nothing to cancel.")


class ArtifactMissing(FactoryError):
    """The build has nothing to hand out, or not yet."""

    status = 404

    def __init__(self, build: UUID, what: str, state: BuildState) -> None:
        self.build = build
        self.state = state
        super().__init__(
            f"Build {build} is {state} and has no {what}. An archive exists once a build has passed."
        )


class CursorUnknown(FactoryError):
    """A cursor that no answer of ours contained."""

    status = 422

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__(
            f"The cursor {cursor!r} is not one of ours. Take 'next' of the page before, unchanged."
        )


class RangeUnfit(FactoryError):
    """A byte range that lies outside the archive."""

    status = 416

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"The archive has {size} bytes; ask for a range inside it.")
