"""For all tests."""

from __future__ import annotations

import signal

# A shell that starts us in the background lets us ignore Ctrl-C, and those whom we start: the
# tests that press it need it to work.
signal.signal(signal.SIGINT, signal.default_int_handler)
