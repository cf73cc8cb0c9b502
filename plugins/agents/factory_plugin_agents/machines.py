"""State machines as templates see them: the map, and the shortest way to each state."""

from __future__ import annotations

from msgspec import Struct

from factory_core.contracts.blueprint import StateMachine

__all__ = ["MachineView", "machine_view"]


class MachineView(Struct, frozen=True, kw_only=True):
    """The transitions of one field."""

    machine: StateMachine
    attr: str
    constant: str
    transitions: tuple[tuple[str, tuple[str, ...]], ...]
    other_states: tuple[str, ...]
    """Every state but the initial one."""
    routes: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]
    """For each state that can be reached: the way there, the states that may follow, and those that may not."""


def machine_view(machine: StateMachine, module: str, attr: str) -> MachineView:
    """The machine of one attribute."""
    return MachineView(
        machine=machine,
        attr=attr,
        constant=f"{module.strip('_')}_{attr.strip('_')}".upper(),
        transitions=tuple(machine.transitions.items()),
        other_states=tuple(state for state in machine.transitions if state != machine.initial),
        routes=_routes(machine),
    )


def _routes(
    machine: StateMachine,
) -> tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]:
    """The shortest way to each state, by breadth-first search."""
    ways: dict[str, tuple[str, ...]] = {machine.initial: ()}
    queue = [machine.initial]
    for state in queue:
        for following in machine.transitions.get(state, ()):
            if following not in ways:
                ways[following] = (*ways[state], following)
                queue.append(following)
    return tuple(
        (
            way,
            machine.transitions.get(state, ()),
            tuple(
                other
                for other in machine.transitions
                if other != state and other not in machine.transitions.get(state, ())
            ),
        )
        for state, way in ways.items()
    )
