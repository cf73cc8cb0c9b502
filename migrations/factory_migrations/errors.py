"""What can be wrong with a request to migrate."""

from __future__ import annotations

from factory_core.errors import FactoryError


class AppUnknown(FactoryError):
    """An app that no installed plugin offers."""

    status = 404
    exit_code = 64

    def __init__(self, app: str, known: tuple[str, ...]) -> None:
        self.app = app
        self.known = known
        super().__init__(f"No installed plugin has the app {app!r}. There are: {', '.join(known) or 'none'}.")


class MigrationUnknown(FactoryError):
    """A migration to go back to that was never applied."""

    status = 404
    exit_code = 64

    def __init__(self, app: str, name: str, applied: tuple[str, ...]) -> None:
        self.app = app
        self.name = name
        super().__init__(
            f"{name!r} is not an applied migration of {app}. Applied: {', '.join(applied) or 'none'}; 'zero' means all."
        )


class AppStillNeeded(FactoryError):
    """Taking back all of an app while another app stands on it."""

    status = 409
    exit_code = 4

    def __init__(self, app: str, dependents: tuple[str, ...]) -> None:
        self.app = app
        self.dependents = dependents
        super().__init__(f"{', '.join(dependents)} depend on {app}. Take them back first.")


class MigrationNamesClash(FactoryError):
    """Two migration files of one name: Piccolo imports them by bare name and would run only one of them."""

    def __init__(self, name: str, other_app: str) -> None:
        self.name = name
        self.other_app = other_app
        super().__init__(f"The migration file {name}.py has the name of one of {other_app}; rename it.")
