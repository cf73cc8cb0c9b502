"""What is kept in memory of the store."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.recent import Recent
from factory_core.errors import ObjectMissing


class Store:
    """Counts what is read."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {hashlib.sha256(content).hexdigest(): content for content in contents}
        self.read: list[str] = []

    async def get(self, digest: str) -> bytes:
        self.read.append(digest)
        await asyncio.sleep(0)
        if digest not in self.contents:
            raise ObjectMissing(digest)
        return self.contents[digest]


@given(
    st.sets(st.binary(min_size=1, max_size=9), min_size=1, max_size=9),
    st.integers(1, 30),
    st.integers(1, 9),
    st.lists(st.lists(st.integers(0, 8), max_size=4), max_size=8),
)
def test_every_answer_is_the_stores_and_memory_has_its_bounds(contents, room, largest, rounds):
    store = Store(*contents)
    digests = sorted(store.contents)
    recent = Recent(store, room=room, largest=largest)

    async def go() -> None:
        for wanted in rounds:
            asked = [digests[number % len(digests)] for number in wanted]
            found = await asyncio.gather(*(recent.get(digest) for digest in asked))  # some at the same time
            assert found == [store.contents[digest] for digest in asked]
            kept = recent._kept.values()
            assert recent._used == sum(map(len, kept)) <= room
            assert all(len(content) <= largest for content in kept)

    asyncio.run(go())


def test_what_was_read_last_is_kept_longest():
    store = Store(b"aa", b"bb", b"cc")
    a, b, c = (hashlib.sha256(content).hexdigest() for content in (b"aa", b"bb", b"cc"))
    recent = Recent(store, room=4)

    async def go() -> None:
        for digest in (a, b, a, c, a, b):
            await recent.get(digest)

    asyncio.run(go())
    assert store.read == [a, b, c, b]


def test_what_is_missing_is_asked_for_again():
    store = Store()
    digest = hashlib.sha256(b"late").hexdigest()
    recent = Recent(store)
    with pytest.raises(ObjectMissing):
        asyncio.run(recent.get(digest))
    store.contents[digest] = b"late"
    assert asyncio.run(recent.get(digest)) == b"late"
