"""The page at ``/api/docs``: every call with its parameters and examples, readable without scripts or a network."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc} code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f4f4f2;padding:.75rem;overflow:auto;border-radius:4px} .method{font-weight:700;margin-right:.5rem}
table{border-collapse:collapse} td{padding:.15rem 1rem .15rem 0;vertical-align:top} summary{cursor:pointer}
@media (prefers-color-scheme:dark){body{color:#e6e6e3;background:#181817} pre{background:#252524} a{color:#9cc4ff}}
"""


class ReferencePage(OpenAPIRenderPlugin):
    """One page of plain HTML made from the OpenAPI document."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  # the interface is Litestar's
        """The page."""
        title = escape(openapi_schema["info"]["title"])
        groups: dict[str, list[str]] = {}
        for path, calls in sorted(openapi_schema.get("paths", {}).items()):
            for method, call in calls.items():
                if isinstance(call, dict):
                    tag = str((call.get("tags") or ["other"])[0])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # JSON
                    groups.setdefault(tag, []).append(_call(method, path, call))  # pyright: ignore[reportUnknownArgumentType]  # JSON
        sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(calls)}" for tag, calls in sorted(groups.items()))
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{title} API</title><style>{_STYLE}</style><h1>{title} API</h1>"
            f"<p>Version {escape(openapi_schema['info']['version'])}. The same as data: "
            f"<a href='openapi.json'>openapi.json</a>, <a href='openapi.yaml'>openapi.yaml</a>.</p>{sections}</html>"
        ).encode()


def _call(method: str, path: str, call: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{escape(p.get('description', ''))}"
        for p in call.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer.get('description', ''))}"
        for status, answer in call.get("responses", {}).items()
    )
    return (
        f"<details><summary><code><span class=method>{method.upper()}</span>{escape(path)}</code> "
        f"{escape(call.get('summary', ''))}</summary><p>{escape(call.get('description', ''))}</p>"
        f"<table>{rows}</table>{_examples(call)}<table>{answers}</table></details>"
    )


def _examples(call: dict[str, Any]) -> str:
    media = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    found = media.get("schema", {}).get("examples", ())
    return "".join(f"<pre>{escape(json.dumps(value, indent=2))}</pre>" for value in found)
