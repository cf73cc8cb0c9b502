"""The board of a swarm and the mail of a mesh, on the real journal."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from factory_core.builds.boards import GivenUp, TaskBoard, twice_made
from factory_core.contracts.agent import Message, Outcome
from factory_core.contracts.files import FileRef

pytestmark = pytest.mark.anyio


async def two(desk: Any, noop: Any, **params: str) -> tuple[Any, Any]:
    _, started = await desk.planned([noop("a", params=params), noop("b", params=params)])
    return started["a"], started["b"]


async def test_of_two_who_compare_and_set_one_wins_and_the_other_sees_what_stands(
    desk: Any, noop: Any
) -> None:
    a, b = [TaskBoard(desk.journal.boards, attempt) for attempt in await two(desk, noop)]
    assert (await a.put("name", "Card", version=0)).won
    lost = await b.put("name", "Ticket", version=0)
    assert (lost.won, lost.value, lost.version, lost.task) == (False, "Card", 1, "a")
    assert (await b.put("name", "Ticket", version=1)).won
    assert not (await a.put("name", "Card", version=1)).won
    assert (await a.get("name")).value == "Ticket"


async def test_a_repeated_write_wins_again_and_counts_once(desk: Any, noop: Any) -> None:
    a, _ = await two(desk, noop)
    board = TaskBoard(desk.journal.boards, a)
    for _ in range(2):
        assert (await board.put("name", "Card", version=0)).version == 1


async def test_nothing_stands_where_nobody_wrote(desk: Any, noop: Any) -> None:
    a, _ = await two(desk, noop)
    board = TaskBoard(desk.journal.boards, a)
    assert (await board.get("name")).version == 0
    assert not (await board.put("name", "Card", version=3)).won
    assert await board.all() == ()


async def test_who_lost_the_task_may_not_write(desk: Any, noop: Any) -> None:
    a, _ = await two(desk, noop)
    late = replace(a, fence=a.fence - 1)
    with pytest.raises(GivenUp):
        await TaskBoard(desk.journal.boards, late).put("name", "x", version=0)
    with pytest.raises(GivenUp):
        await desk.journal.boards.send(late, Outcome(mail=(Message(to="2", body="x"),)))
    assert await desk.journal.boards.read(desk.org, a.build) == ()


async def test_a_board_is_its_build_s_and_its_organisation_s_alone(desk: Any, noop: Any) -> None:
    a, _ = await two(desk, noop)
    await TaskBoard(desk.journal.boards, a).put("name", "Card", version=0)
    other, _ = await two(desk, noop)
    assert await desk.journal.boards.read(desk.org, other.build) == ()
    assert await desk.journal.boards.read(other.build, a.build) == (), "an id that is no organisation's"


async def test_letters_are_read_in_the_next_round_by_whom_they_are_for(desk: Any, noop: Any) -> None:
    tasks = [
        noop(f"mesh/{number}/{peer}", params={"peer": peer, "round": str(number)})
        for number in (1, 2)
        for peer in ("1", "2")
    ]
    _, started = await desk.planned(tasks)
    boards = desk.journal.boards
    first, second = started["mesh/1/1"], started["mesh/2/2"]
    for _ in range(2):  # a repeated sending replaces the first
        await boards.send(first, Outcome(mail=(Message(to="2", body="one"), Message(to="2", body="two"))))
    await boards.send(started["mesh/1/2"], Outcome(mail=(Message(to="2", body="own\0"),)))
    letters = [(letter.sender, letter.body) for letter in await boards.letters(second)]
    assert letters == [("1", "one"), ("1", "two"), ("2", "own\ufffd")]
    assert await boards.letters(started["mesh/2/1"]) == ()
    assert await boards.letters(first) == (), "the first round hears nothing"


async def test_in_a_swarm_two_makers_of_one_path_are_found_by_the_board(desk: Any, noop: Any) -> None:
    a, b = await two(desk, noop, paradigm="swarm")
    boards = desk.journal.boards
    assert await twice_made(boards, a, [ref("x.py", "1"), ref("y.py", "2")]) == ""
    assert await twice_made(boards, a, [ref("x.py", "1")]) == "", "a second try of the same task"
    assert await twice_made(boards, b, [ref("y.py", "2")]) == "", "the same content is no conflict"
    assert await twice_made(boards, b, [ref("x.py", "9")], [ref("x.py", "1")]) == "", "it was given the file"
    assert await twice_made(boards, b, [ref("x.py", "9")]) == "More than one task makes x.py: a and b."
    c, d = await two(desk, noop)
    await twice_made(boards, c, [ref("x.py", "1")])
    assert await twice_made(boards, d, [ref("x.py", "9")]) == "", "elsewhere the architect drew a map"


def ref(path: str, digest: str) -> FileRef:
    return FileRef(path=path, digest=digest, size=1, producer="a")
