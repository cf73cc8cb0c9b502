"""The supervisor: shared by commands, restarting what dies, ending by itself, leaving nothing behind."""

import os
import signal
from pathlib import Path

import asyncpg
import psutil
import pytest

from factory_core.kernel.supervisor import SupervisorFailed, ensure_running, status, stop
from factory_core.testing.databases import run_apart


def ask(url: str, statement: str) -> object:
    async def work() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return run_apart(work)


def server_pid(home: Path, server: str) -> int:
    file = {"postgresql": home / "postgres/18/postmaster.pid", "valkey": home / "valkey/valkey.pid"}[server]
    try:
        return int(file.read_text().split("\n")[0])
    except (OSError, ValueError):
        return 0


def test_two_commands_share_one_supervisor(make_home, spec) -> None:
    home = make_home()
    with ensure_running(home, spec) as first, ensure_running(home, spec) as second:
        assert first.state.pid == second.state.pid == status(home).pid
        assert ask(second.urls["postgresql"], "select 1") == 1
    assert (home / "prepared").read_text() == "once\n"


def test_commands_that_start_at_the_same_time_get_one_supervisor(make_home, spec) -> None:
    home = make_home()
    reader, writer = os.pipe()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            attached = ensure_running(home, spec)
            os.write(writer, f"{attached.state.pid}\n".encode())
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    os.close(writer)
    with os.fdopen(reader) as pids:
        assert len(set(pids)) == 1
    assert (home / "prepared").read_text() == "once\n"


@pytest.mark.parametrize("name", ["with space", "deep/" + "x" * 120])
def test_any_home_path_serves(make_home, spec, name: str) -> None:
    with ensure_running(make_home(name), spec) as attached:
        assert ask(attached.urls["postgresql"], "select 1") == 1


def test_two_homes_live_side_by_side(make_home, spec) -> None:
    one, two = make_home("one"), make_home("two")
    with ensure_running(one, spec) as first, ensure_running(two, spec) as second:
        assert first.state.pid != second.state.pid
        ask(first.urls["postgresql"], "create table only_here ()")
        assert ask(second.urls["postgresql"], "select to_regclass('only_here')") is None
        assert stop(one)
        assert ask(second.urls["postgresql"], "select 1") == 1


@pytest.mark.parametrize("server", ["postgresql", "valkey"])
def test_a_killed_server_is_started_again_with_its_data(make_home, spec, until, server: str) -> None:
    home = make_home()
    with ensure_running(home, spec) as attached:
        ask(attached.urls["postgresql"], "create table kept as select 42 as answer")
        before = server_pid(home, server)
        os.kill(before, signal.SIGKILL)
        until(lambda: server_pid(home, server) not in (0, before))
        until(lambda: "does not answer; starting it" in (home / "logs/supervisor.log").read_text())

        def answers() -> bool:
            try:
                return ask(attached.urls["postgresql"], "select answer from kept") == 42
            except (OSError, asyncpg.PostgresError):
                return False

        until(answers)
        assert status(home).pid == attached.state.pid


def test_a_killed_worker_is_started_again_and_its_own_children_end(make_home, spec, until, child_pid) -> None:
    home = make_home()
    with ensure_running(home, spec):
        before, grandchild = child_pid(home), int((home / "worker.child").read_text())
        os.kill(before, signal.SIGKILL)
        until(lambda: child_pid(home) not in (0, before))
        until(lambda: not psutil.pid_exists(grandchild))
        assert psutil.pid_exists(child_pid(home))


def test_after_sigkill_of_the_supervisor_the_next_command_takes_over(
    make_home, spec, until, child_pid
) -> None:
    home = make_home()
    with ensure_running(home, spec) as attached:
        ask(attached.urls["postgresql"], "create table kept as select 42 as answer")
        servers = [server_pid(home, "postgresql"), server_pid(home, "valkey")]
        worker = psutil.Process(child_pid(home))
        (grandchild,) = worker.children()
        os.kill(attached.state.pid, signal.SIGKILL)
        until(lambda: status(home) is None)
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        until(lambda: not grandchild.is_running())

        with ensure_running(home, spec) as second:
            assert second.state.pid != attached.state.pid
            assert [server_pid(home, "postgresql"), server_pid(home, "valkey")] == servers
            assert ask(second.urls["postgresql"], "select answer from kept") == 42
            assert child_pid(home) != worker.pid


def test_an_attached_command_can_renew_a_killed_supervisor(make_home, spec, until) -> None:
    home = make_home()
    with ensure_running(home, spec) as attached:
        first = attached.state.pid
        assert attached.renew().pid == first
        os.kill(first, signal.SIGKILL)
        until(lambda: status(home) is None)
        assert attached.renew().pid not in (0, first)


def test_it_ends_when_idle_and_leaves_no_process(make_home, spec, until, processes_of) -> None:
    home = make_home(idle=0.2)
    ensure_running(home, spec).close()
    until(lambda: status(home) is None)
    until(lambda: processes_of(home) == [])
    assert not (home / "run" / "supervisor.json").exists()


@pytest.fixture
def let_it_look(until):
    """Makes the supervisor prove that it still watches: each killed Valkey is started again by a round of checks."""

    def look(home: Path) -> None:
        for _ in range(2):
            before = server_pid(home, "valkey")
            os.kill(before, signal.SIGKILL)
            until(lambda before=before: server_pid(home, "valkey") not in (0, before))

    return look


def test_it_does_not_end_while_somebody_is_attached(make_home, spec, until, let_it_look) -> None:
    home = make_home(idle=0.2)
    with ensure_running(home, spec) as attached:
        let_it_look(home)
        assert status(home).pid == attached.state.pid
    until(lambda: status(home) is None)


def test_it_does_not_end_while_a_build_runs(make_home, spec, until, let_it_look) -> None:
    home = make_home(idle=0.2)
    (home / "busy").touch()
    with ensure_running(home, spec) as attached:
        pid = attached.state.pid
    let_it_look(home)
    assert status(home).pid == pid
    (home / "busy").unlink()
    until(lambda: status(home) is None)


def test_a_command_that_is_killed_does_not_keep_it_running(make_home, spec, until) -> None:
    home = make_home(idle=0.2)
    client = os.fork()
    if client == 0:
        ensure_running(home, spec)
        signal.pause()
    until(lambda: status(home) is not None and status(home).phase == "ready")
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    until(lambda: status(home) is None)


@pytest.mark.parametrize("worker", ["worker", "deaf"])
def test_stop_leaves_no_process_behind(make_home, spec, until, processes_of, worker: str) -> None:
    home = make_home(worker=worker)
    with ensure_running(home, spec):
        assert len(processes_of(home)) >= 4
        assert stop(home)
        until(lambda: processes_of(home) == [])  # an ended process is in the table for a moment
        assert status(home) is None


def test_stop_in_the_middle_of_a_start_leaves_no_process_behind(make_home, spec, until, processes_of) -> None:
    home = make_home()
    client = os.fork()
    if client == 0:
        try:
            ensure_running(home, spec)
        finally:
            os._exit(0)
    until(lambda: status(home) is not None)
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    assert stop(home)
    until(lambda: processes_of(home) == [])


def test_a_failing_migration_is_told_with_its_reason(make_home, spec, processes_of, until) -> None:
    home = make_home(fail="The table is on fire. Pour water on it.")
    with pytest.raises(SupervisorFailed, match=r"on fire.*water"):
        ensure_running(home, spec)
    until(lambda: processes_of(home) == [])


def test_a_worker_that_cannot_start_is_told_with_the_end_of_its_log(
    make_home, spec, processes_of, until
) -> None:
    home = make_home(worker="broken", servers=False)
    with pytest.raises(SupervisorFailed, match=r"(?s)worker ended with code 1.*the worker is broken"):
        ensure_running(home, spec)
    until(lambda: processes_of(home) == [])


def test_a_stale_state_file_is_not_believed(make_home, spec) -> None:
    home = make_home()
    (home / "run").mkdir()
    stale = f'{{"pid": {os.getpid()}, "started": 1.0, "phase": "ready", "urls": {{}}, "children": {{}}}}'
    (home / "run" / "supervisor.json").write_text(stale)
    assert status(home) is None
    with ensure_running(home, spec) as attached:
        assert attached.state.pid != os.getpid()


def test_stopping_what_does_not_run_is_no_error(home: Path) -> None:
    assert stop(home)
    assert status(home) is None
