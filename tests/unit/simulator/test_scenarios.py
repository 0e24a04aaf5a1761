"""Scenarios of the simulated PBX as a client sees them, and long days of all scenarios."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest
from support.feed_follower import FeedFollower, Office
from support.sizes import NIGHTLY

from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.commands import parse_command
from basix_ws_cti.simulator.errors import NotPossibleError
from basix_ws_cti.simulator.model import SECOND, Person
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import SCENARIOS
from basix_ws_cti.simulator.timeline import Timeline

STEPS = 10_000 * (20 if NIGHTLY else 1)
FORMS = (
    {},
    {"otp": 26},
    {"compressed": True, "specs_first": False},
    {"otp": 26, "compressed": True},
    {"specs_first": False},
)

# Every state of the protocol; calling with the type of its target.
STATES = {
    "voicemail",
    "checking_voicemail",
    "calling user",
    "calling group",
    "calling pstn",
    "calling bridged_endpoint",
    "calling_siptermination",
    "ivr",
    "xml_ivr",
    "system_operation",
    "conference",
    "park",
    "eavesdrop",
    "bridged",
    "ringing",
}

# Every pair of disposition and cause that the protocol names.
ENDINGS = {
    "recv_cancel,ORIGINATOR_CANCEL",
    "send_cancel,ORIGINATOR_CANCEL",
    "send_cancel,LOSE_RACE",
    "send_cancel,NO_ANSWER",
    "send_cancel,PICKED_OFF",
    "recv_bye,NORMAL_CLEARING",
    "send_bye,NORMAL_CLEARING",
    "send_bye,ALLOTTED_TIMEOUT",
    "send_refuse,NO_ANSWER",
    "recv_refuse,USER_BUSY",
    "recv_refuse,NO_USER_RESPONSE",
}


def state_name(values):
    """Return the name of a channel's state; for calling, with the type of the target."""
    state = values["state"]
    if state["name"] == "calling":
        return f"calling {state['data']['target_type']}"
    return state["name"]


def play(scenario, seed, *, users=5, older=False, **form):
    """Return an office in which one scenario has run from beginning to end."""
    office = Office(users, seed=seed, older=older, **form)
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS[scenario](office.pbx))
    while timeline.time_to_next is not None:
        timeline.step()
        office.client.assert_in_sync()
        assert_partners_agree(office.pbx)
    return office


def assert_partners_agree(pbx):
    """Assert that bridged legs name each other, and that other_info describes the partner."""
    observed = pbx.snapshot()["channel"]
    for uuid, leg in observed.items():
        if leg["state"]["name"] == "bridged":
            other = observed[leg["other_uuid"]]
            assert other["state"]["name"] == "bridged"
            assert other["other_uuid"] == uuid
            for side, partner in ((leg, other), (other, leg)):
                info = side["other_info"]
                for name in ("user_id", "end_user", "direction", "peer_location"):
                    assert info[name] == partner[name], name
                assert info["offer_timestamp"] == partner["offer_timestamp"]


def assert_lifecycles_valid(client):
    """Assert that each channel's events are valid, in the order of the protocol."""
    lifecycles = defaultdict(list)
    for event in client.events:
        if event.kind == "channel":
            lifecycles[event.values["uuid"]].append(event)
    for uuid, lifecycle in lifecycles.items():
        names = [event.event_name for event in lifecycle]
        events = [event.values["last_event"] for event in lifecycle]
        assert (names[0], events[0]) == ("added", "CHANNEL_CREATE")
        assert uuid not in client.kinds["channel"]
        assert names[1:] == ["updated"] * (len(lifecycle) - 2) + ["removed"]
        assert events[-2:] == ["CHANNEL_HANGUP"] * 2
        assert events.count("CHANNEL_HANGUP") == 2  # The update, and the removal that repeats it.
        assert events.count("CHANNEL_ANSWER") <= 1
        assert set(events) <= {"CHANNEL_CREATE", "CHANNEL_ANSWER", "STATE_CHANGE", "CHANNEL_HANGUP"}
        assert lifecycle[-1].values == lifecycle[-2].values
        for before, event in zip([None, *lifecycle[:-1]], lifecycle, strict=True):
            assert_step_valid(before, event)


def assert_step_valid(before, event):
    """Assert that one event of a channel has the timestamps of its changes."""
    values = event.values
    last_event, state = values["last_event"], values["state"]
    offer, answer, hangup = (values[f"{name}_timestamp"] for name in ("offer", "answer", "hangup"))
    assert offer <= event.now
    assert (hangup is not None) is (last_event == "CHANNEL_HANGUP")
    assert (values["last_event_data"] is not None) is (last_event == "CHANNEL_HANGUP")
    if before is None:
        assert answer is None
        assert offer == state["ts"] == event.now
        return
    assert before.now <= event.now
    old = before.values
    same = ("uuid", "call_id", "direction", "peer_location", "offer_timestamp", "user_id")
    assert [old[name] for name in same] == [values[name] for name in same]
    if last_event == "STATE_CHANGE":
        assert state["ts"] == event.now
    else:
        assert state == old["state"]
    if last_event == "CHANNEL_ANSWER":
        assert old["answer_timestamp"] is None
        assert answer == event.now >= offer
    else:
        assert answer == old["answer_timestamp"]
    if last_event == "CHANNEL_HANGUP":
        assert hangup == event.now >= (answer or offer)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    ("users", "seeds"),
    [(5, range(2)), *(pytest.param(users, range(6), marks=pytest.mark.slow) for users in (5, 30))],
    ids=["5", "5, all forms", "30, all forms"],
)
def test_client_stays_in_sync_in_each_scenario(scenario, users, seeds):
    """After the last step no channel is left."""
    for seed in seeds:
        form = FORMS[seed % len(FORMS)]
        office = play(scenario, seed, users=users, older=seed % 2 == 1, **form)
        assert office.pbx.channels == {}
        snapshot = office.pbx.snapshot()
        assert all(not elements for kind, elements in snapshot.items() if "channel" in kind)
        assert_lifecycles_valid(office.client)


# States and endings that a scenario must have, among others.
EXPECTED = {
    "inbound_call": ({"ivr", "calling group", "ringing", "bridged"}, {"send_cancel,LOSE_RACE"}),
    "abandoned": ({"ivr", "calling group"}, {"recv_bye,NORMAL_CLEARING"}),
    "voicemail": ({"voicemail"}, {"send_cancel,NO_ANSWER", "recv_bye,NORMAL_CLEARING"}),
    "abandoned_ringing": ({"calling user"}, {"recv_cancel,ORIGINATOR_CANCEL"}),
    "no_answer": ({"ringing"}, {"send_refuse,NO_ANSWER", "send_cancel,NO_ANSWER"}),
    "parked": ({"park", "system_operation"}, {"recv_bye,NORMAL_CLEARING"}),
    "picked_up": ({"system_operation", "bridged"}, {"send_cancel,PICKED_OFF"}),
    "blind_transfer": ({"calling user", "bridged"}, {"recv_bye,NORMAL_CLEARING"}),
    "attended_transfer": ({"calling user", "bridged"}, {"recv_bye,NORMAL_CLEARING"}),
    "after_hours": ({"xml_ivr", "calling_siptermination", "calling bridged_endpoint"}, set()),
    "maximum_duration": ({"bridged"}, {"send_bye,ALLOTTED_TIMEOUT"}),
    "busy": ({"calling pstn"}, {"recv_refuse,USER_BUSY", "send_refuse,USER_BUSY"}),
    "rejected": ({"calling pstn"}, {"recv_refuse,CALL_REJECTED"}),
    "unreachable": ({"calling pstn"}, {"recv_refuse,NO_USER_RESPONSE"}),
    "click_to_call": ({"ringing", "calling pstn", "bridged"}, {"send_bye,NORMAL_CLEARING"}),
    "checking_voicemail": ({"checking_voicemail"}, {"recv_bye,NORMAL_CLEARING"}),
    "conference": ({"conference"}, {"recv_bye,NORMAL_CLEARING"}),
    "eavesdrop": ({"eavesdrop", "bridged"}, {"recv_bye,NORMAL_CLEARING"}),
}


@pytest.mark.parametrize("scenario", EXPECTED)
def test_scenario_has_its_states_and_endings(scenario):
    states, endings = EXPECTED[scenario]
    client = play(scenario, 3).client
    assert states <= {
        state_name(event.values) for event in client.events if event.kind == "channel"
    }
    assert endings <= set(client.endings().values())


def test_states_of_a_parked_call():
    """The caller is in the menu, calls the group, talks, is parked, and talks again."""
    client = play("parked", 2).client
    (lead,) = {event.values["uuid"] for event in client.events if event.kind == "channel_waiting"}
    observed = [
        event for event in client.events if event.kind == "channel" and event.values["uuid"] == lead
    ]
    states = [state_name(event.values) for event in observed]
    changes = [
        name for before, name in zip([None, *states], states, strict=False) if name != before
    ]
    assert changes == ["ivr", "calling group", "bridged", "park", "bridged"]
    last = observed[-1].values
    assert last["target"]["type"] == "group"
    assert last["offer_timestamp"] <= last["answer_timestamp"] < last["hangup_timestamp"]
    waiting = [
        (event.event_name, state_name(event.values))
        for event in client.events
        if event.kind == "channel_waiting"
    ]
    assert [name for name, _ in waiting if name != "updated"] == ["added", "removed"] * 2
    assert [state for name, state in waiting if name == "added"] == ["calling group", "park"]


def test_parked_call_is_retrieved_by_dialling_the_slot():
    channels = [
        event.values for event in play("parked", 2).client.events if event.kind == "channel"
    ]
    slot = next(v["state"]["data"]["slot"] for v in channels if v["state"]["name"] == "park")
    retrieving = next(v for v in channels if v["state"]["name"] == "system_operation")
    assert retrieving["called_number"] == str(slot)
    assert (retrieving["direction"], retrieving["peer_location"]) == ("inbound", "internal")
    assert retrieving["state"]["data"] == {"operation": "unpark"}


def test_voicemail_counts_as_new_then_as_saved():
    """Listening to the messages makes them saved ones."""
    office = Office(1)
    for scenario, mwi in (
        ("voicemail", "1/0"),
        ("voicemail", "2/0"),
        ("checking_voicemail", "0/2"),
    ):
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS[scenario](office.pbx))
        timeline.advance(100)
        office.client.assert_in_sync()
        (user,) = office.client.kinds["user"].values()
        assert user["mwi"] == mwi


def test_maximum_call_duration_is_about_six_hours():
    for event in play("maximum_duration", 1).client.events:
        values = event.values
        if event.event_name == "removed":
            length = values["hangup_timestamp"] - values["answer_timestamp"]
            assert 6 * 3600 * SECOND <= length < 6 * 3600 * SECOND + 60 * SECOND


def test_company_has_groups_of_ten_users():
    """Labels and phones are unique; every fourth group is a hunt group."""
    pbx = Pbx()
    scenarios.populate(pbx, 250)
    labels = [user.label for user in pbx.users.values()]
    assert len(set(labels)) == len(labels) == len(pbx.terminals) == 250
    assert labels[: len(scenarios.STAFF)] == list(scenarios.STAFF)
    groups = list(pbx.groups.values())
    assert [len(pbx.members_of(group)) for group in groups] == [10] * 25
    assert [group.type for group in groups[:8]] == [0, 0, 0, 1] * 2
    assert len({group.label for group in groups}) == 25
    empty = Pbx()
    scenarios.populate(empty, 0)
    assert empty.users == empty.groups == {}


def test_scenario_without_available_user_is_not_possible():
    """No channel of the attempt stays."""
    office = Office(1)
    office.talk(0)
    before = office.pbx.snapshot()
    for name in ("direct_call", "internal_call", "outbound_call", "checking_voicemail", "busy"):
        with pytest.raises(NotPossibleError, match="no user is available"):
            next(SCENARIOS[name](office.pbx))
    assert office.pbx.snapshot() == before


def test_unanswered_caller_hangs_up():
    """A queued caller is served as soon as a user is available."""
    office = Office(1)
    _, leg = office.talk(0)
    for scenario in ("inbound_call", "parked"):
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS[scenario](office.pbx))
        timeline.advance(100)
        assert timeline.time_to_next is None
        assert len(office.pbx.channels) == 2
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS["abandoned"](office.pbx))
    timeline.start(SCENARIOS["inbound_call"](office.pbx))
    timeline.advance(6)
    office.pbx.hang_up(leg)
    timeline.advance(100)
    assert office.users[0].id in {
        event.values["user_id"] for event in office.client.events if event.values.get("group_id")
    }
    assert office.pbx.channels == {}
    office.client.assert_in_sync()


def test_hunt_rings_members_one_by_one():
    """Each member rings once, until one answers or none is left."""
    outcomes = Counter()
    for seed in range(30):
        office = Office(40, seed=seed)
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS["hunt"](office.pbx))
        timeline.advance(200)
        endings = list(office.client.endings().values())
        rung_users = [
            event.values["user_id"]
            for event in office.client.events
            if event.event_name == "added" and event.kind == "channel" and event.values["user_id"]
        ]
        assert len(set(rung_users)) == len(rung_users)
        assert endings.count("send_cancel,NO_ANSWER") >= len(rung_users) - 1
        outcomes["answered" if "send_bye,NORMAL_CLEARING" in endings else "abandoned"] += 1
        outcomes["first"] += len(rung_users) == 1
    assert outcomes["answered"] > 10
    assert 0 < outcomes["first"] < 30


def test_conference_without_a_user_who_parked_the_call():
    """A user who parked the call before the conference does not join it."""
    office = Office()
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS["conference"](office.pbx))
    while not any(leg.state.name == "bridged" for leg in office.pbx.channels.values()):
        timeline.step()
    lead = next(leg for leg in office.pbx.channels.values() if leg.user is None)
    office.pbx.park(lead)
    timeline.step()
    timeline.step()
    assert [leg.state.name for leg in office.pbx.channels.values()] == ["conference"] * 2
    timeline.advance(100)
    assert office.pbx.channels == {}


def test_attended_transfer_stops_if_the_caller_was_parked():
    office = Office()
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS["attended_transfer"](office.pbx))
    while not any(leg.state.name == "bridged" for leg in office.pbx.channels.values()):
        timeline.step()
    lead = next(leg for leg in office.pbx.channels.values() if leg.user is None)
    office.pbx.park(lead)
    timeline.advance(100)
    assert office.pbx.channels == {}
    assert len(office.client.endings()) == 2


def test_directory_changes_cover_all_kinds_and_events():
    """Afterwards users, groups and memberships are as many as before."""
    observed = set()
    for seed in range(40):
        office = play("directory_changes", seed)
        observed |= {(event.kind, event.event_name) for event in office.client.events}
        assert len(office.pbx.users) == 5
        assert len(office.pbx.members) == 5
        assert len(office.pbx.groups) == 1
    assert observed >= {
        (kind, name)
        for kind in ("user", "group", "group_member", "terminal")
        for name in ("added", "updated", "removed")
    }


def test_directory_changes_without_a_phone():
    """A trainee is added instead of unregistering a phone."""
    for seed in range(40):
        pbx = Pbx(seed)
        pbx.add_member(pbx.add_user("x", terminal=False), pbx.create_group("g"))
        client = FeedFollower(pbx)
        timeline = Timeline(pbx)
        timeline.start(SCENARIOS["directory_changes"](pbx))
        timeline.advance(1000)
        client.assert_in_sync()
        assert len(pbx.users) == 1


@pytest.mark.parametrize("kind", ["group_member", "terminal"])
def test_directory_changes_do_not_add_a_removed_user_again(kind):
    for seed in range(40):
        office = Office(seed=seed)
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS["directory_changes"](office.pbx))
        timeline.step()
        members = {member.id for member in office.pbx.members.values()}
        for user in office.users:
            office.pbx.remove_user(user)
        assert members
        timeline.advance(500)
        elements = office.client.kinds
        assert elements[kind] == {}


def test_directory_changes_skip_a_removed_membership():
    removals = 0
    for seed in range(40):
        office = Office(seed=seed)
        pbx, timeline = office.pbx, Timeline(office.pbx)
        timeline.start(SCENARIOS["directory_changes"](pbx))
        timeline.step()
        fresh = [member for member in list(pbx.members.values())[5:] if member.user_id in pbx.users]
        if fresh and len(pbx.groups) == 1:
            timeline.step()
            pbx.remove_member(fresh[0])
            removals += 1
            timeline.step()
            assert timeline.time_to_next is None
        office.client.assert_in_sync()
    assert removals


def test_directory_changes_skip_a_removed_trainee():
    for seed in range(40):
        office = Office(seed=seed)
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS["directory_changes"](office.pbx))
        timeline.step()
        trainees = [user for user in office.pbx.users.values() if user not in office.users]
        for user in trainees:
            office.pbx.remove_user(user)
        timeline.advance(500)
        office.client.assert_in_sync()


# Days


class Day:
    """A day in a company, with a client."""

    def __init__(self, seed, users=30, rate=12.0, *, older=False, **form):
        self.office = Office(users, seed=seed, older=older, **form)
        self.pbx, self.client = self.office.pbx, self.office.client
        self.timeline = Timeline(self.pbx)
        self.day = scenarios.day(self.pbx, self.timeline, rate)
        self.timeline.start(self.day)

    def check_channels(self):
        """Assert that the client has exactly the current channels, the waiting ones among them."""
        live = set(self.pbx.channels)
        elements = self.client.kinds["channel"]
        assert elements.keys() == live
        assert not any(leg["last_event"] == "CHANNEL_HANGUP" for leg in elements.values())
        for kind in ("channel_waiting", "queued_channel", "parked_channel"):
            assert self.client.kinds.get(kind, {}).keys() <= live

    def end(self):
        """Start no more scenarios, and run the current ones to their end."""
        self.day.close()
        while self.timeline.time_to_next is not None:
            self.timeline.step()
        self.client.assert_in_sync()


@pytest.mark.slow
def test_long_day_has_every_state_and_ending():
    """No channel is left at its end."""
    day = Day(1, rate=6)
    for _ in range(4000):
        day.timeline.step()
        day.check_channels()
    day.client.assert_in_sync()
    day.end()
    assert day.pbx.channels == {}
    channels = [event.values for event in day.client.events if event.kind == "channel"]
    assert {state_name(values) for values in channels} == STATES
    assert set(day.client.endings().values()) >= ENDINGS
    assert_lifecycles_valid(day.client)


@pytest.mark.slow
def test_answered_calls_per_hour_stay_stable():
    """A small company answers in the last hour as it did in the first."""
    pbx = Pbx(1)
    scenarios.populate(pbx, 5)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, 9))
    answered = []
    for _ in range(12):
        before = len(pbx.ledger)
        timeline.advance(3600)
        rows = [*pbx.ledger][before:]
        answered.append(sum(row.disposition == "answered" for row in rows))
    assert min(answered) > answered[0] * 0.7, answered


@pytest.mark.slow
def test_snapshot_matches_the_directory_after_a_day():
    """Users, groups, memberships and phones are those of the PBX."""
    for seed in range(3):
        pbx = Pbx(seed)
        scenarios.populate(pbx, 10)
        timeline = Timeline(pbx)
        timeline.start(scenarios.day(pbx, timeline, 20))
        for _ in range(6000):
            timeline.step()
        observed = pbx.snapshot()
        assert observed["user"].keys() == pbx.users.keys()
        assert observed["group"].keys() == pbx.groups.keys()
        assert observed["group_member"].keys() == pbx.members.keys()
        assert observed["terminal"].keys() == {phone.id for phone in pbx.terminals.values()}


def random_command(chance, pbx):
    """Return a command that a client might send, for a current or an ended channel."""
    uuids = [*pbx.channels, "unknown"]
    name = chance.choice(["hangup", "park", "transfer", "eavesdrop"])
    command = {"cmd": name, "uuid": chance.choice(uuids)}
    if name == "park" and chance.random() < 0.5:
        command["timeout"] = chance.choice([1, 20, 0.5])
    elif name == "transfer":
        users = list(pbx.users.values())
        user = chance.choice(users)
        command |= chance.choice(
            [
                {"user_id": chance.choice(users).id, "destination": user.main_extension},
                {"user_name": chance.choice(users).name, "destination": user.main_extension},
                {"destination": user.main_extension},
                {"destination": chance.choice(list(pbx.groups.values())).main_extension},
                {"destination": "0312345678"},
            ]
        )
    elif name == "eavesdrop":
        plugs = [leg.uuid for leg in pbx.channels.values() if leg.called_number == "media_plug"]
        command["uuid"] = chance.choice(plugs or uuids)
        command["target_uuid"] = chance.choice(uuids)
        command["subcommand"] = "listen"
    return json.dumps(command)


def random_edit(chance, pbx):
    """Change something in the company, as a test might do."""
    users, groups = list(pbx.users.values()), list(pbx.groups.values())
    user, group = chance.choice(users), chance.choice(groups)
    match chance.randrange(7):
        case 0:
            pbx.edit(user, presence=chance.randrange(5), label="新" * chance.randrange(3))
        case 1:
            pbx.edit(group, queue=chance.randrange(2), type=chance.randrange(2))
        case 2:
            pbx.add_member(pbx.add_user("新人", terminal=chance.random() < 0.8), group)
        case 3 if len(users) > 25 and user.label == "新人":
            pbx.remove_user(user)
        case 4:
            pbx.edit(chance.choice(list(pbx.terminals.values())), registered=chance.randrange(2))
        case 5:
            plug = pbx.originate(user, "media_plug")
            if chance.random() < 0.7:
                pbx.answer(plug)
        case 6:
            pbx.receive(Person(str(chance.randrange(10**9))), "0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "older", "form"),
    [(1, False, {}), (2, True, {"otp": 26}), (3, False, {"otp": 26, "compressed": True})],
)
def test_client_stays_in_sync_with_random_commands_and_edits(seed, older, form):
    day = Day(seed, users=32, older=older, **form)
    pbx, timeline, client = day.pbx, day.timeline, day.client
    chance = pbx.random.__class__(seed)
    outcomes = Counter()
    for number in range(STEPS // 3):
        timeline.step()
        if chance.random() < 0.2:
            try:
                timeline.start_now(
                    parse_command(
                        pbx, random_command(chance, pbx), simulate_users=chance.random() < 0.5
                    )
                )
                outcomes["done"] += 1
            except NotPossibleError:
                outcomes["refused"] += 1
        if chance.random() < 0.05:
            random_edit(chance, pbx)
        day.check_channels()
        if number % 10 == 0:
            client.assert_in_sync()
    client.assert_in_sync()
    assert outcomes["done"] > 50
    assert outcomes["refused"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_day_with_commands_leaves_no_channel(seed):
    day = Day(seed)
    chance = day.pbx.random.__class__(seed)
    for _ in range(600):
        day.timeline.step()
        before, count = day.pbx.snapshot()["channel"], day.office.event_count()
        simulate_users = chance.random() < 0.5
        scenario = parse_command(
            day.pbx, random_command(chance, day.pbx), simulate_users=simulate_users
        )
        try:
            day.timeline.start_now(scenario)
        except NotPossibleError:
            assert day.pbx.snapshot()["channel"] == before
            assert day.office.event_count() == count
    day.end()
    assert day.pbx.channels == {}
    assert_lifecycles_valid(day.client)
