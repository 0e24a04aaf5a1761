"""Audit hook that detects side effects of decoding and parsing.

``python tests/robustness/fuzz/inert.py < FRAMES`` decodes and parses frames, one line of
hexadecimal digits per frame, in a process that has imported little more than the package.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager

import attrs

import basix_ws_cti.parsing.fast_path
from basix_ws_cti import DecodeError, MessageParser, ProtocolError, elements, messages, states
from basix_ws_cti.terms import decode


class SideEffectError(Exception):
    """An audit event that is not allowed, such as an import, with its arguments."""


def nothing(event, args):
    """Allow no audit event: decoding has no side effects."""
    return False


def parsing(event, args):
    """Allow what parsing a new field_spec does: compile code from the package's own names."""
    match event, args:
        case "compile", (bytes() as source, str() as filename):
            return filename.startswith(GENERATED) and is_own_source(source.decode())
        case "exec", (code,):
            return code.co_filename.startswith(GENERATED)  # the code compiled just before
        case "object.__setattr__", (_, "__class__", cls):
            return cls in OWN_CLASSES  # the new instance gets its frozen class
        case ("sys._getframe", _) | ("object.__getattr__", (_, "f_code")):
            return True  # logging finds its caller
    return False


GENERATED = "<basix_ws_cti generated "
OWN_CLASSES = {
    cls
    for module in (elements, messages, states)
    for cls in vars(module).values()
    if isinstance(cls, type) and attrs.has(cls)
}
FIELDS = {field.name for cls in OWN_CLASSES for field in attrs.fields(cls)}
WORDS = {
    *("def", "make", "try", "except", "ValueError", "len", "None", "if", "is", "in", "not"),
    "else",
    *("return", "_record", "_self", "_Writable", "_cls", "__class__"),
    *("_scalar_types", "_decode_scalar", *FIELDS),
    *(
        f"{prefix}_{name}"
        for prefix in ("_decode", "_compute", "_constant", "_fast")
        for name in FIELDS
    ),
    # Used on the fast path.
    *("_buf", "_at", "_ts", "_tag", "_begin", "_atoms", "_undefined", "_bert", "_user", "_kind"),
    *("_u32", "_u64", "_i32", "_microseconds", "_value", "_tuple", "_rare_shape", "_calling"),
    *("_scalar", "_whoscall"),
    # Used where a value has another than the declared type.
    *("_Error", "_fall_back", "__class__", "_int", "_str", "_bool", "_float", "or"),
    *("_head", "_header", "_event_name", "_event_names"),
    *("_Fallback", "startswith", "decode", "raise"),
    *("elif", "and", "or"),
}
BEGINNINGS = tuple(
    f"def make({parameters}):" for parameters in ("_record", "_buf", "_buf, _at", "_buf, _at, _ts")
)


def is_own_source(source):
    """Return True if the source has known words and numbers only, and no quotes."""
    words = re.findall(r"\w+", source)
    unknown = [word for word in words if word not in WORDS and not re.fullmatch("_?[0-9]+", word)]
    plain = not re.search(r"[^\w\s:=(),.\[\]+*&!-]", source)
    return source.startswith(BEGINNINGS) and not unknown and plain


_allowed = None
_installed = False


def _hook(event, args):
    if _allowed is not None and not _allowed(event, args):
        raise SideEffectError(event, args)


@contextmanager
def only(allowed):
    """Raise ``SideEffectError`` in this block for every event that is not allowed."""
    global _allowed, _installed  # noqa: PLW0603 - audit hooks apply to the process
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    _allowed = allowed
    try:
        yield
    finally:
        _allowed = None


def main():
    frames = [bytes.fromhex(line) for line in sys.stdin]
    basix_ws_cti.parsing.fast_path.FAST_AFTER = 1
    parser = MessageParser(base_url="https://xyz.com")
    loaded = set(sys.modules)
    counts = dict.fromkeys((decode, parser.parse), 0)
    for frame in frames:
        for read, allowed in ((decode, nothing), (parser.parse, parsing)):
            try:
                with only(allowed):
                    read(frame)
            except (DecodeError, ProtocolError):
                continue
            counts[read] += 1
    assert set(sys.modules) == loaded
    sys.stdout.write(
        f"{len(frames)} frames: {counts[decode]} terms, {counts[parser.parse]} messages\n"
    )


if __name__ == "__main__":
    main()
