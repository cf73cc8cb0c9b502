"""What all tests share. The servers and databases are fixtures of ``factory_core.testing.plugin``."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the product does."""
    return "asyncio"
