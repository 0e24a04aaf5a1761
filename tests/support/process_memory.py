"""Memory of the process that runs."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_memory():
    """Return the largest memory that this process has had, in MiB.

    On Linux ``ru_maxrss`` includes the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum / (1024 * 1024 if sys.platform == "darwin" else 1024)
