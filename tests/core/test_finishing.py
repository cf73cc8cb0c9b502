"""Work is waited for to its end, whoever stops waiting."""

from __future__ import annotations

import asyncio

import pytest

from factory_core.finishing import to_the_end

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_waits_all_the_same(times: int, fails: bool) -> None:
    go_on, done = asyncio.Event(), []

    async def work() -> None:
        await go_on.wait()
        done.append(True)
        if fails:
            raise OSError

    waiting = asyncio.create_task(to_the_end(work()))
    for _ in range(times):
        await asyncio.sleep(0)
        waiting.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == [True]


async def test_without_that_it_is_as_if_it_were_awaited() -> None:
    async def work(value: int) -> int:
        await asyncio.sleep(0)
        return 10 // value

    assert await to_the_end(work(2)) == 5
    with pytest.raises(ZeroDivisionError):
        await to_the_end(work(0))
