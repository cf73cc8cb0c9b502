"""Groups of cgroup v2, in a folder that stands in for the kernel's: what is asked of it, and what is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory_core.sandbox.cgroups import ControlGroup, Place


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
