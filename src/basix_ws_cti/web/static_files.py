"""Files of the page: scripts, styles and the page itself, from memory.

Each address contains a hash of all files, so that browsers keep them for good, and load them anew
after an update. Modules import each other by relative addresses, and so get the same hash.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from pathlib import Path

from attrs import Factory, define, field
from starlette.requests import Request
from starlette.responses import Response

from .security_headers import HEADERS

FOLDER = Path(__file__).parent / "static"
"""Folder with the files of the page."""

PAGE = "index.html"
"""File that is sent as the page."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@define(eq=False)
class StaticFiles:
    """All files of a folder that a page may load."""

    folder: Path = FOLDER
    """Folder that is read, once."""

    version: str = field(init=False)
    """Hash of all files, in hexadecimal digits."""

    _contents: dict[str, bytes] = Factory(dict)
    _compressed: dict[str, bytes] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix in _TYPES:
                self._contents[path.relative_to(self.folder).as_posix()] = path.read_bytes()
        digest = hashlib.sha256()
        for name, content in self._contents.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.version = digest.hexdigest()[:16]
        if PAGE in self._contents:
            page = self._contents[PAGE].replace(b"static/", f"static/{self.version}/".encode())
            self._contents[PAGE] = page
        self._compressed = {
            name: gzip.compress(content, mtime=0) for name, content in self._contents.items()
        }

    def page(self, request: Request) -> Response:
        """Return the page, in which the addresses of all files contain the hash."""
        return self._response(request, PAGE, "no-cache")

    def file(self, request: Request) -> Response:
        """Return the file that the path of a request names, with or without the hash."""
        name = request.path_params["name"]
        version, _, rest = name.partition("/")
        if version == self.version:
            return self._response(request, rest, "public, max-age=31536000, immutable")
        return self._response(request, name, "no-cache")

    def _response(self, request: Request, name: str, caching: str) -> Response:
        content = self._contents.get(name)
        if content is None:
            return Response("not found", 404, HEADERS, "text/plain")
        etag = f'"{self.version}"'
        headers = {**HEADERS, "Cache-Control": caching, "ETag": etag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        accepted = request.headers.get("accept-encoding", "")
        if "gzip" in accepted:
            headers["Content-Encoding"] = "gzip"
            content = self._compressed[name]
        return Response(content, 200, headers, _TYPES[Path(name).suffix])


@functools.cache
def page_files() -> StaticFiles:
    """Return the files of the page, which are read and compressed once."""
    return StaticFiles()
