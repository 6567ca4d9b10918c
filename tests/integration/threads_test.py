"""A descriptor that is closed, or becomes another one, while a thread is blocked in a call on it."""

import json

import pytest

import programs
from faults import tcp

CODE = """
call, how = sys.argv[2:4]
stream = dial()
fd = stream.fileno()
outcome = []

def blocked():
    began = time.monotonic()
    try:
        done = len(stream.recv(10)) if call == "recv" else stream.send(b"x" * (16 << 20))
        if call == "send" and done < 16 << 20:
            done = "part"
    except OSError as error:
        done = errno.errorcode[error.errno]
    outcome.extend([done, time.monotonic() - began])

thread = threading.Thread(target=blocked)
thread.start()
time.sleep(0.15)
pair = socket.socketpair()
if how == "close":
    os.close(fd)
    os.dup2(pair[0].fileno(), fd)
else:
    os.dup2(pair[0].fileno(), fd)
thread.join(10)
stray = error(pair[1].recv, 100, socket.MSG_DONTWAIT)
pair[1].send(b"alive")
tell([*outcome, stray, os.read(fd, 10).decode()])
"""


@pytest.mark.parametrize("how", ["close", "dup2"])
@pytest.mark.parametrize("call, limit, expected", [("recv", "RECV", ["ETIMEDOUT"]), ("send", "SEND", ["part", "EBADF"])])
def test_the_stranger_is_left_alone(net, call, limit, expected, how):
    """The blocked call ends at its limit, no byte of it goes to the new descriptor, and that one lives."""
    if how == "close" and "tsan" in programs.RUNTIME:
        pytest.skip("what is tested is a race of the program's own, which ThreadSanitizer reports")
    server = net.serve(tcp.silent, receive_buffer=2048)
    done, took, stray, heard = net.told(CODE, server.port, call, how, **{limit: "400ms"})
    assert done in expected and took < 2 and (stray, heard) == ("EAGAIN", "alive"), (done, took, stray, heard)


KEEPALIVE = """
stream = dial()
stream.setsockopt(socket.IPPROTO_TCP, 18, 300)
print("ready", flush=True)
sys.stdin.readline()
order = sys.argv[2].split(",")
if order[0] == "wait":
    select.select([stream], [], [])
calls = {"in": lambda: stream.recv(10), "out": lambda: stream.send(b"x"), "error": lambda: stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)}
tell([error(calls[name]) for name in order if name in calls])
"""


@pytest.mark.parametrize("order, expected", [("in,in,out,out", ["ETIMEDOUT", "ECONNRESET", "ETIMEDOUT", "EPIPE"]),
                                             ("wait,error,in,in", ["110", "ETIMEDOUT", "ECONNRESET"]),
                                             ("wait,out,in,in", ["ETIMEDOUT", "ETIMEDOUT", "ECONNRESET"])])
def test_a_peer_that_keepalive_found_dead(net, order, expected):
    """The kernel says so once, to whoever asks first; nobody finds an end of file."""
    server = net.serve(tcp.silent)
    program = net.start(programs.child(KEEPALIVE, server.port, order), stdin=programs.subprocess.PIPE, KEEPALIVE="1s")
    assert program.process.stdout.readline() == b"ready\n"
    net.drop(f"tcp sport {server.port}")
    result = program.finish(input=b"go\n")
    assert json.loads(result.out) == expected, result
