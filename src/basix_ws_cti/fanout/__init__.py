"""One feed for many machines, over a stream of a Redis or Valkey server.

- ``publisher``: ``Publisher``, which appends the feed of a client; ``participation``, ``term``,
  ``lease``, ``client_feed``, ``journal``, ``stream_writer``, ``stream_tail`` and
  ``stream_state``: its parts.
- ``follower``: ``Follower``, which reads the feed; ``follow_loop``: its connections;
  ``entry_player``: entries applied to a session.
- ``anonymising``: ``AnonymisingConnector``, which replaces personal data.
- ``entries``, ``entry_encoder``, ``entry_decoder``, ``element_json``: the format of the entries;
  ``stream``: ids and links of entries.
- ``redis_address``, ``redis_connection``: access to the server.

Needs the extra ``fanout``.
"""

from basix_ws_cti._internal.extras import imports_of_extra

with imports_of_extra(__name__, "fanout"):
    from .anonymising import AnonymisingConnector
    from .follower import Follower
    from .publisher import Publisher, PublisherStatus

__all__ = ["AnonymisingConnector", "Follower", "Publisher", "PublisherStatus"]
