"""The agents of a neural mesh: peers ask each other for names, the moderator tells which nobody has."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from factory_core.contracts.agent import (
    AGAIN,
    Finding,
    FindingLevel,
    GateResult,
    Message,
    Outcome,
    Tools,
    Work,
)
from factory_core.contracts.files import FileRef

__all__ = ["Moderator", "Peer"]

GATE = "interfaces"
LIMIT = "every name is offered"
MODERATOR = "moderator"


class _Need(Struct, frozen=True, order=True):
    """``path`` at ``line`` takes ``name`` from ``module``, a dotted name such as ``app.models``."""

    path: str
    line: int
    module: str
    name: str


class _Open(Struct, frozen=True):
    """What a peer tells the moderator: how many names it was asked for, and which it has not."""

    asked: int
    missing: tuple[_Need, ...]


class Peer:
    """Speaks for its share of the Python files, taken in turn from their sorted paths."""

    name = "peer"
    version = "1"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Round 1: ask whoever has the module for each name. Round 2: answer what one was asked in round 1."""
        sources = _sources(work.inputs)
        owners = {_module(ref.path): 1 + place % int(work.params["of"]) for place, ref in enumerate(sources)}
        mine = [ref for ref in sources if owners[_module(ref.path)] == int(work.params["peer"])]
        trees = {ref.path: await _tree(ref, tools) for ref in mine}
        first = work.params["round"] == "1"
        mail = _questions(trees, owners) if first else _answers(trees, owners, work.mail)
        await tools.log(f"{len(work.mail)} messages read, {len(mail)} written")
        return Outcome(mail=mail)


class Moderator:
    """Makes a gate of the answers. Asked again after a correction it asks and answers by itself: the peers have spoken."""

    name = "moderator"
    version = "2"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Failed for a name that somebody imports and nobody has."""
        mail = await _alone(work.inputs, tools) if AGAIN in work.params else work.mail
        told = [msgspec.json.decode(message.body, type=_Open) for message in mail]
        asked = sum(each.asked for each in told)
        missing = sorted(need for each in told for need in each.missing)
        await tools.log(f"{asked} names asked for, {len(missing)} missing")
        findings = tuple(
            Finding(
                level=FindingLevel.ERROR,
                code="interface",
                message=f"{need.module} has no {need.name}",
                path=need.path,
                line=need.line,
            )
            for need in missing
        )
        gate = GateResult(
            name=GATE,
            passed=not missing,
            figure=f"{asked - len(missing)} of {asked} names",
            limit=LIMIT,
            detail="\n".join(f"{each.path}:{each.line} {each.message}" for each in findings),
            paths=tuple(dict.fromkeys(each.path for each in findings)),
        )
        return Outcome(gates=(gate,), findings=findings)


async def _alone(inputs: Iterable[FileRef], tools: Tools) -> tuple[Message, ...]:
    """What peers would tell of the files as they are now."""
    sources = _sources(inputs)
    owners = {_module(ref.path): 1 for ref in sources}
    trees = {ref.path: await _tree(ref, tools) for ref in sources}
    return _answers(trees, owners, _questions(trees, owners))


def _sources(inputs: Iterable[FileRef]) -> list[FileRef]:
    return sorted((ref for ref in inputs if ref.path.endswith(".py")), key=lambda ref: ref.path)


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


async def _tree(ref: FileRef, tools: Tools) -> ast.Module | None:
    """None for a file that is no Python; another gate says so."""
    try:
        return ast.parse(await tools.read(ref))
    except (SyntaxError, ValueError):
        return None


def _questions(trees: Mapping[str, ast.Module | None], owners: Mapping[str, int]) -> tuple[Message, ...]:
    asked: dict[int, list[_Need]] = {}
    for path, tree in trees.items():
        for need in _needs(path, tree):
            if need.module in owners:
                asked.setdefault(owners[need.module], []).append(need)
    return tuple(
        Message(to=str(owner), body=msgspec.json.encode(sorted(needs)).decode())
        for owner, needs in sorted(asked.items())
    )


def _answers(
    trees: Mapping[str, ast.Module | None], owners: Mapping[str, int], mail: Sequence[Message]
) -> tuple[Message, ...]:
    offers = {_module(path): _offers(tree) for path, tree in trees.items() if tree is not None}
    asked = [need for message in mail for need in msgspec.json.decode(message.body, type=list[_Need])]
    missing = tuple(
        need
        for need in asked
        if need.module in offers
        and not offers[need.module] & {need.name, "*"}
        and f"{need.module}.{need.name}" not in owners
    )
    if not asked:
        return ()
    body = msgspec.json.encode(_Open(asked=len(asked), missing=missing)).decode()
    return (Message(to=MODERATOR, body=body),)


def _needs(path: str, tree: ast.Module | None) -> Iterable[_Need]:
    """The names a file takes from other modules."""
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            yield from (
                _Need(path, node.lineno, module, alias.name) for alias in node.names if alias.name != "*"
            )


def _absolute(path: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.split("/")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _offers(tree: ast.Module) -> frozenset[str]:
    """Every name that a module binds at its top, also inside ``if`` and ``try``; ``*`` when it takes all of another's, and
    ``__getattr__`` may answer to any."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add("*" if name == "__getattr__" else name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update((alias.asname or alias.name).partition(".")[0] for alias in aliases)
            case _:
                pass
    return frozenset(names)
