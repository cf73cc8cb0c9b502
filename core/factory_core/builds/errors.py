"""What can go wrong with builds, as nouns."""

from __future__ import annotations

from uuid import UUID

from factory_core.contracts.events import BuildState
from factory_core.errors import FactoryError

__all__ = [
    "ArchiveDamaged",
    "BudgetTooSmall",
    "BuildEnded",
    "BuildMissing",
    "BuildPacked",
    "BuildUnready",
    "CursorUnknown",
    "IdempotencyConflict",
    "OrganisationMissing",
    "ProjectShareMissing",
    "QueueFull",
    "RowsUnfit",
    "ShareUnfit",
    "TaskMissing",
]

_NEXT_STEPS = {
    BuildState.QUEUED: "It is under way; cancel it or wait for its end.",
    BuildState.PLANNING: "It is under way; cancel it or wait for its end.",
    BuildState.RUNNING: "It is under way; cancel it or wait for its end.",
    BuildState.PAUSED: "Resume it first.",
    BuildState.HALTED: "Decide first whether it may go on.",
    BuildState.STOPPING: "It is being cancelled; wait for its end.",
    BuildState.PASSED: "It is over; fork it to run parts of it again.",
    BuildState.FAILED: "It is over; retry it.",
    BuildState.CANCELLED: "It is over; retry it.",
}


class ArchiveDamaged(FactoryError):
    """A file of events or rows that is not what was stored."""

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(
            f"The archived events in {key!r} cannot be read ({reason}). Restore the storage from a backup."
        )


class RowsUnfit(FactoryError):
    """Rows that no file can keep as they are. Upkeep leaves them in their tables and says so in the log."""

    def __init__(self, build: UUID, reason: str) -> None:
        self.build = build
        self.reason = reason
        super().__init__(
            f"The rows of build {build} cannot be kept in a file ({reason}). Compare them with a backup of the database."
        )


class BudgetTooSmall(FactoryError):
    """The plan is quoted at more than the specification lets the build spend, so nothing was started."""

    status = 422
    exit_code = 2

    def __init__(self, quoted_nano_usd: int, budget_nano_usd: int) -> None:
        self.quoted_nano_usd = quoted_nano_usd
        self.budget_nano_usd = budget_nano_usd
        super().__init__(
            f"The build is quoted at ${quoted_nano_usd / 1e9:.4f}, its budget is ${budget_nano_usd / 1e9:.4f}. "
            "Raise constraints.budget, or ask for less."
        )


class CursorUnknown(FactoryError):
    """A cursor that no page of ours ended with."""

    status = 422
    exit_code = 64

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor[:300]
        super().__init__(
            f"The cursor {self.cursor!r} is not one of ours. Take 'next' of the page before, unchanged."
        )


class BuildMissing(FactoryError):
    """No such build, or it belongs to another organisation."""

    status = 404
    exit_code = 64

    def __init__(self, build: UUID) -> None:
        self.build = build
        super().__init__(f"There is no build {build}. List the builds to see which there are.")


class BuildEnded(FactoryError):
    """A build that has passed or failed cannot be cancelled."""

    status = 409

    def __init__(self, build: UUID, state: BuildState) -> None:
        self.build = build
        self.state = state
        super().__init__(f"Build {build} has {state.value} already; there is nothing to cancel.")


class BuildUnready(FactoryError):
    """A build in a state in which it cannot be what was asked: paused, resumed, decided on, retried."""

    status = 409
    code = "build-unready"

    def __init__(self, build: UUID, state: BuildState, what: str) -> None:
        self.build = build
        self.state = state
        step = _NEXT_STEPS.get(state, "Look at it again.")
        super().__init__(f"Build {build} is {state.value} and cannot be {what}. {step}")


class BuildPacked(FactoryError):
    """A build whose rows are in a file. ``BuildService`` brings them back and asks again; nobody else sees this."""

    status = 409

    def __init__(self, build: UUID) -> None:
        self.build = build
        super().__init__(
            f"The rows of build {build} are in a file of the storage. Run it again with the build service."
        )


class TaskMissing(FactoryError):
    """No such task in the build's plan."""

    status = 404
    exit_code = 64

    def __init__(self, build: UUID, task: str) -> None:
        self.build = build
        self.task = task
        super().__init__(
            f"Build {build} has no task {task!r}. Its tasks are in 'studio builds show {build} --json'."
        )


class OrganisationMissing(FactoryError):
    """An organisation that does not exist was named, by its id or name."""

    status = 404
    exit_code = 64

    def __init__(self, organisation: UUID | str) -> None:
        self.organisation = organisation
        super().__init__(
            f"There is no organisation {organisation}. Create it first; 'studio shares' lists those there are."
        )


class ProjectShareMissing(FactoryError):
    """A project that was given no share."""

    status = 404
    exit_code = 64

    def __init__(self, project: str) -> None:
        self.project = project[:200]
        super().__init__(
            f"Project {self.project!r} has no share of its own. 'studio shares' lists those that have."
        )


class ShareUnfit(FactoryError):
    """A share that cannot be given; ``errors`` names the field."""

    status = 422
    exit_code = 64

    def __init__(self, field: str, message: str) -> None:
        self.errors = ({"field": field, "message": message},)
        super().__init__(f"The share is not given: {field} {message}.")


class IdempotencyConflict(FactoryError):
    """An idempotency key came back with another specification."""

    status = 409
    code = "idempotency-conflict"

    def __init__(self, key: str, build: UUID) -> None:
        self.key = key
        self.build = build
        super().__init__(
            f"The idempotency key {key!r} belongs to build {build}, which has another specification. Use a new key."
        )


class QueueFull(FactoryError):
    """The organisation has as many builds or tasks waiting as it may. ``retry_after`` is in seconds."""

    status = 429
    exit_code = 75

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            "The organisation has as much waiting as it may, so this build was not taken. "
            f"Try again in {retry_after} s, or cancel a build that is not needed."
        )
