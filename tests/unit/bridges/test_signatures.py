"""Signatures of webhooks, compared with an independent implementation."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import time

import pytest
from standardwebhooks import Webhook as Verifier
from support.cases import for_each

from basix_ws_cti.bridges.signatures import Signer
from basix_ws_cti.exceptions import UsageError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def encoded(size):
    return "whsec_" + base64.b64encode(bytes(size)).decode()


def test_example_of_the_specification():
    headers = Signer([SECRET]).headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@for_each("secrets", [[SECRET], [SECRET, OTHER], [OTHER, SECRET]])
def test_every_secret_verifies(secrets):
    body = json.dumps({"name": "山田"}).encode()
    headers = Signer(secrets).headers("evt_1", int(time.time()), body)
    assert len(headers["webhook-signature"].split(" ")) == len(secrets)
    for secret in secrets:
        assert Verifier(secret).verify(body, headers) == {"name": "山田"}


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        ([], "no secret: a secret is whsec_ and base64 of 24 to 64 random bytes"),
        ([SECRET.removeprefix("whsec_")], "a secret does not start with whsec_"),
        ([7], "a secret does not start with whsec_"),
        (["whsec_MfKQ9r8*"], "a secret is not valid base64"),
        (["whsec_\uff2dfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "a secret is not valid base64"),
        ([encoded(23)], "a secret has 23 bytes"),
        ([encoded(65)], "a secret has 65 bytes"),
        ([SECRET] * 5, "expected at most 4 secrets, got 5"),
    ],
)
def test_secrets_that_cannot_work_are_refused_without_being_shown(secrets, text):
    with pytest.raises(UsageError) as caught:
        Signer(secrets)
    assert str(caught.value).startswith(text)
    assert "MfKQ9r8" not in str(caught.value)
    assert caught.value.__context__ is None


@for_each("size", [24, 64])
def test_shortest_and_longest_secret(size):
    assert Signer([encoded(size)])


def test_single_text_is_one_secret():
    assert Signer(SECRET).headers("a", 1, b"") == Signer([SECRET]).headers("a", 1, b"")


def test_secrets_are_not_shown_or_copied():
    signer = Signer([SECRET])
    assert repr(signer) == "<Signer with 1 secret(s)>"
    for copied in (copy.copy, pickle.dumps):
        with pytest.raises(UsageError, match="holds a secret"):
            copied(signer)
