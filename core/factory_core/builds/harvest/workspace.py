"""What the tasks made as one git repository: a commit for each producer, in the order of the plan."""

from __future__ import annotations

from collections.abc import Sequence

from factory_core.contracts.files import Produced

from .contribution import Contribution, check_contributions
from .objects import Blob, ObjectStore, index_bytes

__all__ = ["AUTHOR", "EPOCH", "GIT_CONFIG", "GIT_HEAD", "make_repository"]

AUTHOR = "Factory Studio <studio@factory.invalid>"
EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z: the date of the first commit and of every file in an archive; each commit is a second later."""
GIT_HEAD = b"ref: refs/heads/main\n"
GIT_CONFIG = (
    b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
)


def make_repository(contributions: Sequence[Contribution]) -> tuple[Produced, ...]:
    """All files with the ``.git`` folder that tells who made them. Equal contributions give equal bytes.

    Raises PathRefused or TwoOwners. A producer without files makes no commit.
    """
    check_contributions(contributions)
    store = ObjectStore()
    blobs: dict[str, Blob] = {}
    head = ""
    commits = [made for made in contributions if made.files]
    for number, made in enumerate(commits):
        blobs.update(
            (file.path, Blob(store.add("blob", file.content), file.executable)) for file in made.files
        )
        head = _commit(store, made, store.add_tree(blobs), head, EPOCH + number)
    git = {"HEAD": GIT_HEAD, "config": GIT_CONFIG, "index": index_bytes(blobs), **store.files}
    if head:
        git["refs/heads/main"] = head.encode() + b"\n"
    files = [file for made in contributions for file in made.files]
    files += [Produced(path=f".git/{name}", content=content) for name, content in git.items()]
    return tuple(sorted(files, key=lambda file: file.path.encode()))


def _commit(store: ObjectStore, made: Contribution, tree: str, parent: str, time: int) -> str:
    lines = [f"tree {tree}"]
    if parent:
        lines.append(f"parent {parent}")
    lines += [f"author {AUTHOR} {time} +0000", f"committer {AUTHOR} {time} +0000", ""]
    lines += [
        _one_line(made.title) or _one_line(made.producer),
        "",
        f"Made-by: {_one_line(made.producer)}",
        "",
    ]
    return store.add("commit", "\n".join(lines).encode(errors="replace"))


def _one_line(text: str) -> str:
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())
