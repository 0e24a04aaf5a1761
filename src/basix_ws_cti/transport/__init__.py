"""Connections to the PBX: the WebSocket of the feed, and the HTTP API.

- ``address``: server address, request target and feed URL; pure text, nothing is opened.
- ``credentials``: domain and token, or ticket, and the header that is sent.
- ``connector``: ``connect``, which checks all arguments and opens a connection.
- ``connection``: ``Connection``, which yields messages and sends commands.
- ``opening``: opens a WebSocket with what the next four modules provide.
- ``dialling``: looks names up, and connects to the first address that answers.
- ``proxy``: URLs of proxies.
- ``default_trust``: the default TLS context.
- ``handshake``: the WebSocket handshake: redirects, log redaction, translation of errors.
- ``http_api``: ``HttpApi``, the HTTP API beside the feed: tickets and click-to-call.
- ``frame_reader``: ``FeedSocket``, a WebSocket with a fast path for binary frames.
- ``redaction``: measures that keep secrets out of texts, tracebacks and pickles.
"""
