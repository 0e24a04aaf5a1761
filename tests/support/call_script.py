"""Scripts of hand-made calls: lines of text in, channel events of the feed out.

A script has one line per thing that happens, in the order of the feed::

    0    X1 dials 0501234567      # a comment
    0    X1 queued G
    0    B1 rings for X1
    12   B1 answers
    60   X1 hangs up

A line is a time in seconds, a leg, and one of ``PHRASES``. The first letter of a leg names its
party; the leg's name is also its uuid, and thereby the id of the call that it begins.

- ``A`` to ``F``: users of the PBX, whose extensions are ``EXTENSIONS``.
- ``G``, ``H``, ``K``: groups.
- ``W`` to ``Z``: people outside, whose numbers are ``NUMBERS``.

The events of a line are those of the simulated PBX for the same operation. A line may carry an
earlier time than the one before it: its events came late, or a clock was set back.
"""

from __future__ import annotations

import copy
import functools
import random
import re
from itertools import groupby, islice, permutations, product

from attrs import Factory, define, frozen

from basix_ws_cti.messages import InfoEvent

from . import sizes
from .call_transcripts import MessageReader

SECOND = 1_000_000
START = 1_735_689_600 * SECOND  # time 0 of all scripts: 2025-01-01T00:00:00Z

USERS = {letter: 10_001_001 + number for number, letter in enumerate("ABCDEF")}
GROUPS = {letter: 90_001_001 + number for number, letter in enumerate("GHK")}
NUMBERS = {"W": "08044445555", "X": "09011112222", "Y": "0312341234", "Z": "0667890123"}
EXTENSIONS = {letter: str(201 + number) for number, letter in enumerate([*USERS, *GROUPS])}

MAX_ORDERS = 24
"""Orders in which the events of a script are played; a third of them in a normal run."""

LETTERS = {
    **{user_id: letter for letter, user_id in USERS.items()},
    **{group_id: letter for letter, group_id in GROUPS.items()},
    **{number: letter for letter, number in NUMBERS.items()},
}
"""Letter of each user id, group id and number."""


@frozen
class ScriptEvent:
    """One event of a channel."""

    at: int
    """Time of the PBX, in microseconds since the epoch."""
    uuid: str
    """Uuid of the channel."""
    name: str
    """``"added"``, ``"updated"`` or ``"removed"``."""
    values: dict
    """Fields of the channel, as the simulated PBX writes them."""

    @property
    def last_event(self):
        """Last event of the channel, such as ``"CHANNEL_HANGUP"``."""
        return self.values["last_event"]


@functools.lru_cache(maxsize=500)
def events_of(script):
    """Return the ``ScriptEvent`` list of a script."""
    switchboard = Switchboard()
    for line in script.splitlines():
        switchboard.play(line.partition("#")[0].strip())
    return switchboard.events


@functools.cache
def _reader():
    return MessageReader()


def message_of(event):
    """Return the message of an event, as the parser reads it."""
    return _reader().event("channel", event.values, event.name)


def messages_of(script):
    """Return the messages of a script."""
    return _messages_of(script)


@functools.lru_cache(maxsize=500)
def _messages_of(script):
    return [message_of(event) for event in events_of(script)]


def orders_of(script):
    """Yield the messages of a script in other orders, at most ``MAX_ORDERS``.

    Events of different legs at the same time change places; the events of one leg keep their
    order.
    """
    pairs = [*zip(events_of(script), messages_of(script), strict=True)]
    moments = [[*group] for _, group in groupby(pairs, key=lambda pair: pair[0].at)]
    limit = MAX_ORDERS if sizes.NIGHTLY else MAX_ORDERS // 3
    choices = [_orders(moment, limit) for moment in moments]
    # A few choices are all combined. Of many, those of each moment go in step.
    combinations = product(*choices)
    if functools.reduce(lambda count, one: count * len(one), choices, 1) > limit:
        combinations = ([one[number % len(one)] for one in choices] for number in range(limit))
    for moments_in_order in combinations:
        yield [message for messages in moments_in_order for message in messages]


def _orders(pairs, limit):
    """Return orders of the messages of one moment: leg after leg, legs in turn, and at random."""
    legs = {}
    for event, message in pairs:
        legs.setdefault(event.uuid, []).append(message)
    orders = {}
    for number, order in enumerate(islice(permutations(legs.values()), limit)):
        longest = max(map(len, order))
        leg_after_leg = [message for leg in order for message in leg]
        in_turn = [leg[index] for index in range(longest) for leg in order if index < len(leg)]
        for one in (leg_after_leg, in_turn, _merged(order, random.Random(number))):
            orders[tuple(map(id, one))] = one
    return [*orders.values()]


def _merged(legs, rng):
    """Return the messages of all legs in a random order that keeps the order of each leg."""
    rest = [list(leg) for leg in legs]
    merged = []
    while rest := [leg for leg in rest if leg]:
        merged.append(rng.choice(rest).pop(0))
    return merged


def snapshot_before(script, count):
    """Return the channels that exist after ``count`` events of a script, by uuid."""
    channels = {}
    for event, message in zip(events_of(script)[:count], messages_of(script), strict=False):
        if event.name == "removed" or event.last_event == "CHANNEL_HANGUP":
            channels.pop(event.uuid, None)
        elif isinstance(message, InfoEvent):
            channels[event.uuid] = message.element
    return channels


PHRASES = []
"""Pairs of a regular expression and the method of ``Switchboard`` for it."""


def phrase(pattern):
    """Register a method for the lines that match a pattern."""

    def register(method):
        PHRASES.append((re.compile(pattern), method))
        return method

    return register


@define
class Switchboard:
    """The legs of a script, and the events so far."""

    now: int = START
    legs: dict = Factory(dict)
    """Fields of each leg by uuid, also of legs that ended."""
    living: list = Factory(list)
    rings_for: dict = Factory(dict)
    """Uuid of the leg for which a leg rings, by its own uuid."""
    events: list = Factory(list)

    def play(self, line):
        """Play one line."""
        if not line:
            return
        seconds, leg, words = line.split(maxsplit=2)
        self.now = START + round(float(seconds) * SECOND)
        self._play(leg, words)

    def _play(self, leg, words):
        for pattern, method in PHRASES:
            match = pattern.fullmatch(words)
            if match:
                method(self, leg, *match.groups())
                return
        raise ValueError(f"no phrase matches {words!r}")

    # -- look-ups -------------------------------------------------------------------------

    def state(self, leg):
        """Return the name of a leg's state."""
        return self.legs[leg]["state"]["name"]

    def ringing_for(self, lead):
        """Return the legs that ring for a leg."""
        return [leg for leg in self.living if self.rings_for.get(leg) == lead]

    def partner(self, leg):
        """Return the leg that a leg is bridged to; ``None``: it is bridged to none."""
        values = self.legs[leg]
        other = values["other_uuid"]
        is_bridged = values["state"]["name"] == "bridged" and other in self.living
        return other if is_bridged and self.legs[other]["other_uuid"] == leg else None

    def is_waiting(self, leg):
        """Return True if the leg goes on when nobody answers it: it is queued or parked."""
        state = self.legs[leg]["state"]
        return state["name"] == "park" or state["data"].get("target_type") == "group"

    # -- new legs -------------------------------------------------------------------------

    @phrase(r"dials (\S+)")
    def dial(self, leg, number):
        """A party dials a number, or the number of a party; the leg has no state to speak of."""
        called = EXTENSIONS.get(number) or NUMBERS.get(number) or number
        self._add(leg, "inbound", "system_operation", called_number=called)

    @phrase(r"dials (\S+) and waits for routing")
    def dial_ringing(self, leg, number):
        """As ``dial``, on a PBX that shows the caller's own leg as ringing until it routes it."""
        called = EXTENSIONS.get(number) or NUMBERS.get(number) or number
        self._add(leg, "inbound", "ringing", called_number=called)

    @phrase(r"rings for (\S+)(?: as (\S+))?")
    def ring(self, leg, lead, marker):
        """A phone rings for a caller's leg, perhaps with a marker as its called number."""
        caller = self.legs[lead]
        self.rings_for[leg] = lead
        self._add(
            leg,
            "outbound",
            "ringing",
            calling_number=caller["calling_number"],
            calling_name=caller["calling_name"],
            called_number=marker or EXTENSIONS.get(leg[0]) or NUMBERS.get(leg[0]),
            other_uuid=lead,
            other_info=self._summary(lead),
            group_id=caller["group_id"] if leg[0] in USERS else None,
        )

    @phrase(r"rings on for (\S+)")
    def ring_for_another(self, leg, lead):
        """A phone that rings goes on ringing, for another leg than before."""
        self.rings_for[leg] = lead
        self.legs[leg] |= {"other_uuid": lead, "other_info": self._summary(lead)}
        self._update(leg, "STATE_CHANGE")

    @phrase(r"rings by API to dial (\S+)")
    def originate(self, leg, number):
        """The API rings a user's phone, to call a number afterwards."""
        called = EXTENSIONS.get(number) or NUMBERS.get(number) or number
        more = {"calling_number": number} if number == "media_plug" else {}
        origination = ["call_user", str(USERS[leg[0]]), called]
        more |= {"called_number": called, "origination": origination, "tags": ["auto_answer"]}
        self._add(leg, "outbound", "ringing", **more)

    # -- states ---------------------------------------------------------------------------

    @phrase(r"answered")
    def answer(self, leg):
        """The PBX answers a caller's leg, or a phone is picked up."""
        if self.legs[leg]["answer_timestamp"] is None:
            self.legs[leg]["answer_timestamp"] = self.now
            self._update(leg, "CHANNEL_ANSWER")

    @phrase(r"menu (\S+)")
    def enter_menu(self, leg, menu):
        self._set_state(leg, "ivr", ivr_id=menu)

    @phrase(r"remote menu")
    def enter_remote_menu(self, leg):
        self._set_state(leg, "xml_ivr")

    @phrase(r"announcement")
    def play_announcement(self, leg):
        """The leg is bridged to an announcement or music: there is no other leg."""
        self._set_state(leg, "bridged")

    @phrase(r"service (\S+)")
    def enter_service(self, leg, operation):
        self._set_state(leg, "system_operation", operation=operation)

    @phrase(r"messages")
    def check_voicemail(self, leg):
        self._set_state(leg, "checking_voicemail", target_name=leg[0])

    @phrase(r"mailbox of (\S)")
    def enter_mailbox(self, leg, owner):
        kind = "user" if owner in USERS else "group"
        owner_id = USERS.get(owner) or GROUPS.get(owner)
        self._set_state(
            leg, "voicemail", target_type=kind, target_id=owner_id, target_name=f"box of {owner}"
        )

    @phrase(r"conference (\S+)")
    def enter_conference(self, leg, room):
        self._set_state(leg, "conference", room_id=room)

    @phrase(r"listens to (\S+)")
    def eavesdrop(self, leg, target):
        self._set_state(leg, "eavesdrop", uuid=target, eavesdrop_state="listen")

    @phrase(r"queued ([GHK])( hunting)?")
    def queue(self, leg, group, hunting):
        self._aim(leg, "group", group)
        self.legs[leg]["group_id"] = GROUPS[group]
        more = {"group_type": "ring", "group_queue_id": f"queue {group}"}
        if hunting:
            more = {"group_type": "hunt"}
        self._set_state(
            leg,
            "calling",
            target_location="int",
            target_type="group",
            group_id=GROUPS[group],
            **more,
        )

    @phrase(r"calls ([A-F])")
    def call_user(self, leg, user):
        self._aim(leg, "user", user)
        data = {"target_location": "int", "target_type": "user", "user_id": USERS[user]}
        info = self._expected("user", USERS[user], "internal", f"phone of {user}")
        self._set_state(leg, "calling", info, **data)

    @phrase(r"calls ([W-Z])")
    def call_outside(self, leg, person):
        number = NUMBERS[person]
        data = {"target_location": "ext", "target_type": "pstn", "address": number}
        info = self._expected("end_user", None, "external", number)
        self._set_state(leg, "calling", info, **data)

    @phrase(r"calls SIP (\S+)")
    def call_sip(self, leg, url):
        self._set_state(leg, "calling_siptermination", url=url)

    @phrase(r"parked on (\d+)(?: by (\S))?")
    def park(self, leg, slot, parker):
        data = {"slot": int(slot)}
        if parker:
            data |= {"parker_id": USERS[parker], "parker_name": parker}
        self._set_state(leg, "park", **data)

    @phrase(r"bridged with (\S+)")
    def bridge(self, lead, other):
        """Two legs are connected."""
        for leg, peer in ((lead, other), (other, lead)):
            self.rings_for.pop(leg, None)
            self.legs[leg] |= {"other_uuid": peer, "other_info": self._summary(peer)}
            if self.legs[peer]["user_id"] and not self.legs[leg]["user_id"]:
                self.legs[leg]["last_bridged_user_id"] = self.legs[peer]["user_id"]
        for leg in (lead, other):
            self.legs[leg]["state"] = {"ts": self.now, "name": "bridged", "data": {}}
            self._update(leg, "STATE_CHANGE")

    @phrase(r"has (.+)")
    def set_fields(self, leg, fields):
        """Fields of the leg change: ``has called_number=110 tags=a,b group_id=-``."""
        for field in fields.split():
            name, _, value = field.partition("=")
            self.legs[leg][name] = {"-": None}.get(value, value)
            if name == "tags":
                self.legs[leg][name] = value.split(",")
        self._update(leg, "STATE_CHANGE")

    @phrase(r"(.+), still naming (\S+)")
    def keep_other(self, leg, words, other):
        """As another phrase, but the leg's channel goes on naming the leg at its other end."""
        start = len(self.events)
        self._play(leg, words)
        named = {"other_uuid": other, "other_info": self._summary(other)}
        self.legs[leg] |= named
        for event in self.events[start:]:
            event.values.update(copy.deepcopy(named))

    @phrase(r"is shown again")
    def repeat(self, leg):
        """The PBX sends the leg as it is or was."""
        self._update(leg, self.legs[leg]["last_event"])

    # -- operations on several legs -------------------------------------------------------

    @phrase(r"answers")
    def connect(self, leg):
        """A phone that rings is answered; the other phones stop ringing."""
        lead = self.rings_for[leg]
        self._take(leg, lead, "LOSE_RACE")

    @phrase(r"takes (\S+)")
    def take(self, leg, lead):
        """A leg that dialled a pickup or a park slot gets the call of another leg."""
        self._take(leg, lead, "PICKED_OFF")

    def _take(self, leg, lead, cause):
        self.answer(leg)
        self.answer(lead)
        for other in self.ringing_for(lead):
            if other != leg:
                self._end(other, "send_cancel", cause)
        self.bridge(lead, leg)

    # -- ends -----------------------------------------------------------------------------

    @phrase(r"hangs up(?: (\S+))?")
    def hang_up(self, leg, cause):
        """The leg's own party hangs up; what depends on the leg ends too."""
        self._hang_up(leg, by_party=True, cause=cause)

    @phrase(r"is ended(?: (\S+))?")
    def end_by_pbx(self, leg, cause):
        """The PBX ends a leg; what depends on the leg ends too."""
        self._hang_up(leg, by_party=False, cause=cause)

    @phrase(r"refuses(?: (\S+))?")
    def refuse(self, leg, cause):
        """The party of a leg that rings refuses; other phones go on ringing."""
        self._end(leg, "recv_refuse", cause or "USER_BUSY")

    @phrase(r"stops ringing(?: (\S+))?")
    def stop_ringing(self, leg, cause):
        """The PBX cancels a leg that rings."""
        self._end(leg, "send_cancel", cause or "NO_ANSWER")

    @phrase(r"leaves")
    def leave(self, leg):
        """The leg's party hangs up, and no other leg ends: they transferred or parked."""
        self._end(leg, "recv_bye", "NORMAL_CLEARING")

    @phrase(r"ends ([a-z_]+),(\S+)")
    def end_leg(self, leg, disposition, cause):
        """This leg alone ends, in any way."""
        self._end(leg, disposition, cause)

    @phrase(r"disappears")
    def disappear(self, leg):
        """The leg is removed without a hang-up."""
        self.living.remove(leg)
        self._emit(leg, "removed")

    def _hang_up(self, leg, *, by_party, cause=None):
        values = self.legs[leg]
        if values["answer_timestamp"] is not None:
            disposition = "bye"
        elif values["direction"] == "inbound":
            disposition = "cancel" if by_party else "refuse"
        else:
            disposition = "refuse" if by_party else "cancel"
        causes = {
            "bye": "NORMAL_CLEARING",
            "cancel": "ORIGINATOR_CANCEL" if by_party else "NO_ANSWER",
            "refuse": "USER_BUSY" if by_party else "NO_ANSWER",
        }
        cause = cause or causes[disposition]
        partner = self.partner(leg)
        ringing = self.ringing_for(leg)
        lead = self.rings_for.get(leg)
        self._end(leg, f"{'recv' if by_party else 'send'}_{disposition}", cause)
        for other in ringing:
            self._end(other, "send_cancel", "ORIGINATOR_CANCEL")
        if partner is not None:
            self._end(partner, "send_bye", cause)
        if lead in self.living and not self.ringing_for(lead) and not self.is_waiting(lead):
            answered = self.legs[lead]["answer_timestamp"] is not None
            self._end(lead, "send_bye" if answered else "send_refuse", cause)

    # -- helpers --------------------------------------------------------------------------

    def _add(self, leg, direction, state, **values):
        letter = leg[0]
        is_user = letter in USERS
        number = EXTENSIONS[letter] if is_user else NUMBERS[letter]
        self.legs[leg] = {
            "uuid": leg,
            "direction": direction,
            "peer_location": "internal" if is_user else "external",
            "calling_name": f"user {letter}" if is_user else number,
            "calling_number": number,
            "offer_timestamp": self.now,
            "answer_timestamp": None,
            "hangup_timestamp": None,
            "other_uuid": None,
            "user_id": USERS.get(letter),
            "state": {"ts": self.now, "name": state, "data": {}},
            "group_id": None,
            "target": None,
            "origination": None,
            "end_user": None,
            "tags": None,
            "last_bridged_user_id": None,
            "last_event": "CHANNEL_CREATE",
            "last_event_data": None,
            "other_info": None,
            "call_id": f"{leg}@192.0.2.1",
            **values,
        }
        self.living.append(leg)
        self._emit(leg, "added")

    def _aim(self, leg, kind, letter):
        values = self.legs[leg]
        if values["target"] is None:
            party_id = USERS.get(letter) or GROUPS.get(letter)
            values["target"] = {
                "type": kind,
                "id": party_id,
                "name": letter,
                "address": values["called_number"],
            }

    def _set_state(self, leg, name, info=None, /, **data):
        values = self.legs[leg]
        values |= {"other_uuid": None, "other_info": info}
        values["state"] = {"ts": self.now, "name": name, "data": data}
        self._update(leg, "STATE_CHANGE")

    def _end(self, leg, disposition, cause):
        self.legs[leg]["hangup_timestamp"] = self.now
        self.legs[leg]["last_event_data"] = f"{disposition},{cause}"
        self.living.remove(leg)
        self._update(leg, "CHANNEL_HANGUP")
        self._emit(leg, "removed")

    def _update(self, leg, last_event):
        self.legs[leg]["last_event"] = last_event
        self._emit(leg, "updated")

    def _emit(self, leg, name):
        self.events.append(ScriptEvent(self.now, leg, name, copy.deepcopy(self.legs[leg])))

    def _summary(self, leg):
        values = self.legs[leg]
        letter = leg[0]
        return {
            "type": "user" if letter in USERS else "end_user",
            "user_id": USERS.get(letter),
            "end_user": None,
            "direction": values["direction"],
            "peer_location": values["peer_location"],
            "address": NUMBERS.get(letter) or f"phone of {letter}",
            "offer_timestamp": values["offer_timestamp"],
            "group_id": values["group_id"],
            "whoscall": None,
        }

    def _expected(self, kind, user_id, location, address):
        """Return the summary of a leg that does not exist yet."""
        return {
            "type": kind,
            "user_id": user_id,
            "end_user": None,
            "direction": "outbound",
            "peer_location": location,
            "address": address,
            "offer_timestamp": None,
            "group_id": None,
            "whoscall": None,
        }
