"""What a program sees when a deadline fires: the error, the time, and the stream afterwards."""

import resource
import threading

import pytest

import programs
from calls import LIMIT, at, finish, make, start
from faults import FullBacklog, tcp

MS = f"{LIMIT}ms"
RECEIVERS = ["recv", "read", "readv", "preadv2", "recvfrom", "recvmsg", "peek", "waitall"]
SENDERS = ["send", "sendto", "sendmsg", "write", "writev", "pwritev2"]


@pytest.fixture
def silent(net):
    return net.serve(tcp.silent, receive_buffer=2048)


@pytest.mark.musl
@pytest.mark.parametrize("receive", RECEIVERS)
def test_receive(net, silent, report_time, receive):
    first, second, send, third = make(net, at(silent), receive, receive, "send", "recv", RECV=MS)[1:]
    first.expect_expired()
    for later in (second, send, third):
        later.expect_refused_at_once()
    report_time(f"{receive} {MS}", first.ms / 1000)


@pytest.mark.musl
def test_receive_of_half(net):
    """What came before the silence is delivered."""
    server = net.serve(tcp.greeting(b"half"))
    first, second, third = make(net, at(server), "recv", "recv", "recv", RECV=MS)[1:]
    assert (first.result, first.more) == (4, "half")
    second.expect_expired()
    third.expect_refused_at_once()


@pytest.mark.musl
def test_waitall_of_half(net):
    """MSG_WAITALL gives what it has, as at any other error, and the error comes with the next call."""
    server = net.serve(tcp.greeting(b"half"))
    first, second = make(net, at(server), "waitall:100", "recv", RECV=MS)[1:]
    assert first.result == 4 and first.ms >= LIMIT, first
    second.expect_refused_at_once()


@pytest.mark.musl
@pytest.mark.parametrize("send", SENDERS)
def test_send(net, silent, report_time, send):
    filled, first, second, receive = make(net, at(silent), "fill", send, send, "recv", SEND=MS)[1:]
    assert filled.result > 0
    first.expect_expired()
    for later in (second, receive):
        later.expect_refused_at_once()
    report_time(f"{send} {MS}", first.ms / 1000)


@pytest.mark.musl
@pytest.mark.parametrize("send", SENDERS)
def test_send_of_part(net, silent, send):
    """What the kernel took is told; the error comes with the next call."""
    first, second = make(net, at(silent), f"{send}:1000000", send, SEND=MS)[1:]
    assert 0 < first.result < 1000000 and first.ms >= LIMIT, first
    assert second.failed, second


@pytest.mark.musl
def test_connect(net, report_time):
    host = net.blackhole()
    connect, = make(net, f"connect:{host}:80", CONNECT=MS)
    connect.expect_expired()
    report_time(f"connect {MS}", connect.ms / 1000)


@pytest.mark.musl
def test_connect_to_a_full_backlog(net):
    connect, = make(net, at(net.open(FullBacklog)), CONNECT=MS)
    connect.expect_expired()


@pytest.mark.musl
def test_descriptor_after_connect_can_be_used_again(net, silent):
    host = net.blackhole()
    first, again, send = make(net, f"connect:{host}:80", at(silent, "again"), "send", CONNECT=MS)
    first.expect_expired()
    assert again.result == 0 and send.result > 0


@pytest.mark.musl
@pytest.mark.parametrize("wait", ["poll:out", "polls:out:50", "select:out"])
def test_connect_that_does_not_block(net, report_time, wait):
    host = net.blackhole()
    start, wait, error, send = make(net, f"start:{host}:80", wait, "get:error", "send", CONNECT=MS)
    assert start.errno == "EINPROGRESS" and start.ms < LIMIT
    assert wait.result == 1 and LIMIT <= wait.began + wait.ms - start.began < LIMIT + 1500, wait
    assert error.result == 110, "SO_ERROR is ETIMEDOUT"
    send.expect_refused_at_once()
    report_time(f"{wait.name} for connect {MS}", wait.ms / 1000)


@pytest.mark.musl
def test_connect_is_asked_for_again(net):
    """A program that calls connect on the pending socket again does not start the clock anew."""
    host = net.blackhole()
    step = f"again:{host}:80"
    calls = make(net, f"start:{host}:80", "poll:out:150", step, "poll:out:100", step, "poll:out:1500", "get:error", CONNECT=MS)
    assert [call.errno for call in calls[2:5:2]] == ["EALREADY"] * 2
    assert calls[5].result == 1 and calls[5].ms < 1000, calls


@pytest.mark.musl
@pytest.mark.parametrize("wait", ["poll:in", "polls:in:50", "select:in"])
def test_wait_for_input(net, silent, report_time, wait):
    waited, receive, again = make(net, at(silent), wait, "recv", "recv", RECV=MS)[1:]
    assert waited.result == 1 and LIMIT <= waited.ms < LIMIT + 1500, waited
    assert receive.errno == "ETIMEDOUT" and receive.ms < LIMIT / 2, receive
    again.expect_refused_at_once()
    report_time(f"{waited.name} for input {MS}", waited.ms / 1000)


@pytest.mark.musl
def test_wait_for_input_then_so_error(net, silent):
    waited, error = make(net, at(silent), "nonblock", "poll:in", "get:error", RECV=MS)[2:]
    assert waited.result == 1 and error.result == 110


@pytest.mark.musl
@pytest.mark.parametrize("wait", ["poll:out", "polls:out:50", "select:out"])
def test_wait_for_room(net, silent, wait):
    waited, send = make(net, at(silent), "fill", wait, "send", SEND=MS)[2:]
    assert waited.result == 1 and LIMIT <= waited.ms < LIMIT + 1500, waited
    assert send.errno == "ETIMEDOUT", send


@pytest.mark.musl
def test_the_programs_own_shorter_wait_is_its_own(net, silent):
    waited, = make(net, at(silent), "poll:in:100", RECV=MS)[1:]
    assert waited.result == 0 and 100 <= waited.ms < LIMIT, waited


@pytest.mark.musl
def test_nothing_is_sent_after_expiry(net):
    """The peer sees the connection end, and not one byte that was sent after the deadline."""
    seen, ended = [], threading.Event()

    def listening(connection, _stop):
        try:
            while data := connection.recv(65536):
                seen.append(data)
        except ConnectionResetError:
            ended.set()

    server = net.serve(listening)
    make(net, at(server), "send:10", "recv", "send:20", "write:30", "sendmsg:40", "sleep:200", RECV=MS)
    assert ended.wait(5), "the peer saw an orderly end, or none"
    assert sum(map(len, seen)) == 10


@pytest.mark.musl
def test_expiry_holds_for_copies(net, silent):
    """A copy of the descriptor is the same stream."""
    first, _, copy = make(net, at(silent), "recv", "dup", "recv", RECV=MS)[1:]
    first.expect_expired()
    copy.expect_refused_at_once()


@pytest.mark.musl
def test_a_new_connection_on_the_number_is_a_new_stream(net, silent):
    server = net.serve(tcp.greeting(b"hello"))
    assert make(net, at(silent), "recv", at(server), "recv", RECV=MS)[3].more == "hello"


@pytest.mark.musl
def test_descriptor_replaced_unseen(net, silent):
    """A stale memory of an expiry changes nothing for another stream on the number."""
    server = net.serve(tcp.greeting(b"hello"))
    calls = make(net, at(silent), "recv", at(server, "replace"), "recv", "send:5", RECV=MS)
    calls[1].expect_expired()
    assert calls[3].more == "hello" and calls[4].result == 5, calls


@pytest.mark.musl
@pytest.mark.parametrize("number", [0, 1500, 15000, 70000])
def test_any_descriptor_number(net, silent, number):
    if number >= resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
        pytest.skip("descriptors are limited below that here")
    make(net, at(silent), f"onto:{number}", "recv", RECV=MS)[2].expect_expired()


@pytest.mark.musl
def test_stdio(net, silent):
    """fgets calls read inside libc, where no hook is; the socket's own timer ends it."""
    line = make(net, at(silent), "fgets", RECV=MS)[1]
    assert line.failed and LIMIT <= line.ms < LIMIT + 1500, line


@pytest.mark.musl
def test_half_closed(net, silent):
    make(net, at(silent), "send:10", "shutdown", "recv", RECV=MS)[3].expect_expired()


def test_inherited_by_another_program(net, silent):
    """A shell connects, and another program reads."""
    shell = f"exec 3<>/dev/tcp/127.0.0.1/{silent.port}; exec cat <&3"
    result = net.run(["bash", "-c", shell], RECV=MS)
    assert result.status == 1 and b"timed out" in result.err and LIMIT / 1000 <= result.elapsed < 3, result


@pytest.mark.musl
def test_peer_gone_while_sending(net, silent, report_time):
    """UNACKED: the peer acknowledges nothing any more, not even window probes."""
    program = start(net, at(silent), "fill", "send", "send", UNACKED="1s")
    told = [program.process.stdout.readline() for _ in range(2)]
    net.drop(f"tcp dport {silent.port}")
    first, second = finish(program)
    assert told[1].startswith(b"fill ")
    first.expect_expired(1000)
    second.expect_refused_at_once()
    report_time("send to a peer that is gone 1s", first.ms / 1000)


@pytest.mark.musl
@pytest.mark.parametrize("unacked", ["500ms", "1s"])
def test_closed_window_is_not_gone(net, silent, unacked):
    """A peer that does not read still answers the window probes, however seldom the kernel sends them."""
    assert make(net, at(silent), "fill", "alarm:3000:no", "send", UNACKED=unacked)[-1].errno == "EINTR"


@pytest.mark.musl
def test_peer_out_of_reach_for_less_than_unacked(net):
    server = net.serve(tcp.pausing(2, tcp.draining), receive_buffer=2048)
    program = start(net, at(server), "fill", "send", UNACKED="5s")
    program.process.stdout.readline()
    net.drop(f"tcp dport {server.port}")
    threading.Timer(1.5, net.undrop).start()
    assert finish(program)[-1].result > 0


@pytest.mark.musl
@pytest.mark.skipif(bool(programs.RUNTIME), reason="the sanitizers fail by themselves when a stack is left so")
def test_jump_out_of_connect(net):
    """The attempt goes on under its limit, and what the call had put into the socket is taken out by the next one."""
    host = net.blackhole()
    jump, waited, error = make(net, f"jump:{host}:80", "poll:out", "get:error", CONNECT=MS)
    assert jump.result == -2 and waited.result == 1 and error.result == 110, (jump, waited, error)
    assert LIMIT <= waited.began + waited.ms - jump.began < LIMIT + 1500, waited
    jump, own, again, left = make(net, f"jump:{host}:80", "get:sndtimeo", f"again:{host}:80", "really:sndtimeo", CONNECT=MS)
    assert own.result == left.result == 0 and again.errno == "ETIMEDOUT", (own, again, left)
    assert LIMIT <= again.began + again.ms - jump.began < LIMIT + 1500, again
