"""``python -P -m factory_core.kernel`` is ``studio``, for processes that start another by the interpreter they run in."""

from factory_core.kernel.cli import main

if __name__ == "__main__":
    main()
