"""Frames of the web wallboard: splitting them, and applying updates as a page does."""

from __future__ import annotations

import json

TABLES = ("queues", "agents", "calls", "parked")


def parse_frames(data):
    """Return id, event and content of each server-sent event in bytes or text."""
    text = data.decode() if isinstance(data, bytes) else data
    frames = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        frames.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return frames


def apply_frame(document, event, content):
    """Return the document after a frame."""
    if event == "snapshot":
        return content
    assert content["seq"] == document["seq"] + 1
    document = {**document}
    for name, value in content.items():
        if name in TABLES:
            table = {**document[name], **value["set"]}
            for key in value["gone"]:
                del table[key]
            document[name] = table
        else:
            document[name] = value
    return document
