"""TLS calls that are long by right, and a handshake in the middle of a connection that is not."""

import time
import zlib

import pytest

import programs
from faults import tls

SIZE = 20 << 20
SENT = b"".join(number.to_bytes(4, "big") for number in range(SIZE // 4))

CLIENT = """
secure = tls(dial())
data = b"".join(number.to_bytes(4, "big") for number in range(int(sys.argv[2]) // 4))
began = time.monotonic()
print(secure.send(data), time.monotonic() - began > 2.5, secure.recv(100).decode())
"""


def pausing(connection, _stop):
    """Reads all, with pauses shorter than the limits and together far longer."""
    total, crc, pauses = 0, 0, 0
    while total < SIZE and (data := connection.recv(65536)):
        total, crc = total + len(data), zlib.crc32(data, crc)
        if total * 15 // SIZE > pauses:
            pauses += 1
            time.sleep(0.25)
    connection.sendall(b"%d" % crc)


@pytest.mark.parametrize("limits", [{}, dict.fromkeys(["SEND", "UNACKED", "RECV", "TLS_HANDSHAKE", "TLS_SHUTDOWN"], "1500ms")],
                         ids=["defaults", "limits"])
def test_one_long_write_lives(net, limits):
    server = net.serve(tls.over_tls(pausing), receive_buffer=65536)
    result = net.run(programs.child(CLIENT, server.port, SIZE), patience=30, **limits)
    assert (result.status, result.text.split()) == (0, [str(SIZE), "True", str(zlib.crc32(SENT))]), result


@pytest.mark.parametrize("limits", [{}, {"RECV": "9s", "INBOUND_RECV": "9s", "SEND": "9s"}], ids=["alone", "with others"])
@pytest.mark.parametrize("mode", ["asked", "read", "write", "update", "verify"])
def test_handshake_that_stalls_in_the_middle(net, mode, limits):
    """The handshake that hides in SSL_read or SSL_write has the handshake's limit."""
    result = net.run([programs.BUILD / "tests/hidden", mode, tls.certificate()], TLS_HANDSHAKE="600ms", INBOUND_TLS_HANDSHAKE="600ms",
                     **limits)
    assert result.status == 0, result
    got, error, name, ms, again = result.out.decode().split()
    assert (got, error, name, again) == ("-1", "5", "ETIMEDOUT", "-1") and 600 <= int(ms) < 5000, result
