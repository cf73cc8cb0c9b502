"""Returns a name where an agent is asked for."""

from factory_core.hooks import hookimpl


@hookimpl
def factory_agents(boot):
    return ["poet"]
