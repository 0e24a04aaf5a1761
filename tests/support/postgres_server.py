"""PostgreSQL server for tests: a real one, with its data in a temporary folder."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
from pathlib import Path

from support.free_ports import free_port
from support.programs import find_program
from support.waiting import wait_until


class PostgresServer:
    """Server on the loopback interface, without passwords.

    It does not wait for the disk. A killed server loses nothing all the same: the operating system
    has what it wrote. With the wait, a restart would take a second for each database.
    """

    def __init__(self):
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        # The server refuses to run as root, and another user must be able to reach the folder.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = tempfile.TemporaryDirectory()
        self._data = Path(self._folder.name) / "data"
        self._data.mkdir()
        self._process = None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self._data, account.pw_uid, account.pw_gid)
            Path(self._folder.name).chmod(0o711)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self):
        """Start the server and wait until it answers."""
        self._process = None
        wait_until(self._answers, "PostgreSQL")

    def kill(self):
        """Kill the server without a shutdown; its children end by themselves a little later."""
        self._process.kill()
        self._process.wait()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self):
        """Stop the server and delete its data."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once: the data is not needed
            self._process.wait()
        self._folder.cleanup()

    def _answers(self):
        # After a kill, the server ends at once as long as children of the old one live.
        if self._process is None or self._process.poll() is not None:
            settings = {
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": self._data,
                "fsync": "off",
            }
            options = [f"--{name}={value}" for name, value in settings.items()]
            self._process = self._popen("postgres", "-D", self._data, "-p", self.port, *options)
        command = [find_program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, name, *arguments):
        process = self._popen(name, *arguments)
        if process.wait():
            raise AssertionError(f"{name} failed with exit code {process.returncode}")

    def _popen(self, name, *arguments):
        return subprocess.Popen(
            [find_program(name), *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            start_new_session=True,
            cwd=self._data,
        )
