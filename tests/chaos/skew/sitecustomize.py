"""A wall clock that is wrong by CHAOS_SKEW seconds. Python loads this by its name when its folder is on PYTHONPATH.

``time.monotonic`` stays right: no machine moves it by minutes. Extensions that ask the kernel themselves are not fooled.
"""

import ctypes
import datetime
import gc
import os
import time

_SKEW = float(os.environ.get("CHAOS_SKEW", "0"))
_time, _time_ns = time.time, time.time_ns
_now, _utcnow = datetime.datetime.now, datetime.datetime.utcnow


def _late(cls, tz=None):
    return _now(tz) + datetime.timedelta(seconds=_SKEW)


def _utc_late(cls):
    return _utcnow() + datetime.timedelta(seconds=_SKEW)


if _SKEW:
    time.time = lambda: _time() + _SKEW
    time.time_ns = lambda: _time_ns() + int(_SKEW * 1e9)
    # In the class itself, past its protection: drivers and encoders know this very class, and none that takes its place.
    methods = gc.get_referents(datetime.datetime.__dict__)[0]
    methods["now"], methods["utcnow"] = classmethod(_late), classmethod(_utc_late)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
