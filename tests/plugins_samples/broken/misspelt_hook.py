"""Means factory_routes."""

from factory_core.hooks import hookimpl


@hookimpl
def factory_rotues(boot):
    return []
