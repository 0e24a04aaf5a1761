"""Default trust: loading off the event loop, and when it is repeated."""

from __future__ import annotations

import asyncio
import ssl
import threading

import pytest
from support.waiting import TIMEOUT, eventually

from basix_ws_cti.transport.default_trust import DefaultTrust


class Loader:
    """Function that creates a context once ``go`` is set; ``threads`` has each call's thread."""

    def __init__(self):
        self.threads = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self):
        self.threads.append(threading.current_thread())
        assert self.go.wait(TIMEOUT)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def test_context_is_loaded_once_and_in_another_thread():
    load = Loader()
    load.go.clear()
    trust = DefaultTrust(load)
    tasks = [asyncio.create_task(trust.context()) for _ in range(3)]
    await eventually(lambda: load.threads)
    load.go.set()
    contexts = await asyncio.gather(*tasks)
    contexts.append(await trust.context())
    assert {id(context) for context in contexts} == {id(contexts[0])}
    (thread,) = load.threads
    assert thread is not threading.current_thread()
    assert thread.daemon


async def test_context_is_loaded_again_after_its_maximum_age():
    load = Loader()
    trust = DefaultTrust(load, max_age=0)
    assert await trust.context() is not await trust.context()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_changed_variable_takes_effect_at_once(name, monkeypatch):
    trust = DefaultTrust(Loader())
    before = await trust.context()
    monkeypatch.setenv(name, "/elsewhere")
    assert await trust.context() is not before


async def test_replaced_default_context_takes_effect_at_once(monkeypatch):
    """Libraries such as truststore replace parts of the module ``ssl``."""
    trust = DefaultTrust()
    before = await trust.context()
    assert before.verify_mode is ssl.CERT_REQUIRED
    assert before.check_hostname
    load = Loader()
    monkeypatch.setattr(ssl, "create_default_context", load)
    assert await trust.context() is not before
    await eventually(lambda: load.threads)


async def test_failed_load_is_repeated():
    outcomes = [OSError("problem"), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)]

    def load():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    trust = DefaultTrust(load)
    with pytest.raises(OSError, match="problem"):
        await trust.context()
    assert isinstance(await trust.context(), ssl.SSLContext)
