"""Work of a function, counted instead of timed: the same on every machine."""

from __future__ import annotations

import gc
import sys


def count_work(function):
    """Return the number of bytecodes that ``function()`` runs.

    Work within C code is not counted, and neither are threads that it starts.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    gc.disable()  # a collection runs finalisers and callbacks
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
        gc.enable()
    return count
