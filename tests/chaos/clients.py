"""People and programs at the web: they order, order again, follow, list, cancel and fetch, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import time
import zipfile
from typing import Any

import httpx
import plans
from cluster import Cluster

ENDED = {"passed", "failed", "cancelled"}
Seen = tuple[int, str, str | None, int | None]


class Clients:
    """All of them, and what they saw. What must not be is said in ``violations``."""

    def __init__(self, cluster: Cluster, rng: random.Random, *, at_once: int = 12) -> None:
        self.cluster = cluster
        self.rng = rng
        self.names: dict[str, str] = {}
        """build -> name"""
        self.keys: dict[str, str] = {}
        """idempotency key -> build"""
        self.seen: dict[str, list[Seen]] = {}
        self.ends: dict[str, dict[str, Any]] = {}
        """build -> how the list showed it when it had ended first."""
        self.cancelled: dict[str, float] = {}
        """build -> when its cancelling was confirmed, on the monotonic clock."""
        self.violations: list[str] = []
        self.reconnects = 0
        self.slots = asyncio.Semaphore(at_once)
        self.reopened: set[str] = set()
        """Builds that may go on after their end."""
        self._http = httpx.AsyncClient(
            base_url=cluster.web_url, timeout=httpx.Timeout(4.0), limits=httpx.Limits(max_connections=200)
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer of a web that is there: who is refused by a broken one asks again."""
        while True:
            try:
                answer = await self._http.request(method, f"/api/v1/{path}", **more)
            except (httpx.HTTPError, OSError):
                await asyncio.sleep(0.1)
            else:
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                await asyncio.sleep(0.1)

    async def order(self, key: str, name: str) -> str:
        """Ordered once or twice or twice at once: one build. (A-13)"""
        order = {"json": {"spec": plans.spec(name)}, "headers": {"Idempotency-Key": key}}
        at_once = 2 if self.rng.random() < 0.3 else 1
        answers = await asyncio.gather(*(self.ask("POST", "builds", **order) for _ in range(at_once)))
        if self.rng.random() < 0.3:
            answers.append(await self.ask("POST", "builds", **order))
        found = {
            answer.json()["id"] if answer.status_code in (200, 201) else answer.text for answer in answers
        }
        created = sum(answer.status_code == 201 for answer in answers)
        if len(found) != 1 or created > 1:
            self.violations.append(f"A-13 key {key} was answered {found}, created {created} times")
        build = answers[0].json()["id"]
        self.names[build], self.keys[key] = name, build
        return build

    async def follow(self, build: str) -> None:
        """Every event once and in order, over as many connections as it takes. (A-2)"""
        seen = self.seen.setdefault(build, [])
        while True:
            last = seen[-1][0] if seen else 0
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
            try:
                async with self._http.stream(
                    "GET", f"/api/v1/builds/{build}/events", headers=headers
                ) as stream:
                    if stream.status_code == 204:
                        return
                    if stream.status_code == 200:
                        await self._listen(build, stream, seen)
            except (httpx.HTTPError, OSError):
                pass
            self.reconnects += 1
            await asyncio.sleep(self.rng.uniform(0.05, 0.3))

    async def _listen(self, build: str, stream: httpx.Response, seen: list[Seen]) -> None:
        async for line in stream.aiter_lines():
            if not line.startswith("data:"):
                continue
            event = json.loads(line[5:])
            if event["seq"] != len(seen) + 1:
                self.violations.append(f"A-2 build {build} told {event['seq']} after {len(seen)}")
            seen.append((event["seq"], event["kind"], event["task"], event["fence"]))

    async def cancel(self, build: str, after: float) -> None:
        """Stop it some time on; twice, for good measure. (A-11)"""
        await asyncio.sleep(after)
        answer = await self.ask("POST", f"builds/{build}/cancel")
        if answer.status_code == 202:
            self.cancelled[build] = time.monotonic()
            again = await self.ask("POST", f"builds/{build}/cancel")
            if again.status_code != 202:
                self.violations.append(f"A-11 cancelling {build} again was answered {again.status_code}")
        elif answer.status_code != 409:
            self.violations.append(
                f"A-11 cancelling {build} was answered {answer.status_code}: {answer.text}"
            )

    async def list_for_ever(self) -> None:
        """What has ended stays as it is; numbers only grow. (A-8)"""
        last: dict[str, int] = {}
        while True:
            page = (await self.ask("GET", "builds", params={"limit": 200})).json()
            for item in page["items"]:
                build, seq = item["id"], item["last_event"]
                if seq < last.get(build, 0):
                    self.violations.append(f"A-8 build {build} went back from event {last[build]} to {seq}")
                last[build] = seq
                if build in self.reopened:
                    continue
                if item["ended"] and self.ends.setdefault(build, item) != item:
                    self.violations.append(f"A-8 build {build} changed after its end")
            await asyncio.sleep(0.3)

    async def resume_anywhere(self, build: str) -> None:
        """A client that comes back at any number sees the next ones as the first one saw them. (A-2)"""
        seen = self.seen[build]
        start = self.rng.randint(0, len(seen))
        page = (
            await self.ask("GET", f"builds/{build}/events", params={"after": start, "limit": 1000})
        ).json()
        told = [(e["seq"], e["kind"], e["task"], e["fence"]) for e in page["events"]]
        if told != seen[start : start + 1000]:
            self.violations.append(f"A-2 build {build} from {start}: another history than the one followed")

    async def fetch(self, build: str) -> None:
        """An archive only of what passed its checks, with the tree that was checked. (A-12)"""
        name = self.names[build]
        if not name.startswith(("files", "gate")):
            return
        state = (await self.ask("GET", f"builds/{build}")).json()["build"]["state"]
        answer = await self.ask("GET", f"builds/{build}/artifact")
        if (answer.status_code == 200) != (state == "passed"):
            self.violations.append(f"A-12 build {build} ({name}) {state}: archive {answer.status_code}")
        elif state == "passed":
            self._check_archive(build, answer)

    def _check_archive(self, build: str, answer: httpx.Response) -> None:
        if answer.headers["etag"].strip('"') != hashlib.sha256(answer.content).hexdigest():
            self.violations.append(f"A-12 build {build}: the archive is not what its digest names")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            root = archive.namelist()[0].split("/")[0]
            report = json.loads(archive.read(f"{root}/BUILD_REPORT.json"))
            wrong = [
                row["path"]
                for row in report["files"]
                if hashlib.sha256(archive.read(f"{root}/{row['path']}")).hexdigest() != row["sha256"]
            ]
        if (
            wrong
            or not report["passed"]
            or not any(row["path"].startswith("src/") for row in report["files"])
        ):
            self.violations.append(
                f"A-12 build {build}: the archive holds another tree than was checked {wrong}"
            )
