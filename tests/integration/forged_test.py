"""State blocks made to fool whoever reads them: neither a crash, nor a hang, nor one byte that a terminal obeys."""

import json
import subprocess

import pytest

import programs
from look import netdeadline

KINDS = ["text", "counts", "sizes", "nowhere", "empty", "shards", "version", "magic", "small", "changing"]


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
