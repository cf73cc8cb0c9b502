"""What can be wrong with a request to the API."""

from __future__ import annotations

from factory_core.errors import EnvironmentUnfit, FactoryError


class NoDatabase(EnvironmentUnfit):
    """The web process runs without a database."""

    def __init__(self) -> None:
        super().__init__("There is no database. Set FACTORY_DATABASE_URL or install factory-plugin-embedded.")


class NoJson(FactoryError):
    """A body of another kind: browsers let any page send those without asking."""

    status = 415

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"The body is {kind or 'of no kind'}. Send it with Content-Type: application/json.")


class RangeUnfit(FactoryError):
    """A byte range that lies outside the archive."""

    status = 416

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"The archive has {size} bytes; ask for a range inside it.")


class MetricsForbidden(FactoryError):
    """Somebody who is not known as the operator asks for the metrics, which tell of every organisation."""

    status = 403

    def __init__(self) -> None:
        super().__init__(
            "The metrics are the operator's. Ask on the studio's own machine and not through a proxy, or set "
            "FACTORY_API_METRICS_TOKEN and send it as 'Authorization: Bearer …'."
        )


class OperatorOnly(FactoryError):
    """Somebody who is not known as the operator asks for what lies above every organisation."""

    status = 403

    def __init__(self) -> None:
        super().__init__(
            "What organisations get is the operator's to say. Ask on the studio's own machine and not through a proxy, or "
            "set FACTORY_API_OPERATOR_TOKEN and send it as 'Authorization: Bearer …'."
        )
