"""Random scripts of calls, in the language of ``call_script``.

Everything that happens is possible on the PBX, in itself: phones ring and are answered, calls are
transferred, parked, picked up, consulted about and joined, in any combination.
"""

from __future__ import annotations

import random
from collections import Counter

from .call_script import GROUPS, NUMBERS, USERS, Switchboard

STEPS = 24


def random_script(seed, steps=STEPS):
    """Return a random script in which all calls end."""
    writer = _ScriptWriter(seed)
    for _ in range(steps):
        writer.wait(writer.rng.choice([0.5, 1, 3, 10]))
        writer.step()
    while writer.board.living:
        writer.wait(1)
        writer.write(f"{writer.rng.choice(writer.board.living)} hangs up")
    return "\n".join(writer.lines)


class _ScriptWriter:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.board = Switchboard()
        self.lines = []
        self._seconds = 0.0
        self._counter = Counter()

    def wait(self, seconds):
        self._seconds += seconds

    def write(self, *happenings):
        for words in happenings:
            line = f"{self._seconds:g} {words}"
            self.board.play(line)
            self.lines.append(line)

    def step(self):
        """Let something happen; nothing, if it is not possible now."""
        weights = {
            self._call_in: 2,
            self._call_by_user: 1,
            self._call_by_api: 1,
            self._answer: 8,
            self._stop_ringing: 1,
            self._ring_again: 1,
            self._hang_up: 1,
            self._transfer: 2,
            self._transfer_while_ringing: 2,
            self._park: 1,
            self._retrieve: 2,
            self._pick_up: 1,
            self._consult: 4,
            self._join: 4,
            self._go_elsewhere: 1,
        }
        (action,) = self.rng.choices([*weights], [*weights.values()])
        (action if self.board.living else self._call_in)()

    # -- calls ------------------------------------------------------------------------

    def _call_in(self):
        leg = self._new_leg(NUMBERS)
        self.write(f"{leg} dials 0501234567")
        if self.rng.random() < 0.3:
            self.write(f"{leg} answered")
        self._route(leg)

    def _call_by_user(self):
        leg = self._new_leg(USERS)
        self.write(f"{leg} dials 100")
        self._route(leg)

    def _call_by_api(self):
        first = self._new_leg(USERS)
        self.write(f"{first} rings by API to dial X")
        self.wait(2)
        self.write(f"{first} {self.rng.choice(['answered', 'hangs up', 'is ended'])}")
        if first in self.board.living:
            self._route(first)

    def _route(self, leg):
        """Let the PBX call somebody for a leg, or put it into a service."""
        users = [user for user in USERS if user != leg[0]]
        match self.rng.randrange(8):
            case 0 | 1 | 2:
                user = self.rng.choice(users)
                self.write(f"{leg} calls {user}", f"{self._new_leg(user)} rings for {leg}")
            case 3 | 4 | 5:
                self.write(f"{leg} queued {self.rng.choice([*GROUPS])}")
                for user in self.rng.sample(users, self.rng.randrange(3)):
                    self.write(f"{self._new_leg(user)} rings for {leg}")
            case 6:
                person = self.rng.choice([one for one in NUMBERS if one != leg[0]])
                self.write(f"{leg} calls {person}", f"{self._new_leg(person)} rings for {leg}")
            case _:
                self._send_to_service(leg)

    def _send_to_service(self, leg):
        places = ["menu a", "menu b", "announcement", "mailbox of B", "service x", "conference 1"]
        self.write(f"{leg} {self.rng.choice(places)}")

    # -- phones that ring -------------------------------------------------------------

    def _answer(self):
        if leg := self._any_ringing():
            self.write(f"{leg} answers")

    def _stop_ringing(self):
        if leg := self._any_ringing():
            lead = self.board.rings_for[leg]
            goes_on = self.board.is_waiting(lead) or len(self.board.ringing_for(lead)) > 1
            alone = ["refuses", "stops ringing", "refuses CALL_REJECTED"]
            with_call = ["hangs up", "is ended", "hangs up CALL_REJECTED"]
            self.write(f"{leg} {self.rng.choice(alone if goes_on else with_call)}")

    def _ring_again(self):
        queued = [leg for leg in self.board.living if self.board.state(leg) == "calling"]
        queued = [leg for leg in queued if self.board.is_waiting(leg)]
        if queued:
            leg = self.rng.choice(queued)
            user = self.rng.choice([user for user in USERS if user != leg[0]])
            self.write(f"{self._new_leg(user)} rings for {leg}")

    def _pick_up(self):
        if ringing := self._any_ringing():
            lead = self.board.rings_for[ringing]
            users = [user for user in USERS if user not in {ringing[0], lead[0]}]
            leg = self._new_leg(users)
            self.write(f"{leg} dials pickup_uuid.{ringing}")
            self.wait(1)
            takes = self.rng.random() < 0.8
            self.write(f"{leg} takes {lead}" if takes else f"{leg} is ended NO_PICKUP")

    # -- calls that are talked on -----------------------------------------------------

    def _hang_up(self):
        leg = self.rng.choice(self.board.living)
        self.write(f"{leg} {self.rng.choice(['hangs up', 'hangs up', 'is ended'])}")

    def _transfer(self):
        if talk := self._any_talk():
            user_leg, other = talk
            self.write(f"{user_leg} leaves")
            self._route(other)

    def _transfer_while_ringing(self):
        """Complete a transfer to a phone that rings for the user's consult call."""
        if talk := self._any_talk():
            user_leg, other = talk
            for consult in self._legs_of(user_leg[0]):
                ringing = self.board.ringing_for(consult)
                if consult != user_leg and len(ringing) == 1 and ringing[0][0] in USERS:
                    self.write(
                        f"{user_leg} leaves",
                        f"{other} calls {ringing[0][0]}",
                        f"{ringing[0]} rings on for {other}",
                        f"{consult} ends send_refuse,ATTENDED_TRANSFER",
                    )
                    return

    def _park(self):
        if talk := self._any_talk():
            user_leg, other = talk
            slot = 901 + self.rng.randrange(3)
            self.write(f"{other} parked on {slot} by {user_leg[0]}", f"{user_leg} leaves")

    def _retrieve(self):
        parked = [leg for leg in self.board.living if self.board.state(leg) == "park"]
        if parked:
            lead = self.rng.choice(parked)
            leg = self._new_leg([user for user in USERS if user != lead[0]])
            self.write(f"{leg} dials {self.board.legs[lead]['state']['data']['slot']}")
            self.wait(1)
            self.write(f"{leg} takes {lead}")

    def _consult(self):
        if talk := self._any_talk():
            leg = self._new_leg(talk[0][0])
            self.write(f"{leg} dials 100")
            self._route(leg)

    def _join(self):
        """Complete an attended transfer of a user with two talks."""
        for user in self.rng.sample([*USERS], len(USERS)):
            talks = [leg for leg in self._legs_of(user) if self.board.partner(leg)]
            if len(talks) > 1:
                one, other = self.rng.sample(talks, 2)
                others = [self.board.partner(leg) for leg in (one, other)]
                if other not in others:
                    self.write(
                        f"{others[0]} bridged with {others[1]}", f"{one} leaves", f"{other} leaves"
                    )
                    return

    def _go_elsewhere(self):
        if talk := self._any_talk():
            user_leg, other = talk
            self.write(f"{user_leg} leaves")
            self._send_to_service(other)

    # -- look-ups ---------------------------------------------------------------------

    def _new_leg(self, letters):
        letter = self.rng.choice([*letters])
        self._counter[letter] += 1
        return f"{letter}{self._counter[letter]}"

    def _any_ringing(self):
        ringing = [leg for leg in self.board.living if self.board.state(leg) == "ringing"]
        ringing = [leg for leg in ringing if self.board.rings_for.get(leg) in self.board.living]
        return self.rng.choice(ringing) if ringing else None

    def _any_talk(self):
        """Return a user's leg and the leg it is bridged to; ``None``: no user talks."""
        talks = [leg for leg in self.board.living if leg[0] in USERS and self.board.partner(leg)]
        if not talks:
            return None
        leg = self.rng.choice(talks)
        return leg, self.board.partner(leg)

    def _legs_of(self, user):
        return [leg for leg in self.board.living if leg[0] == user]
