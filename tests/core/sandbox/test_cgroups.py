"""Groups of cgroup v2, in a folder that stands in for the kernel's: what is asked of it, and what is believed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factory_core.contracts.sandbox import HostShare
from factory_core.sandbox.cgroups import ControlGroup, Place, share_folder


def test_the_processor_is_asked_for_though_the_other_limits_are_there(tmp_path: Path) -> None:
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("memory pids\n")
    with pytest.raises(FileNotFoundError, match="no share of the processor"):
        ControlGroup(Place(tmp_path, tmp_path, tmp_path), "g", memory=1 << 24, processes=4)
    assert control.read_text() == "+cpu"
    assert not (tmp_path / "g").exists()


def test_a_place_without_the_processor_does_not_ask_for_it(tmp_path: Path) -> None:
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("memory pids\n")
    ControlGroup(Place(tmp_path, tmp_path), "g", memory=1 << 24, processes=4)
    assert control.read_text() == "memory pids\n"
    assert (tmp_path / "g" / "pids.max").read_text() == "4"


def test_controllers_are_handed_down_through_the_groups_of_the_shares(tmp_path: Path) -> None:
    shares = (HostShare(name="o"), HostShare(name="p", weight=7, max_memory=1 << 28))
    project = share_folder(tmp_path, shares)
    for folder in (tmp_path, project.parent, project):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.subtree_control").write_text("")
        (folder / "memory.max").write_text("max")
        (folder / "cpu.weight").write_text("100")
    with pytest.raises(FileNotFoundError, match="no share of the processor"):
        ControlGroup(Place(tmp_path, tmp_path, tmp_path), "g", memory=1 << 24, processes=4, shares=shares)
    assert [(f / "cgroup.subtree_control").read_text() for f in (project.parent, project)] == ["+cpu", "+cpu"]
    ControlGroup(Place(tmp_path, tmp_path), "h", memory=1 << 24, processes=4, shares=shares)
    assert (project / "memory.max").read_text() == str(1 << 28)
    assert (project.parent / "memory.max").read_text() == "max"
    assert (project / "h" / "pids.max").read_text() == "4"


def test_whose_share_it_is_never_becomes_a_path(tmp_path: Path) -> None:
    for name in ("../../escaped", "/etc", "", ".", "a\0b", "ü" * 400):
        folder = share_folder(tmp_path, (HostShare(name=name),))
        assert folder.parent == tmp_path
        assert re.fullmatch("factory-of-[0-9a-f]{24}", folder.name)
    assert len({share_folder(tmp_path, (HostShare(name=name),)) for name in ("a", "b", "A")}) == 3


def test_a_share_weighs_something() -> None:
    with pytest.raises(ValueError, match="1 or more, not 0"):
        HostShare(name="o", weight=0)


def test_refused_forks_count_against_who_has_many_processes(tmp_path: Path) -> None:
    """Before 6.11 the kernel tells a limit of the groups above in the group of who forked, too."""
    (tmp_path / "cgroup.subtree_control").write_text("memory pids\n")
    group = ControlGroup(Place(tmp_path, tmp_path), "g", memory=1 << 24, processes=64)
    assert group.forks_refused() == 0, "the kernel does not say"
    (tmp_path / "g" / "pids.events").write_text("max 500\n")
    (tmp_path / "g" / "pids.current").write_text("64\n")
    assert group.forks_refused() == 500
    (tmp_path / "g" / "pids.current").write_text("3\n")
    assert group.forks_refused() == 0
