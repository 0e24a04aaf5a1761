"""Click-to-call in one call: answer, end and events of a call, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import traceback
import weakref

import pytest
from support.model_feed import ModelPbx
from support.virtual_clock import now, on_virtual_clock

from basix_ws_cti import (
    ClickToCall,
    ClickToCallError,
    Client,
    ClientClosed,
    ConnectFailed,
    ConnectionLost,
    HttpApiError,
    NotConnectedError,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.calls import CallEnded, CallRinging, CallStarted
from basix_ws_cti.client.click_to_call import SHOWN_WITHIN

CUSTOMER = "0398765432"


class Api:
    """HTTP API of an office.

    The reply to a request takes ``delay`` seconds. ``ring_after`` seconds after the reply (before
    it, if this is negative), the phones of user ``number`` ring: ``phones`` many, for which uuids
    are returned. ``ringing`` of them get a channel; ``None``: all.
    """

    def __init__(self, pbx, *, phones=2, ringing=None, delay=1.0, ring_after=0.5, number=0):
        self.pbx = pbx
        self.user = pbx.users[number]
        self.delay = delay
        self.ring_after = ring_after
        self.requests = []
        self.error = None
        terminals = pbx.model.terminals_of(self.user)
        while len(terminals) < phones:
            terminals.append(pbx.model.add_terminal(self.user))
        self.phones = {pbx.model.new_uuid(): terminal for terminal in terminals[:phones]}
        self.ringing = [*self.phones][:ringing]
        self.legs = []

    def ring(self, destination):
        phones = {uuid: self.phones[uuid] for uuid in self.ringing}
        self.legs = self.pbx.model.ring_endpoints(phones, destination, auto_answer=False)

    async def call_user(self, destination, **request):
        self.requests.append({"destination": destination, **request})
        loop = asyncio.get_running_loop()
        loop.call_later(self.delay + self.ring_after, self.ring, destination)
        await self.pbx.wait(self.delay)
        if self.error is not None:
            raise self.error
        return [*self.phones]


@contextlib.asynccontextmanager
async def office(**options):
    """Yield an office, a client that follows it, and an HTTP API for calls to its first user."""
    pbx = ModelPbx()
    api_options = {name: options.pop(name) for name in [*options] if name != "classify"}
    async with Client("fake", connector=pbx, **options) as client:
        await client.synced(10)
        yield pbx, client, Api(pbx, **api_options)


def events_of(events):
    return [type(event).__name__ for event in events]


async def read_all(handle):
    return [event async for event in handle]


# -- answer and end ------------------------------------------------------------------------


@pytest.mark.parametrize("phones", [1, 2])
@on_virtual_clock
async def test_answer_and_end_of_the_destination_are_awaited(phones):
    """The user's own answer does not count; the phone that is not answered does not either."""
    async with office(phones=phones) as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER, user_extension="1001", auto_answer=False)
        assert api.requests == [
            {"destination": CUSTOMER, "user_extension": "1001", "auto_answer": False}
        ]
        assert call.uuids == tuple(api.phones)
        assert (call.call, call.is_over) == (None, False)
        answer = asyncio.create_task(call.answered())
        await pbx.wait()
        assert call.call.phase.kind == "ringing"
        lead = api.legs[-1]
        (leg,) = pbx.model.answer_originated(lead)
        await pbx.wait(3)
        assert not answer.done()
        assert call.call.id in call.uuids
        pbx.model.connect(leg)
        answered = await answer
        assert (answered.phase.kind, answered.answered_by.number) == ("talking", CUSTOMER)
        assert answered.caller.user_id == api.user.id
        assert call.call == client.calls[answered.id]
        with pytest.raises(WaitTimeout) as raised:
            await call.ended(3)
        assert (raised.value.what, raised.value.seconds) == ("the end of the call", 3)
        pbx.model.hang_up(leg)
        ended = await call.ended(3)
        assert (ended.id, ended.disposition) == (answered.id, "answered")
        assert (call.call, call.is_over) == (ended, True)
        assert await call.answered() == answered
        events = await read_all(call)
        assert {event.call.id for event in events} <= set(call.uuids)
        kinds = events_of(event for event in events if event.call.id == answered.id)
        assert kinds[0] == "CallStarted"
        assert kinds.count("CallAnswered") == 1
        assert kinds[-1] == "CallEnded"
        assert kinds.count("CallEnded") == 1


def refuse_everywhere(pbx, api):
    for leg in api.legs:
        pbx.model.refuse(leg)


def let_customer_refuse(pbx, api):
    (leg,) = pbx.model.answer_originated(api.legs[0])
    pbx.model.hang_up(leg, "USER_BUSY")


def send_to_voicemail(pbx, api):
    pbx.model.answer_originated(api.legs[1])
    pbx.model.leave_message(api.legs[1], pbx.users[2])
    pbx.model.hang_up(api.legs[1], by_peer=False)


@pytest.mark.parametrize(
    ("happen", "reason"),
    [
        (refuse_everywhere, "no phone of the user was answered"),
        (let_customer_refuse, "the destination did not answer (USER_BUSY)"),
        (send_to_voicemail, "the destination did not answer (NORMAL_CLEARING)"),
    ],
)
@on_virtual_clock
async def test_end_without_an_answer_is_an_error(happen, reason):
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        answer = asyncio.create_task(call.answered())
        await pbx.wait()
        happen(pbx, api)
        for _ in range(2):  # while it is awaited, and later
            with pytest.raises(ClickToCallError) as raised:
                await (answer if not answer.done() else call.answered(5))
            assert raised.value.reason == reason
        assert await call.ended(0) == call.call
        assert call.call.ended is not None
        assert events_of(await read_all(call))[-1] == "CallEnded"


@on_virtual_clock
async def test_present_state_includes_what_caused_no_event():
    """The user's answer alone is no call event."""
    async with office(phones=1) as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait()
        pbx.model.answer(api.legs[0])
        await pbx.wait()
        (leg,) = call.call.legs
        assert leg.answered == pbx.model.now - 1_000_000
        assert [type(event) for event in (await anext(call), await anext(call))] == [
            CallStarted,
            CallRinging,
        ]


@pytest.mark.parametrize("number", [0, 1])
@on_virtual_clock
async def test_call_is_the_one_that_still_rings(number):
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait()
        pbx.model.refuse(api.legs[number])
        await pbx.wait()
        assert call.call.ended is None


@on_virtual_clock
async def test_refusal_by_one_phone_does_not_end_the_call():
    """Its user can still answer the other phone, even one that begins to ring later."""
    async with office(ringing=1) as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait()
        pbx.model.refuse(api.legs[0])
        await pbx.wait()
        assert not call.is_over
        api.ringing = [*api.phones][1:]
        api.ring(CUSTOMER)
        (leg,) = pbx.model.answer_originated(api.legs[0])
        pbx.model.connect(leg)
        assert (await call.answered(5)).answered_by.number == CUSTOMER


@on_virtual_clock
async def test_transferred_call_is_followed_without_the_users_channels():
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait()
        (customer,) = pbx.model.answer_originated(api.legs[0])
        pbx.model.connect(customer)
        await pbx.wait()
        (colleague,) = pbx.model.transfer(customer, pbx.users[3])
        pbx.model.connect(colleague)
        await pbx.wait()
        assert not call.is_over
        assert not {*call.uuids} & {*client.mirror.channels}
        pbx.model.hang_up(customer)
        ended = await call.ended(5)
        assert (ended.transfers, ended.answered_by.number) == (1, CUSTOMER)


@on_virtual_clock
async def test_call_that_joins_another_one_is_followed_there():
    """The user consults a colleague by click-to-call, and connects their caller to them."""
    async with office() as (pbx, client, api):
        caller, _ = pbx.talk(0)
        call = await client.call_user(api, "1003")
        await pbx.wait()
        (colleague,) = pbx.model.answer_originated(api.legs[0])
        pbx.model.connect(colleague)
        consult = await call.answered(5)
        pbx.model.attended_transfer(caller, colleague)
        await pbx.wait()
        assert (call.call.id, call.is_over) == (caller.uuid, False)
        pbx.model.hang_up(caller)
        ended = await call.ended(5)
        assert (ended.id, ended.disposition) == (caller.uuid, "answered")
        assert await call.answered() == consult
        joins = [(event.call.id, event.call.joined) for event in await read_all(call)]
        assert (consult.id, caller.uuid) in joins
        assert joins[-1] == (caller.uuid, None)


@on_virtual_clock
async def test_call_that_joins_another_one_after_the_users_channels_ended_is_followed_there():
    """A colleague gets the customer by transfer, and connects them to a call of their own."""
    async with office() as (pbx, client, api):
        caller, _ = pbx.talk(3)
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait()
        (customer,) = pbx.model.answer_originated(api.legs[0])
        pbx.model.connect(customer)
        await pbx.wait()
        (colleague,) = pbx.model.transfer(customer, pbx.users[3])
        pbx.model.connect(colleague)
        await pbx.wait()
        pbx.model.attended_transfer(caller, customer)
        await pbx.wait()
        assert call.call.id == caller.uuid
        pbx.model.hang_up(caller)
        ended = await call.ended(5)
        assert (ended.id, ended.joined) == (caller.uuid, None)


# -- the moment of the reply ---------------------------------------------------------------


@on_virtual_clock
async def test_answer_before_the_reply_is_not_missed():
    """A call that is shown before the reply begins with its state after the last event."""
    async with office(delay=5, ring_after=-4) as (pbx, client, api):
        pbx.talk(1)
        starting = asyncio.create_task(client.call_user(api, CUSTOMER))
        await pbx.wait(2)
        (leg,) = pbx.model.answer_originated(api.legs[1])
        pbx.model.connect(leg)
        pbx.talk(2)
        call = await starting
        present = call.call
        assert (await call.answered(0)).answered == present.answered is not None
        pbx.model.hang_up(leg)
        events = await read_all(call)
    events = [event for event in events if event.call.id == present.id]
    assert events_of(events) == ["CallStarted", "CallEnded"]
    assert events[0].call.phase == present.phase


@on_virtual_clock
async def test_end_before_the_reply_is_not_missed():
    async with office(delay=5, ring_after=-4) as (pbx, client, api):
        starting = asyncio.create_task(client.call_user(api, CUSTOMER))
        await pbx.wait(2)
        refuse_everywhere(pbx, api)
        call = await starting
        assert call.is_over
        assert (await call.ended(0)).cause == "USER_BUSY"
        assert {*events_of(await read_all(call))} == {"CallEnded"}


@on_virtual_clock
async def test_join_and_end_before_the_reply_are_not_missed():
    async with office(delay=9, ring_after=-8) as (pbx, client, api):
        caller, _ = pbx.talk(0)
        starting = asyncio.create_task(client.call_user(api, "1003"))
        await pbx.wait(2)
        (colleague,) = pbx.model.answer_originated(api.legs[0])
        pbx.model.connect(colleague)
        await pbx.wait()
        pbx.model.attended_transfer(caller, colleague)
        await pbx.wait()
        pbx.model.hang_up(caller)
        call = await starting
        assert call.is_over
        assert (await call.ended(0)).id == caller.uuid
        assert (await call.answered(0)).answered_by.user_id == pbx.users[2].id


@pytest.mark.parametrize("error", [HttpApiError(200, 1, "user_not_found"), TimeoutError("slow")])
@on_virtual_clock
async def test_error_of_the_api_is_raised_and_nothing_is_followed(error):
    async with office() as (_, client, api):
        api.error = error
        with pytest.raises(type(error)) as raised:
            await client.call_user(api, CUSTOMER)
        assert raised.value is error
        # The traceback keeps the call.
        found = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(raised.tb)]
        (call,) = (one for one in found if isinstance(one, ClickToCall))
        assert await read_all(call) == []


@on_virtual_clock
async def test_cancelled_request_follows_nothing():
    async with office() as (pbx, client, api):
        starting = asyncio.create_task(client.call_user(api, CUSTOMER))
        await pbx.wait(0.5)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await pbx.wait(2)
        assert client.stats.lag == 0


@on_virtual_clock
async def test_user_without_phones_has_no_call():
    async with office(phones=0) as (_, client, api):
        call = await client.call_user(api, CUSTOMER)
        assert (call.uuids, call.call, call.is_over) == ((), None, True)
        assert await read_all(call) == []
        for wait in (call.answered, call.ended):
            with pytest.raises(ClickToCallError, match="the feed shows no channel of the call"):
                await wait()


# -- interruptions -------------------------------------------------------------------------


@pytest.mark.parametrize("lost_after", [0.2, 1.2, 2.5])
@on_virtual_clock
async def test_reconnect_in_between_is_survived(lost_after):
    """The connection breaks before the reply, before the phones ring, or while they ring."""
    async with office() as (pbx, client, api):
        loop = asyncio.get_running_loop()
        loop.call_later(lost_after, lambda: pbx.lose(cut=True))
        pbx.plan.append(ConnectFailed("no route to host"))
        loop.call_later(3, lambda: pbx.model.connect(*pbx.model.answer_originated(api.legs[0])))
        call = await client.call_user(api, CUSTOMER)
        answered = await call.answered(30)
        assert answered.answered_by.number == CUSTOMER
        assert len(pbx.past_connections) == 2
        pbx.model.hang_up(api.legs[0])
        assert (await call.ended(5)).disposition == "answered"
        assert isinstance((await read_all(call))[-1], CallEnded)


@on_virtual_clock
async def test_end_within_a_gap_is_an_end_without_an_answer():
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait()
        pbx.lose(cut=True)
        pbx.model.connect(*pbx.model.answer_originated(api.legs[0]))
        pbx.model.hang_up(api.legs[0])
        with pytest.raises(ClickToCallError, match="the call ended in a gap of the feed"):
            await call.answered(30)
        assert (await call.ended(0)).disposition == "unknown"
        assert (await read_all(call))[-1].synthetic


@on_virtual_clock
async def test_call_that_the_feed_never_shows_is_given_up():
    """It came and went within a gap, or the feed does not contain the channels of the user."""
    async with office(ringing=0) as (_, client, api):
        call = await client.call_user(api, CUSTOMER)
        began = now()
        reading = asyncio.create_task(read_all(call))
        with pytest.raises(ClickToCallError, match="pass full_events=True, or monitor the user"):
            await call.answered()
        assert now() - began == SHOWN_WITHIN
        assert await reading == []
        with pytest.raises(ClickToCallError, match="the feed shows no channel of the call"):
            await call.ended()


@on_virtual_clock
async def test_phone_that_never_rings_is_given_up():
    async with office(ringing=1) as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        began = now()
        await pbx.wait()
        pbx.model.refuse(api.legs[0])
        assert (await call.ended()).cause == "USER_BUSY"
        assert now() - began == SHOWN_WITHIN


@on_virtual_clock
async def test_call_is_not_given_up_while_the_feed_is_interrupted():
    async with office() as (pbx, client, api):
        pbx.default = ConnectFailed("no route to host")
        pbx.lose(cut=True)
        call = await client.call_user(api, CUSTOMER)
        with pytest.raises(WaitTimeout, match="the answer of the destination"):
            await call.answered(5 * SHOWN_WITHIN)
        pbx.default = None
        await client.synced(200)
        pbx.model.connect(*pbx.model.answer_originated(api.legs[1]))
        assert (await call.answered(5)).answered_by.number == CUSTOMER


@on_virtual_clock
async def test_call_that_went_by_in_a_long_interruption_is_given_up_after_it():
    async with office() as (pbx, client, api):
        pbx.default = ConnectFailed("no route to host")
        pbx.lose(cut=True)
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait(2 * SHOWN_WITHIN)
        refuse_everywhere(pbx, api)
        pbx.default = None
        with pytest.raises(ClickToCallError, match="the feed shows no channel of the call"):
            await call.answered(200)
        assert client.is_synced


@on_virtual_clock
async def test_call_whose_events_wait_behind_others_is_not_given_up():
    """Each change of a long snapshot takes a second to deliver, and call events come last."""
    async with office() as (pbx, client, api):
        loop = asyncio.get_running_loop()
        client.on_change(lambda _: setattr(loop, "now", loop.now + 1))
        pbx.default = ConnectFailed("no route to host")
        pbx.lose(cut=True)
        call = await client.call_user(api, CUSTOMER)
        await pbx.wait(2 * SHOWN_WITHIN)
        for number in range(1, 5):
            pbx.talk(number)
        pbx.default = None
        await client.synced(200)
        pbx.model.connect(*pbx.model.answer_originated(api.legs[0]))
        assert (await call.answered(60)).answered_by.number == CUSTOMER


# -- misuse and the end of the client ------------------------------------------------------


@on_virtual_clock
async def test_end_of_the_client_ends_waits_and_iteration():
    async with office(classify=lambda *_: True) as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER)
        waits = [
            asyncio.create_task(one) for one in (call.answered(), call.ended(), read_all(call))
        ]
        await pbx.wait()
        pbx.lose(NotConnectedError())
        for wait in waits:
            with pytest.raises(NotConnectedError):
                await wait
        with pytest.raises(NotConnectedError):
            await client.call_user(api, CUSTOMER)
    assert len(api.requests) == 1


@on_virtual_clock
async def test_nobody_is_called_by_a_client_that_does_not_run():
    pbx = ModelPbx()
    api = Api(pbx)
    client = Client("fake", connector=pbx)
    with pytest.raises(UsageError, match="the client is not running"):
        await client.call_user(api, CUSTOMER)
    async with client:
        pass
    with pytest.raises(ClientClosed):
        await client.call_user(api, CUSTOMER)
    assert api.requests == []


@on_virtual_clock
async def test_client_that_stops_during_the_request_stops_the_call():
    async with office(classify=lambda *_: True) as (pbx, client, api):
        starting = asyncio.create_task(client.call_user(api, CUSTOMER))
        await pbx.wait(0.5)
        pbx.lose()
        call = await starting
        with pytest.raises(ConnectionLost):
            await call.answered()
        with pytest.raises(ConnectionLost):
            await anext(call)


@on_virtual_clock
async def test_closing_ends_the_subscription_and_not_the_call():
    async with office(ringing=1) as (pbx, client, api):
        with await client.call_user(api, CUSTOMER) as call:
            waiting = asyncio.create_task(call.answered())
            await pbx.wait()
            assert events_of([await anext(call)]) == ["CallStarted"]
        assert await read_all(call) == []
        with pytest.raises(UsageError, match="this ClickToCall is closed: wait before"):
            await waiting
        pbx.model.refuse(api.legs[0])
        await pbx.wait(2 * SHOWN_WITHIN)
        with pytest.raises(UsageError, match="this ClickToCall is closed: wait before"):
            await call.ended()
        assert pbx.past_connections[0].sent == []


@on_virtual_clock
async def test_dropped_call_is_not_kept():
    async with office() as (pbx, client, api):
        reference = weakref.ref(await client.call_user(api, CUSTOMER))
        await pbx.wait(2 * SHOWN_WITHIN)
        gc.collect()
        assert reference() is None
        assert client.stats.lag == 0


@on_virtual_clock
async def test_call_of_a_stopped_client_is_not_kept():
    async with office(classify=lambda *_: True, ringing=0) as (pbx, client, api):
        reference = weakref.ref(await client.call_user(api, CUSTOMER))
        pbx.lose()
        await pbx.wait(2 * SHOWN_WITHIN)
        gc.collect()
        assert reference() is None


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda client, call: client.call_user(5, CUSTOMER), "api must be an HttpApi, got int"),
        (lambda client, call: call.answered("5"), "timeout must be a number of seconds or None"),
        (lambda client, call: call.ended(math.nan), "timeout must be a number of seconds or None"),
    ],
)
@on_virtual_clock
async def test_invalid_arguments_are_usage_errors(use, text):
    async with office() as (_, client, api):
        call = await client.call_user(api, CUSTOMER)
        with pytest.raises(UsageError, match=text):
            await use(client, call)


@on_virtual_clock
async def test_representation_shows_the_uuids_only():
    async with office() as (_, client, api):
        call = await client.call_user(api, CUSTOMER)
        assert repr(call) == f"<ClickToCall {call.uuids[0]}, {call.uuids[1]}>"
