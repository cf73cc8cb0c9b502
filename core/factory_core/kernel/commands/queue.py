"""``studio queue``: how the queues do, and what waits for a person."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec
import rich_click as click

from factory_core.kernel.commands.operating import Json, with_database
from factory_core.kernel.commands.output import open_console
from factory_core.plain import plain, said

if TYPE_CHECKING:
    from rich.table import Table

    from factory_core.builds.deadletters import DeadLetter, DeadLetters
    from factory_core.builds.figures import QueueFigures, WorkerFigures
    from factory_core.kernel.boot import Studio
    from factory_core.kernel.database import Database

ResultT = TypeVar("ResultT")


@click.group(invoke_without_command=True)
@click.pass_context
def queue(ctx: click.Context) -> None:
    """Show depth, age, rate and failures of the queues; list, retry and discard dead letters."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status)


@queue.command("status")
@Json
def status(as_json: bool = False) -> None:
    """Show every queue and every worker."""
    queues, workers = with_database(_status)
    if as_json:
        click.echo(msgspec.json.encode({"queues": queues, "workers": workers}))
        return

    console = open_console()
    console.print(_queue_table(queues))
    console.print(_worker_table(workers) if workers else "No worker runs. 'studio worker' starts one.")
    if any(row.dead for row in queues):
        console.print("Dead letters wait for you: studio queue dead")


@queue.command("dead")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--cursor", metavar="NEXT", help="Go on after an earlier page: what it said at its end.")
@Json
def dead(limit: int, cursor: str | None, as_json: bool) -> None:
    """List what failed too often with its cause, the last to die first."""
    page = _with_letters(lambda found: found.page(limit=limit, cursor=cursor))
    if as_json:
        click.echo(msgspec.json.encode(page))
        return
    if not page.items:
        click.echo("No dead letters." if cursor is None else "No more dead letters.")
    for letter in page.items:
        _print_letter(letter)
    if page.next is not None:
        click.echo(f"{page.total} in all. The next ones: studio queue dead --cursor {page.next}")


@queue.command("retry")
@click.argument("letter")
@Json
def retry(letter: str, as_json: bool) -> None:
    """Have LETTER done again, from its first attempt. A build that ended is opened again."""
    _with_letters(lambda found: found.retry(letter, by="the operator"))
    click.echo(_told(letter, "retried", as_json=as_json))


@queue.command("discard")
@click.argument("letter")
@Json
def discard(letter: str, as_json: bool) -> None:
    """Accept that LETTER stays undone. A build keeps the end it has."""
    _with_letters(lambda found: found.discard(letter, by="the operator"))
    click.echo(_told(letter, "discarded", as_json=as_json))


def _told(letter: str, what: str, *, as_json: bool) -> bytes | str:
    return msgspec.json.encode({"letter": letter, "done": what}) if as_json else f"{letter} is {what}."


def _with_letters(action: Callable[[DeadLetters], Awaitable[ResultT]]) -> ResultT:
    from factory_core.builds.deadletters import DeadLetters
    from factory_core.kernel.queue import open_queue

    async def act(studio: Studio, database: Database) -> ResultT:
        async with open_queue(studio) as queue:
            return await action(DeadLetters(database.pool, database.pool, None, queue))

    return with_database(act)


async def _status(
    studio: Studio, database: Database
) -> tuple[tuple[QueueFigures, ...], tuple[WorkerFigures, ...]]:
    from factory_core.builds.figures import queue_figures, worker_figures

    queues = tuple({job.queue for job in studio.jobs()})
    return await queue_figures(database.pool, queues), await worker_figures(database.pool, database.pool)


def _queue_table(queues: tuple[QueueFigures, ...]) -> Table:
    from rich.table import Table

    table = Table("queue", "could start", "waiting", "running", "oldest", "done/min", "failed", "dead")
    for row in queues:
        table.add_row(
            said(row.name),
            str(row.depth),
            f"{row.waiting} ({row.parked} parked)" if row.parked else str(row.waiting),
            str(row.running),
            f"{row.oldest_seconds:.0f} s" if row.depth else "",
            f"{row.per_minute:.1f}",
            str(row.failed),
            str(row.dead),
        )
    minutes = queues[0].window_seconds / 60
    table.caption = f"done a minute and failed attempts over the last {minutes:g} minutes"
    return table


def _worker_table(workers: tuple[WorkerFigures, ...]) -> Table:
    from rich.table import Table

    table = Table("worker", "slots", "running", "heard of")
    for row in workers:
        table.add_row(said(row.name), str(row.slots), str(row.running), f"{row.beat_seconds:.1f} s ago")
    return table


def _print_letter(letter: DeadLetter) -> None:
    """Titles, causes and payloads are others' words."""
    what = f"{letter.queue}: {letter.name}" + (f" of {letter.project}" if letter.project else "")
    lines = [
        f"{what}, {letter.attempts} attempts, died {letter.died_at:%Y-%m-%d %H:%M:%S}",
        f"cause: {letter.cause}",
    ]
    for lost in letter.tries:
        why = f": {lost.reason}" if lost.reason else ""
        lines.append(f"attempt {lost.fence} on {lost.worker}, {lost.outcome}{why}")
    if letter.payload:
        lines.append(f"payload: {msgspec.json.encode(letter.payload).decode()}")
    click.echo(click.style(plain(letter.id), bold=True))
    for line in lines:
        click.echo(f"    {plain(line)}")
