"""The build service of a booted studio, opened for one command or one process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from factory_core.builds.journal import Journal
from factory_core.builds.service import BuildService
from factory_core.builds.tools import Blobs
from factory_core.contracts.template import TemplatePackage
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import LOCAL_ORGANISATION, open_database
from factory_core.kernel.queue import Queue, open_queue
from factory_core.planning import StudioPlanner, load_template

__all__ = ["installed_templates", "make_service", "open_service"]


def installed_templates(studio: Studio) -> dict[str, TemplatePackage]:
    """The template packages of every plugin that is on, by name."""
    packages = [load_template(folder) for folder in studio.templates()]
    return {package.manifest.name: package for package in packages}


def make_service(studio: Studio, journal: Journal, queue: Queue) -> BuildService:
    """The build service of this studio over what is open already."""
    storage = studio.storage()
    templates = installed_templates(studio)
    planner = StudioPlanner(studio.planners())
    return BuildService(journal, Blobs(storage), storage, templates, planner, queue, studio.agents())


@asynccontextmanager
async def open_service(studio: Studio) -> AsyncGenerator[BuildService]:
    """A service over a pool and a queue of its own. Raises DatabaseUnreachable."""
    async with open_queue(studio) as queue, open_database(studio.database_url(), studio.settings) as database:
        journal = Journal(database.pool)
        await journal.found(LOCAL_ORGANISATION, "local")
        yield make_service(studio, journal, queue)
