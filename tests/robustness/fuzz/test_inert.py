"""Side effects of frames: a peer's bytes must not import, open, compile or run anything."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import seeds
from support import etf_encoder as write
from support.sizes import NIGHTLY

HERE = Path(__file__).parent
MUTANTS = 1_000_000 if NIGHTLY else 20_000


def hostile_names():
    """Yield a session whose names are code, paths, modules and attributes of the package."""
    names = ["__class__", "_record", "__import__('os')", "x=1\n    import os", "id); exec(y", "é"]
    spec = write.field_spec(
        "user", "id", *names, *(f"_{number}" for number in range(50)), "__dict__"
    )
    yield spec
    yield write.initial_info("user", (1, *names), (2, *names, 0))
    for name in names:
        yield write.field_spec(name, "id", name)
        yield write.info_event(name, (1, name), name)
        yield write.frame((write.Atom(name), 1))
        yield write.frame((write.Atom("bert"), write.Atom("regex"), "(?P<x>", [write.Atom(name)]))
        yield write.frame((write.Atom("bert"), write.Atom("string"), write.Atom(name), "x"))


def mutants(frames, count):
    """Yield frames with bytes changed, removed or inserted, some from other frames."""
    draw = random.Random(1)
    for _ in range(count):
        frame = bytearray(draw.choice(frames))
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(frame) + 1)
            match draw.randrange(4):
                case 0:
                    frame[at : at + 1] = draw.randbytes(1)
                case 1:
                    del frame[at : at + draw.randint(1, 4)]
                case 2:
                    frame[at:at] = draw.choice(frames)[1 : draw.randint(2, 40)]
                case 3:
                    frame[at : at + 4] = draw.choice((b"\xff" * 4, b"\0\0\0\1", b"h\2d\0"))
        yield bytes(frame)


def run(code, text=""):
    """Run a script or code in a new interpreter; return the exit status and the output."""
    arguments = [code] if isinstance(code, Path) else ["-c", code]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=HERE,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_frames_cause_no_side_effects():
    """Decoding causes no audit event. Parsing only those of the package's generated code."""
    known = [frame for frame in seeds.frames() if len(frame) < 4096]
    session = [*hostile_names(), *known, *mutants(known, MUTANTS)]
    status, output = run(HERE / "inert.py", "\n".join(frame.hex() for frame in session))
    assert status == 0, output[-3000:]
    counts = re.search(r"(\d+) frames: (\d+) terms, (\d+) messages", output)
    total, terms, messages = map(int, counts.groups())
    assert total == len(session)
    assert terms > len(known)
    assert messages > len(known) // 4


@pytest.mark.parametrize("allowed", ["nothing", "parsing"])
@pytest.mark.parametrize(
    "code",
    [
        "import tabnanny",
        "open('/dev/null')",
        *(
            # Each case starts a process.
            pytest.param(code, marks=pytest.mark.slow)
            for code in (
                "eval('1')",
                "exec(compile('hidden = 1', '<string>', 'exec'))",
                "exec('id = \"\"')",
                "__import__('os').listdir()",
                "__import__('subprocess').run(['true'])",
                "__import__('socket').socket()",
            )
        ),
    ],
)
def test_audit_hook_detects_side_effects(code, allowed):
    setup = "import inert, os, subprocess, socket"
    status, output = run(f"{setup}\nwith inert.only(inert.{allowed}):\n    {code}")
    assert status == 1
    assert "SideEffectError" in output
