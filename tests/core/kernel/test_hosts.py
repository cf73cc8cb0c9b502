"""Which names the web answers to."""

from __future__ import annotations

from typing import Any

import pytest

from factory_core.kernel.hosts import KnownHosts

pytestmark = pytest.mark.anyio


async def status_for(host: bytes, *names: str) -> int:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "headers": [(b"host", host)]}
    await KnownHosts(app, names)(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    return sent[0]["status"]


@pytest.mark.parametrize(
    "host", [b"localhost", b"LOCALHOST:8600", b"127.0.0.1:8600", b"[::1]:8600", b"[::1]"]
)
async def test_its_own_names_are_answered_with_and_without_a_port(host: bytes) -> None:
    assert await status_for(host, "localhost", "127.0.0.1", "[::1]") == 200


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example", b"", b"evil.example:8600"])
async def test_other_names_are_refused(host: bytes) -> None:
    assert await status_for(host, "localhost", "127.0.0.1", "[::1]") == 421


async def test_a_star_answers_to_every_name() -> None:
    assert await status_for(b"studio.example", "*") == 200
