"""`netdeadline set` reaches calls that wait already, in every kind of wait."""

import subprocess
import time

import pytest

import look
import programs
import transfer_test
from calls import LATEST, LIMIT
from faults import dns, tcp, tls
from look import netdeadline
from set_test import Talk
from tlscalls import TLS, parse

# How a program waits for the answer of a server that never gives one.
WAITS = {
    "recv": ("s.recv(1)", "recv"),
    "read": ("os.read(s.fileno(), 1)", "read"),
    "recvmsg": ("s.recvmsg(1)", "recvmsg"),
    "waitall": ("s.recv(10, socket.MSG_WAITALL)", "recv"),
    "poll": ("poll_in(s, timeout=1000) and s.recv(1)", "poll"),
    "poll, for ever": ("(lambda p: (p.register(s, 1), p.poll()))(select.poll())[1] and s.recv(1)", "poll"),
    "ppoll": ("libc.ppoll(ctypes.create_string_buffer(struct.pack('ihh', s.fileno(), 1, 0)), 1, None, None) and s.recv(1)", "ppoll"),
    "ppoll, a minute": ("libc.ppoll(ctypes.create_string_buffer(struct.pack('ihh', s.fileno(), 1, 0)), 1, struct.pack('ll', 60, 0), None) "
                        "and s.recv(1)", "ppoll"),
    "select": ("select_in(s, timeout=None) and s.recv(1)", "select"),
    "select, a minute": ("select_in(s, timeout=60) and s.recv(1)", "select"),
    "pselect": ("libc.pselect(64, ctypes.create_string_buffer(struct.pack('Q120x', 1 << s.fileno())), None, None, None, None) and s.recv(1)",
                "pselect"),
    "pselect, a minute": ("libc.pselect(64, ctypes.create_string_buffer(struct.pack('Q120x', 1 << s.fileno())), None, None, "
                          "struct.pack('ll', 60, 0), None) and s.recv(1)", "pselect"),
    "epoll": ("epoll_in(s, timeout=1000) and s.recv(1)", "epoll_wait"),
    "epoll, edge": ("epoll_in(s, timeout=None, flags=select.EPOLLET) and s.recv(1)", "epoll_wait"),
}
# How one sends more than there is room for.
SENDS = {
    "send": ("s.sendall(bytes(1 << 26))", "send"),
    "write": ("[os.write(s.fileno(), bytes(1 << 22)) for _ in range(9)]", "write"),
    "writev": ("[os.writev(s.fileno(), [bytes(1 << 21), bytes(1 << 21)]) for _ in range(9)]", "writev"),
    "sendmsg": ("[s.sendmsg([bytes(1 << 21), bytes(1 << 21)]) for _ in range(9)]", "sendmsg"),
}
# Others of which the kernel moves a part: `data` is sent by each of them.
PARTS = {
    "sendfile": "os.sendfile(s.fileno(), file, 0, len(data))",
    "sendfile, at the file's own place": "os.lseek(file, 0, os.SEEK_SET) or os.sendfile(s.fileno(), file, None, len(data))",
    "sendmmsg": "sendmmsg(s, data)",
}
MS = f"{LIMIT}ms"
NOTHING = {"UNACKED": "off", "KEEPALIVE": "off"}

# In a checked build the sanitizer's runtime stands between a call and the kernel: what waits past the library is not known for that.
UNCHECKED = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime makes the calls")


def waits(*names, of=WAITS):
    return pytest.mark.parametrize("call, name", [of[name] for name in names or of], ids=names or of)


def under_way(talk, call, name):
    talk.ask(call)
    assert look.waiting(talk.program, name)
    return talk


def set_and_wait(talk, *changes, result="110"):
    began = time.monotonic()
    netdeadline("set", talk.pid, *changes)
    assert talk.answer()[0] == result and time.monotonic() - began < LATEST / 1000


@waits()
def test_a_limit_is_put_on(net, call, name):
    set_and_wait(under_way(Talk(net, net.serve(tcp.silent)), call, name), f"RECV={MS}")


@waits("recv", "recvmsg", "waitall", "poll", "select", "epoll, edge")
def test_a_limit_is_lowered(net, call, name):
    set_and_wait(under_way(Talk(net, net.serve(tcp.silent), RECV="60s", **NOTHING), call, name), f"RECV={MS}")


@pytest.mark.parametrize("change", ["RECV=off", "RECV=1m", "MODE=observe"])
@waits("recv", "poll", "epoll")
def test_a_limit_is_raised_or_put_off(net, call, name, change):
    """The answer comes after it would have fired."""
    server = net.serve(tcp.after(4.5, tcp.greeting(b"x" * 10)))
    talk = under_way(Talk(net, server, RECV="3s"), call, name)  # that `ps` and `set` come before it on a busy host
    netdeadline("set", talk.pid, change)
    assert talk.answer()[0].startswith("b'x")


@waits("recv", "waitall", "poll", "select", "epoll")
def test_enforced_again(net, call, name):
    set_and_wait(under_way(Talk(net, net.serve(tcp.silent), MODE="observe", RECV=MS), call, name), "MODE=enforce")


def test_a_part_that_was_received_is_kept(net):
    """By a call that wants more, and is woken while the kernel has the part."""
    def parts(connection, stop):
        connection.sendall(b"xy")
        stop.wait(1.5)
        connection.sendall(b"x" * 8)
        stop.wait()

    talk = under_way(Talk(net, net.serve(parts), RECV="60s", **NOTHING), *WAITS["waitall"])
    netdeadline("set", talk.pid, "RECV=50s")
    assert talk.answer()[0] == "b'xyxxxxxxxx'"


@UNCHECKED
def test_a_part_that_was_received_past_the_library_is_kept(net):
    def parts(connection, stop):
        connection.sendall(b"xy")
        stop.wait(1.5)
        connection.sendall(b"x" * 8)
        stop.wait()

    talk = Talk(net, net.serve(parts), **NOTHING)
    talk.ask(WAITS["waitall"][0])
    time.sleep(0.5)
    netdeadline("set", talk.pid, "RECV=50s")
    assert talk.answer()[0] == "b'xyxxxxxxxx'"


@pytest.mark.parametrize("before", [{"MODE": "observe"}, pytest.param(NOTHING, marks=UNCHECKED)], ids=["observed", "unlimited"])
@pytest.mark.parametrize("call", ["s.send(data)", "os.write(s.fileno(), data)", "os.writev(s.fileno(), [data[:700], data[700:]])",
                                  "s.sendmsg([data[:200001], data[200001:]])"])
def test_a_call_goes_on_with_what_it_has_not_sent(net, call, before):
    """It is woken while the kernel has a part of it, and sends all of it, once."""
    taken = []

    def late(connection, stop):
        stop.wait(1)
        while chunk := connection.recv(65536):
            taken.append(chunk)

    server = net.serve(late, receive_buffer=4096)
    talk = Talk(net, server, **before)
    talk.ask("globals().update(data=b''.join(b'%d,' % n for n in range(150_000))) or "
             f"[{call} == len(data), s.shutdown(socket.SHUT_WR), s.recv(1)][0]")
    time.sleep(0.4)
    netdeadline("set", talk.pid, "SEND=20s", "MODE=enforce")
    assert talk.answer()[0] == "True"
    assert b"".join(taken) == b"".join(b"%d," % n for n in range(150_000))


SENDMMSG = """
def sendmmsg(s, data, parts=3):
    size = len(data) // parts
    text = ctypes.create_string_buffer(data, len(data))
    vectors = (ctypes.c_size_t * (2 * parts))()
    messages = (ctypes.c_size_t * (8 * parts))()
    for i in range(parts):
        vectors[2 * i:2 * i + 2] = [ctypes.addressof(text) + i * size, size if i + 1 < parts else len(data) - i * size]
        messages[8 * i + 2:8 * i + 4] = [ctypes.addressof(vectors) + 16 * i, 1]
    sent = libc.sendmmsg(s.fileno(), messages, parts, 0)
    return sum(messages[8 * i + 7] & 0xffffffff for i in range(max(sent, 0)))
"""


@pytest.mark.parametrize("call", PARTS.values(), ids=PARTS)
def test_an_observed_transfer_goes_on_with_what_it_has_not_sent(net, call):
    taken = []

    def late(connection, stop):
        stop.wait(1)
        while chunk := connection.recv(65536):
            taken.append(chunk)

    talk = Talk(net, net.serve(late, receive_buffer=4096), MODE="observe")
    talk.call(f"exec({SENDMMSG!r}, globals())")
    talk.call("globals().update(data=b''.join(b'%d,' % n for n in range(150_000)), file=os.memfd_create('x')) or os.write(file, data)")
    talk.ask(f"[{call} == len(data), s.shutdown(socket.SHUT_WR), s.recv(1)][0]")
    time.sleep(0.4)
    netdeadline("set", talk.pid, "SEND=20s", "MODE=enforce")
    assert talk.answer()[0] == "True"
    assert b"".join(taken) == b"".join(b"%d," % n for n in range(150_000))


@pytest.mark.parametrize("call, name", [("os.sendfile(s.fileno(), file, 0, 1 << 26)", "sendfile64"), ("sendmmsg(s, bytes(1 << 26))", "sendmmsg")],
                         ids=["sendfile", "sendmmsg"])
def test_observed_transfers(net, call, name):
    """What was sent is returned first, then the expiry."""
    talk = Talk(net, net.serve(tcp.silent), MODE="observe")
    talk.call(f"exec({SENDMMSG!r}, globals())")
    talk.call("globals().update(file=os.memfd_create('x')) or os.ftruncate(file, 1 << 26)")
    under_way(talk, f"[{call}] and s.send(b'x')", name)
    set_and_wait(talk, f"SEND={MS}", "MODE=enforce")


def test_the_programs_own_timeout_stays(net):
    talk = under_way(Talk(net, net.serve(tcp.silent), RECV="60s", **NOTHING),
                     "s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(70)) or s.settimeout(1.5) or s.recv(1)", "poll")
    netdeadline("set", talk.pid, "RECV=off")
    _, ms = talk.answer()
    assert 1400 <= ms < 1500 + LATEST


@UNCHECKED
@pytest.mark.parametrize("call", ["select_in(s, timeout=1.5)",
                                  "libc.ppoll(struct.pack('ihh', s.fileno(), 1, 0), 1, struct.pack('ll', 1, 500_000_000), None)"])
def test_the_programs_own_timeout_stays_past_the_library(net, call):
    talk = Talk(net, net.serve(tcp.silent), **NOTHING)
    talk.ask(call)
    time.sleep(0.7)
    netdeadline("set", talk.pid, "RECV=50s")
    result, ms = talk.answer()
    assert result in ("0", "[]") and 1400 <= ms < 2100


def test_a_signal_still_interrupts(net):
    """The handler has no SA_RESTART; the command's waking is no signal."""
    code = "signal.signal(signal.SIGALRM, lambda *_: 1 / 0) and None or signal.siginterrupt(signal.SIGALRM, True) or " \
           "signal.setitimer(signal.ITIMER_REAL, 1.5) and s.recv(1)"
    talk = under_way(Talk(net, net.serve(tcp.silent), RECV="60s", **NOTHING), code, "recv")
    netdeadline("set", talk.pid, "RECV=50s")
    assert talk.program.finish(input=b"").err.count(b"ZeroDivisionError")


def test_connect(net):
    talk = under_way(Talk(net, net.serve(tcp.silent)), f"socket.create_connection(('{net.blackhole()}', 80))", "connect")
    set_and_wait(talk, f"CONNECT={MS}")


def test_connect_without_a_limit(net):
    talk = under_way(Talk(net, net.serve(tcp.silent), CONNECT="off"), f"socket.create_connection(('{net.blackhole()}', 80))", "connect")
    set_and_wait(talk, f"CONNECT={MS}")


@pytest.mark.parametrize("before", ["30s", pytest.param("off", marks=UNCHECKED)])
def test_accept(net, before):
    talk = Talk(net, net.serve(tcp.silent), ACCEPT=before)
    talk.ask("socket.create_server(('127.0.0.1', 0)).accept()")
    time.sleep(0.3)
    set_and_wait(talk, f"ACCEPT={MS}")


def test_an_accept_is_observed_from_then_on(net):
    """The expiry is told, and the call waits on for the connection that comes after it."""
    talk = Talk(net, net.serve(tcp.silent), ACCEPT="3s")  # that `ps` and `set` come before it on a busy host
    talk.call("globals().update(l=socket.create_server(('127.0.0.1', 0)))")
    port = int(talk.call("l.getsockname()[1]")[0])
    under_way(talk, "len(l.accept())", "accept4")
    netdeadline("set", talk.pid, "MODE=observe")
    assert look.until(lambda: look.stats(talk.pid)[talk.pid].get("accept4", {}).get("observed"))
    net.run(programs.child(f"socket.create_connection(('127.0.0.1', {port}))"), library=False)
    assert talk.answer()[0] == "2"



@pytest.mark.parametrize("before", ["30s", pytest.param("off", marks=UNCHECKED)])
def test_datagrams(net, before):
    talk = Talk(net, net.serve(tcp.silent), RECV=before)
    talk.call("globals().update(u=udp()) or u.connect(('127.0.0.1', 9))")
    talk.ask("u.recv(1)")
    time.sleep(0.3)
    set_and_wait(talk, f"RECV={MS}")


@pytest.mark.parametrize("call, name, limit", [("s.sendall(bytes(1 << 26))", "send", "SEND"), ("s.sendall(bytes(1 << 26))", "send", "LIFETIME"),
                                               ("[os.sendfile(s.fileno(), m, 0, 1 << 26) for m in [os.memfd_create('x')] * 9 "
                                                "if not os.ftruncate(m, 1 << 26)]", "sendfile64", "SEND")])
def test_sends(net, call, name, limit):
    set_and_wait(under_way(Talk(net, net.serve(tcp.silent)), call, name), f"{limit}={MS}")


@waits(of=SENDS)
def test_observed_sends(net, call, name):
    set_and_wait(under_way(Talk(net, net.serve(tcp.silent), MODE="observe"), call, name), f"SEND={MS}", "MODE=enforce")


@pytest.mark.parametrize("before", [{"RECV": "60s", **NOTHING}, {}, {"MODE": "observe"}], ids=["limited", "unlimited", "observed"])
@pytest.mark.parametrize("call, name", [("recvmmsg", "recvmmsg"), ("splice_in", "splice")])
def test_other_receives(net, call, name, before):
    code = f"{transfer_test.CODE}\nprint(flush=True)\ntold = {call}(), errno.errorcode.get(ctypes.get_errno())\nprint(*told, flush=True)"
    program = net.start(programs.child(code, net.serve(tcp.silent).port), **before)
    assert look.waiting(program, name)
    netdeadline("set", look.pid_of(program), f"RECV={MS}", "MODE=enforce")
    assert program.finish(patience=8).out.split() == [b"-1", b"ETIMEDOUT"]


@pytest.mark.parametrize("nsswitch", ["files dns", "files [UNAVAIL=return] dns"], ids=["in the process", "by a helper thread"])
def test_lookup(net, nsswitch):
    net.dns(dns.silent)
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:9\n")
    net.etc("nsswitch.conf", f"hosts: {nsswitch}\n")
    code = """
print("connected", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    try: socket.getaddrinfo("name.test", 80)
    except OSError as e: print(e.errno, round((time.monotonic() - began) * 1000), flush=True)
"""
    program = net.start(programs.child(code), stdin=subprocess.PIPE, RESOLVE="60s")
    program.process.stdout.readline()
    talk = Talk.__new__(Talk)
    talk.program, talk.pid = program, look.pid_of(program)
    set_and_wait(under_way(talk, "", "getaddrinfo"), f"RESOLVE={MS}", result="-3")


@pytest.mark.parametrize("library", ["openssl", "gnutls"])
@pytest.mark.parametrize("before", [{}, {"TLS_HANDSHAKE": "off"}, {"MODE": "observe"}], ids=["limited", "unlimited", "observed"])
def test_tls_handshake(net, library, before):
    program = net.start([TLS, library, "block", net.serve(tcp.silent).port, "handshake"], **before)
    time.sleep(0.5)
    netdeadline("set", look.pid_of(program), f"TLS_HANDSHAKE={MS}", "MODE=enforce")
    parse(program.finish(patience=8))[-1].expect_expired()


@pytest.mark.parametrize("library", ["openssl", "gnutls"])
@pytest.mark.parametrize("before", [{"TLS_SHUTDOWN": "60s"}, {"TLS_SHUTDOWN": "off"}, {"TLS_SHUTDOWN": "off", **NOTHING}, {"MODE": "observe"}],
                         ids=["limited", "unlimited", "past the library", "observed"])
def test_tls_shutdown(net, library, before):
    steps = ["bye"] * (1 + (library == "openssl"))  # the first SSL_shutdown only sends
    program = net.start([TLS, library, "block", net.serve(tls.never_closes(tcp.silent)).port, "handshake", *steps], **before)
    time.sleep(0.7)
    netdeadline("set", look.pid_of(program), f"TLS_SHUTDOWN={MS}", "MODE=enforce")
    parse(program.finish(patience=8))[-1].expect_expired()


@pytest.mark.parametrize("library", ["openssl", "gnutls"])
@pytest.mark.parametrize("before", [{}, {"RECV": "60s", **NOTHING}], ids=["unlimited", "limited"])
def test_tls_read(net, library, before):
    program = net.start([TLS, library, "block", net.serve(tls.over_tls(tcp.silent)).port, "handshake", "recv"], **before)
    time.sleep(0.7)
    netdeadline("set", look.pid_of(program), f"RECV={MS}")
    parse(program.finish(patience=8))[-1].expect_expired()


@UNCHECKED
@waits("recv", "read", "recvmsg", "waitall", "poll, for ever", "ppoll", "ppoll, a minute", "select", "select, a minute", "pselect",
       "epoll, edge")
def test_past_the_library(net, call, name):
    """Nothing bounds it when it begins: the library is not in it."""
    talk = Talk(net, net.serve(tcp.silent), **NOTHING)
    if name in ("recv", "poll"): # whose functions are others in a process with threads
        talk.call("threading.Thread(target=time.sleep, args=(100,), daemon=True).start()")
    talk.ask(call)
    time.sleep(0.3)
    netdeadline("set", talk.pid, "SEND=30s")
    netdeadline("set", talk.pid, "SEND=20s")
    set_and_wait(talk, f"RECV={MS}")


@UNCHECKED
@waits(of=SENDS)
def test_sends_past_the_library(net, call, name):
    talk = Talk(net, net.serve(tcp.silent), **NOTHING)
    talk.ask(call)
    time.sleep(0.3)
    netdeadline("set", talk.pid, "RECV=30s")
    netdeadline("set", talk.pid, "RECV=20s")
    set_and_wait(talk, f"SEND={MS}")
