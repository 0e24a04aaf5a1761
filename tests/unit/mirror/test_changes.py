"""Changes of elements, gaps and lost items: what they carry, and how they compare."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import attrs
import pytest

from basix_ws_cti import User
from basix_ws_cti.elements import Extra
from basix_ws_cti.exceptions import ConnectionLost
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed

ANA = User(id=1, label="Ana")
MIA = User(id=1, label="Mia")
NAMELESS = User(label="Ana")

CHANGES = [Added, Removed, partial(Changed, old=ANA)]
CHANGE_IDS = ["added", "removed", "changed"]


@pytest.mark.parametrize("make", CHANGES, ids=CHANGE_IDS)
def test_change_is_neither_synthetic_nor_positioned_by_default(make):
    change = make("user", element=MIA)
    assert (change.element_name, change.element) == ("user", MIA)
    assert (change.synthetic, change.position) == (False, None)


@pytest.mark.parametrize("make", CHANGES, ids=CHANGE_IDS)
def test_key_of_a_change_is_the_key_of_its_element(make):
    assert make("user", element=MIA).key == 1


@pytest.mark.parametrize("position", [0, 7, "x"])
@pytest.mark.parametrize("make", CHANGES, ids=CHANGE_IDS)
def test_key_of_an_element_without_key_is_its_position(make, position):
    assert make("user", element=NAMELESS, position=position).key == position
    assert make("user", element=NAMELESS).key is None


@pytest.mark.parametrize("make", CHANGES, ids=CHANGE_IDS)
def test_repr_of_a_change_hides_its_position(make):
    assert "position" not in repr(make("user", element=NAMELESS, position=7))


def test_position_is_a_keyword_argument():
    with pytest.raises(TypeError):
        Added("user", MIA, False, 7)
    with pytest.raises(TypeError):
        Removed("user", MIA, False, 7)
    with pytest.raises(TypeError):
        Changed("user", MIA, ANA, False, 7)


def test_changes_of_different_types_are_unequal():
    """Equality includes type, kind, element, position and the synthetic flag."""
    assert Added("user", ANA) == Added("user", User(id=1, label="Ana"))
    assert Added("user", ANA) != Removed("user", ANA)
    assert Added("user", ANA) != Added("group", ANA)
    assert Added("user", ANA) != Added("user", MIA)
    assert Added("user", ANA) != Added("user", ANA, synthetic=True)
    assert Added("user", NAMELESS, position=1) != Added("user", NAMELESS, position=2)


@pytest.mark.parametrize("make", CHANGES, ids=CHANGE_IDS)
def test_changes_are_immutable(make):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        make("user", element=MIA).element = ANA


def test_changes_are_matched_by_position():
    assert Added.__match_args__ == ("element_name", "element", "synthetic")
    assert Removed.__match_args__ == ("element_name", "element", "synthetic")
    assert Changed.__match_args__ == ("element_name", "element", "old", "synthetic")


def test_fields_are_those_that_differ():
    old = User(id=1, label="Ana", presence=2)
    new = User(id=1, label="Mia", main_extension="1001", presence=2)
    assert Changed("user", new, old).fields == {
        "label": ("Ana", "Mia"),
        "main_extension": (None, "1001"),
    }


def test_fields_include_extra_fields():
    """An extra field that only one of both elements has is ``None`` in the other."""
    old = User(id=1, extra=Extra(shoe=40, hat=1, glove=3))
    new = User(id=1, extra=Extra(shoe=41, scarf=2, glove=3))
    assert Changed("user", new, old).fields == {
        "shoe": (40, 41),
        "hat": (1, None),
        "scarf": (None, 2),
    }


def test_declared_field_wins_over_an_extra_field_of_its_name():
    old = User(id=1, label="Ana", extra=Extra(label="x"))
    new = User(id=1, label="Mia", extra=Extra(label="y"))
    assert Changed("user", new, old).fields == {"label": ("Ana", "Mia")}


def test_raw_value_counts_as_the_value_of_its_field():
    """A declared field whose value is neither text nor number is in ``extra``."""
    plain, raw = User(id=1, label="a"), User(id=1, extra=Extra(label=(1,)))
    other = User(id=1, extra=Extra(label=(2,)))
    assert Changed("user", raw, plain).fields == {"label": ("a", (1,))}
    assert Changed("user", plain, raw).fields == {"label": ((1,), "a")}
    assert Changed("user", other, raw).fields == {"label": ((1,), (2,))}
    assert Changed("user", raw, raw).fields == {}


def test_fields_of_equal_elements_are_empty():
    assert Changed("user", ANA, User(id=1, label="Ana")).fields == {}


def test_gap_holds_its_times_and_its_reason():
    started, ended = (datetime(2026, 1, 31, 9, 0, second, tzinfo=UTC) for second in (1, 2))
    reason = ConnectionLost(1006)
    gap = Gap(started, ended, reason)
    assert (gap.started, gap.ended, gap.reason) == (started, ended, reason)
    assert gap == Gap(started=started, ended=ended, reason=reason)
    assert gap != Gap(started, ended, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        gap.reason = None


def test_lagged_holds_the_number_of_missed_items():
    assert Lagged(3).missed == 3
    assert Lagged(3) == Lagged(missed=3) != Lagged(4)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Lagged(3).missed = 4
