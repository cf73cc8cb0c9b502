"""Small bugs, planted in source code: one change each, chosen by what the sources are and nothing else."""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, zip_longest

from msgspec import Struct

__all__ = ["Mutant", "choose_mutants", "seeds_of"]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
STATUS_CODES = range(200, 600)
OTHER_STATUS = {
    200: 202,
    201: 200,
    204: 200,
    400: 422,
    401: 403,
    403: 401,
    404: 400,
    405: 404,
    409: 422,
    422: 400,
}
LONGEST = 80
PACKAGED = 3
"""Parts of a path such as ``app/routes/card.py``."""


class Seed(Struct, frozen=True, kw_only=True):
    """A place where a bug can be planted: the node's number in ``ast.walk`` order and what is done to it."""

    path: str
    node: int
    bug: str
    line: int
    runs: tuple[int, int]
    """The first and the last line that run with it: those of its statement, of which a block's lines are no part."""
    function: tuple[int, int]
    """The first and the last line of the function's body."""
    handler: str
    """What kind of code it is in: handlers of one kind in different files count as one class."""


class Mutant(Struct, frozen=True, kw_only=True):
    """A source file with one bug in it."""

    path: str
    line: int
    runs: tuple[int, int]
    function: tuple[int, int]
    what: str
    source: str


def choose_mutants(
    sources: Mapping[str, str], *, most: int, shared: frozenset[str] = frozenset()
) -> tuple[Mutant, ...]:
    """At most ``most``, the same for the same sources, every kind of handler in turn. Of what handlers share, a third
    as many as of the handlers, and none where there are none: most of it answers questions that a small specification
    never asks."""
    # By its own file, so that a change in one file plants no other bugs in the rest.
    digests = {path: hashlib.sha256(source.encode()).hexdigest() for path, source in sources.items()}
    classes: dict[str, list[Seed]] = defaultdict(list)
    for path in sorted(sources):
        for seed in seeds_of(path, sources[path]):
            classes[seed.handler].append(seed)
    for seeds in classes.values():
        seeds.sort(
            key=lambda seed: hashlib.sha256(f"{digests[seed.path]} {seed.node} {seed.bug}".encode()).digest()
        )
    turns = chain.from_iterable(zip_longest(*(classes[name] for name in sorted(classes))))
    every = [seed for seed in turns if seed is not None]
    room = sum(seed.path not in shared for seed in every) // 3
    common = [seed for seed in every if seed.path in shared][:room]
    chosen = [seed for seed in every if seed.path not in shared or seed in common][:most]
    return tuple(plant(sources[seed.path], seed) for seed in chosen)


def seeds_of(path: str, source: str) -> Iterator[Seed]:
    """Every place in the functions of a file, and the status codes of their decorators."""
    tree = ast.parse(source)
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            whole = function.body[0].lineno, function.end_lineno or function.lineno
            for node, runs in _inside(function, whole):
                for bug in _bugs_for(node):
                    yield Seed(
                        path=path,
                        node=numbers[id(node)],
                        bug=bug,
                        line=getattr(node, "lineno", function.lineno),
                        runs=runs,
                        function=whole,
                        handler=_class_of(path, function.name),
                    )


def plant(source: str, seed: Seed) -> Mutant:
    """The file with the bug."""
    tree = ast.parse(source)
    old = next(node for number, node in enumerate(ast.walk(tree)) if number == seed.node)
    before = ast.unparse(old)
    new = BUGS[seed.bug](old)
    tree = _Swap(old, new).visit(tree)
    what = f"{seed.bug}: {_short(before)} -> {_short(ast.unparse(new))}"
    return Mutant(
        path=seed.path,
        line=seed.line,
        runs=seed.runs,
        function=seed.function,
        what=what,
        source=ast.unparse(ast.fix_missing_locations(tree)),
    )


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def _inside(
    function: ast.FunctionDef | ast.AsyncFunctionDef, whole: tuple[int, int]
) -> Iterator[tuple[ast.AST, tuple[int, int]]]:
    """Statements and expressions that run, each with the lines that it runs with; no annotations, no docstrings, no
    nested functions twice. A decorator matters whenever the function runs."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call):
            yield from ((word.value, whole) for word in decorator.keywords if word.arg == "status_code")
    waiting: list[tuple[ast.AST, tuple[int, int]]] = [(node, whole) for node in function.body]
    while waiting:
        node, runs = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or _is_text(node):
            continue
        runs = _head(node) if isinstance(node, ast.stmt) else runs
        yield node, runs
        skipped = node.annotation if isinstance(node, ast.AnnAssign) else None
        waiting += [(child, runs) for child in ast.iter_child_nodes(node) if child is not skipped]


def _head(statement: ast.stmt) -> tuple[int, int]:
    """All its lines, or those before its block."""
    block: list[ast.AST] = getattr(statement, "body", None) or getattr(statement, "cases", [])
    first = next((getattr(node, "lineno", 0) for node in block), 0)
    last = first - 1 if first else statement.end_lineno or statement.lineno
    return statement.lineno, max(statement.lineno, last)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _class_of(path: str, function: str) -> str:
    """``app/routes/card.py`` create_card -> ``routes create``; shared modules are a class each."""
    folders = path.split("/")
    if len(folders) < PACKAGED:
        return folders[-1]
    loads = function.endswith(("_to_read", "_to_change"))
    return f"{folders[-2]} {'load' if loads else function.partition('_')[0]}"


def _bugs_for(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield "comparison negated"
    elif isinstance(node, ast.BoolOp):
        yield "and/or swapped"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not dropped"
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "status code changed" if node.value in STATUS_CODES else "off by one"
    elif isinstance(node, ast.stmt):
        yield from _bugs_for_statement(node)


def _bugs_for_statement(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Raise):
        yield "raise dropped"
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call dropped"
    elif isinstance(node, ast.If):
        yield "body of if dropped"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "None returned"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _negate(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Compare)  # noqa: S101 - the seed says so, here and below
    return ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)


def _swap_words(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)  # noqa: S101
    return ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _drop_not(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.UnaryOp)  # noqa: S101
    return node.operand


def _other_status(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Constant)  # noqa: S101
    assert isinstance(node.value, int)  # noqa: S101
    return ast.Constant(OTHER_STATUS.get(node.value, 500))


def _off_by_one(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Constant)  # noqa: S101
    assert isinstance(node.value, int)  # noqa: S101
    return ast.Constant(node.value + 1)


def _drop_body(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.If)  # noqa: S101
    return ast.If(node.test, [ast.Pass()], node.orelse)


def _nothing(_: ast.AST) -> ast.AST:
    return ast.Pass()


def _return_none(_: ast.AST) -> ast.AST:
    return ast.Return(ast.Constant(None))


BUGS: dict[str, Callable[[ast.AST], ast.AST]] = {
    "comparison negated": _negate,
    "and/or swapped": _swap_words,
    "not dropped": _drop_not,
    "status code changed": _other_status,
    "off by one": _off_by_one,
    "raise dropped": _nothing,
    "call dropped": _nothing,
    "body of if dropped": _drop_body,
    "None returned": _return_none,
}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
