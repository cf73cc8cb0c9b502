"""What all tests share. The servers and databases are fixtures of ``factory_core.testing.plugin``."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# How long an example takes says how busy the machine is, not whether the claim holds.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

LONGEST_FIRST = ("journeys", "browser", "plugins_samples", "plugins", "core/builds", "core/supervisor")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the product does."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no worker is left alone with one in the end."""
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).as_posix() if item.path.is_relative_to(root) else ""
        return next(
            (n for n, name in enumerate(LONGEST_FIRST) if folder.startswith(name + "/")), len(LONGEST_FIRST)
        )

    items.sort(key=place)
