"""What must not change: the program's own modes, options, timeouts and interruptions, and everything that is no network
stream."""

import signal
import threading
import time

import pytest

from calls import LIMIT, at, finish, make, start
from faults import tcp

MS = f"{LIMIT}ms"
ALL = dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "TLS_HANDSHAKE", "TLS_SHUTDOWN"], MS)


@pytest.fixture
def silent(net):
    return net.serve(tcp.silent, receive_buffer=2048)


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, ALL], ids=["defaults", "limits"])
def test_non_blocking_keeps_eagain(net, silent, limits):
    calls = make(net, at(silent), "dontwait", "nonblock", "recv", "read", "fill", "send", "write", "flags", "block", "flags", **limits)
    assert [calls[i].errno for i in (1, 3, 4, 6, 7)] == ["EAGAIN"] * 5
    assert all(call.ms < LIMIT for call in calls)
    assert [calls[i].result for i in (8, 10)] == [1, 0]


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, ALL, ALL | {"KEEPALIVE": "30s"}], ids=["defaults", "limits", "keepalive"])
@pytest.mark.parametrize("connect", ["connect", "start"])
def test_options_read_back_as_the_program_set_them(net, silent, limits, connect):
    names = ["rcvtimeo", "sndtimeo", "syncnt", "usertimeout", "keepalive", "keepidle", "error"]
    steps = [at(silent, connect), *(f"get:{name}" for name in names), "set:rcvtimeo:7000", "set:sndtimeo:8000", "set:syncnt:3",
             "set:keepidle:77", "set:usertimeout:9000", *(f"get:{name}" for name in names)]
    without, under = ([call.result for call in make(net, *steps, library=library, **limits)] for library in (False, True))
    assert under == without


@pytest.mark.musl
def test_own_shorter_timeout_is_the_programs(net, silent):
    """EAGAIN as ever, and the stream lives on."""
    calls = make(net, at(silent), "set:rcvtimeo:100", "recv", "get:rcvtimeo", "send", "recv", "set:sndtimeo:100", "fill", "send",
                 "get:error", RECV=MS, SEND=MS)
    assert [calls[i].errno for i in (2, 5, 8)] == ["EAGAIN"] * 3, calls
    assert all(100 <= calls[i].ms < LIMIT + 1500 for i in (2, 5, 8))
    assert calls[3].result == 100 and calls[4].result > 0 and calls[9].result == 0


@pytest.mark.musl
def test_own_longer_timeout_is_ours(net, silent):
    calls = make(net, at(silent), "set:rcvtimeo:5000", "get:rcvtimeo", "recv", "recv", RECV=MS)
    assert calls[2].result == 5000
    calls[3].expect_expired()
    calls[4].expect_refused_at_once()


@pytest.mark.musl
@pytest.mark.parametrize("own, errno, at_least", [(100, "EINPROGRESS", 100), (5000, "ETIMEDOUT", LIMIT)])
def test_own_timeout_of_connect(net, own, errno, at_least):
    """The shorter one is in force; both read back as the program set them."""
    calls = make(net, "socket", f"set:sndtimeo:{own}", f"again:{net.blackhole()}:80", "get:sndtimeo", "really:sndtimeo", CONNECT=MS)
    assert calls[2].errno == errno and calls[2].ms >= at_least, calls
    assert calls[3].result == calls[4].result


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, {"CONNECT": MS, "RESOLVE": MS, "UNACKED": MS}], ids=["defaults", "limits"])
@pytest.mark.parametrize("connect", ["connect", "start"])
def test_nothing_is_left_in_the_kernel(net, silent, connect, limits):
    """A limit on connecting leaves no option behind on the connected socket that could end it later; KEEPALIVE is the one that does."""
    steps = [at(silent, connect), "poll:out:1000", *(f"really:{name}" for name in ["rcvtimeo", "sndtimeo", "usertimeout"]),
             "get:keepalive"]
    without, under = ([call.result for call in make(net, *steps, library=library, **limits)] for library in (False, True))
    assert under == without


@pytest.mark.musl
def test_own_timeout_alone_is_untouched(net, silent):
    calls = make(net, at(silent), "set:rcvtimeo:200", "recv", "set:sndtimeo:200", "fill", "send")
    assert [calls[i].errno for i in (2, 5)] == ["EAGAIN"] * 2


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, ALL], ids=["defaults", "limits"])
@pytest.mark.parametrize("after", [[], ["send"], ["shutdown"], ["send", "shutdown"]], ids="-".join)
def test_end_of_file_stays_end_of_file(net, after, limits):
    """Also when the kernel has forgotten the connection, which is what it looks like after an expiry too."""
    def behaviour(connection, stop):
        connection.sendall(b"hello")
        connection.shutdown(tcp.socket.SHUT_WR)
        tcp.draining(connection, stop)

    server = net.serve(behaviour)
    steps = [at(server), "recv", *after, "recv", "sleep:100", "recv", "recv"]
    without, under = ([(call.result, call.errno) for call in make(net, *steps, library=library, **limits)]
                      for library in (False, True))
    assert under == without


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, ALL], ids=["defaults", "limits"])
def test_reset_stays_reset(net, limits):
    def reset(connection, _stop):
        connection.setsockopt(tcp.socket.SOL_SOCKET, tcp.socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))

    steps = [at(net.serve(reset)), "recv", "recv", "send:10"]
    runs = [start(net, *steps, library=library, **limits).finish() for library in (False, True)]
    assert runs[0].status == runs[1].status == -signal.SIGPIPE, runs
    assert [line.split()[:3] for line in runs[0].out.splitlines()] == [line.split()[:3] for line in runs[1].out.splitlines()]


@pytest.mark.musl
def test_refused_stays_refused(net):
    for library in (False, True):
        assert make(net, "connect:127.0.0.1:9", library=library, **ALL)[0].errno == "ECONNREFUSED"


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, ALL], ids=["defaults", "limits"])
@pytest.mark.parametrize("kind", ["pipe", "socketpair"])
@pytest.mark.parametrize("call", ["read", "poll:in", "select:in"])
def test_pipes_and_socketpairs_are_never_bounded(net, kind, call, limits):
    waited = make(net, f"{kind}:800", call, **limits)[1]
    assert waited.result == 1 and 600 < waited.ms < 2500, waited


@pytest.mark.musl
def test_accepted_sockets_are_not_outbound_ones(net):
    """RECV is for connections the program made. An accepted one has INBOUND_RECV."""
    for limits, expired in [(ALL, False), ({"INBOUND_RECV": MS}, True)]:
        program = start(net, "accept", "set:rcvtimeo:900", "recv", **limits)
        port = int(program.process.stdout.readline().split()[1])
        with net.inside():
            client = tcp.socket.create_connection(("127.0.0.1", port))
        with client:
            received = finish(program)[2]
        if expired:
            received.expect_expired()
        else:
            assert received.errno == "EAGAIN" and received.ms >= 900, received


@pytest.mark.musl
def test_udp_is_bounded_but_goes_on(net):
    calls = make(net, "udp:127.0.0.1:5353", "recv", RECV=MS)
    calls[1].expect_expired()
    with net.inside():
        server = tcp.socket.socket(type=tcp.socket.SOCK_DGRAM)
    with server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        program = start(net, f"udp:127.0.0.1:{port}", "recv", "send:5", "recv", RECV=MS)
        data, peer = server.recvfrom(100)
        server.sendto(b"late", peer)
        calls = finish(program)
    assert calls[1].errno == "ETIMEDOUT" and calls[3].more == "late", calls


@pytest.mark.musl
@pytest.mark.parametrize("limits, errno", [({"RECV": MS}, "ETIMEDOUT"), ({}, "EAGAIN")])
def test_connected_unix_sockets(net, tmp_path, limits, errno):
    with tcp.socket.socket(tcp.socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        steps = [f"connect:{tmp_path}/socket", *([] if limits else ["set:rcvtimeo:600"]), "recv"]
        assert make(net, *steps, **limits)[-1].errno == errno


@pytest.mark.musl
def test_unix_connect(net, tmp_path):
    """A listener whose backlog is full makes connect wait."""
    with tcp.socket.socket(tcp.socket.AF_UNIX) as listener, tcp.socket.socket(tcp.socket.AF_UNIX) as filler:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(0)
        filler.connect(str(tmp_path / "socket"))
        make(net, f"connect:{tmp_path}/socket", CONNECT=MS)[0].expect_expired()


# Interruptions: each wait, what is set up for it, and its limit.
WAITS = {"recv": ("recv", "RECV"), "read": ("read", "RECV"), "send": ("send", "SEND")}


@pytest.fixture(params=WAITS)
def wait(request, silent):
    call, limit = WAITS[request.param]
    return [at(silent), *(["fill"] if limit == "SEND" else [])], call, {limit: MS}


@pytest.mark.musl
def test_restarted_where_handlers_ask_for_it(net, wait):
    """A periodic signal neither ends the call nor keeps it alive."""
    before, call, limits = wait
    make(net, *before, "alarm:70:restart", call, **limits)[-1].expect_expired()


@pytest.mark.musl
def test_interrupted_where_handlers_do_not_ask_for_restart(net, wait):
    before, call, limits = wait
    interrupted = make(net, *before, "alarm:100:no", call, **limits)[-1]
    assert interrupted.errno == "EINTR" and interrupted.ms < LIMIT, interrupted


@pytest.mark.musl
def test_restarted_connect(net):
    host = net.blackhole()
    make(net, "alarm:70:restart", f"connect:{host}:80", CONNECT=MS)[-1].expect_expired()


@pytest.mark.musl
def test_interrupted_connect(net):
    host = net.blackhole()
    interrupted = make(net, "alarm:100:no", f"connect:{host}:80", CONNECT=MS)[-1]
    assert interrupted.errno == "EINTR" and interrupted.ms < LIMIT, interrupted


@pytest.mark.musl
def test_poll_is_interrupted_whatever_handlers_ask_for(net, silent):
    interrupted = make(net, at(silent), "alarm:100:restart", "poll:in", RECV=MS)[-1]
    assert interrupted.errno == "EINTR", interrupted


@pytest.mark.musl
def test_interrupted_polls_add_up(net, silent):
    waited = make(net, at(silent), "alarm:70:restart", "polls:in", RECV=MS)[-1]
    assert waited.result == 1 and LIMIT - 10 <= waited.ms < LIMIT + 1500, waited


@pytest.mark.musl
@pytest.mark.parametrize("call", ["recv", "read", "recvmsg"])
@pytest.mark.parametrize("limits", [{}, {"RECV": "5s"}], ids=["defaults", "recv"])
def test_stop_and_continue_are_invisible(net, call, limits):
    server = net.serve(tcp.after(0.8, tcp.greeting(b"hello")))
    program = start(net, at(server), call, **limits)
    time.sleep(0.3)
    program.signal(signal.SIGSTOP)
    time.sleep(0.1)
    program.signal(signal.SIGCONT)
    assert finish(program)[1].more == "hello"


@pytest.mark.musl
def test_crash_handlers_are_no_reason_to_interrupt(net):
    """A handler for SIGSEGV without SA_RESTART does not make a stop visible: it is not what interrupted."""
    server = net.serve(tcp.after(0.8, tcp.greeting(b"hello")))
    program = start(net, "crashes", at(server), "recv", RECV="5s")
    time.sleep(0.3)
    program.signal(signal.SIGSTOP)
    program.signal(signal.SIGCONT)
    assert finish(program)[2].more == "hello"


@pytest.mark.musl
def test_stop_and_continue_do_not_prolong(net, silent):
    program = start(net, at(silent), "recv", RECV=MS)
    time.sleep(0.15)
    program.signal(signal.SIGSTOP)
    threading.Timer(0.1, program.signal, [signal.SIGCONT]).start()
    finish(program)[1].expect_expired()


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, ALL, ALL | {"KEEPALIVE": "5s"}], ids=["defaults", "limits", "keepalive"])
def test_nothing_is_left(net, silent, limits):
    """No descriptor and no thread, before or after a deadline."""
    steps = ["descriptors", "threads", at(silent), "set:rcvtimeo:100", "recv", "set:rcvtimeo:600", "recv", "close", "descriptors", "threads"]
    without, under = (make(net, *steps, library=library, **limits) for library in (False, True))
    for i in (0, 1, 8, 9):
        assert under[i].result == without[i].result


PROXY = """
client, inbound = tcp_pair()
outbound = dial()
shown = select.select([inbound, outbound], [], [], 1.0)
tell([shown, error(outbound.recv, 1, socket.MSG_DONTWAIT)])
"""


def test_an_idle_upstream_beside_a_client_lives(net):
    """RECV is for connections we made; one that owes nothing is not alone beside one that we accepted."""
    server = net.serve(tcp.silent)
    assert net.told(PROXY, server.port, RECV="300ms") == [[[], [], []], "EAGAIN"]


ERRNO = """
client, peer = tcp_pair()

def read_late():
    time.sleep(0.2)
    while peer.recv(1 << 20):
        pass

threading.Thread(target=read_late, daemon=True).start()
much = ctypes.create_string_buffer(16 << 20)
more = (None, 0) if sys.argv[1] == "sendto" else ()
ctypes.set_errno(42)
sent = libc[sys.argv[1]](client.fileno(), much, ctypes.c_size_t(16 << 20), 0, *more)
tell([sent == 16 << 20, ctypes.get_errno()])
"""


@pytest.mark.parametrize("call", ["send", "sendto"])
def test_errno_stays_where_a_send_waited_and_succeeded(net, call):
    assert net.told(ERRNO, call) == [True, 42]
