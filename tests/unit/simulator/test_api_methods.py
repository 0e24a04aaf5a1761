"""Calls that the simulated PBX's HTTP API starts."""

from __future__ import annotations

import pytest
from support.feed_follower import Office

from basix_ws_cti.simulator.api_methods import accept_call
from basix_ws_cti.simulator.errors import ApiError, NotPossibleError
from basix_ws_cti.simulator.timeline import Timeline

OUTSIDE = "0398765432"


class ApiOffice(Office):
    """Office whose API starts calls; with ``simulate_users``, users answer and hang up."""

    def __init__(self, *, simulate_users=False, **options):
        super().__init__(**options)
        self.timeline = Timeline(self.pbx)
        self.simulate_users = simulate_users
        self.user = self.users[0]
        self.pbx.add_terminal(self.user)

    def start(self, method="call_user", **request):
        """Start a call; return the uuids of its legs."""
        call = accept_call(self.pbx, method, request)
        self.timeline.start_now(call.run(self.pbx, simulate_users=self.simulate_users))
        return call.uuids

    def ring(self, method="call_user", **request):
        """Start a call, and let the phones ring; return the legs."""
        uuids = self.start(method, **request)
        assert not self.pbx.channels.keys() & set(uuids)
        self.timeline.advance(0.2)
        return [self.pbx.channel(uuid) for uuid in uuids]

    def rows(self):
        return [(row.direction, row.disposition, row.ended_by) for row in self.pbx.ledger]


@pytest.fixture
def office():
    office = ApiOffice()
    yield office
    office.client.assert_in_sync()


def test_each_phone_of_the_user_rings(office):
    legs = office.ring(user_id=office.user.id, destination=OUTSIDE)
    assert [leg.address for leg in legs] == [
        phone.name for phone in office.pbx.terminals_of(office.user)
    ]
    assert {leg.state.name for leg in legs} == {"ringing"}
    assert {leg.tags for leg in legs} == {None}


def test_unregistered_phone_does_not_ring(office):
    first, second = office.pbx.terminals_of(office.user)
    office.pbx.edit(first, registered=0)
    (leg,) = office.ring(user_id=office.user.id, destination=OUTSIDE)
    assert leg.address == second.name
    office.pbx.edit(second, registered=0)
    with pytest.raises(ApiError, match="not_available"):
        office.start(user_id=office.user.id, destination=OUTSIDE)


def test_answer_stops_the_other_phones_and_calls_the_destination(office):
    one, two = office.ring(user_id=office.user.id, destination=OUTSIDE)
    (callee,) = office.pbx.answer_originated(two)
    assert office.client.endings() == {one.uuid: "send_cancel,LOSE_RACE"}
    assert two.state.name == "calling"
    assert callee.address == OUTSIDE
    office.pbx.connect(callee)
    office.timeline.advance(200)  # the time limit of ringing has no effect any more
    office.pbx.hang_up(two)
    assert office.rows() == [("outbound", "answered", "caller")]
    with pytest.raises(NotPossibleError):
        office.pbx.answer_originated(two)


@pytest.mark.parametrize("kind", ["user", "group"])
def test_destination_may_be_inside(office, kind):
    to = office.users[1] if kind == "user" else office.group
    (leg,) = office.ring(user_id=office.users[2].id, destination=to.main_extension)
    ringing = office.pbx.answer_originated(leg)
    assert office.users[1] in [other.user for other in ringing]


def test_phones_stop_ringing_in_the_end(office):
    legs = office.ring(user_id=office.user.id, destination=OUTSIDE, answer_timeout=30)
    office.timeline.advance(29)
    assert all(leg.uuid in office.pbx.channels for leg in legs)
    office.timeline.advance(2)
    assert office.client.endings() == dict.fromkeys(
        (leg.uuid for leg in legs), "send_cancel,NO_ANSWER"
    )
    assert office.rows() == [("outbound", "unanswered", "pbx")]


def test_refusal_on_one_phone_leaves_the_other_ringing(office):
    one, two = office.ring(user_id=office.user.id, destination=OUTSIDE)
    office.pbx.hang_up(one)
    assert two.state.name == "ringing"
    office.pbx.hang_up(two)
    assert len(office.rows()) == 1


def test_media_plug_is_answered_on_one_phone(office):
    legs = office.ring(user_id=office.user.id, destination="media_plug")
    assert {leg.calling_number for leg in legs} == {"media_plug"}
    assert {leg.tags for leg in legs} == {("auto_answer",)}
    office.timeline.advance(1)
    (plug,) = [leg for leg in legs if leg.uuid in office.pbx.channels]
    assert (plug.last_event, plug.calling_number) == ("CHANNEL_ANSWER", "media_plug")


def test_either_phone_may_answer():
    """A client has to look for the leg that is answered."""
    answered = set()
    for seed in range(9):
        office = ApiOffice(seed=seed)
        uuids = office.start(user_id=office.user.id, destination="media_plug")
        office.timeline.advance(1)
        answered.add(uuids.index(*office.pbx.channels))
    assert answered == {0, 1}


def test_group_rings_all_members_with_one_destination(office):
    legs = office.ring("call_group", group_name=office.group.name, destination=OUTSIDE)
    assert {leg.user.id for leg in legs} == {
        user.id for user in office.pbx.members_of(office.group)
    }
    assert {leg.group_id for leg in legs} == {office.group.id}
    office.pbx.answer_originated(legs[-1])
    assert office.pbx.ringing_for(legs[-1])
    assert len(office.client.endings()) == len(legs) - 1


def test_simulated_users_answer_and_hang_up():
    office = ApiOffice(simulate_users=True)
    office.start(user_id=office.user.id, destination=OUTSIDE)
    office.timeline.advance(200)
    assert not office.pbx.channels
    assert office.rows() == [("outbound", "answered", "caller")]


def test_removed_user_is_not_called(office):
    uuids = office.start(user_id=office.user.id, destination=OUTSIDE)
    office.pbx.remove_user(office.user)
    office.timeline.advance(200)
    assert not office.client.endings().keys() & set(uuids)


def test_group_context_and_name_are_shown(office):
    for context in ({"group_id": office.group.id}, {"group_resolver": "*"}):
        legs = office.ring(
            user_id=office.user.id, destination=OUTSIDE, calling_name="CRM", **context
        )
        assert {(leg.group_id, leg.calling_name) for leg in legs} == {(office.group.id, "CRM")}


@pytest.mark.parametrize(
    ("request_fields", "error_id", "reason"),
    [
        ({"user_id": None}, "invalid_parameter", "user_id must be a string or a number"),
        ({"user_id": True}, "invalid_parameter", "user_id must be"),
        ({"user_name": "user1"}, "invalid_parameter", "exactly one of user_id, user_name"),
        ({"user_id": 7}, "user_not_found", "no user has this user_id"),
        ({"group_id": 7}, "group_not_found", "no group has this group_id"),
        ({"group_resolver": "x"}, "invalid_parameter", "group_resolver must be one of"),
        ({"destination": ""}, "invalid_parameter", "destination must be"),
        ({"destination": {}}, "invalid_parameter", "destination must be"),
        ({"destination": "\ud800"}, "invalid_parameter", "surrogate"),
        ({"calling_name": "佐藤"}, "invalid_parameter", "calling_name must be"),
        ({"auto_answer": 1}, "invalid_parameter", "auto_answer must be true or false"),
        ({"callback_url": "ftp://x"}, "invalid_parameter", "callback_url must be"),
        ({"answer_timeout": 0}, "invalid_parameter", "answer_timeout must be a positive"),
        ({"member_answer_timeout": "9"}, "invalid_parameter", "member_answer_timeout must be"),
    ],
)
def test_invalid_request_is_refused(office, request_fields, error_id, reason):
    valid = {"user_id": office.user.id, "destination": {"called_number": OUTSIDE}}
    assert accept_call(office.pbx, "call_user", valid).destination == OUTSIDE
    with pytest.raises(ApiError) as caught:
        accept_call(office.pbx, "call_user", valid | request_fields)
    assert caught.value.error_id == error_id
    assert reason in caught.value.reason
