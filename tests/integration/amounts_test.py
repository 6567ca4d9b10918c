"""Calls that wait for more than one byte: of a peer that drips they give what they were asked for, however often the limit would
fit into the call; of one that stops they end a limit after its last byte."""

import pytest

from faults import tcp

PROGRAM = """
s = dial()
s.send(b"question")
if "lowat" in sys.argv[2]:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 5)
flags = sum(getattr(socket, "MSG_" + name.upper()) for name in ("peek", "waitall") if name in sys.argv[2])
got, seconds = timed(lambda: error(lambda: len(s.recvmsg(6)[0] if "recvmsg" in sys.argv[2] else s.recv(6, flags))))
tell([got, seconds, s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)])
"""

LEAST = {"waitall": 6, "peek waitall": 6, "lowat": 5, "lowat recvmsg": 5}


def ask(net, behaviour, how, **limits):
    return net.told(PROGRAM, net.serve(behaviour).port, how, **limits)


@pytest.mark.parametrize("limit", [{}, {"RECV": "1s"}, {"IDLE": "1s"}, {"RECV": "2s", "LIFETIME": "1h"}], ids=str)
@pytest.mark.parametrize("how", LEAST)
def test_drips(net, how, limit):
    got, _, lowat = ask(net, tcp.drip(b"drip" * 5, 0.3), how, **limit)
    assert got == str(LEAST[how]) and lowat == (5 if "lowat" in how else 1), (got, lowat)


@pytest.mark.parametrize("how, outcome", [("waitall", "4"), ("peek waitall", "ETIMEDOUT"), ("lowat", "ETIMEDOUT")])
def test_stops(net, how, outcome):
    """What is there is the program's, unless it asked only to look, or for at least so much."""
    got, seconds, _ = ask(net, tcp.part(b"part"), how, RECV="3s")
    assert got == outcome and 2.9 <= seconds < 5.5, (got, seconds)
