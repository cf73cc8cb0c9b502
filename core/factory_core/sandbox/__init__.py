"""Where generated code runs: the backends, the probe of what they hold, and the toolchains they are given."""

from factory_core.sandbox.bubblewrap import BubblewrapSandbox, choose_sandbox
from factory_core.sandbox.toolchain import Toolchain, list_toolchains, prepare

__all__ = ["BubblewrapSandbox", "Toolchain", "choose_sandbox", "list_toolchains", "prepare"]
