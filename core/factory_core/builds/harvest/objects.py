"""Git's object and index formats, as much of them as a fresh history needs.

Written here and not by the git program, so that nothing of the machine (its configuration, hooks, versions, clock) can
reach the bytes, and a studio without git can still hand out a history. The tests hold it against the real git.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping

from msgspec import Struct

__all__ = ["Blob", "ObjectStore", "index_bytes", "object_path", "read_object"]

_LEVEL = 9


class Blob(Struct, frozen=True):
    """A stored file: its object id and whether it may be executed."""

    id: str
    executable: bool

    @property
    def mode(self) -> int:
        return 0o100755 if self.executable else 0o100644


class ObjectStore:
    """Objects by their id."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def loose(self, name: str) -> bytes:
        """The object as git keeps it in a file of its own. Raises KeyError."""
        return zlib.compress(self._objects[name], _LEVEL)

    def add(self, kind: str, content: bytes) -> str:
        """Store an object and return its id."""
        data = b"%s %d\0%s" % (kind.encode(), len(content), content)
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        self._objects[name] = data
        return name

    def add_tree(self, blobs: Mapping[str, Blob]) -> str:
        """Store the folders of these files, from the leaves up, and return the root's id."""
        files: dict[str, Blob] = {}
        folders: dict[str, dict[str, Blob]] = {}
        for path, blob in blobs.items():
            name, inside, rest = path.partition("/")
            if inside:
                folders.setdefault(name, {})[rest] = blob
            else:
                files[name] = blob
        # Git sorts a folder as if its name ended in a slash.
        rows = [(name.encode(), b"%o" % blob.mode, blob.id) for name, blob in files.items()]
        rows += [(name.encode() + b"/", b"40000", self.add_tree(inner)) for name, inner in folders.items()]
        entries = (
            mode + b" " + name.rstrip(b"/") + b"\0" + bytes.fromhex(entry)
            for name, mode, entry in sorted(rows)
        )
        return self.add("tree", b"".join(entries))


def object_path(name: str) -> str:
    """Where git looks for a loose object, below ``.git``."""
    return f"objects/{name[:2]}/{name[2:]}"


def read_object(name: str, stored: bytes, *, limit: int) -> bytes:
    """The object's content without its header. Raises ValueError when it is not what its name says."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stored, limit)
    except zlib.error as error:
        raise ValueError(f"object {name} is damaged") from error
    if not inflater.eof or hashlib.sha1(data, usedforsecurity=False).hexdigest() != name:
        raise ValueError(f"object {name} is not what its name says")
    return data.partition(b"\0")[2]


def index_bytes(blobs: Mapping[str, Blob]) -> bytes:
    """An index (version 2) of these files without times and inodes, which git fills in when it first looks."""
    data = bytearray(struct.pack(">4sLL", b"DIRC", 2, len(blobs)))
    for name, blob in sorted((path.encode(), blob) for path, blob in blobs.items()):
        entry = struct.pack(
            ">10L20sH", *(0,) * 6, blob.mode, 0, 0, 0, bytes.fromhex(blob.id), min(len(name), 0xFFF)
        )
        entry += name
        data += entry + b"\0" * (8 - len(entry) % 8)
    return bytes(data) + hashlib.sha1(data, usedforsecurity=False).digest()
