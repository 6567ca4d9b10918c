"""More living twins: what looks like a fault from inside a wait, and is none. Limits are short, and every pause outlasts them."""

import signal
import threading
import time

import pytest

from clients import PLAIN
from faults import dns, good, tcp
from programs import PYTHON

SHORT = dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "TLS_HANDSHAKE", "TLS_SHUTDOWN"], "700ms")
BUT_RECV = {name: value for name, value in SHORT.items() if name != "RECV"}


def expect(result, text):
    assert result.status == 0 and not result.cut and text in result.out, result
    return result


def stopped(net, argv, when, **limits):
    """Runs `argv`, stops it when `when` is set and 0.2 s more have passed, and lets it go on when every limit is over."""
    program = net.start(argv, **limits)
    assert when.wait(8)
    time.sleep(0.2)
    program.signal(signal.SIGSTOP)
    time.sleep(2)
    program.signal(signal.SIGCONT)
    return program.finish()


@pytest.mark.parametrize("name", ["curl", "wget", "python3-socket", "python3-asyncio", "perl-inet", "php", "ruby"])
def test_answer_while_stopped(net, name):
    """The answer comes within the limit, while the program is stopped; when the program goes on the time is long over."""
    asked = threading.Event()

    def behaviour(connection, stop):
        connection.recv(65536)
        asked.set()
        if not stop.wait(0.6):
            connection.sendall(good.http_response())

    server = net.serve(behaviour)
    expect(stopped(net, PLAIN[name].argv("127.0.0.1", server.port), asked, **(SHORT | {"RECV": "1500ms"})), b"hello")


@pytest.mark.parametrize("name", ["curl", "python3-socket", "perl-inet", "wget"])
def test_connected_while_stopped(net, name):
    """The first SYN is lost; the second, a second later, is not."""
    server = net.serve(good.http())
    net.drop(f"tcp dport {server.port}")
    begun = threading.Event()
    threading.Timer(0.1, begun.set).start()
    threading.Timer(0.7, net.undrop).start()
    expect(stopped(net, PLAIN[name].argv("127.0.0.1", server.port), begun, **(SHORT | {"CONNECT": "1700ms"})), b"hello")


@pytest.mark.parametrize("name", ["curl", "python3-socket", "perl-inet", "wget"])
def test_looked_up_while_stopped(net, name):
    asked = threading.Event()

    def responder(question, send, stop):
        asked.set()
        if not stop.wait(0.6):
            dns.answering(dns.Zone({"host.test": ["127.0.0.1"]}))(question, send, stop)

    net.dns(responder)
    server = net.serve(good.http())
    expect(stopped(net, PLAIN[name].argv("host.test", server.port), asked, **(SHORT | {"RESOLVE": "1500ms"})), b"hello")


POOL = """
import asyncio, sys
async def main(port):
    pool = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for turn in range(2):
        for reader, writer in pool:
            writer.write(b"hello %d\\n" % turn)
            assert await reader.readline() == b"hello %d\\n" % turn
        await asyncio.sleep(1.5)
    print("hello")
asyncio.run(main(int(sys.argv[1])))
"""

NODE_POOL = """
const http = require("http"), agent = new http.Agent({keepAlive: true}), port = process.argv[1];
const ask = () => new Promise((done, fail) => http.get({port, agent}, (answer) => {
    answer.resume(); answer.on("end", () => done(answer.socket ?? answer.req.socket)); }).on("error", fail));
Promise.all([ask(), ask(), ask()]).then((first) => setTimeout(() =>
    Promise.all([ask(), ask(), ask()]).then(() => { console.log("hello"); process.exit(0); },
                                            (error) => { console.error(error); process.exit(1); }), 1500));
"""


def test_idle_pool_in_an_event_loop(net):
    server = net.serve(tcp.echo)
    expect(net.run([PYTHON, "-c", POOL, server.port], **SHORT), b"hello")
    assert server.accepted == 3


def kept_alive(connection, _stop):
    body = b"hello\n"
    while good.read_http_request(connection)[0]:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(body) + body)


def test_idle_pool_of_node(net):
    server = net.serve(kept_alive)
    expect(net.run(["node", "-e", NODE_POOL, server.port], **SHORT), b"hello")
    assert server.accepted == 3


PAIR = """
import os, socket, sys, time
def pair():
    if sys.argv[1] == "socketpair":
        return socket.socketpair()
    if sys.argv[1] == "pipe":
        r, w = os.pipe()
        return os.fdopen(r, "rb", 0), os.fdopen(w, "wb", 0)
ours, theirs = pair()
if os.fork() == 0:
    ours.close()
    time.sleep(1.5)
    (theirs.send if hasattr(theirs, "send") else theirs.write)(b"hello")
    if sys.argv[1] == "socketpair":  # and fill it, while the parent sleeps
        theirs.sendall(bytes(1000000))
    os._exit(0)
theirs.close()
data = (ours.recv if hasattr(ours, "recv") else ours.read)(5)
if sys.argv[1] == "socketpair":
    time.sleep(1.5)
    left = 1000000
    while left:
        left -= len(ours.recv(65536))
status = os.wait()[1]
print(data, status)
sys.exit(status)
"""


@pytest.mark.parametrize("kind", ["socketpair", "pipe"])
def test_between_processes(net, kind):
    expect(net.run([PYTHON, "-c", PAIR, kind], **SHORT), b"b'hello' 0")


EXEC = """
import os, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
os.dup2(connection.fileno(), 0)
child = os.fork()
if child == 0:
    del os.environ["LD_PRELOAD"]
    os.execvp("cat", ["cat"])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_child_without_the_library(net):
    """A program that is started on the connection and has no preload reads the late answer as if we had never been there."""
    server = net.serve(tcp.late_answer(1.5, good.http_response()))
    expect(net.run([PYTHON, "-c", EXEC, server.port], **BUT_RECV), b"hello")


LONG_POLL = """
import select, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
wait = {"select": lambda: select.select([connection], [], []), "poll": lambda: poll(select.poll()),
        "epoll": lambda: poll(select.epoll())}
def poll(set):
    set.register(connection, select.EPOLLIN)
    set.poll()
wait[sys.argv[2]]()
print(connection.recv(1000))
"""


@pytest.mark.parametrize("kind", ["select", "poll", "epoll"])
def test_long_poll(net, kind):
    server = net.serve(tcp.late_answer(2, good.http_response()))
    expect(net.run([PYTHON, "-c", LONG_POLL, server.port, kind], **BUT_RECV), b"hello")
    expect(net.run([PYTHON, "-c", LONG_POLL, server.port, kind], **(SHORT | {"RECV": "5s"})), b"hello")
