"""``/metrics``: how the whole studio does, for Prometheus.

Counted from the journal when asked, so every web process answers the same and a restart loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from factory_api.answers import problems
from factory_api.errors import MetricsForbidden, NoDatabase
from factory_api.operator import is_operator
from factory_core.builds.figures import (
    BuildFigures,
    QueueFigures,
    WorkerFigures,
    build_figures,
    queue_figures,
    worker_figures,
)
from factory_core.builds.holdings import Holding, largest_holdings
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import Database
from factory_core.kernel.version import VERSION
from factory_core.settings import Secret

Asked = Request[object, object, State]

QUEUE = {
    "depth": ("depth", "Work that could start at once."),
    "waiting": ("waiting", "Work that waits for its time, or for other tasks."),
    "parked": (
        "parked",
        "Work that waits because somebody else asked for patience, such as a model's provider.",
    ),
    "running": ("running", "Attempts that run."),
    "dead_letters": ("dead", "Dead letters: work that failed too often and waits for a person."),
    "oldest_age_seconds": (
        "oldest_seconds",
        "How long work that could start has waited, at most; 0 when there is none.",
    ),
    "recent_completions": ("done", "Work that ended well in the last factory_recent_window_seconds."),
    "recent_failures": (
        "failed",
        "Attempts that failed or were lost in the last factory_recent_window_seconds, those that are tried again "
        "included.",
    ),
}
"""Metric without its prefix ``factory_queue_`` -> the figure, its help."""

SHARES = {
    "running": (
        "running",
        "Tasks that run, of the fifty projects that hold most; the others together are other.",
    ),
    "ready": ("ready", "Tasks that could start, of the same."),
    "recent_processor_seconds": (
        "processor_seconds",
        "Processor time of sandboxed commands in the last factory_recent_window_seconds, where hosts count it.",
    ),
    "memory_bytes": ("memory", "What sandboxed commands hold of the memory of hosts, where those count it."),
}
"""Metric without its prefix ``factory_share_`` -> the figure, its help."""


def make_metrics(token: Secret | None) -> HTTPRouteHandler:
    """The route; ``token`` is what a reader has to send."""

    @get(
        "/metrics",
        tags=["queue"],
        summary="Read the metrics",
        media_type="text/plain",
        responses=problems(403),
    )
    async def metrics(
        request: Asked, studio: NamedDependency[Studio], database: NamedDependency[Database | None]
    ) -> Response[bytes]:
        """Queues, builds and workers of the whole studio, as Prometheus text (or OpenMetrics, if that is accepted).
        For the operator: who sends the token of FACTORY_API_METRICS_TOKEN; without one, this machine only."""
        if not is_operator(request, token):
            raise MetricsForbidden
        if database is None:
            raise NoDatabase
        names = tuple({job.queue for job in studio.jobs()})
        registry = CollectorRegistry(auto_describe=False)
        registry.register(
            _Figures(
                await queue_figures(database.pool, names),
                await build_figures(database.pool),
                await worker_figures(database.pool, database.pool),
                await largest_holdings(database.pool),
            )
        )
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return metrics


class _Figures(Collector):
    """Figures of one moment as metrics."""

    def __init__(
        self,
        queues: Sequence[QueueFigures],
        builds: BuildFigures,
        workers: Sequence[WorkerFigures],
        held: Mapping[tuple[str, str], Holding],
    ) -> None:
        self._queues = queues
        self._builds = builds
        self._workers = workers
        self._held = held

    def collect(self) -> Iterator[Metric]:
        """Each metric once, with all its samples."""
        yield InfoMetricFamily("factory_studio", "The studio itself.", value={"version": VERSION})
        yield _gauge(
            "factory_recent_window_seconds",
            "Over how long what is called recent is counted.",
            self._builds.window_seconds,
        )
        for name, (figure, help_text) in QUEUE.items():
            samples = {queue.name: getattr(queue, figure) for queue in self._queues}
            yield _gauges(f"factory_queue_{name}", help_text, "queue", samples)
        yield _gauges("factory_builds_open", "Builds that have not ended.", "state", self._builds.open)
        yield _gauges(
            "factory_builds_recent_endings",
            "Builds that ended in the last factory_recent_window_seconds.",
            "state",
            self._builds.ended,
        )
        yield _gauge("factory_workers", "Worker processes.", len(self._workers))
        yield _gauge(
            "factory_worker_slots",
            "Build tasks that all workers together can run at once.",
            sum(worker.slots for worker in self._workers),
        )
        yield _gauge(
            "factory_worker_silence_seconds",
            "How long ago the worker that has been silent longest was heard of; 0 when there is none.",
            max((worker.beat_seconds for worker in self._workers), default=0.0),
        )
        for name, (figure, help_text) in SHARES.items():
            family = GaugeMetricFamily(f"factory_share_{name}", help_text, labels=["organisation", "project"])
            for labels, holding in self._held.items():
                if (value := getattr(holding, figure)) is not None:
                    family.add_metric(labels, value)
            yield family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _gauges(name: str, help_text: str, label: str, samples: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value, figure in samples.items():
        family.add_metric([str(value)], figure)
    return family
