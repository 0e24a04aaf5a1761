"""Tell a web server who calls, each time a telephone of one extension rings.

    python examples/screen_pop.py 1001 https://crm.example.com/pop

It POSTs ``{"event": "ringing", "call": …, "number": …, …}`` once for a call, and
``{"event": "withdrawn", "call": …, "reason": …}`` if somebody else answers or the caller gives
up. What the server can't take at once is sent again, a few times: it may see an event
twice, with the same call. Needs ``httpx``. Which PBX: see feed.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import attrs
import httpx
from feed import feed, run

from basix_ws_cti import CallEnded, CallRinging, Client

if TYPE_CHECKING:
    from basix_ws_cti import Call

# Seconds between attempts. What comes meanwhile waits: its turn is in half a minute at most.
PAUSES = (0.5, 1, 2, 4)

TRY_AGAIN = {408, 429, 500, 502, 503, 504}


def identity(call: Call) -> dict[str, Any]:
    """What the PBX, the CRM and the caller directory know of who calls."""
    caller = call.caller
    return {
        "number": caller.number,
        "name": caller.name,
        "user_id": caller.user_id,  # a colleague
        "end_user": None if caller.end_user is None else attrs.asdict(caller.end_user),
        "whoscall": directory_entry(caller.whoscall),
    }


def directory_entry(whoscall: str | None) -> Any:
    """A caller directory's entry, which is percent-encoded JSON; ``None``: there is none."""
    try:
        return json.loads(unquote(whoscall or ""))
    except ValueError:
        return None


async def post(http: httpx.AsyncClient, url: str, **body: Any) -> None:
    problem = ""
    for pause in (*PAUSES, None):
        try:
            status = (await http.post(url, json=body)).status_code
        except httpx.TransportError as error:
            problem = type(error).__name__
        else:
            if status < 300:
                return
            problem = f"HTTP {status}"
            if status not in TRY_AGAIN:
                break
        if pause is not None:
            await asyncio.sleep(pause)
    print(f"not told: {body['event']} {body['call']}: {problem}", file=sys.stderr)


async def pop_up(extension: str, url: str) -> None:
    shown: set[str] = set()
    async with feed("screen_pop") as pbx, httpx.AsyncClient(timeout=5) as http:
        # This user's legs alone: that others ring for the same call is none of our business,
        # and when somebody else is faster, ours ends.
        client = Client(**pbx, user_extension=extension)
        events = client.call_events(policy="fail")
        async with client:
            async for event in events:
                match event:
                    case CallRinging(call, party) if call.id not in shown:
                        if call.caller.user_id == party.user_id:
                            continue  # click to call: it rings us because we call somebody
                        shown.add(call.id)
                        await post(http, url, event="ringing", call=call.id, **identity(call))
                    case CallEnded(call) if call.id in shown:
                        shown.remove(call.id)
                        if call.answered is None and call.joined is None:
                            why = call.disposition
                            await post(http, url, event="withdrawn", call=call.id, reason=why)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("extension", help="whose telephones")
    parser.add_argument("url", help="where to POST")
    options = parser.parse_args()
    run(pop_up(options.extension, options.url))


if __name__ == "__main__":
    main()
