"""MSG_ZEROCOPY and other users of the error queue: a call has one completion, whatever bounds it, and a message there ends nothing."""

import pytest

from faults import tcp

CODE = """
SO_ZEROCOPY, ZEROCOPY, ERRQUEUE, SO_TIMESTAMPING = 60, 0x4000000, 0x2000, 37
how, count, size = sys.argv[2], int(sys.argv[3]), 2 << 20
s = dial()
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 300_000)
if how == "stamped":  # each send leaves a time stamp in the error queue, which poll shows as POLLERR
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, 1 << 1 | 1 << 4 | 1 << 7 | 1 << 11)
else:
    s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
flags = 0 if how == "stamped" else ZEROCOPY
data, sent, began = bytes(size), [], time.monotonic()
for i in range(count):
    if how == "many":
        one = error(lambda: s.sendmsg([data[: size // 2], data[size // 2 :]], [], flags))
    else:
        one = error(s.send, data, flags)
    sent.append(one)
    if not one.isdigit() or int(one) < size:
        break
elapsed, completions = time.monotonic() - began, 0
while how != "stamped" and count == len(sent) and completions < count and time.monotonic() - began < 15:
    select.select([], [], [s], 0.01)
    try:
        for level, kind, body in s.recvmsg(0, 200, ERRQUEUE)[1]:
            number, origin, _, _, _, first, last = struct.unpack("IBBBBII", body[:16])
            completions += (last - first + 1) * (origin == 5)
    except OSError:
        pass
tell([sent, completions, elapsed])
"""

SIZE = str(2 << 20)


def slow(connection, stop):
    while not stop.wait(0.002) and connection.recv(65536):
        pass


@pytest.mark.parametrize("limits", [{}, {"SEND": "5s", "RECV": "5s"}, {"IDLE": "5s", "LIFETIME": "1m", "MIN_RATE": "1k/5s"}],
                         ids=["defaults", "limits", "pace"])
@pytest.mark.parametrize("how", ["one", "many", "stamped"])
def test_as_without(net, how, limits):
    sent, completions, _ = net.told(CODE, net.serve(slow).port, how, 4, **limits)
    assert sent == [SIZE] * 4 and completions == (0 if how == "stamped" else 4)


@pytest.mark.parametrize("limit", ["SEND", "IDLE", "LIFETIME"])
@pytest.mark.parametrize("how", ["one", "many"])
def test_a_peer_that_reads_nothing(net, how, limit):
    """What went out is the first call's success; the next one says why."""
    server, log = net.serve(tcp.silent, receive_buffer=2048), net.directory / "log"
    code = CODE.replace("or int(one) < size", "")
    sent, _, elapsed = net.told(code, server.port, how, 20, LOG=str(log), **{limit: "700ms"})
    assert sent[-1] == "ETIMEDOUT" and 0.6 < elapsed < 4, (sent, elapsed)
    assert f"limit={limit}" in log.read_text()


@pytest.mark.parametrize("how", ["one", "many"])
def test_a_peer_that_is_gone(net, how):
    """Also where nothing but UNACKED bounds the call."""
    server, log = net.serve(tcp.silent), net.directory / "log"
    net.drop(f"tcp dport {server.port} ip length > 60")
    code = CODE.replace("or int(one) < size", "")
    sent, _, elapsed = net.told(code, server.port, how, 20, LOG=str(log), UNACKED="1s", KEEPALIVE="off")
    assert sent[-1] == "ETIMEDOUT" and 0.9 < elapsed < 6, (sent, elapsed)
    assert "limit=UNACKED" in log.read_text()
