"""Whose share of the host a task's commands take: the one its build's organisation and project have when they start."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from factory_core.builds.holdings import holding_of
from factory_core.builds.journal import Journal, Submission
from factory_core.builds.pieces import Pieces
from factory_core.builds.shares import OrganisationShare, ProjectChange, ProjectShare
from factory_core.builds.tools import Blobs
from factory_core.contracts.files import FileRef
from factory_core.contracts.sandbox import HostShare
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec
from factory_core.kernel.hostuse import HostUse
from factory_core.kernel.work import ToolRoom
from factory_core.sandbox import cgroups, list_toolchains
from factory_core.settings import KernelSettings
from factory_plugin_storage.service import LocalStorage

pytestmark = pytest.mark.anyio


@pytest.fixture
def template(tmp_path: Path) -> TemplatePackage:
    """One with a toolchain that is there already: this Python."""
    lock = tmp_path / "empty.lock"
    lock.touch()
    ((path, _),) = list_toolchains({"t": lock}, tmp_path).values()
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    manifest = Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock=lock.name), work=())
    return TemplatePackage(manifest=manifest, root=tmp_path, digest="d")


async def test_a_command_is_in_the_groups_of_its_project_and_organisation_as_they_are_now(
    desk: Any, template: TemplatePackage, tmp_path: Path
) -> None:
    place = cgroups.find_place()
    if place is None or place.account is None:
        pytest.skip("control groups that count the processor cannot be made here")
    build = await desk.submit(project="shop")
    (plan,) = (await desk.turn()).started
    studio: Any = SimpleNamespace(home=tmp_path, settings=KernelSettings())
    tools = await ToolRoom(studio, Blobs(LocalStorage(tmp_path)), desk.journal).lend(plan, template, Pieces())
    shares = await desk.journal.shares.of_hosts(desk.org, build)
    assert [share.weight for share in shares] == [1, 1]
    held = cgroups.make_group(memory=1 << 24, processes=4, shares=shares)  # keeps what they count
    try:
        folders = [cgroups.share_folder(place.account, shares[:depth]) for depth in (1, 2)]
        before = [cgroups.processor_seconds(folder) for folder in folders]
        await desk.journal.shares.give_project(desk.org, "shop", ProjectShare(weight=7, max_memory=1 << 30))
        result, _ = await tools.run(("python", "-c", "sum(range(10**6))"), ())
        assert result.exit_code == 0, result.stderr
        assert all(
            cgroups.processor_seconds(folder) > spent for folder, spent in zip(folders, before, strict=True)
        )
        memory = cgroups.share_folder(place.memory, shares)
        (most,) = (file for file in memory.iterdir() if file.name in ("memory.max", "memory.limit_in_bytes"))
        assert int(most.read_text()) == 1 << 30
    finally:
        held.remove()


class Counting(LocalStorage):
    """A storage that counts what is read."""

    reads = 0

    async def get(self, key: str) -> bytes:
        self.reads += 1
        return await super().get(key)


async def test_what_one_task_read_the_next_does_not_read_from_the_storage(
    desk: Any, template: TemplatePackage, tmp_path: Path
) -> None:
    await desk.submit()
    (plan,) = (await desk.turn()).started
    studio: Any = SimpleNamespace(home=tmp_path, settings=KernelSettings())
    storage = Counting(tmp_path)
    digest = await Blobs(storage).put(b"x")
    ref = FileRef(path="x", digest=digest, size=1, producer="t")
    room = ToolRoom(studio, Blobs(storage), desk.journal)
    for _ in range(2):
        tools = await room.lend(plan, template, Pieces())
        assert await tools.read(ref) == b"x"
    assert storage.reads == 1


@pytest.fixture
async def journal(journal_url: str) -> AsyncIterator[Journal]:
    """For several at once, as in a worker."""
    async with asyncpg.create_pool(journal_url, min_size=1, max_size=3) as pool:
        yield Journal(pool)


async def test_what_commands_took_is_told_and_their_weights_change_while_they_run(
    desk: Any, journal: Journal, template: TemplatePackage, tmp_path: Path
) -> None:
    place = cgroups.find_place()
    if place is None or place.account is None or place.cpu is None or not place.nested:
        pytest.skip("control groups that count the processor cannot be made here")
    build = await desk.submit(project="shop")
    (plan,) = (await desk.turn()).started
    studio: Any = SimpleNamespace(home=tmp_path, settings=KernelSettings())
    tools = await ToolRoom(studio, Blobs(LocalStorage(tmp_path)), journal).lend(plan, template, Pieces())
    use = HostUse(journal)
    script = "held = bytearray(64 << 20)\nwhile True: sum(range(10**6))"
    command = asyncio.create_task(tools.run(("python", "-c", script), ()))

    async def shop() -> Any:
        await use.turn()
        (found,) = (await holding_of(desk.connection, desk.org)).projects
        return found.holds

    folder = cgroups.share_folder(place.cpu, await journal.shares.of_hosts(desk.org, build))
    weight = "cpu.weight" if place.cpu == place.memory else "cpu.shares"
    try:
        async with asyncio.timeout(60):
            while ((now := await shop()).memory or 0) < 64 << 20:
                assert not command.done(), command.result()
                await asyncio.sleep(0.02)
        assert now.processor_seconds > 0
        usual = int((folder / weight).read_text())
        await journal.shares.change_project(desk.org, "shop", ProjectChange(weight=5))
        assert int((folder / weight).read_text()) == usual, "nobody has looked yet"
        later = await shop()
        assert int((folder / weight).read_text()) == 5 * usual
        assert later.processor_seconds >= now.processor_seconds
    finally:
        command.cancel()
        await asyncio.gather(command, return_exceptions=True)
    over = await shop()
    assert (over.memory, over.processor_seconds >= later.processor_seconds) == (0, True)
    assert (await shop()).processor_seconds == over.processor_seconds, "told once"


async def test_what_commands_share_on_a_host_is_read_when_one_starts(floor: Any) -> None:
    org = await floor.organisation("a", weight=3, max_memory=1 << 33)
    other = await floor.organisation("b")
    shares = floor.journal.shares
    builds = [
        (await floor.journal.submit(Submission(org=each, idem_key=key, spec_digest="s", project=key))).build
        for each, key in ((org, "shop"), (org, "blog"), (other, "shop"))
    ]
    whole, shop = await shares.of_hosts(org, builds[0])
    assert (whole.weight, whole.max_memory) == (3, 1 << 33)
    assert shop == HostShare(name="shop")
    await shares.give_project(org, "shop", ProjectShare(weight=5, max_memory=1 << 32))
    assert await shares.of_hosts(org, builds[0]) == (
        whole,
        HostShare(name="shop", weight=5, max_memory=1 << 32),
    )
    assert await shares.of_hosts(org, builds[1]) == (whole, HostShare(name="blog"))
    (another, theirs) = await shares.of_hosts(other, builds[2])
    assert (another.name != whole.name, theirs) == (True, HostShare(name="shop"))
    assert await shares.of_hosts(org, builds[2]) == (), "of another organisation"


async def test_organisations_of_the_same_id_in_two_studios_share_nothing(floor: Any) -> None:
    org = await floor.organisation("local")
    build = (await floor.journal.submit(Submission(org=org, idem_key="k", spec_digest="s"))).build
    (here, _) = await floor.journal.shares.of_hosts(org, build)
    await floor.connection.execute(
        "update organisation set created_at = created_at - interval '1 microsecond'"
    )
    (there, _) = await floor.journal.shares.of_hosts(org, build)
    assert here.name != there.name


async def test_limits_of_memory_are_kept(floor: Any) -> None:
    org = await floor.organisation("a", max_memory=1 << 40)
    await floor.journal.shares.give_project(org, "p", ProjectShare(max_memory=1 << 39))
    assert (await floor.journal.shares.of(org)).max_memory == 1 << 40
    assert await floor.journal.shares.of_projects(org) == {"p": ProjectShare(max_memory=1 << 39)}
    with pytest.raises(asyncpg.CheckViolationError):
        await floor.journal.shares.give(org, OrganisationShare(max_memory=0))
