"""Random HTTP responses to a handshake: valid, odd and broken ones."""

from __future__ import annotations

STATUS_LINES = [
    b"HTTP/1.1 %d Reason",
    b"HTTP/1.1 %d ",
    b"HTTP/1.1 %d \xe9\xff\x80",
    b"HTTP/1.1 %d SECRET",
    b"HTTP/1.1 %d",
    b"HTTP/1.0 %d OK",
    b"HTTP/2 %d OK",
    b"HTTP/1.1 0%d OK",
    b"HTTP/1.1 -%d OK",
    b"HTTP/1.1 %d\x00 OK",
    b"%d",
    b"",
]

STATUSES = [*range(100, 105), 199, 200, 204, 206, 226, 300, 301, 302, 304, 307, 308, 399, 400, 401]
STATUSES += [403, 404, 407, 408, 421, 426, 429, 451, 499, 500, 502, 503, 504, 511, 599, 600, 999, 0]

RETRY_AFTER = [
    *(b"1", b"0", b"-1", b"1.5", b"1e400", b"inf", b"nan", b"", b" ", b"soon", b"1_0"),
    b"9" * 400,
    b"9" * 5000,
    b"Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    b"Mon, 01 Jan 2020 00:00:00 +9999",
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"Fri, 31 Dec 9999 23:59:59 -2359",
    b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    b"Mon, 01 Jan 2020 99:99:99 GMT",
    b"Mon, 01 Jan 2020 00:00:00",
    b"\xb2\xb3",
    b"SECRET",
]

OTHER_HEADERS = [
    b"Location: wss://elsewhere/SECRET",
    b"Location: \xff",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Content-Length: -1",
    b"Content-Length: 5, 6",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: " + b"9" * 5000,
    b"Content-Length: \xb2",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: SECRET",
    b"Connection: close",
    b"Connection: Upgrade",
    b"Connection: \xff",
    b"Upgrade: websocket",
    b"Upgrade: SECRET",
    b"Sec-WebSocket-Accept: SECRET",
    b"Sec-WebSocket-Extensions: permessage-deflate",
    b"Sec-WebSocket-Protocol: SECRET",
    b"WWW-Authenticate: Basic realm=SECRET",
    b"Set-Cookie: a=b",
    b"X: " + b"y" * 10_000,
    b"Bad Name: 1",
    b": 1",
    b"no colon",
    b" folded",
    b"\xff: 1",
    b"X: \x00",
    b"X:\t1",
]

BODIES = [
    b"",
    b"hello",
    b"you sent SECRET",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhel",
    b"fffffffffffffffff\r\n",
    b"-1\r\n\r\n",
    b"zz\r\nhello",
    b"0;SECRET\r\n\r\n",
    b"\xff" * 100,
    b"<html>" + b"x" * 100_000,
    b"\x82\x05hello",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
]


def random_response(rng):
    """Return the bytes of a response; it may contain ``SECRET``, to be replaced by one."""
    line = rng.choice(STATUS_LINES[: rng.choice([1, 4, None])])
    lines = [line % rng.choice(STATUSES) if b"%d" in line else line]
    if rng.random() < 0.7:
        lines += [
            b"Retry-After: " + rng.choice(RETRY_AFTER) for _ in range(rng.choice([1, 1, 2, 3]))
        ]
    headers = OTHER_HEADERS[: rng.choice([19, None])]
    lines += rng.choices(headers, k=rng.choice([0, 1, 1, 2, 3, 200]) if headers else 0)
    end = b"\r\n" if rng.random() < 0.9 else b"\n"
    data = b"".join(line + end for line in [*lines, b""]) + rng.choice(BODIES)
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data))]
    if rng.random() < 0.1:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.randbytes(3) + data[at:]
    return data
