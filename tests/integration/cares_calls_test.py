"""A library that is linked with the host's shared c-ares (make CARES=shared): what c-ares calls by name would come through
our hooks. It may call nothing of a socket's: the resolver's own functions serve it."""

import subprocess

import pytest

import programs
from faults import Zone, dns

SHARED = b"libcares.so" in subprocess.run(["readelf", "-dW", programs.LIBRARY], capture_output=True).stdout

# Closing a file that it read at start (/dev/urandom, /dev/null): the hook passes it on.
HARMLESS = {"fclose"}

SPY = """
#include <dlfcn.h>
#include <string.h>
#include <sys/syscall.h>

extern long syscall(long number, ...);

static void spied(const char *name, void *caller) {
    Dl_info info;
    if (!dladdr(caller, &info) || !strstr(info.dli_fname, "libcares.so"))
        return;
    char line[64] = "c-ares calls ";
    strcat(strcat(line, name), "\\n");
    syscall(SYS_write, 2, line, strlen(line));
}

#define SPY(name) \\
    long name(long a, long b, long c, long d, long e, long f) { \\
        static long (*next)(long, long, long, long, long, long); \\
        if (!next) \\
            next = (long (*)(long, long, long, long, long, long))dlsym(RTLD_NEXT, #name); \\
        spied(#name, __builtin_return_address(0)); \\
        return next(a, b, c, d, e, f); \\
    }
"""

LOOKUPS = """
import socket
for name in ["udp.test", "tcp.test", "missing.test", "silent.test"]:
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        print(name, *sorted({address[4][0] for address in found}))
    except socket.gaierror as error:
        print(name, error.errno == socket.EAI_AGAIN)
"""


@pytest.fixture
def spy(tmp_path):
    """A library, loaded before ours, that tells which interposed functions c-ares calls."""
    if not SHARED:
        pytest.skip("c-ares is linked in")
    names = (programs.BUILD / "hooks.names").read_text().splitlines()
    rows = {line.split()[0] for line in names if line.endswith(" libc")}
    linked = subprocess.run(["ldd", programs.LIBRARY], capture_output=True, text=True, check=True).stdout.split()
    cares = next(word for word in linked if word.startswith("/") and "libcares.so" in word)
    nm = ["nm", "-D", "--undefined-only", cares]
    symbols = subprocess.run(nm, capture_output=True, text=True, check=True).stdout.split()
    called = sorted(rows & {symbol.split("@")[0] for symbol in symbols})
    assert {"socket", "connect", "fclose"} <= set(called)
    source = tmp_path / "spy.c"
    source.write_text(SPY + "\n".join(f"SPY({name})" for name in called) + "\n")
    # Not optimized: a tail call would hide the caller.
    library = tmp_path / "spy.so"
    options = ["-shared", "-fPIC", "-O0", "-w", "-D_GNU_SOURCE", "-fno-builtin"]
    subprocess.run(["gcc", *options, "-o", library, source, "-ldl"], check=True)
    return library


def respond(question, send, stop):
    if question.name == "silent.test":
        return
    if question.name == "tcp.test" and question.transport == "udp":
        return dns.truncating(question, send, stop)
    dns.answering(Zone({"udp.test": ["192.0.2.1", "2001:db8::1"], "tcp.test": "192.0.2.2"}))(question, send, stop)


def test_c_ares_calls_nothing_of_a_socket_s(net, spy):
    net.dns(respond, respond)
    variables = {"LD_PRELOAD": f"{programs.RUNTIME} {spy} {programs.LIBRARY}".strip()}
    result = net.run([programs.PYTHON, "-c", LOOKUPS], variables=variables, RESOLVE="2s")
    answers = ["udp.test 192.0.2.1 2001:db8::1", "tcp.test 192.0.2.2", "missing.test False", "silent.test True"]
    assert result.out.decode().splitlines() == answers, result
    calls = {line.removeprefix("c-ares calls ") for line in result.err.decode().splitlines()}
    assert calls, "the spy sees nothing"
    assert calls <= HARMLESS, calls
