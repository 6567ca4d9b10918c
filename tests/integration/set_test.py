"""`netdeadline set`: limits change in a process that runs, on connections that stand too."""

import subprocess
import time
from pathlib import Path

import pytest

import look
import programs
from calls import LATEST, LIMIT
from faults import tcp
from look import netdeadline, pid_of, until

MS = f"{LIMIT}ms"

# Makes one call for each line of its input, and says how it ended and how long it took.
TALK = """
s = dial()
print("connected", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    try: result = eval(line)
    except OSError as e: result = e.errno
    print(result, round((time.monotonic() - began) * 1000), flush=True)
"""


class Talk:
    def __init__(self, net, server, **limits):
        self.program = net.start(programs.child(TALK, server.port), stdin=subprocess.PIPE, **limits)
        assert self.program.process.stdout.readline() == b"connected\n"
        self.pid = pid_of(self.program)

    def ask(self, call):
        self.program.process.stdin.write(call.encode() + b"\n")
        return self

    def answer(self):
        *result, ms = self.program.process.stdout.readline().decode().split()
        return " ".join(result), int(ms)

    def call(self, text):
        return self.ask(text).answer()


def in_force(pid):
    return dict(line.split("=", 1) for line in netdeadline("set", pid).stdout.decode().splitlines())


@pytest.mark.parametrize("call", ["s.recv(1)", "s.recv_into(bytearray(1))", "socket.socket(fileno=s.fileno()).recv(1)"])
def test_a_limit_reaches_a_connection_that_stands(net, call):
    talk = Talk(net, net.serve(tcp.silent))
    assert in_force(talk.pid)["RECV"] == "off"
    assert netdeadline("set", talk.pid, f"RECV={MS}").stdout == f"RECV: off -> {MS}\n".encode()
    result, ms = talk.call(call)
    assert result == "110" and LIMIT <= ms < LATEST + LIMIT
    assert in_force(talk.pid)["RECV"] == MS


def test_poll_sees_it_too(net):
    talk = Talk(net, net.serve(tcp.silent))
    netdeadline("set", talk.pid, f"RECV={MS}")
    result, ms = talk.call("(lambda p: (p.register(s, 1), p.poll()))(select.poll())[1] and s.recv(1)")
    assert result == "110" and LIMIT <= ms < LATEST + LIMIT


def test_an_epoll_set_without_limits_sees_it_too(net):
    """In a program with one thread, whose set nothing has bounded until now: its next wait is the first one that has a limit."""
    talk = Talk(net, net.serve(tcp.silent), UNACKED="off", KEEPALIVE="off")
    assert talk.call("globals().update(e=select.epoll()) or e.register(s, 1) or len(e.poll(0))")[0] == "0"
    netdeadline("set", talk.pid, f"RECV={MS}")
    result, ms = talk.call("e.poll(5) and s.recv(1)")
    assert result == "110" and LIMIT <= ms < LATEST + LIMIT


def test_a_limit_is_taken_away(net):
    talk = Talk(net, net.serve(tcp.after(3 * LIMIT / 1000, tcp.greeting(b"x"))), RECV=MS)
    netdeadline("set", talk.pid, "RECV=off")
    assert talk.call("s.recv(1)")[0] == "b'x'"
    assert talk.call("s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO)")[0] == "0"


def test_changes_add_up_before_any_call(net):
    talk = Talk(net, net.serve(tcp.silent))
    netdeadline("set", talk.pid, "SEND=7s")
    netdeadline("set", talk.pid, "CONNECT=8s", "inbound-recv=9s", "MIN_RATE=2k/40s")
    netdeadline("set", talk.pid, f"RECV={MS}")
    assert talk.call("s.recv(1)")[0] == "110"
    now = in_force(talk.pid)
    assert [now[name] for name in ("SEND", "CONNECT", "INBOUND_RECV", "MIN_RATE", "RECV")] == ["7s", "8s", "9s", "2k/40s", MS]


def test_connect_and_lookup_see_it(net):
    talk = Talk(net, net.serve(tcp.silent))
    netdeadline("set", talk.pid, f"CONNECT={MS}")
    result, ms = talk.call(f"socket.create_connection(('{net.blackhole()}', 80))")
    assert result == "110" and LIMIT <= ms < LATEST + LIMIT


def test_unacked_takes_its_inbound_twin_along(net):
    talk = Talk(net, net.serve(tcp.greeting(b"x")))
    netdeadline("set", talk.pid, "UNACKED=20s")
    talk.call("socket.socket().connect_ex(('127.0.0.1', 1))")
    assert in_force(talk.pid)["INBOUND_UNACKED"] == "20s"
    netdeadline("set", talk.pid, "INBOUND_UNACKED=30s")
    netdeadline("set", talk.pid, "UNACKED=40s")
    talk.call("socket.socket().connect_ex(('127.0.0.1', 1))")
    assert (in_force(talk.pid)["UNACKED"], in_force(talk.pid)["INBOUND_UNACKED"]) == ("40s", "30s")


def test_modes(net):
    """observe: the wait goes on; off: no limit at all; enforce brings them back."""
    talk = Talk(net, net.serve(tcp.after(3 * LIMIT / 1000, tcp.greeting(b"xy"))), RECV=MS)
    netdeadline("set", talk.pid, "MODE=observe")
    assert talk.call("s.recv(1)")[0] == "b'x'"
    assert look.stats(talk.pid)[talk.pid]["recv"]["observed"] == 1
    netdeadline("set", talk.pid, "MODE=off")
    talk.call("s.recv(1)")
    assert (in_force(talk.pid)["RECV"], in_force(talk.pid)["MODE"]) == ("off", "off")
    netdeadline("set", talk.pid, "MODE=enforce")
    result, ms = talk.call("s.recv(1)")
    assert result == "110" and ms < LATEST + LIMIT and in_force(talk.pid)["RECV"] == MS


@pytest.mark.parametrize("change", ["RECV", "RECV=", "RECV=5", "RECV=-1s", "FLY=1s", "RECV=1s2h", "MODE=on", "MIN_RATE=1k", "LOG=stderr",
                                    "BACKTRACE=1", "STATSD=127.0.0.1:1", "CONFIG=/x", "=1s", "RECV=\x1b[31m"])
def test_nonsense_is_refused_before_anything_is_written(net, change):
    talk = Talk(net, net.serve(tcp.silent))
    before = in_force(talk.pid)
    result = netdeadline("set", talk.pid, "SEND=3s", change, status=2)
    talk.call("socket.socket().connect_ex(('127.0.0.1', 1))")
    assert in_force(talk.pid) == before, result


def test_what_cannot_be_changed(net):
    passive = net.start(["sleep", "30"], MODE="off")
    until(lambda: look.library_of(pid_of(passive)))
    time.sleep(0.1)
    assert b"passes through" in netdeadline("set", pid_of(passive), "RECV=1s", status=125).stderr
    bare = net.start(["sleep", "30"], library=False)
    assert b"has not loaded" in until(lambda: netdeadline("set", pid_of(bare), "RECV=1s", status=None).stderr)
    netdeadline("set", status=2)
    netdeadline("set", "x", status=2)
    netdeadline("set", "4194304", "RECV=1s", status=127)


def test_a_process_that_has_ended(net):
    """Its memory is gone before its number is: nothing can be said of what it had loaded."""
    ended = subprocess.Popen(["true"])
    try:
        said = until(lambda: "State:\tZ" in Path(f"/proc/{ended.pid}/status").read_text() and netdeadline(
            "set", ended.pid, "RECV=1s", status=127)).stderr
        assert said == b"netdeadline: process %d has ended\n" % ended.pid
        assert b"library" not in netdeadline("ps", ended.pid, status=None).stdout
        netdeadline("stats", ended.pid, status=0)
    finally:
        ended.wait()


def test_a_process_without_its_first_thread(net):
    code = "ctypes.CDLL(None).pthread_exit(None)"
    program = net.start([programs.PYTHON, "-c", f"import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(30,)).start()\n{code}"])
    said = until(lambda: b"first thread" in (said := netdeadline("set", pid_of(program), "RECV=1s", status=None).stderr) and said)
    assert said.endswith(b"has ended, and its memory cannot be seen without\n")


def test_while_threads_talk(net):
    """Settings change again and again under threads that use them: nothing is cut that has no cause."""
    server = net.serve(tcp.echo)
    code = f"""
ended = threading.Event()
def talk():
    s = dial({server.port})
    while not ended.is_set():
        s.send(b"x"); assert s.recv(1) == b"x"
threads = [threading.Thread(target=talk) for _ in range(8)]
print(flush=True)
for thread in threads: thread.start()
sys.stdin.read()
ended.set()
for thread in threads: thread.join()
"""
    program = net.start(programs.child(code), stdin=subprocess.PIPE, RECV="30s")
    program.process.stdout.readline()
    for i in range(20):
        netdeadline("set", pid_of(program), f"RECV={('20s', 'off')[i % 2]}", f"SEND={('off', '15s')[i % 2]}", "MIN_RATE=1/30s")
    result = program.finish()
    assert (result.status, result.err) == (0, b""), result
