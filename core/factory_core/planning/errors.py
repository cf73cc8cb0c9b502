"""What can be wrong with a plan or with a template."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from factory_core.errors import FactoryError

__all__ = ["PlanError", "TemplateBroken"]


class PlanError(FactoryError):
    """This template cannot build this blueprint."""

    status: ClassVar[int] = 422
    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = "plan"


class TemplateBroken(FactoryError):
    """A template package that cannot be used."""

    status: ClassVar[int] = 422
    exit_code: ClassVar[int] = 4
    code: ClassVar[str] = "template"

    def __init__(self, folder: Path | str, problem: str, next_step: str) -> None:
        self.folder = str(folder)
        self.problem = problem
        super().__init__(f"The template in {folder} is broken: {problem} {next_step}")
