"""Among several connections RECV bounds one that owes an answer. What TLS says for itself is none: the session tickets of TLS 1.3
come when the first question is on its way, or was asked."""

import ssl

import pytest

import programs
from faults import tcp, tls

LIMIT = "1s"  # an answer that is late since the machine is busy must not be too late

CLIENT = """
import ssl
other = dial()
secure = tls(dial(sys.argv[2]), ssl.TLSVersion.TLSv1_2 if sys.argv[3] == "1.2" else None)
secure.setblocking(False)
if sys.argv[4] == "asks": secure.send(b"hello")
poll = select.poll()
for one in other, secure: poll.register(one, select.POLLIN)
said, began = "", time.monotonic()
while not said and time.monotonic() < began + float(sys.argv[5]):
    for fd, _ in poll.poll(100):
        assert fd == secure.fileno()
        try:
            while data := secure.recv(100): print(data.decode())
            said = "end of file"
        except ssl.SSLWantReadError: pass
        except OSError as error: said = "ended"  # Python says SSLError 5
print(said, other.send(b"x"))
"""


def late_tickets(answer):
    """Handshake, with its last part, the tickets, after the question has come; then `answer`, and nothing more."""

    def behaviour(connection, stop):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = tls.server_context().wrap_bio(incoming, outgoing, server_side=True)
        for pause in 0, 0.2, 0:
            stop.wait(pause)
            incoming.write(connection.recv(65536))
            try:
                secure.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
        connection.sendall(outgoing.read())
        if answer:
            stop.wait(0.1)  # not with the tickets
            secure.write(answer)
            connection.sendall(outgoing.read())
        stop.wait()

    return behaviour


def said(net, answer, version, asks, seconds=2.5):
    other, server = net.serve(tcp.silent), net.serve(late_tickets(answer))
    return net.run(programs.child(CLIENT, other.port, server.port, version, asks, seconds), RECV=LIMIT).out


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_question_without_an_answer(net, version):
    assert said(net, b"", version, "asks", 10) == b"ended 1\n"


@pytest.mark.parametrize("asks", ["asks", "is silent"])
def test_an_answer_after_tickets(net, asks):
    """The connection is idle then, and may be as long as it likes."""
    assert said(net, b"answer", "1.3", asks) == b"answer\n 1\n"


def test_tickets_without_a_question(net):
    assert said(net, b"", "1.3", "is silent") == b" 1\n"
