"""Whether an object keeps a Protocol's promise, as far as can be seen without calling it."""

from __future__ import annotations

import inspect
from typing import Any


def missing_from(value: Any, protocol: type) -> str:
    """What ``value`` lacks to be a ``protocol``, in words; nothing when it conforms."""
    if isinstance(value, type):
        return f"is a class; an instance that conforms to {protocol.__name__} is needed"
    for name in protocol.__annotations__:
        if not isinstance(getattr(value, name, None), str):
            return f"has no text {name!r}, which {protocol.__name__} asks for"
    for name, promised in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(promised):
            continue
        wrong = _method_fault(getattr(value, name, None), promised)
        if wrong:
            return f"{wrong}, which {protocol.__name__} asks for"
    return ""


def _method_fault(given: Any, promised: Any) -> str:
    name = promised.__name__
    if not callable(given):
        return f"has no method {name}()"
    if inspect.iscoroutinefunction(promised) and not _awaitable(given):
        return f"has {name}() that is not 'async def'"
    try:
        _bind(inspect.signature(given), inspect.signature(promised))
    except TypeError as error:
        return f"has {name}() that cannot be called as promised ({error})"
    return ""


def _awaitable(given: Any) -> bool:
    return inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(getattr(given, "__call__", None))  # noqa: B004  # the method itself is looked at, not whether there is one


def _bind(given: inspect.Signature, promised: inspect.Signature) -> None:
    """Call ``given`` in thought, the way callers of ``promised`` do."""
    parameters = list(promised.parameters.values())[1:]
    positional = [object() for p in parameters if p.kind is not p.KEYWORD_ONLY]
    keywords = {p.name: object() for p in parameters if p.kind is p.KEYWORD_ONLY}
    given.bind(*positional, **keywords)
