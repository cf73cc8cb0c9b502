"""A blueprint that uses every kind of field, and the front end's files."""

from pathlib import Path

import jinja2
import pytest

import factory_template_neoforge
from factory_core.contracts.blueprint import Blueprint
from factory_core.specs import read
from factory_plugin_agents.front import front_model

SPEC = b"""
factory: 1
project: {name: Reading Room, description: Books that people lend., currency: EUR}
entities:
  Reader: {name: text(1..80) unique, email: email, password: text secret, vip: bool = false}
  Book:
    isbn: text
    title: text(1..200)
    summary: text(0..4000)
    shelf: enum(fiction, facts) = fiction
    price: money?
    weight: float?
    pages: int(1..9000)?
    printed: date?
    bought: datetime?
    opens: time?
    page_url: url?
    meta: json?
    words: list text
    authors: many Reader
  Loan:
    book_id: Book
    reader: Reader
    state: enum(asked, out, back) = asked
    code: uuid?
states:
  Loan.state: {asked: [out], out: [back], back: []}
roles:
  admin: all
  clerk: [read, write Loan]
  guest: [read Book]
endpoints:
  POST /loans/{id}/hand-out: {sets: {Loan.state: out}}
  DELETE /books/{id}: {roles: [clerk]}
views:
  Desk: {lists: Loan, group_by: state, filter: {state: [asked, out]}, form: [book_id, reader]}
  Unpriced books: {lists: Book, sort: [-printed, title], columns: [title, price], filter: {price: null}}
"""


@pytest.fixture
def blueprint() -> Blueprint:
    """The reading room."""
    reading = read(SPEC)
    assert reading.blueprint is not None, reading.problems
    return reading.blueprint


@pytest.fixture(scope="session")
def web() -> Path:
    """The folder of the front end's sources in the template."""
    return Path(factory_template_neoforge.__file__).parent / "files" / "web"


@pytest.fixture
def site(web: Path, blueprint: Blueprint, tmp_path: Path) -> Path:
    """The front end as a project gets it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(web), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    for source in sorted(path for path in web.rglob("*") if path.is_file()):
        target = tmp_path / source.relative_to(web)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".j2":
            template = environment.get_template(source.relative_to(web).as_posix())
            target.with_suffix("").write_text(template.render(front=front_model(blueprint)))
        else:
            target.write_bytes(source.read_bytes())
    return tmp_path
