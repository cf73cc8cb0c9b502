"""The machine's moves that people make: pause, resume, halt, decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from journal_machine import JournalMachine, check
from journal_model import children

from factory_core.builds.control import ForkOrder
from factory_core.builds.errors import BuildPacked, BuildUnready
from factory_core.builds.schemas import Completion, CompletionKind

__all__ = ["ControlMachine", "JournalMachine", "check"]

_keys = st.sampled_from("xyz")


class ControlMachine(JournalMachine):
    """The journal's machine with people at it. Its one worker lives: the deaths of workers are the other's matter."""

    leave = reap = all_workers_die = the_answer_was_lost = None

    def add_worker(self) -> None:
        JournalMachine.add_worker(self)

    @initialize(plans=st.lists(children("", 3), min_size=3, max_size=3), early=st.booleans())
    def begin(self, plans: list[Completion], early: bool) -> None:
        """``early``: a build is paused while it is being planned."""
        JournalMachine.begin(self, plans=plans[:2])
        self.submit(key="z")
        if early:
            worker, ticks = next(iter(self.workers.items()))
            self.take_turn(worker, int(ticks[0]) + 1, [], [], 20, True)
            self.pause(key="z")
            report = self.report_of((self.keys["z"], "plan", 1), plans[2])
            self.take_turn(worker, int(ticks[0]) + 1, [report], plans[2:], 0, True)

    def awake(self, build: Any, ask: Callable[[], Any]) -> Any:
        """The call once more, after the rows of the build came back."""
        if self.builds[build].packed is not None:
            try:
                self.run(ask())
            except BuildPacked:
                self.unpack(build)
            else:
                raise AssertionError("a packed build was run")
        return ask()

    def verdict(self, call: Any) -> str:
        try:
            return "changed" if self.run(call) else "same"
        except BuildUnready as error:
            return "done" if "is done" in str(error) else "refused"

    @rule(key=_keys)
    def pause(self, key: str) -> None:
        build = self.keys[key]
        call = self.journal.control.pause(self.org, build, by="me")
        assert self.verdict(call) == self.builds[build].pause()

    @rule(key=_keys)
    @precondition(lambda self: any(build.held for build in self.builds.values()))
    def resume(self, key: str) -> None:
        build = self.keys[key]
        assert self.verdict(self.journal.control.resume(self.org, build)) == self.builds[build].resume()

    @rule(key=_keys, data=st.data())
    def halt(self, key: str, data: st.DataObject) -> None:
        """As a task's verdict would: in the transaction that holds the build's lock."""
        build = self.keys[key]
        task = data.draw(st.sampled_from(sorted(self.builds[build].tasks)))
        halted = self.run(
            self.connection.fetchval("select journal.halt($1, $2, 'found', factory_now())", build, task)
        )
        assert halted == self.builds[build].halt(task)

    @rule(key=_keys, approve=st.sampled_from([True, True, False]))
    @precondition(lambda self: any(build.decided is not False for build in self.builds.values()))
    def decide(self, key: str, approve: bool) -> None:
        build = self.keys[key]
        call = self.awake(build, lambda: self.journal.control.decide(self.org, build, approve=approve))
        assert self.verdict(call) == self.builds[build].decide(approve)

    @rule(key=_keys, data=st.data())
    @precondition(lambda self: any(not build.open for build in self.builds.values()))
    def retry(self, key: str, data: st.DataObject) -> None:
        build = self.keys[key]
        names = data.draw(st.none() | st.sampled_from(sorted(self.builds[build].tasks)).map(lambda x: [x]))
        call = self.awake(build, lambda: self.journal.control.retry(self.org, build, tasks=names or ()))
        assert self.verdict(call) == self.builds[build].retry(names, self.now)

    @rule(key=_keys, data=st.data())
    @precondition(lambda self: any(not build.open for build in self.builds.values()) and len(self.builds) < 5)
    def fork(self, key: str, data: st.DataObject) -> None:
        source = self.keys[key]
        task = data.draw(st.sampled_from(sorted(self.builds[source].tasks)))
        order = ForkOrder(org=self.org, source=source, task=task, idem_key=f"fork {len(self.builds)}")
        try:
            made = self.run(self.awake(source, lambda: self.journal.control.fork(order, build=self.new_id())))
        except BuildUnready:
            assert self.builds[source].open
            return
        assert made.created
        assert not self.builds[source].open
        self.builds[made.build] = self.builds[source].fork(task, self.now)
        again = self.run(self.journal.control.fork(order, build=self.new_id()))
        assert (again.created, again.build) == (False, made.build)

    @rule(key=_keys)
    @precondition(lambda self: any(build.retried for build in self.builds.values()))
    def fail(self, key: str) -> None:
        """Everything that runs in a build fails, so that there is something to retry."""
        build, worker = self.keys[key], next(iter(self.workers))
        ended = Completion(kind=CompletionKind.FAILED, reason="why")
        keys = [k for k in self.reportable(live=True) if k[0] == build]
        reports = [self.report_of(k, ended) for k in keys]
        self.take_turn(worker, int(self.workers[worker][0]) + 1, reports, [ended] * len(keys), 0, True)
