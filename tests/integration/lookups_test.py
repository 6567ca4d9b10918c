"""Many lookups, and lookups in threads of programs that close, fork and take signals: nothing grows, nothing of the
program's own is touched, and each call ends in time."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

import pytest

import programs
from faults import Zone, dns

LOOKUPS = programs.BUILD / "tests/lookups"
EAI_AGAIN = -3
SANITIZED = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's own memory grows, and it is slow")
NSSWITCH = "hosts: files [UNAVAIL=return] dns\n"  # only libc's own lookup can serve this one


def numbers(net, *argv, patience=90, **limits):
    result = net.run([LOOKUPS, *argv], patience=patience, **limits)
    assert result.status == 0 and not result.err, result
    return list(map(int, result.out.split()))


def check_storm(answer, lookups, limit_ms, threads, descriptors):
    made, again, longest, most_threads, most_descriptors, early_kb, late_kb = answer
    assert (made, again) == (lookups, lookups)
    assert longest < limit_ms + 1500
    assert most_threads <= threads + 1
    assert most_descriptors <= descriptors
    assert late_kb - early_kb < 2048, answer


@SANITIZED
@pytest.mark.parametrize("udp, tcp, lookups, each", [(dns.silent, None, 10_000, 2), (dns.truncating, dns.silent, 1500, 2)],
                         ids=["silent", "truncated and silent"])
def test_thirty_at_a_time_against_a_dead_server(net, report_time, udp, tcp, lookups, each):
    """Timehop's case: without the library every one of these threads would soon hang. A lookup has one socket, and another while it
    repeats a question that was not answered within half its time."""
    net.dns(udp, tcp)
    answer = numbers(net, "storm", 30, lookups, RESOLVE="100ms")
    report_time(f"the longest of {lookups} lookups of 100 ms, 30 at a time", answer[2] / 1000)
    check_storm(answer, lookups, 100, 30, 5 + 30 * each)


@SANITIZED
def test_thirty_at_a_time_by_libc_s_own_lookup(net):
    """Each would take libc 10 s; 64 helper threads at most, whatever is asked."""
    net.dns(dns.silent)
    net.etc("nsswitch.conf", NSSWITCH)
    check_storm(numbers(net, "storm", 30, 1500, RESOLVE="100ms"), 1500, 100, 30 + 64, 5 + 64 * 2)


def of_process(pid):
    """Threads, descriptors and resident KB."""
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd")), int(status["VmRSS"].split()[0])


@SANITIZED
@pytest.mark.skipif(not shutil.which("go"), reason="there is no Go: scripts/setup ci installs it")
def test_a_go_program_that_asks_libc(net, tmp_path):
    """Go asks libc in threads that it never gets back: Timehop's case as it was."""
    storm = tmp_path / "storm"
    subprocess.run(["go", "build", "-o", storm, pathlib.Path(__file__).parent / "go_storm.go"], check=True,
                   env={**os.environ, "CGO_ENABLED": "1", "GO111MODULE": "off", "GOCACHE": str(tmp_path / "cache")})
    net.dns(dns.truncating, dns.silent)
    program = net.start([storm, 30, 1500], RESOLVE="100ms", variables={"GODEBUG": "netdns=cgo"})
    samples = []
    while program.running and len(samples) < 300:
        time.sleep(0.1)
        with contextlib.suppress(OSError, KeyError):
            samples.append(of_process(program.process.pid))
    result = program.finish()
    lookups, failed, longest = map(int, result.out.split())
    assert lookups == failed == 1500 and 100 <= longest < 1000
    assert max(threads for threads, _, _ in samples) <= 30 + 20  # the runtime has some of its own
    assert max(descriptors for _, descriptors, _ in samples) <= 10 + 30 * 4
    assert samples[-2][2] - samples[len(samples) // 4][2] < 4096, samples


def check_nothing_touched(result):
    """Between the look at a descriptor and its use no program can exclude that another thread closes it. That is rare, also where
    many run on few processors; without the look it happens in nearly each of the 20 rounds."""
    assert result.status == 0 and result.out and int(result.out) <= 2, result


@pytest.mark.parametrize("how", ["close_range", "closefrom", "close"])
@pytest.mark.parametrize("resolv", ["nameserver 127.0.0.1\n", "nameserver 127.0.0.1\noptions use-vc\n",
                                    "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions attempts:5\n"],
                         ids=["udp", "tcp", "servers"])
def test_closed_under_a_lookup(net, how, resolv):
    """What the program opens under the numbers of a lookup's sockets is not written to, read from or closed."""
    if how == "close" and "tsan" in programs.RUNTIME:
        pytest.skip("what is tested is a race of the program's own, which ThreadSanitizer reports")
    net.etc("resolv.conf", resolv)
    net.dns(dns.silent)
    net.dns(dns.silent, host="127.0.0.2")
    check_nothing_touched(net.run([LOOKUPS, "close", how], RESOLVE="100ms"))


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's own locks hang the child of a threaded process")
@pytest.mark.parametrize("responder", [dns.silent, dns.answering(Zone({f"child{i}.test": ["192.0.2.7"] for i in range(40)}))],
                         ids=["silent", "answering"])
def test_forked_under_lookups(net, responder):
    net.dns(responder)
    result = net.run([LOOKUPS, "fork"], patience=60, RESOLVE="100ms")
    assert result.out.startswith(b"good"), result


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's own locks hang the child of a threaded process")
def test_forked_under_libc_s_own_lookups(net):
    net.dns(dns.silent)
    net.etc("nsswitch.conf", NSSWITCH)
    result = net.run([LOOKUPS, "fork"], patience=60, RESOLVE="100ms")
    assert result.out.startswith(b"good"), result


BOTH = pytest.mark.parametrize("nsswitch", ["hosts: files dns\n", NSSWITCH], ids=["ours", "libc's"])


def answer_by_first_letter(net):
    """"s" never, "g" at once, "l" after 0.3 s."""
    good = dns.answering(Zone({"good.test": ["192.0.2.7"], "late.test": ["192.0.2.8"]}))
    by_letter = {"s": dns.silent, "g": good, "l": dns.late(0.3, good)}
    net.dns(lambda question, *rest: by_letter[question.name[0]](question, *rest))


@BOTH
def test_signals(net, nsswitch):
    """A timer at 1 kHz ends no lookup before its time and keeps none alive."""
    answer_by_first_letter(net)
    net.etc("nsswitch.conf", nsswitch)
    *codes, longest = numbers(net, "signals", RESOLVE="600ms")
    assert codes == [EAI_AGAIN, 0, 0]
    assert 600 <= longest < 1400


@SANITIZED
@BOTH
@pytest.mark.parametrize("jumps, how", [(200, "plainly"), (2000, "early")])
def test_left_by_a_jump(net, nsswitch, jumps, how):
    """A program that bounds lookups by a timer and siglongjmp, as curl does without threads of its own. Where the timer
    fires early, while the lookup allocates and holds locks, the handler is called when it waits."""
    answer_by_first_letter(net)
    net.etc("nsswitch.conf", nsswitch)
    check_left(numbers(net, "jump", jumps, how, RESOLVE="1s"), jumps)


def check_left(answer, count):
    jumps, descriptors, threads, uncancellable, more_kb = answer
    assert jumps > count * 3 // 4 and descriptors <= 2 and not uncancellable
    assert more_kb < 1024 and threads <= 1, (threads, more_kb)


@SANITIZED
def test_left_by_a_jump_with_half_an_answer(net):
    """What has been received until then is released, too: here 20 KB each time, which are read long before the jump."""
    zone, made = Zone({"s.test": [f"192.0.{i // 250}.{i % 250}" for i in range(1000)], "good.test": ["192.0.2.7"]}), {}

    def respond(question, send, _stop):
        if (question.name, question.type) != ("s.test", dns.AAAA):
            key = question.name, question.type
            made[key] = made.get(key) or zone.reply(question)
            send(question.id.to_bytes(2, "big") + made[key][2:])

    net.dns(dns.silent, respond)
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions use-vc\n")
    check_left(numbers(net, "jump", 100, "plainly", RESOLVE="1s"), 100)


@SANITIZED
def test_left_by_a_jump_over_a_kept_connection(net):
    answer_by_first_letter(net)
    check_left(numbers(net, "jump", 100, "kept", RESOLVE="1s"), 100)


@pytest.mark.skipif("tsan" in programs.RUNTIME, reason="a lookup is no call for a handler, which ThreadSanitizer reports")
@BOTH
@pytest.mark.parametrize("where", ["stack", "alternate"])
def test_a_lookup_in_a_handler(net, nsswitch, where):
    """It does not take the lookup that it interrupts for one that was left."""
    answer_by_first_letter(net)
    net.etc("nsswitch.conf", nsswitch)
    assert numbers(net, "nested", where, RESOLVE="2s") == [0, 0]


@SANITIZED
def test_a_hundred_thousand_lookups(net):
    """Numeric, hosts and DNS in turn: no memory and no descriptor is left behind."""
    net.etc("resolv.conf", "nameserver 127.0.0.53\n")
    count = int(os.environ.get("NETDEADLINE_LOOKUPS", "100000"))
    bad, early_kb, late_kb, descriptors = numbers(net, "many", count)
    assert bad == 0 and descriptors <= 4
    assert late_kb - early_kb < 512


def test_asynchronous_lookups(net):
    """libc makes those of getaddrinfo_a by a call that no hook reaches. 40 are three rounds of its 16 threads at most."""
    net.dns(dns.truncating, dns.silent)
    took, code, *codes = numbers(net, "async", 40, RESOLVE="300ms")
    assert (code, codes) == (0, [0, EAI_AGAIN] * 20)
    assert 300 <= took < 5000


def test_each_lookup_asks_again(net):
    """libc keeps no answers, whatever their TTL says; the channels of c-ares, which are kept, must not do so either."""
    server = net.dns(lambda question, send, stop: dns.answering(Zone({"host.test": [f"192.0.2.{len(server.questions)}"]}))(question, send, stop))
    ask = "for _ in range(6): print(socket.gethostbyname('host.test'))"
    answers = net.run(programs.child(ask)).out.split()
    assert answers == [f"192.0.2.{i}".encode() for i in range(1, 7)]


@SANITIZED
def test_one_lookup_beside_a_large_hosts_file(net):
    """Lists of blocked names have 250,000 lines. Their index is for a process that asks often."""
    net.etc("hosts", "".join(f"0.0.0.0 ads{i}.tracker{i % 977}.test\n" for i in range(250_000)) + "192.0.2.7 host.test\n")
    grown, often = net.told("""
used = lambda: int(open("/proc/self/statm").read().split()[1]) * 4
ask = lambda: socket.gethostbyname("host.test") == "192.0.2.7" and socket.gethostbyaddr("192.0.2.7")[0] == "host.test"
before = used()
assert ask()
grown = used() - before
began = time.process_time()
assert all(ask() for _ in range(500))
print(json.dumps([grown, time.process_time() - began]))""")
    assert grown < 2048 and often < 5, (grown, often)
