"""A first plugin, written out: what ``studio plugins new`` leaves."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from factory_core.errors import FactoryError
from factory_core.kernel.version import VERSION

_FILES = {
    "pyproject.toml.j2": "pyproject.toml",
    "README.md.j2": "README.md",
    "plugin.py.j2": "{package}/plugin.py",
    "routes.py.j2": "{package}/routes.py",
    "commands.py.j2": "{package}/commands.py",
    "test_plugin.py.j2": "tests/test_plugin.py",
}


class PluginNameUnusable(FactoryError):
    """A name that cannot become a distribution and a package."""

    exit_code = 64

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"A plugin cannot be called {name!r}: {reason}.")


def write_plugin(name: str, into: Path) -> Path:
    """Write the package below ``into`` and return its folder. Raises PluginNameUnusable."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise PluginNameUnusable(
            name, "use small letters, digits and single hyphens, such as 'time-tracking'"
        )
    folder = into / f"factory-plugin-{name}"
    if folder.exists():
        raise PluginNameUnusable(name, f"{folder} exists already")
    package = "factory_plugin_" + name.replace("-", "_")
    loader = PackageLoader("factory_core.kernel", "plugin_template")
    environment = Environment(  # not HTML but Python and TOML, so nothing is escaped
        loader=loader,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # as above
    )
    major, minor, *_ = VERSION.split(".")
    for source, target in _FILES.items():
        text = environment.get_template(source).render(
            name=name, package=package, floor=f"{major}.{minor}", ceiling=f"{major}.{int(minor) + 1}"
        )
        file = folder / target.format(package=package)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / package / "__init__.py").write_text("", encoding="utf-8")
    return folder
