"""Specifications of one entity, and the tables that they describe. Tests are no packages: it is loaded by its path."""

from __future__ import annotations

from factory_core.contracts.blueprint import Blueprint
from factory_core.specs import read
from factory_plugin_agents.project import design_of
from factory_plugin_agents.schema import Schema, schema_of

VERSIONS = "migrations/versions/"
ONE = "project: {name: Cards}\nentities:\n  Card:\n    "


def blueprint_of(text: str) -> Blueprint:
    reading = read(text.encode(), name="spec.yaml")
    assert reading.blueprint is not None, reading.problems
    return reading.blueprint


def tables_of(text: str) -> Schema:
    blueprint = blueprint_of(text)
    return schema_of(design_of(blueprint).entities, accounts=bool(blueprint.roles))
