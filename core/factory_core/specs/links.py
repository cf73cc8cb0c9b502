"""``requirement:`` keys: what in a specification stands for which requirement."""

from __future__ import annotations

from .names import check_known
from .notes import Notes
from .tree import Mapping, Scalar, Tree

__all__ = ["Links"]


class Links:
    """Knows the ids of the document's requirements and checks every link to one."""

    def __init__(self, known: set[str], notes: Notes) -> None:
        self.known = known
        self.notes = notes

    def read(self, tree: Tree | None) -> tuple[str, ...]:
        """The ids a ``requirement:`` key names, one or a list; unknown ones are errors."""
        words = self.notes.words(tree, "requirement")
        return tuple(
            word.text for word in words if check_known(word, self.known, "a requirement", self.notes)
        )

    def names_one(self, tree: Tree) -> bool:
        """Whether a value names requirements and nothing else."""
        if isinstance(tree, Scalar):
            return tree.text in self.known
        if isinstance(tree, Mapping):
            return False
        return bool(tree.items) and all(self.names_one(item) for item in tree.items)
