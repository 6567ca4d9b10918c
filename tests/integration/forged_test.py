"""State blocks made to fool whoever reads them: neither a crash, nor a hang, nor one byte that a terminal obeys."""

import json
import subprocess

import pytest

import programs
from look import netdeadline

KINDS = ["text", "counts", "sizes", "nowhere", "empty", "shards", "version", "magic", "small", "records", "changing"]


@pytest.fixture(params=KINDS)
def forged(request):
    # Exported, so that it is found as the library's would be.
    program = subprocess.Popen([programs.BUILD / "tests/forged", request.param], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdout.readline() == b"ready\n"
    yield program.pid, request.param
    program.kill()
    program.wait()


def harmless(result):
    for text in (result.stdout, result.stderr):
        assert all(byte == 10 or 32 <= byte < 127 for byte in text), text
    assert result.returncode in (0, 125), result
    return result


def test_forged_block(forged):
    pid, kind = forged
    for _ in range(10 if kind == "changing" else 1):
        harmless(netdeadline("ps", pid, status=None))
        harmless(netdeadline("stats", pid, status=None))
        json.loads(harmless(netdeadline("stats", "--json", pid, status=None)).stdout)
        harmless(netdeadline("stats", "--prometheus", pid, status=None))
        harmless(netdeadline("set", pid, status=None))
        harmless(netdeadline("set", pid, "RECV=1s", status=None))
        harmless(netdeadline("ps", "--stack", pid, status=None))


def test_a_good_forgery_is_read(request):
    """Otherwise the others would be about nothing."""
    program = subprocess.Popen([programs.BUILD / "tests/forged", "text"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        program.stdout.readline()
        out = netdeadline("ps", program.pid).stdout
        assert b"\\u001b[2J" in out, out
        assert b"\\u001b[2J" in netdeadline("stats", program.pid).stdout
    finally:
        program.kill()
        program.wait()


@pytest.fixture
def good():
    program = subprocess.Popen([programs.BUILD / "tests/forged", "good"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdout.readline() == b"ready\n"
    yield program.pid
    program.kill()
    program.wait()


def test_long_names_are_shown_whole(good):
    assert b" gnutls_record_recv_early_data " in netdeadline("ps", good).stdout


# Which limit an operator would set for a call, by the beginning of its name; the longest that fits decides.
LIMITS = {"end": "", "connect": "CONNECT", "accept": "ACCEPT", "close": "SEND", "get": "RESOLVE", "res_": "RESOLVE",
          "read": "RECV", "recv": "RECV", "poll": "RECV", "ppoll": "RECV", "select": "RECV", "pselect": "RECV", "epoll": "RECV", "splice": "RECV",
          "write": "SEND", "send": "SEND",
          "SSL_connect": "TLS_HANDSHAKE", "SSL_accept": "INBOUND_TLS_HANDSHAKE", "SSL_do_handshake": "TLS_HANDSHAKE", "SSL_stateless": "INBOUND_TLS_HANDSHAKE",
          "SSL_shutdown": "TLS_SHUTDOWN", "SSL_read": "RECV", "SSL_peek": "RECV", "SSL_write": "SEND", "SSL_sendfile": "SEND",
          "gnutls_handshake": "TLS_HANDSHAKE", "gnutls_rehandshake": "TLS_HANDSHAKE", "gnutls_reauth": "TLS_HANDSHAKE", "gnutls_bye": "TLS_SHUTDOWN",
          "gnutls_record_recv": "RECV", "gnutls_heartbeat_ping": "RECV", "gnutls_record_send": "SEND", "gnutls_record_uncork": "SEND"}


def test_each_operation_has_its_limit(good):
    rows = json.loads(netdeadline("stats", "--json", good).stdout)["processes"][0]["operations"]
    assert len(rows) >= 72
    for row in rows:
        begins = max((name for name in LIMITS if row["operation"].startswith(name)), key=len)
        assert (row["suggested"] or "").split("=")[0] == LIMITS[begins], row
