"""Examination of TLS certificates: validity, names, and authorities."""

from __future__ import annotations

import datetime as dt
import socket
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.examinations import (
    examine,
    failed_finding,
    stay_silent,
    tcp_server,
)

from basix_ws_cti.cli.diagnostics.certificate import (
    certificate_details,
    describe_certificate,
)
from basix_ws_cti.cli.diagnostics.findings import Mark
from basix_ws_cti.simulator import Simulator

NOW = dt.datetime.now(dt.UTC)


def days(count):
    return NOW + dt.timedelta(days=count, hours=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def secured(
    authority, name="localhost", trust=True, addresses=("127.0.0.1",), **certificate_options
):
    """Return the findings about a PBX with this certificate and these addresses."""

    def getaddrinfo(_, port, **__):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in addresses
        ]

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **certificate_options).configure_cert(context)
    async with Simulator(calls=False, tls=context) as pbx:
        server = pbx.url.replace("127.0.0.1", "localhost")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", getaddrinfo)
            return await examine(server, **({"ssl": trusting(authority)} if trust else {}))


async def test_valid_certificate_is_described(authority):
    """A valid certificate is reported with names, issuer, days left and TLS version."""
    findings = await secured(authority, not_after=days(90))
    assert {one.mark for one in findings.values()} == {Mark.OK}
    details = findings["tls"].details
    assert details["names"] == ["localhost"]
    assert details["days_left"] == 90
    assert details["protocol"].startswith("TLSv1")
    assert "trustme" in details["issuer"]
    assert "90 days left" in findings["tls"].found


@pytest.mark.slow
async def test_certificate_that_expires_within_14_days_is_a_warning(authority):
    """A certificate in its last 14 days is a warning, and later steps still run."""
    findings = await secured(authority, not_after=days(13))
    assert findings["tls"].mark is Mark.WARNING
    assert "renew" in findings["tls"].advice
    assert findings["pings"].mark is Mark.OK
    assert (await secured(authority, not_after=days(14)))["tls"].mark is Mark.OK


@pytest.mark.parametrize(
    ("certificate_options", "word", "advice", "left"),
    [
        ({"not_before": days(-60), "not_after": days(-3)}, "expired", "renew the server", -3),
        ({"not_before": days(3), "not_after": days(9)}, "not yet valid", "clock", 9),
        ({"name": "pbx.example", "not_after": days(9)}, "mismatch", "as --server", 9),
        ({"trust": False, "not_after": days(9)}, "issuer", "--ca-file", 9),
    ],
)
async def test_rejected_certificate_is_described_with_advice(
    authority, certificate_options, word, advice, left
):
    """The finding says why the certificate is rejected, what it contains and what to do.

    The certificate is read from the first address that accepts a connection.
    """
    addresses = ("127.0.0.2", "127.0.0.1")
    finding = (await secured(authority, addresses=addresses, **certificate_options))["tls"]
    assert finding.mark is Mark.FAILED
    assert word in finding.found.lower()
    assert advice in finding.advice
    assert finding.details["days_left"] == left
    assert finding.details["names"] == [certificate_options.get("name", "localhost")]


async def test_self_signed_certificate_is_reported_as_such(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pbx")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, days(20))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with tcp_server(stay_silent, ssl=context) as address:
        finding = await failed_finding(address.replace("127.0.0.1", "localhost"))
    assert finding.step == "tls"
    assert "self-signed" in finding.found
    assert finding.details["subject"] == finding.details["issuer"] == "commonName=pbx"
    assert "--ca-file" in finding.advice


def test_certificate_details():
    """Days left are rounded down and may be negative; text of the peer is made printable."""
    certificate = {
        "subject": ((("commonName", "a\x1b[2Jb"),),),
        "issuer": ((("organizationName", "x"),), (("commonName", "y"),)),
        "notAfter": "Jan  2 00:00:00 2030 GMT",
        "subjectAltName": (("DNS", "b"), ("DNS", "c")),
    }
    midnight = ssl.cert_time_to_seconds(certificate["notAfter"])
    details = certificate_details(certificate, midnight - 86400)
    assert details["subject"] == "commonName=a\N{REPLACEMENT CHARACTER}[2Jb"
    assert details["issuer"] == "organizationName=x, commonName=y"
    assert (details["days_left"], details["expires"]) == (1, "2030-01-02T00:00:00+00:00")
    assert "for b, c" in describe_certificate(details)
    assert certificate_details(certificate, midnight - 86399)["days_left"] == 0
    assert "expired on 2030-01-02" in describe_certificate(
        certificate_details(certificate, midnight + 1)
    )
