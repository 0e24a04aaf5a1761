"""What happens in the simulated PBX: each story as a client sees it, and long days of them all."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest
from support.feed_follower import Follower, Office
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

# Every state of the protocol, those of calling by whom they call.
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


def name_of(values):
    """The name of a channel's state; for calling, with the sort of whom it calls."""
    state = values["state"]
    if state["name"] == "calling":
        return f"calling {state['data']['target_type']}"
    return state["name"]


def play(story, seed, *, users=5, older=False, **form):
    """A company in which one story happened from beginning to end, and nothing else."""
    office = Office(users, seed=seed, older=older, **form)
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS[story](office.pbx))
    while timeline.time_to_next is not None:
        timeline.step()
        office.client.check()
        check_partners(office.pbx)
    return office


def check_partners(pbx):
    """Both legs that are bridged name each other, and say of each other what is so."""
    told = pbx.snapshot()["channel"]
    for uuid, one in told.items():
        if one["state"]["name"] == "bridged":
            other = told[one["other_uuid"]]
            assert other["state"]["name"] == "bridged"
            assert other["other_uuid"] == uuid
            for mine, yours in ((one, other), (other, one)):
                info = mine["other_info"]
                for name in ("user_id", "end_user", "direction", "peer_location"):
                    assert info[name] == yours[name], name
                assert info["offer_timestamp"] == yours["offer_timestamp"]


def check_lives(client):
    """Each channel that has ended did so as the protocol says, step by step."""
    lives = defaultdict(list)
    for one in client.seen:
        if one.kind == "channel":
            lives[one.values["uuid"]].append(one)
    for uuid, life in lives.items():
        names = [one.event_name for one in life]
        events = [one.values["last_event"] for one in life]
        assert (names[0], events[0]) == ("added", "CHANNEL_CREATE")
        assert uuid not in client.kinds["channel"]
        assert names[1:] == ["updated"] * (len(life) - 2) + ["removed"]
        assert events[-2:] == ["CHANNEL_HANGUP"] * 2
        assert events.count("CHANNEL_HANGUP") == 2  # the update, and the removal that repeats it
        assert events.count("CHANNEL_ANSWER") <= 1
        assert set(events) <= {"CHANNEL_CREATE", "CHANNEL_ANSWER", "STATE_CHANGE", "CHANNEL_HANGUP"}
        assert life[-1].values == life[-2].values
        for before, one in zip([None, *life[:-1]], life, strict=True):
            check_step(before, one)


def check_step(before, one):
    """One event of a channel: its timestamps are those of what happened, when it did."""
    values = one.values
    event, state = values["last_event"], values["state"]
    offer, answer, hangup = (values[f"{name}_timestamp"] for name in ("offer", "answer", "hangup"))
    assert offer <= one.now
    assert (hangup is not None) is (event == "CHANNEL_HANGUP")
    assert (values["last_event_data"] is not None) is (event == "CHANNEL_HANGUP")
    if before is None:
        assert answer is None
        assert offer == state["ts"] == one.now
        return
    assert before.now <= one.now
    old = before.values
    same = ("uuid", "call_id", "direction", "peer_location", "offer_timestamp", "user_id")
    assert [old[name] for name in same] == [values[name] for name in same]
    if event == "STATE_CHANGE":
        assert state["ts"] == one.now
    else:
        assert state == old["state"]
    if event == "CHANNEL_ANSWER":
        assert old["answer_timestamp"] is None
        assert answer == one.now >= offer
    else:
        assert answer == old["answer_timestamp"]
    if event == "CHANNEL_HANGUP":
        assert hangup == one.now >= (answer or offer)


@pytest.mark.parametrize("story", SCENARIOS)
@pytest.mark.parametrize("users", [5, 30])
def test_each_story(story, users):
    """After each step the client's picture is the PBX's; in the end no channel is left."""
    for seed in range(6):
        form = FORMS[seed % len(FORMS)]
        office = play(story, seed, users=users, older=seed % 2 == 1, **form)
        assert office.pbx.channels == {}
        snapshot = office.pbx.snapshot()
        assert all(not held for kind, held in snapshot.items() if "channel" in kind)
        check_lives(office.client)


# Whom a story leads to: states, and endings, of which it has all.
TALES = {
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


@pytest.mark.parametrize("story", TALES)
def test_what_a_story_tells(story):
    """A story goes through the states, and its channels end in the ways, that it is about."""
    states, endings = TALES[story]
    client = play(story, 3).client
    assert states <= {name_of(one.values) for one in client.seen if one.kind == "channel"}
    assert endings <= set(client.endings().values())


def test_the_caller_goes_through_all_states():
    """A call that is parked is in the menu, calls the group, talks, is parked, talks, and ends."""
    client = play("parked", 2).client
    (line,) = {one.values["uuid"] for one in client.seen if one.kind == "channel_waiting"}
    told = [one for one in client.seen if one.kind == "channel" and one.values["uuid"] == line]
    states = [name_of(one.values) for one in told]
    changes = [
        name for before, name in zip([None, *states], states, strict=False) if name != before
    ]
    assert changes == ["ivr", "calling group", "bridged", "park", "bridged"]
    last = told[-1].values
    assert last["target"]["type"] == "group"
    assert last["offer_timestamp"] <= last["answer_timestamp"] < last["hangup_timestamp"]
    waiting = [
        (one.event_name, name_of(one.values))
        for one in client.seen
        if one.kind == "channel_waiting"
    ]
    assert [name for name, _ in waiting if name != "updated"] == ["added", "removed"] * 2
    assert [state for name, state in waiting if name == "added"] == ["calling group", "park"]


def test_the_retriever_dials_the_slot():
    """Who fetches a parked call dials its slot from inside."""
    seen = [one.values for one in play("parked", 2).client.seen if one.kind == "channel"]
    slot = next(v["state"]["data"]["slot"] for v in seen if v["state"]["name"] == "park")
    fetch = next(v for v in seen if v["state"]["name"] == "system_operation")
    assert fetch["called_number"] == str(slot)
    assert (fetch["direction"], fetch["peer_location"]) == ("inbound", "internal")
    assert fetch["state"]["data"] == {"operation": "unpark"}


def test_voicemail_is_counted_and_listened_to():
    """A message left counts as new; listening to it makes it a saved one."""
    office = Office(1)
    for story, mwi in (("voicemail", "1/0"), ("voicemail", "2/0"), ("checking_voicemail", "0/2")):
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS[story](office.pbx))
        timeline.advance(100)
        office.client.check()
        (user,) = office.client.kinds["user"].values()
        assert user["mwi"] == mwi


def test_a_call_too_long_lasts_six_hours():
    """The longest call that the PBX allows is about six hours."""
    for one in play("maximum_duration", 1).client.seen:
        values = one.values
        if one.event_name == "removed":
            length = values["hangup_timestamp"] - values["answer_timestamp"]
            assert 6 * 3600 * SECOND <= length < 6 * 3600 * SECOND + 60 * SECOND


def test_a_company_has_groups_of_ten():
    """Everybody has their own name and telephone; every fourth group hunts, the others ring."""
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


def test_nobody_is_free():
    """A story that needs somebody, when all are on the phone, is not possible: no call stays."""
    office = Office(1)
    office.talk(0)
    before = office.pbx.snapshot()
    for name in ("direct_call", "internal_call", "outbound_call", "checking_voicemail", "busy"):
        with pytest.raises(NotPossibleError, match="no user is available"):
            next(SCENARIOS[name](office.pbx))
    assert office.pbx.snapshot() == before


def test_nobody_answers_the_queue():
    """A caller whom nobody can serve gives up in the end; one is served when a user is free."""
    office = Office(1)
    _, leg = office.talk(0)
    for story in ("inbound_call", "parked"):
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS[story](office.pbx))
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
        one.values["user_id"] for one in office.client.seen if one.values.get("group_id")
    }
    assert office.pbx.channels == {}
    office.client.check()


def test_a_hunt_tries_one_after_another():
    """A hunt rings the members one by one, each once, until one answers or none is left."""
    outcomes = Counter()
    for seed in range(30):
        office = Office(40, seed=seed)
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS["hunt"](office.pbx))
        timeline.advance(200)
        endings = list(office.client.endings().values())
        rung = [
            one.values["user_id"]
            for one in office.client.seen
            if one.event_name == "added" and one.kind == "channel" and one.values["user_id"]
        ]
        assert len(set(rung)) == len(rung)
        assert endings.count("send_cancel,NO_ANSWER") >= len(rung) - 1
        outcomes["answered" if "send_bye,NORMAL_CLEARING" in endings else "given up"] += 1
        outcomes["first"] += len(rung) == 1
    assert outcomes["answered"] > 10
    assert 0 < outcomes["first"] < 30


def test_a_conference_of_who_is_left():
    """Where the caller was parked meanwhile, the conference begins without the user."""
    office = Office()
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS["conference"](office.pbx))
    while not any(leg.state.name == "bridged" for leg in office.pbx.channels.values()):
        timeline.step()
    line = next(leg for leg in office.pbx.channels.values() if leg.user is None)
    office.pbx.park(line)
    timeline.step()
    timeline.step()
    assert [leg.state.name for leg in office.pbx.channels.values()] == ["conference"] * 2
    timeline.advance(100)
    assert office.pbx.channels == {}


def test_an_attended_transfer_of_who_was_parked():
    """Where the caller was parked meanwhile, there is nobody to announce."""
    office = Office()
    timeline = Timeline(office.pbx)
    timeline.start(SCENARIOS["attended_transfer"](office.pbx))
    while not any(leg.state.name == "bridged" for leg in office.pbx.channels.values()):
        timeline.step()
    line = next(leg for leg in office.pbx.channels.values() if leg.user is None)
    office.pbx.park(line)
    timeline.advance(100)
    assert office.pbx.channels == {}
    assert len(office.client.endings()) == 2


def test_office_changes_everything_that_is_there():
    """Changes in the office come to all kinds, and leave no group, trainee or place behind."""
    told = set()
    for seed in range(40):
        office = play("directory_changes", seed)
        told |= {(one.kind, one.event_name) for one in office.client.seen}
        assert len(office.pbx.users) == 5
        assert len(office.pbx.members) == 5
        assert len(office.pbx.groups) == 1
    assert told >= {
        (kind, name)
        for kind in ("user", "group", "group_member", "terminal")
        for name in ("added", "updated", "removed")
    }


def test_office_of_somebody_without_a_telephone():
    """Who has no telephone can't unplug it: there is a trainee instead."""
    for seed in range(40):
        pbx = Pbx(seed)
        pbx.add_member(pbx.add_user("x", terminal=False), pbx.create_group("g"))
        client = Follower(pbx)
        timeline = Timeline(pbx)
        timeline.start(SCENARIOS["directory_changes"](pbx))
        timeline.advance(1000)
        client.check()
        assert len(pbx.users) == 1


@pytest.mark.parametrize("gone", ["member", "phone"])
def test_office_of_who_was_dismissed(gone):
    """Somebody who is dismissed while the office changes their things does not come back."""
    for seed in range(40):
        office = Office(seed=seed)
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS["directory_changes"](office.pbx))
        timeline.step()
        members = {one.id for one in office.pbx.members.values()}
        for user in office.users:
            office.pbx.remove_user(user)
        assert members
        timeline.advance(500)
        held = office.client.kinds
        assert held["group_member" if gone == "member" else "terminal"] == {}


def test_office_of_who_left_the_group_already():
    """A place in a group that somebody else has taken away is not taken away twice."""
    left = 0
    for seed in range(40):
        office = Office(seed=seed)
        pbx, timeline = office.pbx, Timeline(office.pbx)
        timeline.start(SCENARIOS["directory_changes"](pbx))
        timeline.step()
        fresh = [one for one in list(pbx.members.values())[5:] if one.user_id in pbx.users]
        if fresh and len(pbx.groups) == 1:
            timeline.step()
            pbx.remove_member(fresh[0])
            left += 1
            timeline.step()
            assert timeline.time_to_next is None
        office.client.check()
    assert left


def test_a_trainee_who_was_dismissed_already():
    """A trainee whom a test has dismissed is gone, and nothing breaks when the time comes."""
    for seed in range(40):
        office = Office(seed=seed)
        timeline = Timeline(office.pbx)
        timeline.start(SCENARIOS["directory_changes"](office.pbx))
        timeline.step()
        trainees = [user for user in office.pbx.users.values() if user not in office.users]
        for user in trainees:
            office.pbx.remove_user(user)
        timeline.advance(500)
        office.client.check()


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
        """What changes all the time: the channels, and those of them that wait."""
        live = set(self.pbx.channels)
        held = self.client.kinds["channel"]
        assert held.keys() == live
        assert not any(told["last_event"] == "CHANNEL_HANGUP" for told in held.values())
        for kind in ("channel_waiting", "queued_channel", "parked_channel"):
            assert self.client.kinds.get(kind, {}).keys() <= live

    def end(self):
        """No more begins, and what has begun comes to its end."""
        self.day.close()
        while self.timeline.time_to_next is not None:
            self.timeline.step()
        self.client.check()


def test_a_long_day_has_everything():
    """In a long day every state and every ending of the protocol occurs, and nothing is left."""
    day = Day(1, rate=6)
    for _ in range(4000):
        day.timeline.step()
        day.check_channels()
    day.client.check()
    day.end()
    assert day.pbx.channels == {}
    channels = [one.values for one in day.client.seen if one.kind == "channel"]
    assert {name_of(values) for values in channels} == STATES
    assert set(day.client.endings().values()) >= ENDINGS
    check_lives(day.client)


def test_a_day_does_not_wear_out():
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


def test_a_day_leaves_nobody_behind():
    """Who is told of as being there is there: users, groups, places and telephones."""
    for seed in range(3):
        pbx = Pbx(seed)
        scenarios.populate(pbx, 10)
        timeline = Timeline(pbx)
        timeline.start(scenarios.day(pbx, timeline, 20))
        for _ in range(6000):
            timeline.step()
        told = pbx.snapshot()
        assert told["user"].keys() == pbx.users.keys()
        assert told["group"].keys() == pbx.groups.keys()
        assert told["group_member"].keys() == pbx.members.keys()
        assert told["terminal"].keys() == {phone.id for phone in pbx.terminals.values()}


def random_command(chance, pbx):
    """A command that a client might send, about channels that are there, or were."""
    uuids = [*pbx.channels, "gone"]
    name = chance.choice(["hangup", "park", "transfer", "eavesdrop"])
    command = {"cmd": name, "uuid": chance.choice(uuids)}
    if name == "park" and chance.random() < 0.5:
        command["timeout"] = chance.choice([1, 20, 0.5])
    elif name == "transfer":
        users = list(pbx.users.values())
        command |= chance.choice(
            [
                {"user_id": chance.choice(users).id, "user_name": "x"},
                {"destination": chance.choice(users).main_extension},
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
    """A change in the company, as a test might make it."""
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
            pbx.originate(user, "media_plug")
        case 6:
            pbx.receive(Person(str(chance.randrange(10**9))), "0")


@pytest.mark.parametrize(
    ("seed", "older", "form"),
    [(1, False, {}), (2, True, {"otp": 26}), (3, False, {"otp": 26, "compressed": True})],
)
def test_a_random_walk(seed, older, form):
    """A client agrees with the PBX all along a busy day, whatever people ask for in between."""
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
            client.check()
    client.check()
    assert outcomes["done"] > 50
    assert outcomes["refused"] > 50


@pytest.mark.parametrize("seed", range(4))
def test_commands_leave_nothing_behind(seed):
    """After a day of stories and commands, when all have come to their end, no channel is left."""
    day = Day(seed)
    chance = day.pbx.random.__class__(seed)
    for _ in range(600):
        day.timeline.step()
        before, told = day.pbx.snapshot()["channel"], day.office.told()
        lively = chance.random() < 0.5
        scenario = parse_command(day.pbx, random_command(chance, day.pbx), simulate_users=lively)
        try:
            day.timeline.start_now(scenario)
        except NotPossibleError:
            assert day.pbx.snapshot()["channel"] == before
            assert day.office.told() == told
    day.end()
    assert day.pbx.channels == {}
    check_lives(day.client)
