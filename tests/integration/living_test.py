"""Peers that live though they look gone are never cut by UNACKED and KEEPALIVE: packets are lost, late, or crawl; the process is stopped."""

import json
import os
import signal
import subprocess
import threading

import pytest

import programs
from faults import tcp
from look import pid_of

WAITS = {
    "recv": "s.recv(65536)",
    "poll": "poll_in(s, timeout=30) and s.recv(65536)",
    "short polls": "(lambda p: (p.register(s, 1), next(filter(None, iter(lambda: p.poll(100), None)))))(select.poll()) and s.recv(65536)",
    "epoll, edge": "epoll_in(s, timeout=30, flags=select.EPOLLET) and s.recv(65536)",
}
waits = pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)

# Asks so many times, with questions of this size; the answer is as long.
ASKER = """
s, rounds, size = dial(), int(sys.argv[2]), int(sys.argv[3])
print("connected", flush=True)
sys.stdin.readline()
def ask():
    s.sendall(b"q" * size)
    left = size
    while left:
        left -= len({wait})
began = time.monotonic()
outcome = error(lambda: [ask() for _ in range(rounds)])
print(json.dumps([outcome, time.monotonic() - began]), flush=True)
"""


class Asker:
    def __init__(self, net, port, wait, rounds, size, **limits):
        self.program = net.start(programs.child(ASKER.replace("{wait}", wait), port, rounds, size), stdin=subprocess.PIPE, LOG="stderr",
                                 **limits)
        assert self.program.process.stdout.readline() == b"connected\n"

    def check(self, at_least):
        result = self.program.finish(input=b"\n", patience=40)
        outcome, seconds = json.loads(result.out)
        assert outcome.startswith("[None") and seconds >= at_least and not result.err, result


def queue(net, *arguments):
    """Whatever goes through loopback waits in this queue (tc)."""
    programs.need("tc")
    net.do("ip", "link", "set", "lo", "mtu", "1500")
    done = subprocess.run(net.command(["tc", "qdisc", "add", "dev", "lo", "root", *arguments]), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"tc: {done.stderr.strip()}")


@waits
def test_three_of_ten_packets_are_lost(net, wait):
    """Three in a row, so that a packet is sent four times at most: nothing is acknowledged for about 1.5 s then."""
    asker = Asker(net, net.serve(tcp.echo).port, wait, 6, 3000, UNACKED="5s", KEEPALIVE="1s")
    net.drop("meta l4proto tcp numgen inc mod 10 < 3")
    asker.check(0.2)


@waits
def test_acknowledgements_come_late(net, wait):
    """The question waits for 1.5 s behind datagrams, and its acknowledgement with it."""
    server = net.serve(tcp.echo)
    asker = Asker(net, server.port, wait, 1, 100, UNACKED="4s", KEEPALIVE="1s")
    queue(net, "tbf", "rate", "40kbit", "burst", "3000", "latency", "20s")
    code = "s = udp(); s.connect(('127.0.0.1', 9)); [error(s.send, bytes(1000)) for _ in range(11)]"
    assert net.run(programs.child(code), library=False).status == 0
    asker.check(0.8)


@waits
def test_megabytes_behind_a_slow_link(net, wait):
    """The last byte is acknowledged seconds after it was sent, and others all the time."""
    net.do("sh", "-c", "echo '4096 16384 4194304' >/proc/sys/net/ipv4/tcp_wmem")
    queue(net, "tbf", "rate", "6mbit", "burst", "32kb", "latency", "20s")
    Asker(net, net.serve(tcp.echo).port, wait, 1, 1 << 20, UNACKED="1s", KEEPALIVE="1s").check(1.2)


@waits
def test_a_process_that_is_stopped(net, wait):
    """For many times UNACKED and KEEPALIVE: its kernel acknowledges."""
    code = """
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    s, _ = listener.accept()
    while data := s.recv(65536):
        s.sendall(data)
"""
    server = net.start(programs.child(code), library=False)
    port = int(server.process.stdout.readline())
    asker = Asker(net, port, wait, 1, 3000, UNACKED="300ms", KEEPALIVE="1s")
    os.kill(pid_of(server), signal.SIGSTOP)
    threading.Timer(1.5, os.kill, [pid_of(server), signal.SIGCONT]).start()
    asker.check(1)
