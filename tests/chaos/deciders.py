"""People who change their minds and who judge: they pause and resume, retry what failed, fork what has ended, and decide
what a build that has halted may do."""

from __future__ import annotations

import asyncio
import random

from clients import Clients


class Deciders:
    """What they decide, as dice of the run's seed have it."""

    def __init__(self, clients: Clients, seed: int) -> None:
        self.clients = clients
        self.seed = seed
        self.done: dict[str, int] = {"paused": 0, "retried": 0, "forked": 0, "approved": 0, "rejected": 0}

    async def build(self, number: int, name: str, *, cancel: bool) -> None:
        """One build from its order to its last event, and at times once more."""
        dice = random.Random(f"decisions {self.seed} {number}")
        async with self.clients.slots:
            build = await self.clients.order(f"key-{number}", name)
            beside = [self._follow(build, dice.random())]
            if cancel:
                beside.append(self.clients.cancel(build, dice.uniform(0, 2.5)))
            if dice.random() < 0.2:
                beside.append(self._pause(build, dice))
            await asyncio.gather(*beside)
            if dice.random() < 0.15:
                await self._retry(build, dice.random())
            if dice.random() < 0.15:
                await self._fork(build, name, dice)

    async def _pause(self, build: str, dice: random.Random) -> None:
        await asyncio.sleep(dice.uniform(0, 1.5))
        if await self._said(build, "pause", {"reason": "lunch"}):
            self.done["paused"] += 1
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            await self._said(build, "resume", None)

    async def _follow(self, build: str, luck: float) -> None:
        """To its end, with somebody who judges what it halts for."""
        judging = asyncio.create_task(self._judge(build, random.Random(f"judge {luck}")))
        try:
            await self.clients.follow(build)
        finally:
            judging.cancel()

    async def _judge(self, build: str, dice: random.Random) -> None:
        """Yes or no to each halt, and once more, as by somebody who saw no answer."""
        answered = 0
        while True:
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            seen = self.clients.seen.get(build, [])
            asked = [seq for seq, kind, *_ in seen if kind in ("build.halted", "build.decided")]
            if not asked or asked[-1] <= answered or seen[asked[-1] - 1][1] == "build.decided":
                continue
            answered = asked[-1]
            approve = dice.random() < 0.7
            body = {"decision": "approve" if approve else "reject", "note": "as the dice say"}
            if await self._said(build, "decision", body):
                self.done["approved" if approve else "rejected"] += 1
                await self._said(build, "decision", body)

    async def _retry(self, build: str, luck: float) -> None:
        """What did not end well runs again; of what has passed nothing does."""
        self.clients.reopened.add(build)
        if await self._said(build, "retry", {}):
            self.done["retried"] += 1
            await self._follow(build, luck)

    async def _fork(self, build: str, name: str, dice: random.Random) -> None:
        """From one of its tasks; it ends as the first one would have."""
        seen = self.clients.seen[build]
        task = dice.choice(sorted({task for _, kind, task, _ in seen if kind == "task.started" and task}))
        key = f"fork of {build}"
        order = {"json": {"task": task}, "headers": {"Idempotency-Key": key}}
        answers = [await self.clients.ask("POST", f"builds/{build}/fork", **order) for _ in range(2)]
        codes = [answer.status_code for answer in answers]
        if codes == [404, 404]:  # what spawned it ended otherwise since
            return
        found = {answer.json().get("id") for answer in answers}
        if not set(codes) <= {200, 201} or codes[1] != 200 or len(found) != 1:
            self.clients.violations.append(
                f"A-13 forking {build} at {task} twice was answered {codes}: {found}"
            )
            return
        fork = found.pop()
        self.clients.names[fork], self.clients.keys[key] = name, fork
        self.done["forked"] += 1
        await self._follow(fork, dice.random())

    async def _said(self, build: str, move: str, body: dict[str, str] | None) -> bool:
        more = {} if body is None else {"json": body}
        answer = await self.clients.ask("POST", f"builds/{build}/{move}", **more)
        if answer.status_code not in (202, 409):
            text = f"A-13 to {move} {build} was answered {answer.status_code}: {answer.text[:200]}"
            self.clients.violations.append(text)
        return answer.status_code == 202
