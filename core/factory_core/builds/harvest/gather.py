"""The end of a build: report, repository and archives from one piece of evidence."""

from __future__ import annotations

from msgspec import Struct

from factory_core.contracts.files import Produced

from .archive import make_tar_gz, make_zip
from .compose import make_report
from .contribution import Contribution
from .evidence import Evidence
from .markdown import report_markdown
from .report import REPORT_JSON, REPORT_MARKDOWN, BuildReport, report_json
from .workspace import make_repository

__all__ = ["PRODUCER", "Harvest", "gather"]

PRODUCER = "report"


class Harvest(Struct, frozen=True, kw_only=True):
    """What a build hands out. Equal evidence gives equal bytes."""

    slug: str
    report: BuildReport
    files: tuple[Produced, ...]
    """Everything in the archives, ``.git`` included."""
    zip: bytes
    tar_gz: bytes


def gather(evidence: Evidence) -> Harvest:
    """Raises PathRefused or TwoOwners. A failed build is gathered too; whether its archive is handed out is not decided
    here."""
    report = make_report(evidence)
    written = Contribution(
        producer=PRODUCER,
        title="Report on the build",
        files=(
            Produced(path=REPORT_JSON, content=report_json(report)),
            Produced(path=REPORT_MARKDOWN, content=report_markdown(report)),
        ),
    )
    files = make_repository((*evidence.contributions, written))
    slug = evidence.blueprint.project.slug
    return Harvest(
        slug=slug, report=report, files=files, zip=make_zip(slug, files), tar_gz=make_tar_gz(slug, files)
    )
