"""The version of the platform; all its distributions carry the same."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("factory-core")
