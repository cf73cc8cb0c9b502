"""The journal's machine with agents that talk: what they write on the board and send by mail, against dictionaries."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from journal_control import ControlMachine
from journal_machine import JournalMachine, check, children

from factory_core.builds.boards import GivenUp
from factory_core.builds.schemas import Assignment, Completion
from factory_core.contracts.agent import Message, Outcome

_keys = st.sampled_from(["k", "l"])
_words = st.sampled_from(["u", "v", "w"])
_peers = st.sampled_from(["1", "2"])
_rounds = st.sampled_from(["1", "2"])


class BoardMachine(JournalMachine):
    """Tries that hold their task and tries that lost it, writing to the same few keys."""

    @initialize(plans=st.lists(children("", 3), min_size=2, max_size=2))
    def begin(self, plans: list[Completion]) -> None:
        JournalMachine.begin(self, plans=plans)
        self.board: dict[tuple[Any, str], tuple[int, str, str]] = {}
        """(build, key) -> version, value, task"""
        self.mail: dict[tuple[Any, str, int], list[tuple[str, str]]] = {}
        """(build, sender, round) -> recipients and bodies"""

    def attempt(self, data: st.DataObject, **params: str) -> tuple[Assignment, bool]:
        """One of the tries there were, mostly one that still runs, and whether it does."""
        live = self.reportable(live=True)
        pools = [keys for keys in (live, live, self.given) if keys]
        build, task, fence = data.draw(st.one_of(*map(st.sampled_from, pools)))
        now = self.builds[build].tasks.get(task)
        holds = now is not None and (now.state, now.fence) == ("running", fence)
        made = Assignment(org=self.org, build=build, task=task, fence=fence, agent="noop", params=params)
        return made, holds

    @rule(data=st.data(), values=st.dictionaries(_keys, _words, min_size=1), right=st.booleans())
    def post(self, data: st.DataObject, values: dict[str, str], right: bool) -> None:
        """Compare and set: with the versions that stand there, or with any."""
        attempt, holds = self.attempt(data)
        stands = {key: self.board.get((attempt.build, key), (0, "", "")) for key in values}
        versions = {key: stands[key][0] if right else data.draw(st.integers(0, 2)) for key in values}
        try:
            found = self.run(self.journal.boards.post(attempt, values, versions))
        except GivenUp:
            assert not holds
            return
        assert holds
        for key, value in values.items():
            version, written, task = stands[key]
            if versions[key] == version:
                version, written, task = version + 1, value, attempt.task
                self.board[attempt.build, key] = (version, written, task)
            now = found[key]
            assert (now.version, now.value, now.task) == (version, written, task)
            repeated = (written, task, version) == (value, attempt.task, versions[key] + 1)
            assert now.won == repeated, "who set it, and who did so before and lost the answer, has won"

    @rule(
        data=st.data(), sender=_peers, number=_rounds, letters=st.lists(st.tuples(_peers, _words), max_size=3)
    )
    def send(self, data: st.DataObject, sender: str, number: str, letters: list[tuple[str, str]]) -> None:
        """A try that sends again replaces what it had sent, and nothing else."""
        attempt, holds = self.attempt(data, peer=sender, round=number)
        mail = tuple(Message(to=to, body=body) for to, body in letters)
        try:
            self.run(self.journal.boards.send(attempt, Outcome(mail=mail)))
        except GivenUp:
            assert not holds
            return
        assert holds or not letters
        if letters:
            self.mail[attempt.build, sender, int(number)] = letters

    @invariant()
    def boards_agree(self) -> None:
        if not hasattr(self, "mail"):
            return
        rows = self.run(self.connection.fetch("select * from board"))
        assert {(r["build_id"], r["key"]): (r["version"], r["value"], r["task"]) for r in rows} == {
            key: posted for key, posted in self.board.items() if self.builds[key[0]].packed is None
        }
        rows = self.run(self.connection.fetch("select * from mail order by build_id, sender, round, n"))
        found: dict[tuple[Any, str, int], list[tuple[str, str]]] = {}
        for row in rows:
            key = (row["build_id"], row["sender"], row["round"])
            found.setdefault(key, []).append((row["recipient"], row["body"]))
        assert found == {key: mail for key, mail in self.mail.items() if self.builds[key[0]].packed is None}


__all__ = ["BoardMachine", "ControlMachine", "JournalMachine", "check"]
