"""A wall clock that is wrong by CHAOS_SKEW seconds. Python loads this by its name when its folder is on PYTHONPATH.

``time.monotonic`` stays right: no machine moves it by minutes. Extensions that ask the kernel themselves are not fooled.
"""

import datetime
import os
import time

_SKEW = float(os.environ.get("CHAOS_SKEW", "0"))
_time, _time_ns, _right = time.time, time.time_ns, datetime.datetime


class _Datetime(_right):
    @classmethod
    def now(cls, tz=None):
        return _right.now(tz) + datetime.timedelta(seconds=_SKEW)

    @classmethod
    def utcnow(cls):
        return _right.utcnow() + datetime.timedelta(seconds=_SKEW)


if _SKEW:
    time.time = lambda: _time() + _SKEW
    time.time_ns = lambda: _time_ns() + int(_SKEW * 1e9)
    datetime.datetime = _Datetime
