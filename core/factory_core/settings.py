"""Settings: one frozen Struct per distribution, read once at boot, passed as an argument.

A value comes from the environment (``FACTORY_<NAME>_<FIELD>``), else from the table ``[<name>]`` of ``studio.toml`` in the
home folder, else from the Struct's default. This module alone reads the process's environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from factory_core.errors import FactoryError

__all__ = ["KernelSettings", "Secret", "SettingsError", "Sources", "read_sources", "variable_of"]

KERNEL = "kernel"
ENVIRONMENT = "the environment"
SettingsT = TypeVar("SettingsT", bound=Struct)


class SettingsError(FactoryError):
    """A setting that is missing or malformed, named by its variable."""

    exit_code = 4

    def __init__(self, setting: str, source: str, reason: str) -> None:
        self.setting = setting
        super().__init__(f"{setting} (from {source}) is wrong: {reason}. Correct it or remove it.")


class Secret:
    """A value that shows itself only when asked to ``reveal()``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('********')"

    def __str__(self) -> str:
        return "********"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def default_home() -> Path:
    """Where data lives when FACTORY_HOME is not set: the platform's data folder."""
    from platformdirs import user_data_path  # only needed when FACTORY_HOME is not set

    return user_data_path("factory-studio", appauthor=False)


class KernelSettings(Struct, frozen=True, kw_only=True):
    """Read from ``FACTORY_*`` and the table ``[kernel]``; FACTORY_HOME from the environment alone."""

    home: Path = msgspec.field(default_factory=default_home)
    """Where data, logs, toolchains and the embedded servers live. Default: the platform's data folder."""
    database_url: Secret | None = None
    """A PostgreSQL 15+ of your own, such as ``postgresql://user:password@host/name``. Default: an embedded one."""
    database_pool: Annotated[int, Meta(ge=1, le=500)] = 10
    """How many database connections one process keeps at most."""
    database_statement_cache: Annotated[int, Meta(ge=0)] = 100
    """Prepared statements kept per connection; 0: ``database_url`` is a pooler's, such as PgBouncer in transaction mode."""
    database_direct_url: Secret | None = None
    """The same database past the pooler, for workers: each keeps one connection for its steps. Default: ``database_url``."""
    queue_url: Secret | None = None
    """A Redis 7+ or Valkey of your own, such as ``redis://host:6379/0``. Default: an embedded one."""
    storage: str = "local"
    """Name of the storage backend that keeps artifacts."""
    host: str = "127.0.0.1"
    """Address ``studio serve`` listens on."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8600
    """Port ``studio serve`` listens on."""
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names the web answers to, besides ``host``; ``*`` for any. Others are refused: they may be a page's trick."""
    web_workers: Annotated[int, Meta(ge=1, le=64)] = 1
    """Web processes of ``studio serve``."""
    worker_slots: Annotated[int, Meta(ge=1, le=4096)] = 16
    """Tasks one worker process runs at the same time."""
    worker_reserved: Annotated[int, Meta(ge=0)] = 0
    """Of those, how many are kept for organisations with a reserved share; at least one is always for all."""
    cores: Annotated[int, Meta(ge=0)] = 0
    """Sandboxed commands at the same time; 0 = as many as the machine has cores."""
    idle_seconds: Annotated[float, Meta(gt=0)] = 60.0
    """How long embedded servers go on when nobody needs them."""
    archive_after_days: Annotated[float, Meta(ge=0, le=36_500)] = 7.0
    """When the events of a build that has ended move from tables to a file in the storage; 0 = never."""
    pack_after_days: Annotated[float, Meta(ge=0, le=36_500)] = 30.0
    """When its tasks, edges, boards and letters follow, once its events have moved; 0 = never."""
    memo_days: Annotated[float, Meta(ge=0, le=36_500)] = 90.0
    """How long results are kept for equal work to reuse; 0 = for ever."""
    crash_point: str = ""
    """For tests of durability: a named place, such as ``after_blob:3``, where a worker dies."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    log_format: Literal["json", "console"] = "json"
    """Shape of a log line: for machines or for a terminal."""


def variable_of(name: str, field: str) -> str:
    """The environment variable of a field: ``FACTORY_BILLING_CURRENCY`` of plugin ``billing``, ``FACTORY_PORT`` of the
    kernel."""
    words = [] if name == KERNEL else [name]
    return "_".join(["factory", *words, field]).replace("-", "_").upper()


class Sources(Struct, frozen=True, kw_only=True):
    """Everything settings are read from: the ``FACTORY_*`` variables and the document ``studio.toml``."""

    variables: Mapping[str, str]
    document: Mapping[str, Any]
    home: Path

    def read(self, kind: type[SettingsT], name: str = KERNEL) -> SettingsT:
        """The settings of ``name``, checked. Raises SettingsError, which names the variable or the key."""
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(kind):
            variable = variable_of(name, field.name)
            if variable in self.variables:
                raw: Any = self.variables[variable]
                values[field.name] = _convert(
                    _listed(raw, field.type), field.type, variable, "the environment"
                )
            elif field.name in self._table(name):
                raw = self._table(name)[field.name]
                values[field.name] = _convert(raw, field.type, f"[{name}] {field.name}", "studio.toml")
            elif field.required:
                raise SettingsError(variable, "nowhere", "it has no default and must be set")
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            raise SettingsError(variable_of(name, "*"), "its plugin's checks", str(error)) from error

    def leftovers(self, known: Mapping[str, type[Struct]]) -> tuple[str, ...]:
        """One warning per variable or table that none of the ``known`` (name -> kind) reads."""
        read = {
            variable_of(name, field.name)
            for name, kind in known.items()
            for field in msgspec.structs.fields(kind)
        }
        read.add("FACTORY_HOME")
        warnings = [
            f"{variable} is set, but nothing installed reads it{_nearest(variable, read)}."
            for variable in sorted(set(self.variables) - read)
        ]
        for name in sorted(self.document):
            fields = {f.name for f in msgspec.structs.fields(known[name])} if name in known else None
            if fields is None:
                warnings.append(f"studio.toml has a table [{name}], but nothing installed reads it.")
                continue
            warnings += [
                f"studio.toml sets {key} in [{name}], but nothing reads it{_nearest(key, fields)}."
                for key in sorted(set(self._table(name)) - fields)
            ]
        return tuple(warnings)

    def _table(self, name: str) -> Mapping[str, Any]:
        table: Any = self.document.get(name, {})
        if not isinstance(table, dict):
            raise SettingsError(
                name, "studio.toml", f"settings stand in a table such as [{KERNEL}] or [{name}]"
            )
        return table  # pyright: ignore[reportUnknownVariableType]  # a TOML table: str to anything


def read_sources(variables: Mapping[str, str] | None = None, *, home: Path | None = None) -> Sources:
    """Read the environment (or ``variables``) and ``studio.toml`` once; ``home`` wins over FACTORY_HOME."""
    environment = os.environ if variables is None else variables
    mine = {key: value for key, value in environment.items() if key.startswith("FACTORY_")}
    if home is None:
        home = (
            Path(mine["FACTORY_HOME"]).expanduser().absolute() if mine.get("FACTORY_HOME") else default_home()
        )
    mine["FACTORY_HOME"] = str(home)
    file = home / "studio.toml"
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError("studio.toml", str(file), str(error)) from error
    return Sources(variables=mine, document=document, home=home)


def child_environment(sources: Sources) -> dict[str, str]:
    """The environment of a process of ours that must read the same settings."""
    return {**os.environ, **sources.variables}


def point_piccolo_at(module: str) -> None:
    """Tell Piccolo, which reads its configuration module's name from the environment, where the engine is."""
    os.environ["PICCOLO_CONF"] = module


def _convert(raw: Any, kind: Any, setting: str, source: str) -> Any:
    try:
        return msgspec.convert(raw, kind, strict=source != ENVIRONMENT, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingsError(setting, source, str(error)) from error


def _decode(kind: type, value: Any) -> Any:
    """Path and Secret from text; anything else is not a type of settings."""
    if not isinstance(value, str):
        raise ValueError(f"Expected text, got `{type(value).__name__}`")
    if kind is Path:
        return Path(value).expanduser()
    if kind is Secret:
        return Secret(value)
    raise NotImplementedError(f"A setting cannot be a {kind.__name__}")


def _listed(raw: str, kind: Any) -> Any:
    """A list in a variable is comma-separated."""
    origins = {get_origin(kind), *(get_origin(option) for option in get_args(kind))}
    return [part.strip() for part in raw.split(",") if part.strip()] if origins & {tuple, list} else raw


def _nearest(word: str, words: set[str]) -> str:
    close = difflib.get_close_matches(word, sorted(words), n=1, cutoff=0.8)
    return f"; did you mean {close[0]}" if close else ""
