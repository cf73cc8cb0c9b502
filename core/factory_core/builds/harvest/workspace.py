"""What the tasks made as one git repository: a commit for each producer, on the branch of its track, in the plan's order.

Main is a straight line: every branch starts at main's newest commit and is merged by moving main to its own. A branch's name
stays behind at its last commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from factory_core.contracts.files import Produced
from factory_core.plain import plain

from .contribution import Contribution, check_contributions
from .objects import Blob, ObjectStore, index_bytes, object_path

__all__ = [
    "AUTHOR",
    "EPOCH",
    "GIT_CONFIG",
    "GIT_HEAD",
    "PACKED_REFS",
    "Repository",
    "make_repository",
    "packed_refs",
]

AUTHOR = "Factory Studio <studio@factory.invalid>"
EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z: the date of the first commit and of every file in an archive; each commit is a second later."""
GIT_HEAD = b"ref: refs/heads/main\n"
GIT_CONFIG = (
    b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
)
PACKED_REFS = "packed-refs"
_PACKED_HEADER = "# pack-refs with: peeled fully-peeled sorted \n"


class Repository:
    """A history under construction."""

    def __init__(self) -> None:
        self.store = ObjectStore()
        self.blobs: dict[str, Blob] = {}
        """The newest tree."""
        self.head = ""
        """The newest commit; empty as long as there is none."""
        self.tips: dict[str, str] = {}
        """``branch -> its last commit``, main left out."""
        self._commits = 0

    def commit(self, made: Contribution) -> str:
        """Add a commit, and give its id. A producer without files makes none, and the id is empty."""
        if not made.files:
            return ""
        self.blobs.update(
            (file.path, Blob(self.store.add("blob", file.content), file.executable)) for file in made.files
        )
        self.head = _commit(
            self.store, made, self.store.add_tree(self.blobs), self.head, EPOCH + self._commits
        )
        self._commits += 1
        if made.branch:
            self.tips[made.branch] = self.head
        return self.head


def make_repository(contributions: Sequence[Contribution]) -> tuple[Produced, ...]:
    """All files with the ``.git`` folder that tells who made them. Equal contributions give equal bytes.

    Raises PathRefused or TwoOwners. A producer without files makes no commit.
    """
    check_contributions(contributions)
    repository = Repository()
    newest: dict[str, Produced] = {}
    for made in contributions:
        repository.commit(made)
        newest.update((file.path, file) for file in made.files)
    git = {"HEAD": GIT_HEAD, "config": GIT_CONFIG, "index": index_bytes(repository.blobs)}
    git |= {object_path(name): repository.store.loose(name) for name in repository.store}
    if repository.head:
        git["refs/heads/main"] = repository.head.encode() + b"\n"
    if repository.tips:
        git[PACKED_REFS] = packed_refs(repository.tips)
    files = list(newest.values())
    files += [Produced(path=f".git/{name}", content=content) for name, content in git.items()]
    return tuple(sorted(files, key=lambda file: file.path.encode()))


def packed_refs(tips: Mapping[str, str]) -> bytes:
    """Git's list of branches, in one file."""
    named = sorted((f"refs/heads/{branch}".encode(), commit.encode()) for branch, commit in tips.items())
    return _PACKED_HEADER.encode() + b"".join(b"%s %s\n" % (commit, name) for name, commit in named)


def _commit(store: ObjectStore, made: Contribution, tree: str, parent: str, time: int) -> str:
    lines = [f"tree {tree}"]
    if parent:
        lines.append(f"parent {parent}")
    lines += [f"author {AUTHOR} {time} +0000", f"committer {AUTHOR} {time} +0000", ""]
    lines += [
        _one_line(made.title) or _one_line(made.producer),
        "",
        f"Made-by: {_one_line(made.producer)}",
    ]
    if made.branch:
        lines.append(f"Track: {_one_line(made.branch)}")
    return store.add("commit", "\n".join([*lines, ""]).encode(errors="replace"))


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())
