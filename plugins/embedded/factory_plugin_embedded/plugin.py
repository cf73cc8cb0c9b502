"""Offers a PostgreSQL and a Valkey of the studio's own, for when none is configured."""

from __future__ import annotations

from factory_core.contracts.servers import ServerSource
from factory_core.hooks import hookimpl

from .postgres import EmbeddedPostgres
from .valkey import EmbeddedValkey


@hookimpl
def factory_database_url() -> ServerSource:
    return EmbeddedPostgres()


@hookimpl
def factory_queue_url() -> ServerSource:
    return EmbeddedValkey()
