"""Report the caller to a web server each time a phone of one extension rings.

    python examples/screen_pop.py 1001 https://crm.example.com/pop

It POSTs ``{"event": "ringing", "call": …, "number": …, …}`` once per call, and
``{"event": "withdrawn", "call": …, "reason": …}`` if the call ends without being answered here:
another user picked it up, or the caller abandoned it. If the server is not available, the event
is sent again up to four times; the server may therefore receive an event twice, with the same
call id. Needs ``httpx2``. feed.py chooses the PBX.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import attrs
import httpx2
from feed import feed, run

from basix_ws_cti import CallEnded, CallRinging, Client

if TYPE_CHECKING:
    from basix_ws_cti import Call

# Seconds between attempts. Later events wait until an event is sent or has failed, which takes half
# a minute at most.
RETRY_PAUSES = (0.5, 1, 2, 4)

RETRY_STATUSES = {408, 429, 500, 502, 503, 504}


def identity(call: Call) -> dict[str, Any]:
    """Return what the PBX, the CRM and the caller directory know about the caller."""
    caller = call.caller
    return {
        "number": caller.number,
        "name": caller.name,
        "user_id": caller.user_id,  # set if the caller is a user of the PBX
        "end_user": None if caller.end_user is None else attrs.asdict(caller.end_user),
        "whoscall": directory_entry(caller.whoscall),
    }


def directory_entry(whoscall: str | None) -> Any:
    """Return the entry of the caller directory, which is percent-encoded JSON; ``None``: none."""
    try:
        return json.loads(unquote(whoscall or ""))
    except ValueError:
        return None


async def post(http: httpx2.AsyncClient, url: str, **body: Any) -> None:
    problem = ""
    for pause in (*RETRY_PAUSES, None):
        try:
            status = (await http.post(url, json=body)).status_code
        except httpx2.TransportError as error:
            problem = type(error).__name__
        else:
            if status < 300:
                return
            problem = f"HTTP {status}"
            if status not in RETRY_STATUSES:
                break
        if pause is not None:
            await asyncio.sleep(pause)
    print(f"webhook failed: {body['event']} {body['call']}: {problem}", file=sys.stderr)


async def pop_up(extension: str, url: str) -> None:
    reported: set[str] = set()
    async with feed("screen_pop") as pbx, httpx2.AsyncClient(timeout=5) as http:
        # Subscribe to this user's call legs only. When another user answers the call first, the
        # leg ends, and so does the call as this client sees it.
        client = Client(**pbx, user_extension=extension)
        events = client.call_events(policy="fail")
        async with client:
            async for event in events:
                match event:
                    case CallRinging(call, party) if call.id not in reported:
                        if call.caller.user_id == party.user_id:
                            continue  # click to call: the user's own phone rings first
                        reported.add(call.id)
                        await post(http, url, event="ringing", call=call.id, **identity(call))
                    case CallEnded(call) if call.id in reported:
                        reported.remove(call.id)
                        if call.answered is None and call.joined is None:
                            reason = call.disposition
                            await post(http, url, event="withdrawn", call=call.id, reason=reason)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("extension", help="extension of the user whose phones are watched")
    parser.add_argument("url", help="URL to POST the events to")
    options = parser.parse_args()
    run(pop_up(options.extension, options.url))


if __name__ == "__main__":
    main()
