"""Texts with characters that could steer a terminal, and their escaped form."""

from __future__ import annotations

HOSTILE = {
    "an escape sequence": ("\x1b[31mred", r"\x1b[31mred"),
    "a title": ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
    "C1": ("\x9b31m", r"\x9b31m"),
    "a new line": ("one\ntwo\r\x0b\x85\u2028", r"one\ntwo\r\x0b\x85\u2028"),
    "bidi": ("\u202eevil\u2066\u200f", r"\u202eevil\u2066\u200f"),
    "delete": ("a\x7f\x08", r"a\x7f\x08"),
    "a tag": ("\U000e0041", r"\U000e0041"),
    "markup": ("[red]x[/]", "[red]x[/]"),
    "Japanese": ("山田\u3000太郎", "山田\u3000太郎"),
}
