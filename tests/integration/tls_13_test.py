"""What only TLS 1.3 has: early data, and authentication after the handshake, which hides in reads. From both sides."""

import pytest

import programs
from faults import tls
from tlscalls import MS, parse

TLS13 = programs.BUILD / "tests/tls13"
LIMITS = {"TLS_HANDSHAKE": MS, "INBOUND_TLS_HANDSHAKE": MS}
LONG = dict.fromkeys(LIMITS, "30s")

what = pytest.mark.parametrize("what", ["early", "later"])
side = pytest.mark.parametrize("side", ["client", "server"])


def run(net, *arguments, **how):
    result = net.run([TLS13, *arguments, tls.certificate()], patience=12, **how)
    assert result.status == 0, result
    return parse(result)


@what
@side
def test_it_works_as_ever(net, what, side):
    calls = run(net, what, side, "answers", **LONG)
    assert all(call.result > 0 for call in calls), calls
    assert [call.name for call in calls] == [call.name for call in run(net, what, side, "answers", library=False)]


@what
@side
def test_a_peer_that_stops_in_the_middle_of_it_is_bounded(net, what, side):
    """The handshake after early data, early data that does not end, half a request for a certificate, half an answer to it."""
    calls = run(net, what, side, "stalls", **LIMITS)
    end = next(i for i, call in enumerate(calls) if call.result < 0)
    assert (what, side, calls[end].name) in [("early", "client", "handshake"), ("early", "server", "read early"),
                                             ("later", "client", "read"), ("later", "server", "read")]
    calls[end].expect_expired()
    for call in calls[end + 1:]:
        call.expect_refused_at_once()
