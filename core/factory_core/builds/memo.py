"""The digest under which a task's outcome is remembered: resume and incremental builds are this one mechanism."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from factory_core.contracts.agent import Work

__all__ = ["memo_digest"]


def memo_digest(agent: str, version: str, work: Work) -> str:
    """SHA-256 over all that the outcome depends on: agent and version, template, parameters, the blueprint's narrowed
    part, the contents of the inputs and of the release, the data of the tasks before and the mail. Neither the build nor
    the task's name."""
    facts: Mapping[str, Any] = {
        "agent": agent,
        "version": version,
        "template": work.template.digest,
        "params": work.params,
        "blueprint": work.blueprint,
        "inputs": [(ref.path, ref.digest, ref.executable) for ref in work.inputs],
        "upstream": work.upstream,
        **({"release": [(ref.path, ref.digest) for ref in work.release]} if work.release else {}),
        **({"mail": work.mail} if work.mail else {}),
    }
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()
