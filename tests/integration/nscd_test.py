"""Hosts with a name service cache daemon: it is asked where libc asks it, and never waited for as libc does."""

import json
import os
import shutil
import signal
import tempfile
import time

import pytest

import look
import programs
from faults import nscd

HOSTS = {
    "both.test": (["192.0.2.71", "2001:db8::71", "192.0.2.72"], ["both.test", "other-name.test", "third.test"]),
    "four.test": (["192.0.2.73"], ["canonical.test"]),
    "six.test": (["2001:db8::74"], ["six.test"]),
}
ASK = """
libc.gethostbyname2.restype = libc.gethostbyaddr.restype = ctypes.c_void_p
def code(call):
    try:
        return call()
    except (socket.gaierror, socket.herror) as error:
        return error.errno
def host(value):
    if not value:
        return None
    class Entry(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("aliases", ctypes.POINTER(ctypes.c_char_p)), ("family", ctypes.c_int),
                    ("length", ctypes.c_int), ("addresses", ctypes.POINTER(ctypes.POINTER(ctypes.c_ubyte * 16)))]
    entry, aliases, addresses = Entry.from_address(value), [], []
    for i in range(20):
        if not entry.aliases[i]:
            break
        aliases.append(entry.aliases[i].decode())
    for i in range(20):
        if not entry.addresses[i]:
            break
        addresses.append(bytes(entry.addresses[i].contents[:entry.length]).hex())
    return entry.name.decode(), aliases, entry.family, addresses
AI = [0, socket.AI_CANONNAME, socket.AI_V4MAPPED, socket.AI_V4MAPPED | socket.AI_ALL, socket.AI_ADDRCONFIG]
answers = {}
for name in sys.argv[1:]:
    for family in socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6:
        for flags in AI:
            answers[f"{name} {family.name} {flags}"] = code(
                lambda: sorted((canonical, address[0]) for _, _, _, canonical, address in socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM, 0, flags)))
        if family:
            answers[f"{name} host {family.name}"] = host(libc.gethostbyname2(name.encode(), family))
for address in "192.0.2.71", "192.0.2.9", "2001:db8::74", "2001:db8::9", "::ffff:192.0.2.73":
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    answers[address] = host(libc.gethostbyaddr(packed, len(packed), family))
    answers[address + " info"] = code(lambda: socket.getnameinfo((address, 80), socket.NI_NAMEREQD))
print(json.dumps(answers))"""


@pytest.fixture
def start(net):
    """start(options...): the daemon, at the place where libc looks for it, and name servers that know other names."""
    net.names({"host.test": ["192.0.2.7", "2001:db8::7"]})
    directory = tempfile.mkdtemp(dir="/tmp")  # a socket's path is short
    opened = []

    def begin(hosts=HOSTS, **options):
        net.do("sh", "-c", f"mount -t tmpfs none /run && mkdir -p /run/nscd && mount --bind {directory} /run/nscd")
        opened.append(nscd.Nscd(os.path.join(directory, "socket"), hosts, **options))
        os.chmod(directory, 0o755)
        return opened[0]

    yield begin
    for daemon in opened:
        daemon.close()
    shutil.rmtree(directory)


@pytest.mark.parametrize("error", [1, 2, 3, 4])
def test_its_answers_are_taken_as_libc_takes_them(net, start, error):
    daemon = start(error=error)
    names = [*HOSTS, "host.test", "localhost"]
    expected = net.told(ASK, *names, library=False)
    asked, daemon.asked = set(daemon.asked), []
    given = net.told(ASK, *names)
    assert given == expected
    assert set(daemon.asked) == asked
    assert given["both.test AF_UNSPEC 0"] and given["host.test AF_INET6 0"] in (-2, -3, -5)


@pytest.mark.parametrize("trouble", ["closes", "half", "disabled"])
def test_it_gives_no_answer(net, start, trouble):
    """The sources are asked, and it is left alone for a while."""
    daemon = start(trouble=trouble)
    given = net.told(ASK, "both.test", "host.test")
    assert 1 <= len(daemon.asked) <= 2
    daemon.close()
    assert given == net.told(ASK, "both.test", "host.test", library=False)
    assert given["host.test AF_INET 0"] == [["", "192.0.2.7"]]


def test_it_hangs(net, start):
    """A third of the deadline is what it gets, once; libc waits five seconds."""
    daemon = start(trouble="silent")
    ask = """
took = []
for _ in range(3):
    began = time.monotonic()
    socket.getaddrinfo("host.test", None)
    took.append(time.monotonic() - began)
print(json.dumps(took))"""
    took = net.told(ask, RESOLVE="1500ms")
    assert 0.5 <= took[0] < 1.4 and max(took[1:]) < 0.4 and len(daemon.asked) == 1, took


@pytest.mark.parametrize("early", [0, 10], ids=["a whole answer", "the rest of one"])
def test_it_answers_while_the_process_is_stopped(net, start, early):
    """What it has sent is read before the clock is looked at."""
    daemon = start(late=0.3, early=early)
    program = net.start(programs.child("tell([a[4][0] for a in socket.getaddrinfo('four.test', 80, 0, socket.SOCK_STREAM)])"), RESOLVE="1800ms")
    assert look.until(lambda: daemon.asked)
    program.signal(signal.SIGSTOP)
    time.sleep(0.9)
    program.signal(signal.SIGCONT)
    result = program.finish()
    assert result.status == 0 and json.loads(result.out) == ["192.0.2.73"], result


@pytest.mark.parametrize("how", ["LOCALDOMAIN", "__nss_configure_lookup"])
def test_libc_would_not_ask_it(net, start, how):
    daemon = start()
    configure = "libc.__nss_configure_lookup(b'hosts', b'files dns')\n" if how.startswith("__") else ""
    variables = {"LOCALDOMAIN": "test"} if not configure else {}
    ask = configure + "print(json.dumps(socket.getaddrinfo('host.test', None, socket.AF_INET)[0][4][0]))"
    for library in False, True:
        assert net.told(ask, library=library, variables=variables) == "192.0.2.7"
        assert not daemon.asked


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's own memory grows")
def test_left_by_a_jump(net, start):
    """From a handler, while the daemon is waited for."""
    start(trouble="silent")
    result = net.run([programs.BUILD / "tests/lookups", "jump", "50", "plainly"], RESOLVE="3s")
    jumps, descriptors, _, uncancellable, more_kb = map(int, result.out.split())
    assert jumps == 50 and descriptors <= 1 and not uncancellable and more_kb < 512, result


@pytest.mark.skipif("tsan" in programs.RUNTIME, reason="what is tested is a race of the program's own, which ThreadSanitizer reports")
def test_its_socket_closed_under_a_lookup(net, start):
    """What the program opens in its place is neither read nor closed."""
    start(trouble="silent")
    result = net.run([programs.BUILD / "tests/lookups", "close", "close"], RESOLVE="300ms")
    assert result.status == 0 and result.out and int(result.out) <= 2, result  # as in lookups_test.py
