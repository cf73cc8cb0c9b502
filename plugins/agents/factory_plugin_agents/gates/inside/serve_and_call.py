"""Brings the database up to date, serves the application on the sandbox's own loopback, and calls it.

Prints one JSON object: ``started``, what the server said, and the calls that were answered otherwise than they must.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["main"]

HOST, PORT = "127.0.0.1", 8000
PATIENCE_SECONDS = 30.0
PAUSE = 0.05
SAID = Path("/tmp/server.log")  # noqa: S108 - the sandbox's own
LONGEST = 4000


def main(order: dict[str, Any]) -> dict[str, Any]:
    """Try everything the order names."""
    with SAID.open("wb") as log:
        migrated = subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"], stdout=log, stderr=log
        )
        if migrated.returncode:
            return {"started": False, "said": said(), "wrong": []}
        command = [sys.executable, "-m", "uvicorn", "app.main:app", "--host", HOST, "--port", str(PORT)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            started = wait_for(server)
            wrong = call_all(order) if started else []
        finally:
            server.terminate()
            server.wait()
    return {"started": started, "said": said(), "wrong": wrong}


def wait_for(server: subprocess.Popen[bytes]) -> bool:
    """Whether it answers before the patience ends."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            return ask("GET", "/health", None, {})[0] == 200
        except OSError:
            time.sleep(PAUSE)
    return False


def call_all(order: dict[str, Any]) -> list[str]:
    """The calls whose answer is not the contract's, each in a sentence."""
    tokens = {role: sign_in(role) for role in order["roles"]}
    wrong: list[str] = []
    for call in order["calls"]:
        headers = {"Authorization": f"Bearer {tokens[call['role']]}"} if call["role"] else {}
        status, content = ask(call["method"], call["path"], call["body"], headers)
        if status not in call["statuses"]:
            who = call["role"] or "nobody"
            expected = " or ".join(map(str, call["statuses"]))
            answer = content[:200].decode(errors="replace")
            wrong.append(
                f"{call['method']} {call['path']} as {who}: {status} instead of {expected}: {answer}"
            )
    return wrong


def sign_in(role: str) -> str:
    """A token of the role's demo account; empty when there is none."""
    account = {"email": f"{role}@example.com", "password": f"demo-{role}"}
    status, content = ask("POST", "/auth/token", account, {})
    return json.loads(content)["access_token"] if status == 200 else ""


def ask(method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and content of one answer."""
    connection = http.client.HTTPConnection(HOST, PORT, timeout=PATIENCE_SECONDS)
    try:
        content = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, content, headers | kind)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def said() -> str:
    """The end of what migration and server printed."""
    return SAID.read_text(errors="replace")[-LONGEST:]


if __name__ == "__main__":
    answer = main(json.loads(Path(".gate/order.json").read_text()))
    os.write(1, json.dumps(answer).encode())
