"""Lookups by a name service module, which only libc can ask: in a helper thread the module finds what it would find in the
thread that asked."""

import os
import subprocess

import pytest

import programs
from faults import dns, Zone
from namespace import has_other_users

ASK = """
def ask(name):
    try:
        return socket.getaddrinfo(name, 80, socket.AF_UNSPEC, socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror as e:
        return e.errno

def at_once(*calls):
    answers = [None] * len(calls)
    def one(i):
        answers[i] = calls[i]()
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(calls))]
    [t.start() for t in threads], [t.join() for t in threads]
    return answers
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    directory = tmp_path_factory.mktemp("modules")
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-w", "-O1", "-shared", "-fPIC", "-o", directory / "libnss_ndmodule.so.2",
                    os.path.join(os.path.dirname(__file__), "module.c"), "-pthread"], check=True)
    return directory


@pytest.fixture
def ask(net, modules):
    """Runs a program with the module as the source of names; its output without and with the library."""
    net.etc("nsswitch.conf", "hosts: files ndmodule dns\nservices: files\n")
    net.dns(dns.answering(Zone({"nested.test": ["192.0.2.7"]})))

    def run(lines, library=True, **limits):
        return net.run(programs.child(ASK + lines), library=library, variables={"LD_LIBRARY_PATH": str(modules)}, **limits)
    return run


def check(ask, lines, **limits):
    """The answers are those that libc alone gives."""
    result = ask(lines, **limits)
    assert result.status == 0 and not result.err, result
    assert result.out == ask(lines, library=False).out
    return result.out.decode().split()


def test_the_stack_is_as_large_as_a_thread_of_the_program_would_have(ask):
    assert check(ask, "print(ask('big.test'))") == ["10.0.0.1"]


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's own memory has no room then")
def test_little_address_space(ask):
    few = "import resource; size = int(open('/proc/self/statm').read().split()[0]) * 4096 + (4 << 20)\nask('1.test')\n" \
          "resource.setrlimit(resource.RLIMIT_AS, (size, size))\nprint(ask('2.test'))"
    result = ask(few, LOG="stderr")
    assert result.out == b"10.0.0.1\n" and b"without a limit" not in result.err, result


def test_a_module_that_looks_up_its_own_server(ask):
    assert check(ask, "print(ask('nested.test'))", RESOLVE="2s") == ["10.0.0.3"]


def test_callers_in_other_namespaces(ask):
    """Equal questions at the same time are one call of libc only where the answer is the same."""
    lines = "answers = at_once(lambda: ask('network.300.test'), lambda: libc.unshare(0x40000000) or ask('network.300.test'))\n" \
            "print(len(set(answers)), all(a.startswith('10.') for a in answers))"
    assert check(ask, lines) == ["2", "True"]


@pytest.mark.skipif(not has_other_users(), reason="there is no other user here")
def test_callers_with_other_credentials(ask):
    lines = "ask('1.test')\nprint(*at_once(lambda: ask('user.300.test'), lambda: libc.syscall(%d, -1, 7, -1) or ask('user.300.test')))"
    assert check(ask, lines % {"x86_64": 117, "aarch64": 147}.get(os.uname().machine, 208)) == ["10.0.0.1", "10.0.0.8"]


def test_a_locale_of_the_thread_s_own(ask):
    lines = """
libc.newlocale.restype = ctypes.c_void_p
libc.uselocale.argtypes = [ctypes.c_void_p]
libc.setlocale(6, b"C")
def in_utf8():
    libc.uselocale(libc.newlocale(0x1fbf, b"C.UTF-8", None))
    return ask('codeset.300.test')
print(*at_once(lambda: ask('codeset.300.test'), in_utf8))
"""
    assert check(ask, lines) == ["10.0.0.7", "10.0.0.8"]


def test_more_threads_where_they_make_progress(ask, report_time):
    """Libc asks all at the same time; 64 at a time would not be through within the limit."""
    lines = "began = time.monotonic(); print(set(at_once(*[lambda i=i: ask(f'{i}.500.test') for i in range(330)])), time.monotonic() - began)"
    answers, took = ask(lines, RESOLVE="2s").out.decode().split()
    report_time("330 lookups of 500 ms by a module", float(took))
    assert answers == "{'10.0.0.1'}"


@pytest.mark.skipif("tsan" in programs.RUNTIME, reason="ThreadSanitizer has a thread of its own")
def test_no_thread_is_left(ask):
    lines = "print(all(ask('1.test') == '10.0.0.1' and len(os.listdir('/proc/self/task')) == 1 for _ in range(200)), libc.unshare(0x10000000))"
    assert check(ask, lines) == ["True", "0"]


LIMITED = """
import resource
if not os.fork():
    ask('1.test')
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    os.setresuid(54321, 54321, 54321)
    print(timed(lambda: ask(sys.argv[1])), flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not has_other_users(), reason="there is no other user here")
def test_no_thread_can_be_made(ask):
    """It is told before the lookup, which may never end."""
    result = ask(LIMITED.replace("sys.argv[1]", "'told.600.test'"), RESOLVE="300ms", LOG="stderr")
    told, asked = result.err.find(b"without a limit: no thread can be created (EAGAIN"), result.err.find(b"asked\n")
    assert b"10.0.0.1" in result.out and 0 <= told < asked, result
