"""``studio toolchain``: the locked packages of the templates, fetched ahead of the first build."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import rich_click as click

from factory_core.usage import CommandGroup

if TYPE_CHECKING:
    from pathlib import Path

    from factory_core.kernel.boot import Studio


@click.group(cls=CommandGroup)
def toolchain() -> None:
    """Show or fetch the locked packages that generated software stands on."""


@toolchain.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_them(as_json: bool) -> None:
    """Show which templates' toolchains are here."""
    import msgspec

    from factory_core.kernel.boot import start
    from factory_core.sandbox.toolchain import list_toolchains

    studio = start()
    found = list_toolchains(_locks(studio), studio.home)
    if as_json:
        rows = [
            {"template": name, "path": str(path), "ready": ready} for name, (path, ready) in found.items()
        ]
        click.echo(msgspec.json.encode({"toolchains": rows}))
        return
    for name, (path, ready) in found.items():
        click.echo(f"{name}: {path if ready else 'not here; run: studio toolchain fetch ' + name}")


@toolchain.command()
@click.argument("template", required=False)
def fetch(template: str | None) -> None:
    """Fetch the toolchain of one template, or of all."""
    from factory_core.kernel.boot import start
    from factory_core.sandbox.toolchain import prepare

    studio = start()
    locks = _locks(studio)
    if template is not None and template not in locks:
        raise click.UsageError(f"There is no template {template!r}. Installed: {', '.join(locks) or 'none'}.")
    for name, lock in locks.items():
        if template in (None, name):
            ready = asyncio.run(prepare(lock, studio.home, lambda line: click.echo(line, err=True)))
            click.echo(f"{name}: {ready.path}")


def _locks(studio: Studio) -> dict[str, Path]:
    from factory_core.planning import load_template

    packages = [load_template(folder) for folder in studio.templates()]
    return {package.manifest.name: package.root / package.manifest.toolchain.lock for package in packages}
