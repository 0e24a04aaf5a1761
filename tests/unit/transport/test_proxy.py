"""URLs of proxies."""

from __future__ import annotations

from support.cases import for_each

from basix_ws_cti.transport.proxy import split_proxy, with_host


@for_each(
    "url, hostname, port",
    [
        ("http://proxy.example:3128", "proxy.example", 3128),
        ("http://proxy.example", "proxy.example", None),
        ("https://proxy.example/", "proxy.example", None),
        ("socks5h://user:secret@proxy.example:1080", "proxy.example", 1080),
        ("http://[2001:db8::1]:3128", "2001:db8::1", 3128),
    ],
)
def test_url_of_a_proxy_is_split(url, hostname, port):
    parts = split_proxy(url)
    assert (parts.hostname, parts.port) == (hostname, port)


@for_each(
    "url",
    [
        "",
        "proxy.example:3128",
        "http://",
        "http://:3128",
        "http://proxy.example:0",
        "http://proxy.example:65536",
        "http://proxy.example:x",
        "http://[proxy",
        "ftp://proxy.example",
        "http://proxy.example/path",
        "http://proxy.example?query",
        "http://proxy.example#fragment",
        "http://user@proxy.example",
    ],
)
def test_invalid_url_of_a_proxy_is_refused(url):
    assert split_proxy(url) is None


@for_each(
    "url, host, expected",
    [
        ("http://proxy.example:3128", "192.0.2.1", "http://192.0.2.1:3128"),
        ("http://proxy.example", "192.0.2.1", "http://192.0.2.1"),
        ("http://proxy.example:3128/", "2001:db8::1", "http://[2001:db8::1]:3128/"),
        ("http://user:s%40cret@proxy.example", "192.0.2.1", "http://user:s%40cret@192.0.2.1"),
        ("http://user:a@b@proxy.example:1", "192.0.2.1", "http://user:a@b@192.0.2.1:1"),
    ],
)
def test_host_of_a_url_is_replaced(url, host, expected):
    assert with_host(split_proxy(url), host) == expected
