"""A program without the library gets a connection from one that has it: no timer of ours stands on it. One with the library bounds
it by itself, and so does the parent where it lives on."""

import subprocess

import pytest

import programs
from faults import tcp

LIMITS = {"RECV": "700ms", "SEND": "700ms"}

# Without the library: reads from descriptor 0, blocking; as "later" after a while.
CHILD = """
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char bytes[10];
    if (strstr(argv[0], "/later"))
        usleep(800000);
    int got = recv(0, bytes, 5, 0);
    printf("%s\\n", got < 0 ? strerror(errno) : got == 5 ? "answered" : "odd");
    return 0;
}
"""

ONE_BY_ONE = "os.environ.clear(); os.dup2(s.fileno(), 0); name = child.encode()"

# Without the library: gets a socket over another one.
RECEIVER = """import os, socket, sys
ours = socket.socket(fileno=int(sys.argv[2])); fd = socket.recv_fds(ours, 1, 1)[1][0]
os.dup2(fd, 0); os.execv(sys.argv[1], sys.argv[1:2])"""

WAYS = {
    "subprocess": "subprocess.run([child], stdin=s, env={})",
    "fork": "pid = os.fork()\nif not pid: os.dup2(s.fileno(), 0); os.execve(child, [child], {})\nos.waitpid(pid, 0)",
    "posix_spawn": "os.waitpid(os.posix_spawn(child, [child], {}, file_actions=[(os.POSIX_SPAWN_DUP2, s.fileno(), 0)]), 0)",
    "exec": "os.dup2(s.fileno(), 0); os.execve(child, [child], {})",
    "execv": "os.environ.clear(); os.dup2(s.fileno(), 0); libc.execv(child.encode(), (ctypes.c_char_p * 2)(child.encode(), None))",
    "execl": f"{ONE_BY_ONE}; libc.execl(name, name, None)",
    "execlp": f"{ONE_BY_ONE}; libc.execlp(name, name, b'with', b'words', None)",
    "execle": f"{ONE_BY_ONE}; libc.execle(name, name, None, (ctypes.c_char_p * 1)(None))",
    "execveat": f"{ONE_BY_ONE}; libc.execveat(-100, name, (ctypes.c_char_p * 2)(name, None), None, 0)",
    "by number": f"{ONE_BY_ONE}; libc.syscall(59 if os.uname().machine == 'x86_64' else 221, name, (ctypes.c_char_p * 2)(name, None), None)",
    "system": f"{ONE_BY_ONE}; os.system(child)",
    "popen": f"{ONE_BY_ONE}; libc.popen.restype = ctypes.c_void_p\n"
             "libc.pclose(ctypes.c_void_p(libc.popen(f'{child} >&2'.encode(), b'r')))",
    "passed": "ours, theirs = socket.socketpair()\n"
              "receiver = subprocess.Popen([sys.executable, '-c', RECEIVER, child, str(theirs.fileno())], env={}, pass_fds=[theirs.fileno()])\n"
              "s.setblocking(True); socket.send_fds(ours, [b'x'], [s.fileno()]); s.close(); receiver.wait()",
    "execvp": "os.environ.clear(); os.dup2(s.fileno(), 0); libc.execvp(child.encode(), (ctypes.c_char_p * 2)(child.encode(), None))",
}


@pytest.fixture
def child(tmp_path):
    (tmp_path / "child.c").write_text(CHILD)
    subprocess.run(["gcc", "-static", "-o", tmp_path / "child", tmp_path / "child.c"], check=True)
    return tmp_path / "child"


@pytest.mark.parametrize("way, side", [(way, "client") for way in WAYS] + [(way, "server") for way in ("subprocess", "exec", "passed")])
def test_without_the_library(net, child, way, side):
    server = net.serve(tcp.after(1.5, tcp.greeting(b"hello")))
    begin = "s = dial()" if side == "client" else """
s, other = tcp_pair()[::-1]
if not os.fork(): time.sleep(1.5); other.sendall(b"hello"); os._exit(0)
"""
    limits = {**LIMITS, **{f"INBOUND_{name}": value for name, value in LIMITS.items()}}
    result = net.run(programs.child(f"import subprocess\nchild, RECEIVER = sys.argv[2], {RECEIVER!r}\n{begin}\n{WAYS[way]}", server.port, child), **limits)
    assert b"answered" in result.out + result.err, result


@pytest.mark.parametrize("way", ["os.execve", "subprocess.run"])
def test_with_the_library_it_bounds_by_itself(net, way):
    server = net.serve(tcp.silent)
    program = "import socket; s = socket.socket(fileno=0)\\ntry: s.recv(1)\\nexcept OSError as e: print(e.errno)"
    run = {"os.execve": "os.dup2(s.fileno(), 0); os.execve(sys.executable, argv, os.environ)", "subprocess.run": "subprocess.run(argv, stdin=s)"}[way]
    result = net.run(programs.child(f'import subprocess\ns = dial()\nargv = [sys.executable, "-c", "{program}"]\n{run}', server.port), RECV="700ms")
    assert result.out == b"110\n", result


@pytest.mark.parametrize("after", ["os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)", "error(os.execve, '/no/such', ['no'], {})",
                                   "subprocess.run(['/bin/true'])"], ids=["posix_spawn", "failed", "subprocess"])
def test_the_parent_goes_on(net, after):
    server = net.serve(tcp.silent)
    code = f"import subprocess\ns = dial()\ns.set_inheritable(True)\n{after}\nprint(timed(lambda: error(s.recv, 1)))"
    result = net.run(programs.child(code, server.port), RECV="700ms", patience=8)
    assert result.out.startswith(b"('ETIMEDOUT', 0.") or result.out.startswith(b"('ETIMEDOUT', 1."), result


# Ways for another program to have the connection, while this one goes on to use it.
KEEPS = {
    "passed": "ours, theirs = socket.socketpair()\n"
              "receiver = subprocess.Popen([sys.executable, '-c', RECEIVER, child, str(theirs.fileno())], env={}, pass_fds=[theirs.fileno()], stdout=2)\n"
              "socket.send_fds(ours, [b'x'], [s.fileno()])",
    "fork": "if not os.fork(): os.dup2(s.fileno(), 0); os.dup2(2, 1); os.execve(child, [child], {})",
    "posix_spawn": "os.posix_spawn(child, [child], {}, file_actions=[(os.POSIX_SPAWN_DUP2, s.fileno(), 0), (os.POSIX_SPAWN_DUP2, 2, 1)])",
    "vfork": "subprocess.Popen([child], stdin=s, stdout=2, env={}, close_fds=False)",
}
BOTH = """
import subprocess
child, RECEIVER = sys.argv[2], {receiver!r}
def shared():
    s = dial()
    s.setblocking(True)
{keeps}
    return s
"""


def both(way):
    return BOTH.format(receiver=RECEIVER, keeps="\n".join(f"    {line}" for line in KEEPS[way].splitlines()))


@pytest.mark.parametrize("way", KEEPS)
def test_what_this_one_waits_for_is_bounded(net, child, way):
    server = net.serve(tcp.silent)
    code = """
for call in (lambda s: s.recv(1), lambda s: s.recv_into(bytearray(9), 9, socket.MSG_WAITALL), lambda s: ready("poll", s, select.POLLIN, 9),
             lambda s: libc.splice(s.fileno(), None, os.pipe()[1], None, 1, 0), lambda s: tls(s)):
    s = shared()
    s.send(b"x")
    other = s.dup()
    print(timed(lambda: error(call, s))[1] < 3, error(other.recv, 1), flush=True)
"""
    result = net.run(programs.child(both(way) + code, server.port, child), RECV="500ms", TLS_HANDSHAKE="500ms", patience=12)
    assert (result.status, result.out.split()[::2]) == (0, [b"True"] * 5), result
    assert set(result.out.split()[1::2]) <= {b"ETIMEDOUT", b"ECONNRESET"}, result


@pytest.mark.parametrize("way", KEEPS)
def test_no_timer_comes_back(net, child, way):
    """Of the call that the other one makes after this one has used the connection again."""
    server = net.serve(tcp.after(2, tcp.greeting(b"hello")))
    code = "s = shared()\ntime.sleep(.3)\ns.send(b'x')\nready('poll', s, select.POLLIN, .05)\nprint('used', file=sys.stderr, flush=True)\ntime.sleep(9)"
    later = child.rename(child.with_name("later"))
    program = net.start(programs.child(both(way) + code, server.port, later), **LIMITS)
    told = b""
    while b"\n" not in told.replace(b"used\n", b""):
        assert (more := program.process.stderr.read(100)), told
        told += more
    assert b"answered" in told, told


# A datagram socket that another program has, and calls for one message, for two of which one is there, and with a timeout.
DATAGRAMS = """
class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("vector", ctypes.c_void_p), ("count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int), ("pad", ctypes.c_int),
                ("length", ctypes.c_uint)]
place = ctypes.create_string_buffer(9)
space = (ctypes.c_size_t * 2)(ctypes.addressof(place), 9)
messages = (Message * 2)(*[Message(vector=ctypes.addressof(space), count=1) for _ in range(2)])
server = udp(("127.0.0.1", 0))
s = udp()
s.connect(server.getsockname())
s.send(b"question")
ours, theirs = socket.socketpair()
socket.send_fds(ours, [b"x"], [s.fileno()])
def recvmmsg(count, timeout=None):
    got = libc.recvmmsg(s.fileno(), messages, count, 0, timeout)
    return got if got >= 0 else errno.errorcode[ctypes.get_errno()]
for call in (lambda: recvmmsg(1), lambda: server.sendto(b"x", s.getsockname()) and recvmmsg(2),
             lambda: recvmmsg(2, ctypes.byref((ctypes.c_long * 2)(30, 0)))):
    print(*timed(call), flush=True)
"""


def test_datagrams_are_bounded_where_another_one_has_the_socket(net):
    result = net.run(programs.child(DATAGRAMS), RECV="500ms", patience=8)
    given, took = zip(*(line.split() for line in result.out.splitlines()))
    assert given == (b"ETIMEDOUT", b"1", b"ETIMEDOUT") and all(float(time) < 3 for time in took), result
