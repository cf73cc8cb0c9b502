"""Errors are nouns that carry facts and say what to do next.

``kernel/problems.py`` alone turns them into RFC 9457 problems; the command line prints ``str(error)`` and exits with
``exit_code``. Subclasses set ``status`` and, where the HTTP status is not enough to tell them apart, ``code``.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "EnvironmentUnfit",
    "FactoryError",
    "JobRefused",
    "ObjectMissing",
    "RateLimited",
    "SandboxUnavailable",
    "ServerStartError",
    "UnsafeKey",
]


class FactoryError(Exception):
    """Base of every error a user may see. The message names the cause and the next step.

    ``status`` is the HTTP status, ``exit_code`` the process's (spec_format, "What a build leaves")."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = ""

    def facts(self) -> dict[str, Any]:
        """The error's attributes, as extension members of the problem (RFC 9457, section 3.2)."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class EnvironmentUnfit(FactoryError):
    """The machine lacks something: the sandbox, the toolchain, disk space, a server."""

    status = 503
    exit_code = 4


class SandboxUnavailable(EnvironmentUnfit):
    """Code cannot be contained here, so it is not run."""


class DatabaseOutdated(EnvironmentUnfit):
    """The database was made by another state of the code than the one that runs."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The database does not fit this version of Factory Studio ({reason}).")


class ServerStartError(EnvironmentUnfit):
    """An embedded server did not start."""


class JobRefused(FactoryError):
    """A background job that cannot be kept: nobody offers it, or its payload is unfit."""

    status = 422

    def __init__(self, job: str, reason: str) -> None:
        self.job = job
        self.reason = reason
        super().__init__(f"The job {job!r} is not taken: {reason}")


class ObjectMissing(FactoryError):
    """A storage key that holds nothing."""

    status = 404

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"Nothing is stored under {key!r}.")


class UnsafeKey(FactoryError):
    """A storage key that could name something outside the storage."""

    status = 422

    def __init__(self, key: str) -> None:
        self.key = key[:200]
        super().__init__(
            f"{self.key!r} cannot be a storage key. Use relative names joined by '/', without '..', at most 1024 bytes."
        )


class RateLimited(FactoryError):
    """Somebody else asks for patience, such as a model's provider; ``retry_after`` is in seconds. An agent that raises it
    is parked: its slot is free meanwhile, and no try is counted; past 24 hours of it in all the task fails."""

    status = 429
    exit_code = 75

    def __init__(self, reason: str, retry_after: float) -> None:
        self.reason = reason
        self.retry_after = max(0.1, min(retry_after, 3600.0))
        super().__init__(f"{reason}. Try again in {self.retry_after:g} s.")
