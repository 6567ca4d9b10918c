"""What poll and epoll show of a stream that a deadline ended is what they show of one that is reset: a program that looks for
input alone goes on to the call that tells it."""

import json

import pytest

import programs
from faults import tcp

CODE = """
import json, os, select, socket, sys, time
port, how = int(sys.argv[1]), sys.argv[2]
s = socket.create_connection(("127.0.0.1", port))
MASKS = [select.POLLIN, select.POLLIN | select.POLLOUT, select.POLLIN | select.POLLRDHUP, select.POLLRDNORM, select.POLLOUT, select.POLLPRI, 0]

def ask(mask, timeout):
    p = select.poll() if how == "poll" else select.epoll()
    p.register(s, mask | (select.EPOLLET if how == "edge" else 0))
    found = p.poll(timeout * (1000 if how == "poll" else 1))
    return sorted(found)

told = {"first": ask(select.POLLIN, 5), "then": [ask(mask, timeout) for mask in MASKS for timeout in (0, 0.5)]}
child = os.fork()
if child == 0:
    os._exit(ask(select.POLLIN, 1) != told["first"])
told["child"] = os.waitpid(child, 0)[1]
told["error"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
told["after"] = [ask(mask, 0.5) for mask in MASKS]
print(json.dumps(told))
"""


@pytest.mark.parametrize("how", ["poll", "epoll", "edge"])
def test_as_a_reset(net, how):
    answers = []
    for behaviour, limits in ((tcp.then_reset(tcp.silent), {"library": False}), (tcp.silent, {"RECV": "300ms"})):
        result = net.run([programs.PYTHON, "-c", CODE, net.serve(behaviour).port, how], **limits)
        assert result.status == 0, result
        answers.append(json.loads(result.out))
    reset, ended = answers
    assert (reset.pop("error"), ended.pop("error")) == (104, 110)
    assert reset["child"] == 0 and reset == ended, (reset, ended)


@pytest.mark.parametrize("wait", ["poll", "epoll"])
def test_in_a_process_forked_before(net, wait):
    """Its memory knows of no expiry; the kernel does."""
    code = f"""
import os, select, socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
child = os.fork()
if child == 0:
    p = select.{wait}()
    p.register(s, select.POLLIN)
    os._exit(p.poll(5000 if "{wait}" == "poll" else 5)[0][1] & select.POLLIN)
try: s.recv(1)
except OSError as error: print(error.errno, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = net.run([programs.PYTHON, "-c", code, net.serve(tcp.silent).port], RECV="300ms")
    assert result.out == b"110 1\n", result
