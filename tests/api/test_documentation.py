"""The API's own documentation: every call, with what else than success it may answer.

That each answer is documented is checked on every request of the tests beside this one (``conftest.Documented``).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest

from factory_core.kernel.app import create_app
from factory_core.kernel.boot import start
from factory_core.settings import read_sources

PROBLEM = "application/problem+json"
CONTROL = {
    "post /api/v1/builds/{build}/pause": {"202", "400", "404", "409", "415", "422", "503"},
    "post /api/v1/builds/{build}/resume": {"202", "400", "404", "409", "422", "503"},
    "post /api/v1/builds/{build}/decision": {"202", "400", "404", "409", "415", "422", "503"},
    "post /api/v1/builds/{build}/retry": {"202", "400", "404", "409", "415", "422", "429", "503"},
    "post /api/v1/builds/{build}/fork": {"200", "201", "400", "404", "409", "415", "422", "429", "503"},
    "get /api/v1/builds/{build}/compare/{other}": {"200", "400", "404", "422", "503"},
    "post /api/v1/queue/dead/retry": {"200", "400", "404", "409", "415", "422", "503"},
    "patch /api/v1/shares/projects/{project}": {"200", "400", "415", "422", "503"},
    "delete /api/v1/shares/projects/{project}": {"204", "400", "404", "422", "503"},
    "get /api/v1/shares/organisations": {"200", "400", "403", "422", "503"},
    "patch /api/v1/shares/organisations/{identity}": {"200", "400", "403", "404", "415", "422", "503"},
    "get /metrics": {"200", "400", "403", "422", "503"},
}


@pytest.fixture
def operations(home: Path) -> dict[str, Any]:
    found = [point for point in entry_points(group="factory.plugins") if point.name in ("api", "storage")]
    studio = start(read_sources({"FACTORY_HOME": str(home)}), found=found)
    schema = create_app(studio).openapi_schema.to_schema()
    return {
        f"{method} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/health")
    }


def test_each_decision_says_how_it_may_be_refused(operations: dict[str, Any]) -> None:
    assert {call: set(operations[call]["responses"]) for call in CONTROL} == CONTROL


def test_everything_that_is_no_success_is_a_problem(operations: dict[str, Any]) -> None:
    assert len(operations) > 15
    for call, operation in operations.items():
        for status, answer in operation["responses"].items():
            if status >= "400":
                (kind,) = answer["content"].items()
                assert kind == (PROBLEM, {"schema": {"$ref": "#/components/schemas/Problem"}}), (call, status)


def test_what_names_a_build_may_not_find_it(operations: dict[str, Any]) -> None:
    assert [c for c, o in operations.items() if "{build}" in c and "404" not in o["responses"]] == []


@pytest.mark.anyio
async def test_an_answer_that_is_not_documented_is_noticed(client: httpx.AsyncClient, request: Any) -> None:
    """The check of every request is one that fails."""
    (check,) = client.event_hooks["response"]
    asked = httpx.Request("GET", "http://studio/api/v1/builds")
    await check(httpx.Response(200, request=asked, json={}))
    for answer in (httpx.Response(418, request=asked), httpx.Response(422, request=asked, json={})):
        with pytest.raises(AssertionError):
            await check(answer)
