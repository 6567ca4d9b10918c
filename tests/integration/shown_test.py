"""What poll and epoll show of a stream that a deadline ended is what they show of one that is reset: a program that looks for
input alone goes on to the call that tells it."""

import pytest

from faults import tcp

CODE = """
how, s = sys.argv[2], dial()
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
tell(told)
"""


@pytest.mark.parametrize("how", ["poll", "epoll", "edge"])
def test_as_a_reset(net, how):
    answers = []
    for behaviour, limits in ((tcp.then_reset(tcp.silent), {"library": False}), (tcp.silent, {"RECV": "300ms"})):
        answers.append(net.told(CODE, net.serve(behaviour).port, how, **limits))
    reset, ended = answers
    assert (reset.pop("error"), ended.pop("error")) == (104, 110)
    assert reset["child"] == 0 and reset == ended, (reset, ended)


@pytest.mark.parametrize("wait", ["poll", "epoll"])
def test_in_a_process_forked_before(net, wait):
    """Its memory knows of no expiry; the kernel does."""
    code = f"""
s = dial()
child = os.fork()
if child == 0:
    os._exit(ready("{wait}", s, select.POLLIN, 5)[0][1] & select.POLLIN)
tell([error(s.recv, 1), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])])
"""
    assert net.told(code, net.serve(tcp.silent).port, RECV="300ms") == ["ETIMEDOUT", 1]
