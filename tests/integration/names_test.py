"""Every entry point of name lookup ends at RESOLVE, and says so, when the name server never answers."""

import pytest

import programs
from faults import dns

PYTHON = """
import ctypes, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
answer, entry, pointer, error = ctypes.create_string_buffer(1024), ctypes.create_string_buffer(64), ctypes.c_void_p(), ctypes.c_int()
address, state = socket.inet_aton("192.0.2.9"), ctypes.create_string_buffer(1024)
libc.gethostbyname.restype = libc.gethostbyname2.restype = libc.gethostbyaddr.restype = ctypes.c_void_p
libc.__res_ninit(state)
more = (entry, answer, ctypes.c_size_t(1024), ctypes.byref(pointer), ctypes.byref(error))
CALLS = {
    "gethostbyname": lambda: libc.gethostbyname(b"host.test"),
    "gethostbyname2": lambda: libc.gethostbyname2(b"host.test", socket.AF_INET6),
    "gethostbyname_r": lambda: libc.gethostbyname_r(b"host.test", *more) and pointer.value,
    "gethostbyname2_r": lambda: libc.gethostbyname2_r(b"host.test", socket.AF_INET6, *more) and pointer.value,
    "gethostbyaddr": lambda: libc.gethostbyaddr(address, 4, socket.AF_INET),
    "gethostbyaddr_r": lambda: libc.gethostbyaddr_r(address, 4, socket.AF_INET, *more) and pointer.value,
    "res_query": lambda: libc.res_query(b"host.test", 1, 1, answer, 1024),
    "res_search": lambda: libc.res_search(b"host.test", 1, 1, answer, 1024),
    "res_querydomain": lambda: libc.res_querydomain(b"host", b"test", 1, 1, answer, 1024),
    "res_nquery": lambda: libc.res_nquery(state, b"host.test", 1, 1, answer, 1024),
    "res_nsearch": lambda: libc.res_nsearch(state, b"host.test", 1, 1, answer, 1024),
    "__res_nquery": lambda: libc["__res_nquery"](state, b"host.test", 1, 1, answer, 1024),
}
began = time.monotonic()
result = CALLS[sys.argv[1]]()
print(time.monotonic() - began, result)
"""

CALLS = ["gethostbyname", "gethostbyname2", "gethostbyname_r", "gethostbyname2_r", "gethostbyaddr", "gethostbyaddr_r",
         "res_query", "res_search", "res_querydomain", "res_nquery", "res_nsearch", "__res_nquery"]


@pytest.mark.parametrize("call", CALLS)
def test_silent_server(net, call):
    net.dns(dns.silent)
    log = net.directory / "log"
    result = net.run([programs.PYTHON, "-c", PYTHON, call], RESOLVE="300ms", LOG=str(log))
    assert result.status == 0, result
    took, value = result.out.decode().split()
    assert 0.3 <= float(took) < 1.5 and value in ("None", "-1", "0"), result
    assert f"operation={call.lstrip('_')} " in log.read_text() and "limit=RESOLVE" in log.read_text()


@pytest.mark.parametrize("argv", [["getent", "hosts", "host.test"], ["getent", "ahostsv4", "host.test"],
                                  ["perl", "-e", 'exit(defined gethostbyname("host.test") ? 0 : 2)'],
                                  [programs.PYTHON, "-c", 'import socket; socket.getfqdn("192.0.2.9")'
                                                          '; socket.gethostbyname_ex("host.test")']])
def test_programs(net, argv):
    net.dns(dns.silent)
    result = net.run(argv, RESOLVE="300ms")
    assert result.status > 0 and 0.3 <= result.elapsed < 3, result
