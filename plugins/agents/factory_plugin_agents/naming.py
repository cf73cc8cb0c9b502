"""Names: from the words of a spec to names that Python, SQL and URLs take."""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Iterable

__all__ = [
    "attribute",
    "class_name",
    "digest",
    "kebab",
    "module",
    "pascal",
    "plural",
    "short",
    "slug",
    "snake",
    "table",
    "unique",
]


def _listed(names: str) -> frozenset[str]:
    return frozenset(names.split())


_TAKEN_ATTRIBUTES = _listed(
    """
    id created_at updated_at made_by metadata registry date datetime time copy
    json dict schema construct validate fields parse_obj parse_raw parse_file from_orm
    update_forward_refs schema_json model_config model_fields model_computed_fields model_extra
    model_fields_set model_construct model_copy model_dump model_dump_json model_json_schema
    model_parametrized_name model_post_init model_rebuild model_validate model_validate_json
    model_validate_strings model_pre_init str int float bool list dict property self cls
    """
)
"""What a field cannot be called in a model or schema class."""

_TAKEN_CLASSES = _listed(
    """
    Account Annotated Answer Any Api APIRouter BaseModel Base BigInteger Body Boolean Clock Conflict
    Credentials Date DatabaseSession Day Decimal DateTime Depends Double Email Engine Exact ExactDecimal
    FastAPI Field FieldError Float Forbidden ForeignKey Index Instant Integer Invalid Iterator Json
    JsonValue Key Link Links List Listing Literal Malformed Mapped Mapping NotBuilt NotFound Number
    Numeric Order_ Page Problem Request Response Row Session Settings Strict StrictBool String Table Text
    Storable Time Token Type UniqueConstraint Unauthorized UtcDateTime Uuid UUID WebAddress
    """
)
"""Names that generated modules use for something else."""

_TAKEN_MODULES = _listed(
    """
    account allow annotated api app body body_of client date datetime decrypt encrypt errors find hash_secret id ids
    kept listing made match matches name now numbers pytest remove request require_own require_rows router row select
    session settings state states store stubs takes target test text time today tokens utc_now uuid4 value values
    """
)
"""What generated functions call something else."""

_TAKEN_TABLES = frozenset({"auth_accounts", "alembic_version"})

_ACRONYM = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])")


def words(name: str) -> list[str]:
    """The words of a name, lower-case: ``OrderLine``, ``order-line`` and ``Order line`` have the same."""
    spaced = re.sub(r"[^A-Za-z0-9]+", " ", name)
    return [word.lower() for part in spaced.split() for word in _ACRONYM.split(part) if word]


def snake(name: str) -> str:
    """``order_line``; never empty, never beginning with a digit."""
    joined = "_".join(words(name)) or "x"
    return f"n{joined}" if joined[0].isdigit() else joined


def pascal(name: str) -> str:
    """``OrderLine``."""
    return "".join(word[:1].upper() + word[1:] for word in snake(name).split("_"))


def kebab(name: str) -> str:
    """``order-line``."""
    return snake(name).replace("_", "-")


def slug(text: str, *, longest: int = 60) -> str:
    """A file name's worth of a sentence: ASCII snake case, cut at a word."""
    joined = snake(text)
    return joined if len(joined) <= longest else joined[:longest].rsplit("_", 1)[0]


def plural(word: str) -> str:
    """English's plural of the last word; a plural stays."""
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and not word.endswith(("ay", "ey", "iy", "oy", "uy")):
        return f"{word[:-1]}ies"
    return f"{word}s"


def attribute(name: str) -> str:
    """A field's name as a Python attribute."""
    safe = snake(name)
    taken = safe in _TAKEN_ATTRIBUTES or keyword.iskeyword(safe) or safe.startswith("model_")
    return f"{safe}_" if taken else safe


def module(name: str) -> str:
    """An entity's name as a module and as a variable."""
    safe = snake(name)
    return f"{safe}_" if keyword.iskeyword(safe) or safe in _TAKEN_MODULES else safe


def class_name(name: str) -> str:
    """An entity's name as a class."""
    safe = pascal(name)
    return f"{safe}Record" if safe in _TAKEN_CLASSES or keyword.iskeyword(safe) else safe


def table(path: str) -> str:
    """The table of the collection at ``path``."""
    safe = snake(path.strip("/"))
    return f"{safe}_" if safe in _TAKEN_TABLES else safe


def short(name: str, *, longest: int = 60) -> str:
    """The name, or its beginning and a digest when PostgreSQL would cut it."""
    if len(name) <= longest:
        return name
    return f"{name[: longest - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def unique(names: Iterable[str]) -> list[str]:
    """The names, later equal ones with underscores added."""
    seen: set[str] = set()
    result: list[str] = []
    for name in names:
        while name in seen:
            name += "_"
        seen.add(name)
        result.append(name)
    return result


def digest(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
