"""The wallboard in the browser.

- ``app``: the ASGI application. ``server``: the server of the command ``web``.
- ``wallboard``: follows the feed and keeps the views; ``view``, ``mailbox``, ``stream``: from a
  document to the browsers that follow it.
- ``document``, ``rows``, ``feed_state``, ``quarter_hours``: the state document; ``selected``:
  filters; ``masking``: masked numbers; ``document_diff``: the difference that is sent.
- ``static_files``: files of the page, in ``static``.

Needs the extra ``web``.
"""

from basix_ws_cti._internal.extras import imports_of_extra

with imports_of_extra(__name__, "web"):
    from .app import WebApp, create_app
    from .limit_set import LimitSet

__all__ = ["LimitSet", "WebApp", "create_app"]
