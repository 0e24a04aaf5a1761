"""Redis or Valkey server for tests: a real one on the loopback interface, with data in a folder."""

from __future__ import annotations

import signal
import subprocess

from redis import Redis
from redis.exceptions import RedisError

from support.free_ports import free_port
from support.programs import find_program
from support.waiting import wait_until


class RedisServer:
    """Server that can be killed, stopped and started again; ``options`` as in its config file.

    It runs in the block of a ``with`` statement, or from ``start`` to ``close``.
    ``folder`` holds the data. With ``aof`` every write is saved before it is answered. ``program``
    is ``redis-server`` or ``valkey-server``.
    """

    def __init__(self, folder, *, aof=False, program="redis-server", **options):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._program = program
        self._options = {"appendonly": "yes", "appendfsync": "always"} if aof else {}
        self._options |= {name.replace("_", "-"): value for name, value in options.items()}
        self._process = None
        self.client = Redis(port=self.port, protocol=2)  # as the default user

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, *, wait=True, **more):
        """Start the server, and wait until it answers; ``more`` are further options."""
        more_options = {name.replace("_", "-"): value for name, value in more.items()}
        options = {"port": self.port, "bind": "127.0.0.1", "save": '""', "dir": self._folder}
        arguments = [
            part
            for name, value in (options | self._options | more_options).items()
            for part in (f"--{name}", *str(value).split())
        ]
        self._process = subprocess.Popen(
            [find_program(self._program), *arguments],
            stdout=subprocess.DEVNULL,
        )
        if wait:
            wait_until(self.answers, "Redis")

    def answers(self):
        """Return True if the server serves commands."""
        try:
            return self.client.ping()
        except RedisError:
            return False

    def kill(self):
        """Kill the server; what is not on the disk is lost."""
        self._process.kill()
        self._process.wait()
        self.client.connection_pool.disconnect()

    def suspend(self):
        """Stop the process: connections stay open, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        """End the server."""
        self.client.close()
        if self._process is not None:
            self.resume()
            self.kill()

    def entries(self, stream="basix"):
        """Return the entries of a stream: pairs of id and fields, as bytes."""
        return self.client.xrange(stream)

    def has_message(self, text, stream="basix"):
        """Return True if one of the newest entries is a message of the PBX with this text.

        Reading a long stream again and again would block the event loop of the test.
        """
        return any(
            fields[b"type"] == b"msg" and text.encode() in fields[b"data"]
            for _, fields in self.client.xrevrange(stream, count=100)
        )

    def has_standby(self, stream="basix"):
        """Return True if a standby can go on without a gap."""
        holder = self.client.get(f"{{{stream}}}:standby")
        return holder is not None and holder.endswith(b":ready")

    def data(self, entry_type, stream="basix"):
        """Return ``data`` of all entries of a type."""
        return [
            fields[b"data"]
            for _, fields in self.entries(stream)
            if fields[b"type"] == entry_type.encode()
        ]
