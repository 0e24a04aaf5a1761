"""Print one line for each event of a call: who calls, waits, answers, transfers, hangs up.

It listens to the PBX in BASIX_SERVER, BASIX_DOMAIN and BASIX_TOKEN, or for 10 s to the simulator.
"""

import asyncio
import contextlib
import os
import signal
import sys
from datetime import datetime

import basix_ws_cti as cti
from basix_ws_cti.simulator import Simulator


def describe(event: cti.CallEvent | cti.Lagged, mirror: cti.Mirror) -> str | None:
    """Return what happened to a call; ``None``: nothing that is worth a line."""

    def name(party: cti.Party) -> str:
        known = mirror["user"].get(party.user_id or 0) or mirror["group"].get(party.group_id or 0)
        return str(getattr(known, "label", None) or party.name or party.number or "unknown")

    match event:
        case cti.CallStarted(call):
            text = f"calls {call.called_number}"
        case cti.CallUpdated(call) if call.phase.kind == "queued":
            text = f"waits for {name(call.phase.party)}"
        case cti.CallRinging(call, party) if call.phase.kind != "queued":  # else many phones ring
            text = f"the phone of {name(party)} rings"
        case cti.CallAnswered(call, party, waited):
            text = f"{name(party)} answers after {waited / 1e6:.0f} s"
        case cti.CallParked(call, slot):
            text = f"is parked on {slot}"
        case cti.CallRetrieved(call, party, parked_for):
            text = f"{name(party)} takes the call back after {parked_for / 1e6:.0f} s"
        case cti.CallTransferred(call, source, target):
            text = f"{name(source)} transfers the call to {name(target)}"
        case cti.CallEnded(cti.Call(disposition=how) as call) if call.joined is None:
            text = f"ends, {how}, talked {call.time_in('talking') / 1e6:.0f} s".replace("_", " ")
        case _:
            return None
    at = datetime.fromtimestamp((call.ended or call.phase.started) / 1e6).astimezone()
    line = f"{at:%H:%M:%S}  {name(call.caller)}: {text}".replace("\u3000", " ")
    return "".join(char if char.isprintable() else "?" for char in line)  # a name can be anything


async def listen(client: cti.Client) -> None:
    events = client.call_events()  # before the block: then no call is missed
    async with client:
        async for event in events:
            if line := describe(event, client.mirror):
                print(line, flush=True)


async def main() -> None:
    server, domain, token = map(os.environ.get, ("BASIX_SERVER", "BASIX_DOMAIN", "BASIX_TOKEN"))
    if server:
        pbx = cti.Client(server, domain=domain, token=token, app_name="listen", full_events=True)
        await listen(pbx)
        return
    async with Simulator(speed=6, seed=1) as simulator:
        print("A simulated company on a busy day, in fast motion:\n")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(listen(cti.Client(**simulator.connect_args)), timeout=10)
    print("\nA wallboard: .venv/bin/pip install '.[cli]' && .venv/bin/basix-ws-cti top --simulate")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # sent by containers and systemd
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader is gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except cti.BasixError as error:
        sys.exit(f"listen: {error}")
