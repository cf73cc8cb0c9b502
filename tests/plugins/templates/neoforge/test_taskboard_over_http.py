"""What spec_format promises of a generated service, asked of the Taskboard over HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NOBODY_ID = "00000000-0000-4000-8000-000000000000"
numbers = count(1)


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Service:
    """A running Taskboard with its demo accounts."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.tokens: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: Any = None, *, role: str = "admin", raw: bytes | None = None
    ) -> Answer:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if role != "nobody":
            headers["Authorization"] = f"Bearer {self.token(role)}"
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as response:
                return self._answer(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            return self._answer(error.code, error.read(), dict(error.headers))

    @staticmethod
    def _answer(status: int, content: bytes, headers: dict[str, str]) -> Answer:
        kept = {name.lower(): value for name, value in headers.items()}
        body = json.loads(content) if "json" in kept.get("content-type", "") and content else None
        return Answer(status, body, kept)

    def token(self, role: str) -> str:
        if role not in self.tokens:
            credentials = {"email": f"{role}@example.com", "password": f"demo-{role}"}
            self.tokens[role] = self.ask("POST", "/auth/token", credentials, role="nobody").body[
                "access_token"
            ]
        return self.tokens[role]

    def board(self) -> str:
        return self.ask("POST", "/boards", {"title": f"Board {next(numbers)}"}).body["id"]

    def card(self, **fields: Any) -> dict[str, Any]:
        body = {"board": self.board(), "title": "Sweep", **fields}
        answer = self.ask("POST", "/cards", body)
        assert answer.status == 201, answer
        return answer.body


@pytest.fixture(scope="module")
def service(
    render: Callable[[str], Path], python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = render("taskboard")
    environment = {
        "PATH": "/usr/bin:/bin",
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('data')}/data.db",
        "SECRET_KEY": "only for tests, and long enough",
        "SEED_DEMO": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run([str(python), "-m", "alembic", "upgrade", "head"], cwd=folder, env=environment, check=True)
    listener = socket.create_server(("127.0.0.1", 0))  # bound here, so that nobody else takes the port
    port = listener.getsockname()[1]
    command = [
        str(python),
        "-m",
        "uvicorn",
        "app.main:app",
        "--fd",
        str(listener.fileno()),
        "--log-level",
        "warning",
    ]
    with subprocess.Popen(command, cwd=folder, env=environment, pass_fds=[listener.fileno()]) as server:
        try:
            yield Service(port)
        finally:
            server.terminate()
            listener.close()


CARD_FAULTS: list[tuple[str, Any]] = [
    ("title", ""),
    ("title", "x" * 201),
    ("title", None),
    ("title", 5),
    ("board", NOBODY_ID),
    ("board", "x"),
    ("board", None),
    ("status", "lost"),
    ("due", "2030-02-30"),
    ("estimate", "1.234"),
    ("estimate", "x"),
    ("estimate", 123456789.5),
    ("estimate", -1),
    ("labels", [NOBODY_ID]),
    ("labels", None),
    ("colour", "red"),
    ("id", NOBODY_ID),
    ("created_at", "2030-01-01T00:00:00Z"),
    ("updated_at", "2030-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("field", "value"), CARD_FAULTS)
def test_a_bad_field_is_422_by_name_in_post_and_patch(service: Service, field: str, value: Any) -> None:
    card = service.card()
    body = {"board": card["board"], "title": "Other"}
    for method, path, sent in (("POST", "/cards", body), ("PATCH", f"/cards/{card['id']}", {})):
        answer = service.ask(method, path, sent | {field: value})
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert {error["field"].split(".")[0] for error in answer.body["errors"]} == {field}
        assert all(error["message"] for error in answer.body["errors"])


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ('"1.5"', "1.50"),
        ("1.5", "1.50"),
        ("2", "2.00"),
        ("12345678.99", "12345678.99"),
        ("0.10", "0.10"),
        ("1e1", "10.00"),
        ("-0.00", "0.00"),
        ("null", None),
    ],
)
def test_decimals_are_exact_whichever_way_they_are_sent(
    service: Service, sent: str, answered: str | None
) -> None:
    raw = f'{{"board": "{service.board()}", "title": "Sweep", "estimate": {sent}}}'.encode()
    answer = service.ask("POST", "/cards", raw=raw)
    assert (answer.status, answer.body["estimate"]) == (201, answered)


ORDER = [
    ("GET", "/cards", None, "nobody", 401),
    ("POST", "/cards", b"{", "nobody", 401),
    ("POST", "/boards", b"{", "member", 403),
    ("PATCH", f"/boards/{NOBODY_ID}", b"{", "viewer", 403),
    ("PATCH", f"/boards/{NOBODY_ID}", b"{", "admin", 404),
    ("GET", "/cards/x", None, "viewer", 404),
    ("DELETE", "/cards/x", None, "member", 404),
    ("POST", "/cards/x/finish", None, "viewer", 403),
    ("POST", "/cards/x/finish", None, "member", 404),
    ("POST", "/cards", b"{", "member", 400),
    ("POST", "/cards", b'{"title": NaN}', "member", 400),
    ("POST", "/cards", b"\xff\xfe{", "member", 400),
    ("POST", "/cards", b"[" * 100_000, "member", 400),
    ("POST", "/cards", b"", "member", 400),
    ("POST", "/cards", b'{"\\ud800": "x"}', "member", 400),
    ("POST", "/cards", b"[]", "member", 422),
    ("PUT", "/cards", b"{}", "member", 405),
    ("PUT", f"/cards/{NOBODY_ID}", b"{}", "member", 405),
    ("GET", "/nowhere", None, "nobody", 404),
    ("GET", "/health", None, "nobody", 200),
    ("GET", "/openapi.json", None, "nobody", 200),
    ("GET", "/docs", None, "nobody", 200),
    ("GET", "/app/", None, "nobody", 200),
    ("POST", "/auth/token", b'{"email": "admin@example.com", "password": "x"}', "nobody", 401),
    ("POST", "/auth/token", b"{}", "nobody", 422),
]


@pytest.mark.parametrize(("method", "path", "raw", "role", "status"), ORDER)
def test_checks_come_in_order(
    service: Service, method: str, path: str, raw: bytes | None, role: str, status: int
) -> None:
    answer = service.ask(method, path, role=role, raw=raw)
    assert answer.status == status
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_missing_key_keeps_null_clears_and_an_empty_body_changes_nothing(service: Service) -> None:
    card = service.card(due="2030-01-31", estimate="1.50")
    address = f"/cards/{card['id']}"
    assert service.ask("PATCH", address, {}).body == card
    changed = service.ask("PATCH", address, {"due": None}).body
    assert (changed["due"], changed["estimate"], changed["created_at"]) == (None, "1.50", card["created_at"])
    assert changed["updated_at"] > card["updated_at"]
    assert changed["updated_at"].endswith("Z")


def test_states_begin_at_the_default_and_follow_the_map(service: Service) -> None:
    assert (
        service.ask("POST", "/cards", {"board": service.board(), "title": "x", "status": "doing"}).status
        == 409
    )
    address = f"/cards/{service.card()['id']}"
    steps = [
        ("done", 409),
        ("todo", 200),
        ("doing", 200),
        ("doing", 200),
        ("done", 200),
        ("todo", 409),
        ("done", 200),
    ]
    assert [service.ask("PATCH", address, {"status": state}).status for state, _ in steps] == [
        s for _, s in steps
    ]
    assert service.ask("POST", f"{address}/finish").status == 200


def test_422_comes_before_409(service: Service) -> None:
    body = {"board": service.board(), "title": "x", "status": "done"}
    assert service.ask("POST", "/cards", body | {"estimate": -1}).status == 422
    assert service.ask("POST", "/cards", body).status == 409


def test_duplicates_and_referred_rows_are_conflicts_that_name_their_fields(service: Service) -> None:
    card = service.card()
    again = service.ask("POST", "/cards", {"board": card["board"], "title": card["title"]})
    assert again.status == 409
    assert {error["field"] for error in again.body["errors"]} == {"board", "title"}
    assert service.ask("DELETE", f"/boards/{card['board']}").status == 409
    assert service.ask("DELETE", f"/cards/{card['id']}").status == 204
    assert service.ask("DELETE", f"/cards/{card['id']}").status == 404
    assert service.ask("DELETE", f"/boards/{card['board']}").status == 204


def test_many_to_many_is_replaced_filtered_and_goes_with_its_row(service: Service) -> None:
    one, two = (
        service.ask("POST", "/labels", {"name": f"Label {next(numbers)}"}).body["id"] for _ in range(2)
    )
    card = service.card(labels=[two, one])
    assert card["labels"] == [two, one]
    assert service.ask("PATCH", f"/cards/{card['id']}", {"labels": [one]}).body["labels"] == [one]
    found = service.ask("GET", f"/cards?labels={one}").body["items"]
    assert [item["id"] for item in found] == [card["id"]]
    assert service.ask("DELETE", f"/labels/{one}").status == 409
    assert service.ask("DELETE", f"/cards/{card['id']}").status == 204
    assert service.ask("DELETE", f"/labels/{one}").status == 204


def test_lists_filter_sort_search_and_page(service: Service) -> None:
    board = service.board()
    for title, estimate in (("Änne", "2"), ("bob", "10"), ("cleo", None)):
        service.ask("POST", "/cards", {"board": board, "title": title, "estimate": estimate})

    def titles(query: str) -> list[str]:
        answer = service.ask("GET", f"/cards?board={board}&{query}")
        assert answer.status == 200, answer
        return [item["title"] for item in answer.body["items"]]

    assert titles("") == ["Änne", "bob", "cleo"]
    assert titles("sort=-estimate") == ["bob", "Änne", "cleo"]
    assert titles("sort=estimate") == ["Änne", "bob", "cleo"]
    assert titles("estimate_gte=2.00&estimate_lte=9") == ["Änne"]
    assert titles("estimate=null") == ["cleo"]
    assert titles("title_in=bob,cleo") == ["bob", "cleo"]
    assert titles("title_ne=bob") == ["Änne", "cleo"]
    assert titles("q=%C3%84NN") == ["Änne"]
    assert titles("q=%25") == []
    first = service.ask("GET", f"/cards?board={board}&sort=-estimate&limit=2").body
    rest = service.ask("GET", f"/cards?board={board}&sort=-estimate&limit=2&cursor={first['next']}").body
    assert [item["title"] for item in first["items"] + rest["items"]] == ["bob", "Änne", "cleo"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "sort=colour",
        "status=lost",
        "cursor=x",
        "limit=0",
        "limit=201",
        "limit=0000000000201",
        "due=soon",
        "board=x",
    ],
)
def test_a_list_refuses_what_it_does_not_know(service: Service, query: str) -> None:
    answer = service.ask("GET", f"/cards?{query}")
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, query.split("=")[0])


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/cards"), ("PATCH", "/cards/{id}"), ("POST", "/auth/token")]
)
def test_a_slow_caller_keeps_nobody_waiting(service: Service, method: str, path: str) -> None:
    card = service.card()
    head = (
        f"{method} {path.format(id=card['id'])} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {service.token('member')}\r\nContent-Length: 10\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as slow:
        slow.sendall(head.encode())
        assert service.ask("GET", "/cards?limit=1").status == 200
        assert service.ask("PATCH", f"/cards/{card['id']}", {"title": "Wash"}).status == 200
        slow.setblocking(False)
        with pytest.raises(BlockingIOError):  # it is still being waited for
            slow.recv(1)


def test_a_body_has_an_end(service: Service) -> None:
    head = "POST /cards HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as endless:
        endless.sendall(head.encode() + b" " * 0x100001)
        assert endless.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("written", ["yes", "1", "TRUE", ""])
def test_a_truth_value_is_written_as_in_json(service: Service, written: str) -> None:
    assert service.ask("GET", "/boards?archived=true").body["items"] == []
    assert service.ask("GET", f"/boards?archived={written}").status == 422


def test_messages_are_for_people(service: Service) -> None:
    body = {"board": service.board(), "title": ""}
    [error] = service.ask("POST", "/cards", body).body["errors"]
    assert error == {"field": "title", "message": "String should have at least 1 character"}
    assert service.ask("POST", "/cards", raw=b"[]").body["detail"] == "The body must be an object."


@pytest.mark.parametrize(
    ("raw", "status"), [(b"{", 400), (b'{"zz": 1}', 422), (b"[]", 422), (b"{}", 200), (b"", 200)]
)
def test_an_action_without_a_body_takes_none(service: Service, raw: bytes, status: int) -> None:
    address = f"/cards/{service.card()['id']}"
    service.ask("PATCH", address, {"status": "doing"})
    assert service.ask("POST", f"{address}/finish", raw=raw).status == status


def test_signing_in_answers_a_bearer_token(service: Service) -> None:
    credentials = {"email": "Viewer@Example.com", "password": "demo-viewer"}
    answer = service.ask("POST", "/auth/token", credentials, role="nobody")
    assert (answer.status, answer.body["token_type"]) == (200, "bearer")
    assert answer.body["expires_in"] > 0
    assert service.ask("GET", "/boards", role="viewer").status == 200
