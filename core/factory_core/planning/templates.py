"""Template packages, read from their folder and checked as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import msgspec

from factory_core.contracts.plan import BARRIER, COORDINATOR, MERGER
from factory_core.contracts.template import Manifest, TemplateFile, TemplatePackage, WorkSpec

from .errors import TemplateBroken
from .reads import PARTS, PREFIX, WHOLE

__all__ = ["faults_of_work", "load_template"]

_MANIFEST = "factory.toml"
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
_FIELDS = frozenset({"module", "slug", "collection", "package", "migration"})
_STAGES = ("analyse", "design", "build", "test", "integrate", "verify", "document", "deliver")
_OWN_PARAMS = frozenset({"work", "node", "nodes"})
_KERNELS = (BARRIER, COORDINATOR, MERGER, "merge")
_CORRECT = f"Correct {_MANIFEST} and try again."


def load_template(folder: Path) -> TemplatePackage:
    """Read and check the package in ``folder``. Raises TemplateBroken with the first thing that is wrong."""
    manifest = _read_manifest(folder)
    for fault in (
        *_faults_of_names(manifest),
        *faults_of_work(manifest.work),
        *_faults_of_tracks(manifest),
        *_faults_of_files(manifest, folder),
    ):
        raise TemplateBroken(folder, fault, _CORRECT)
    return TemplatePackage(manifest=manifest, root=folder, digest=_digest(folder))


def _read_manifest(folder: Path) -> Manifest:
    try:
        text = (folder / _MANIFEST).read_bytes()
    except OSError as error:
        raise TemplateBroken(
            folder, f"{_MANIFEST} cannot be read ({error.strerror}).", "Name the folder that holds it."
        ) from error
    try:
        return msgspec.toml.decode(text, type=Manifest)
    except (msgspec.DecodeError, ValueError) as error:
        raise TemplateBroken(folder, f"{_MANIFEST}: {error}.", _CORRECT) from error


def _faults_of_names(manifest: Manifest) -> Iterator[str]:
    if not _NAME.match(manifest.name):
        yield f"the name {manifest.name!r} is not lower-case letters, digits, - and _."
    gates = [gate.name for gate in manifest.gates]
    yield from (f"two gates are called {name!r}." for name in _twice(gates))


def faults_of_work(works: Sequence[WorkSpec]) -> Iterator[str]:
    """What keeps these kinds of work from being planned."""
    names = [work.name for work in works]
    if not works:
        yield "it lists no work."
    yield from (f"two kinds of work are called {name!r}." for name in _twice(names))
    by_name = {work.name: work for work in works}
    for work in works:
        yield from _faults_of_one(work, by_name)
    if all(name in by_name for work in works for name in work.after):
        try:
            TopologicalSorter({work.name: work.after for work in works}).prepare()
        except CycleError as error:
            yield f"its work waits for itself: {' <- '.join(error.args[1])}."


def _faults_of_one(work: WorkSpec, by_name: dict[str, WorkSpec]) -> Iterator[str]:
    if not _NAME.match(work.name):
        yield f"the work name {work.name!r} is not lower-case letters, digits, - and _."
    if work.name in _KERNELS or work.agent in ("", *_KERNELS):
        yield f"work {work.name!r} has the agent {work.agent!r}, which no template may use."
    if work.stage not in _STAGES:
        yield f"work {work.name!r} has the stage {work.stage!r}; stages are {', '.join(_STAGES)}."
    if not 0 <= work.seconds < 86_400:
        yield f"work {work.name!r} takes {work.seconds} seconds; give between 0 and a day."
    for key in sorted(_OWN_PARAMS & set(work.params)):
        yield f"work {work.name!r} sets the parameter {key!r}, which belongs to the planner."
    yield from _faults_of_reads(work, by_name)
    for name in work.after:
        earlier = by_name.get(name)
        if earlier is None:
            yield f"work {work.name!r} stands after {name!r}, which is no work of this template."
        elif earlier.stage == "deliver" != work.stage:
            yield f"work {work.name!r} stands after {name!r}, but nothing follows a delivery."


def _faults_of_reads(work: WorkSpec, by_name: dict[str, WorkSpec]) -> Iterator[str]:
    for name in work.reads or ():
        part = name.removeprefix(PREFIX)
        if part != name and part not in PARTS:
            yield f"work {work.name!r} reads {name!r}; parts of the blueprint are {', '.join(sorted(PARTS))}."
        elif part == name != WHOLE and name not in by_name and _NAME.match(name):
            yield f"work {work.name!r} reads {name!r}, which is no work of this template; a path has a / or a dot."


def _faults_of_tracks(manifest: Manifest) -> Iterator[str]:
    names = [track.name for track in manifest.tracks]
    yield from (
        f"the track name {name!r} is not lower-case letters, digits, - and _."
        for name in names
        if not _NAME.match(name)
    )
    yield from (f"two tracks are called {name!r}." for name in _twice(names))
    listed = [work for track in manifest.tracks for work in track.works]
    yield from (f"the work {name!r} is in two tracks." for name in _twice(listed))
    known = {work.name for work in manifest.work}
    yield from (
        f"a track has the work {name!r}, which this template lacks." for name in listed if name not in known
    )
    if manifest.changelog and not _stays_inside(manifest.changelog):
        yield f"the path {manifest.changelog!r} leaves the project."
    paths = {file.path for work in manifest.work for file in work.files}
    if manifest.changelog in paths:
        yield f"{manifest.changelog!r} is written by a work and by the merges; every path has one owner."


def _faults_of_files(manifest: Manifest, folder: Path) -> Iterator[str]:
    if not _stays_inside(manifest.toolchain.lock) or not (folder / manifest.toolchain.lock).is_file():
        yield f"the toolchain lock {manifest.toolchain.lock!r} is not there."
    places: list[str] = []
    for work in manifest.work:
        for file in work.files:
            yield from _faults_of_file(work, file, folder)
            places.append(f"{file.path} (when {file.when})" if file.when else file.path)
    yield from (f"two works write {place!r}; every path has one owner." for place in _twice(places))


def _faults_of_file(work: WorkSpec, file: TemplateFile, folder: Path) -> Iterator[str]:
    if not _stays_inside(file.source) or not (folder / "files" / file.source).is_file():
        yield f"work {work.name!r} uses files/{file.source}, which is not there."
    strange = sorted(set(re.findall(r"{(.*?)}", file.path)) - _FIELDS)
    if strange:
        yield f"the path {file.path!r} holds {{{strange[0]}}}; known are {', '.join(sorted(_FIELDS))}."
    if not _stays_inside(file.path):
        yield f"the path {file.path!r} leaves the project."


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\\" not in path


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _digest(folder: Path) -> str:
    """SHA-256 over path, mode and content of every file, compiled Python left out."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda found: found.relative_to(folder).as_posix()):
        if path.is_symlink():
            raise TemplateBroken(folder, f"{path.name} is a symbolic link.", "Put the file itself there.")
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(folder).as_posix()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        runs = bool(path.stat().st_mode & 0o100)
        total.update(f"{name}\0{int(runs)}\0{content}\n".encode())
    return total.hexdigest()
