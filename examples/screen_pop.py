"""Report the caller to a web server each time a phone of one extension rings.

    python examples/screen_pop.py 1001 https://crm.example.com/pop

It POSTs ``{"event": "ringing", "call": …, "number": …, …}`` once per call, and
``{"event": "withdrawn", "call": …, "reason": …}`` if the call ends without being answered here.
It sends nothing again: ``basix-ws-cti webhook`` does. Needs ``httpx2``. feed.py chooses the PBX.
"""

from __future__ import annotations

import contextlib
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


def identity(call: Call) -> dict[str, Any]:
    caller = call.caller  # what the PBX, the CRM and the caller directory know
    return {
        "number": caller.number,
        "name": caller.name,
        "user_id": caller.user_id,  # set if the caller is a user of the PBX
        "end_user": None if caller.end_user is None else attrs.asdict(caller.end_user),
        "whoscall": directory_entry(caller.whoscall),
    }


def directory_entry(whoscall: str | None) -> Any:
    """Return the entry of the caller directory, which is percent-encoded JSON; ``None``: none."""
    with contextlib.suppress(ValueError):
        return json.loads(unquote(whoscall or ""))
    return None


async def post(http: httpx2.AsyncClient, url: str, **body: Any) -> None:
    try:
        answer = await http.post(url, json=body)
        problem = None if answer.is_success else f"HTTP {answer.status_code}"
    except httpx2.TransportError as error:
        problem = type(error).__name__
    if problem is not None:
        print(f"webhook failed: {body['event']} {body['call']}: {problem}", file=sys.stderr)


async def pop_up(extension: str, url: str) -> None:
    reported: set[str] = set()
    async with feed("screen_pop") as pbx, httpx2.AsyncClient(timeout=5) as http:
        # Only this user's legs: when another user answers first, the call ends for this client.
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


if __name__ == "__main__":
    _, extension, url = sys.argv
    run(pop_up(extension, url))
