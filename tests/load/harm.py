"""Programs that do their neighbours harm, for measurements and for tests, which load it by its path."""

from textwrap import indent

BOMB = """
import os
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
"""
CHURN = """
import os
while True:
    for _ in range(8):
        if os.fork() == 0:
            os._exit(0)
    for _ in range(8):
        os.wait()
"""
FILL = """
held = []
try:
    while len(held) < 128:
        held.append(bytearray(b"x") * (16 << 20))
except MemoryError:
    pass
"""
"""Takes 2 GiB, or what it may have."""
GLUTTON = f"while True:{indent(FILL, '    ')}"
SPIN = """
import os
for _ in range(3):
    if os.fork() == 0:
        break
while True:
    pass
"""
