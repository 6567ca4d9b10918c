"""Lookups of musl's programs end in time, whatever the name servers do, and leave nothing behind."""

import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

import programs
from faults import Zone, dns

HERE = programs.ROOT / "tests/integration"
LOADER = os.environ.get("TEST_MUSL_LOADER", "").split()  # of another version of musl
EAI_NONAME, EAI_AGAIN = -2, -3


def version():
    """musl's, as its loader tells it."""
    loader = LOADER or [str(path) for path in pathlib.Path("/lib").glob(f"ld-musl-{platform.machine()}.so.1")]
    told = loader and re.search(r"Version ([\d.]+)", subprocess.run(loader, capture_output=True, text=True).stderr)
    return tuple(map(int, told[1].split("."))) if told else ()


# Before 1.2.1 one address family that is answered is taken, and res_query and res_send give 0 where no answer comes.
OLD = () < version() < (1, 2, 1)
ZONE = Zone({"good.test": ["192.0.2.7", "2001:db8::7"], "late.test": ["192.0.2.8"]})

pytestmark = [pytest.mark.skipif(bool(programs.RUNTIME), reason="musl has no such checks"),
              pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-tools are not installed")]


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    directory, built = tmp_path_factory.mktemp("musl"), {}

    def one(name):
        if name not in built:
            built[name] = directory / name
            subprocess.run(["musl-gcc", "-O1", f"-I{programs.ROOT}", "-o", built[name], HERE / f"{name}.c"], check=True)
        return built[name]

    return one


def numbers(net, *argv, patience=60, **limits):
    result = net.run([*LOADER, *argv], patience=patience, **limits)
    assert result.status == 0 and not result.err, result
    return list(map(int, result.out.split()))


def ask(net, build, question, **limits):
    """The first fields of the answer, and the tenths of a second that it took."""
    result = net.run([*LOADER, build("musl_names"), "time"], stdin=lambda: open_text(net, question), **limits)
    assert result.status == 0, result
    fields = result.out.decode().split()
    return fields[:-1], int(fields[-1]), result


def open_text(net, question):
    path = net.directory / "question"
    path.write_text("\t".join(question) + "\n")
    return path.open()


GAI = ["gai", "name.test", "80", "0", "1", "0", "0"]


@pytest.mark.parametrize("udp, tcp, question, answer", [
    (dns.silent, None, GAI, ["-3"]),
    (dns.late(0.2, dns.answering(Zone())), None, ["gai", "name", "80", "0", "1", "0", "0"], ["-3"]),  # 9 domains
    (dns.failing(), None, GAI, ["-3"]),
    (dns.truncating, dns.silent, GAI, None),
    (dns.for_type(dns.A, dns.answering(Zone({"name.test": "192.0.2.7"})), dns.silent), None, GAI, ["0"] if OLD else ["-3"]),
    (dns.silent, None, ["static", "name.test", "2"], ["0", "h2"]),
    (dns.silent, None, ["name", "name.test", "2", "1000"], ["11", "h2"]),
    (dns.silent, None, ["query", "name.test", "1", "1", "512"], ["0", "h0"] if OLD else ["-1", "h2"]),
    (dns.silent, None, ["send", "name.test", "1", "512"], ["0", "h0"] if OLD else ["-1", "h0"]),
    (dns.silent, None, ["info", "192.0.2.9", "80", "0", "100"], ["0", "192.0.2.9", "http"]),
], ids=["silent", "a search list", "failing", "truncating", "one family", "gethostbyname", "gethostbyname_r", "res_query", "res_send", "getnameinfo"])
def test_each_ends_in_time(net, build, udp, tcp, question, answer):
    net.etc("resolv.conf", "nameserver 127.0.0.1\nsearch " + " ".join(f"d{i}.test" for i in range(8)) + "\n")
    net.dns(udp, tcp)
    got, tenths, result = ask(net, build, question, RESOLVE="600ms", LOG="stderr")
    if answer is None:  # before 1.2.4 there is no TCP: what is truncated is an answer without addresses
        assert got == ["-2"] or (got == ["-3"] and tenths >= 5)
        return
    assert got[:len(answer)] == answer and 5 <= tenths <= 30, (got, tenths)
    assert result.text.count("limit=RESOLVE") == 1, result


def test_the_error_is_the_operators_choice(net, build):
    net.dns(dns.silent)
    for question, answer in (GAI, ["-4"]), (["static", "name.test", "2"], ["0", "h3"]):
        assert ask(net, build, question, RESOLVE="300ms", RESOLVE_ERROR="fail")[0] == answer


def test_one_family_alone_counts_as_in_musl(net, build):
    """Not as in glibc: musl, too, fails where the servers answer one of two questions."""
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1\n")
    net.dns(dns.for_type(dns.A, dns.answering(ZONE), dns.silent))
    for library in False, True:
        assert ask(net, build, ["gai", "good.test", "80", "0", "1", "0", "0"], library=library)[0][0] == ("0" if OLD else "-3")


def test_all_servers_are_asked_at_once(net, build):
    net.etc("resolv.conf", "nameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.1\n")
    net.dns(dns.silent, host="127.0.0.2")
    net.dns(dns.answering(ZONE))
    got, tenths, _ = ask(net, build, ["gai", "good.test", "80", "0", "1", "0", "0"])
    assert got[0] == "0" and tenths <= 20


def test_a_server_that_answers_the_second_question_only(net, build):
    """A lost datagram is sent again from the same port, and an answer to either counts."""
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:4\n")
    seen = set()

    def respond(question, send, stop):
        key = question.type
        if key in seen:
            dns.late(0.7, dns.answering(ZONE))(question, send, stop)  # the third is sent before the second is answered
        seen.add(key)

    server = net.dns(respond)
    got, tenths, _ = ask(net, build, ["gai", "good.test", "80", "0", "1", "0", "0"])
    assert got[0] == "0" and 11 <= tenths <= 30, (got, tenths)
    assert len({question.asker for question in server.questions}) == 1


def test_a_server_that_comes_back(net, build):
    """A port that is closed is asked again at musl's next interval."""
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:4 attempts:8\n")
    program = net.start([*LOADER, build("musl_names"), "time"], stdin=lambda: open_text(net, ["gai", "good.test", "80", "0", "1", "0", "0"]))
    programs.time.sleep(0.6)
    net.dns(dns.answering(ZONE))
    result = program.finish(20)
    assert result.out.startswith(b"0 ["), result


def check_storm(answer, lookups, limit_ms, threads, descriptors):
    made, again, longest, most_threads, most_descriptors, early_kb, late_kb = answer
    assert (made, again) == (lookups, lookups)
    assert longest < limit_ms + 1500
    assert most_threads <= threads + 1
    assert most_descriptors <= descriptors
    assert late_kb - early_kb < 2048, answer


def test_thirty_at_a_time_against_dead_servers(net, build):
    net.etc("resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\nsearch a.test b.test\n")
    net.dns(dns.silent)
    net.dns(dns.failing(), host="127.0.0.2")
    check_storm(numbers(net, build("lookups"), "storm", 30, 300, RESOLVE="100ms"), 300, 100, 30, 5 + 30 * 3)


def test_many_lookups(net, build):
    net.etc("resolv.conf", "nameserver 127.0.0.53\n")
    bad, early_kb, late_kb, descriptors = numbers(net, build("lookups"), "many", 4000)
    assert bad == 0 and descriptors <= 4 and late_kb - early_kb < 512


def test_signals(net, build):
    """A timer at 1 kHz ends no lookup before its time and keeps none alive."""
    answer_by_first_letter(net)
    *codes, longest = numbers(net, build("lookups"), "signals", RESOLVE="600ms")
    assert codes == [EAI_AGAIN, 0, 0] and 600 <= longest < 1400


def answer_by_first_letter(net):
    """"s" never, "g" at once, "l" after 0.3 s."""
    by_letter = {"s": dns.silent, "g": dns.answering(ZONE), "l": dns.late(0.3, dns.answering(ZONE))}
    net.dns(lambda question, *rest: by_letter[question.name[0]](question, *rest))


def test_left_by_a_jump(net, build):
    answer_by_first_letter(net)
    jumps, descriptors, threads, uncancellable, more_kb = numbers(net, build("lookups"), "jump", 50, "plainly", RESOLVE="1s")
    assert jumps > 37 and descriptors <= 3 and not uncancellable and more_kb < 1024 and threads <= 1


@pytest.mark.parametrize("where", ["stack", "alternate"])
def test_a_lookup_in_a_handler(net, build, where):
    answer_by_first_letter(net)
    assert numbers(net, build("lookups"), "nested", where, RESOLVE="2s") == [0, 0]


def test_forked_under_lookups(net, build):
    net.dns(dns.silent)
    result = net.run([*LOADER, build("lookups"), "fork"], patience=60, RESOLVE="100ms")
    assert result.out.startswith(b"good"), result


def test_observed(net, build):
    """MODE=observe leaves the lookup to musl, and says what would have ended it."""
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1\n")
    server = net.dns(dns.silent)
    got, _, result = ask(net, build, GAI, MODE="observe", RESOLVE="300ms", LOG="stderr")
    assert got == ["-3"] and "limit=RESOLVE timeout=300ms" in result.text and "observed=true" in result.text, result
    assert len({question.asker for question in server.questions}) == 1


def test_establish_bounds_the_lookup(net, build):
    net.dns(dns.silent)
    got, tenths, result = ask(net, build, GAI, ESTABLISH="400ms", LOG="stderr")
    assert got == ["-3"] and 3 <= tenths <= 20 and "limit=ESTABLISH" in result.text, result


@pytest.mark.parametrize("how", ["in", "before", "off"])
def test_threads_that_are_cancelled(net, build, how):
    """As in musl a lookup is left at once; nothing of it stays behind. Where the program has disabled cancellation it ends as ever."""
    net.dns(dns.silent)
    count = 2 if how == "off" else 60
    cancelled, descriptors, more_kb, longest = numbers(net, build("musl_threads"), "cancel", count, how, RESOLVE="500ms" if how == "off" else "10s")
    assert cancelled == (0 if how == "off" else count) and descriptors == 0 and more_kb < 512
    assert longest < 2500, longest  # musl would wait for 5 s


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "good.test", "silent.test", "big.test"])
def test_small_stacks(net, build, report_time, name):
    """musl's threads have 128 KB, and programs that have many give them less."""
    silent = dns.for_type(dns.A, dns.silent, dns.silent)
    many = dns.answering(Zone({"good.test": ["192.0.2.7", "2001:db8::7"], "big.test": [f"2001:db8::{i:x}" for i in range(1, 14)]}))
    net.etc("resolv.conf", "nameserver 127.0.0.1\nsearch a.test b.test\noptions ndots:2\n")
    net.dns(lambda question, *rest: (silent if question.name.startswith("silent") else many)(question, *rest))
    code, used = numbers(net, build("musl_threads"), "stack", 128 << 10, name, RESOLVE="300ms" if name == "silent.test" else "5s")
    _, without = numbers(net, build("musl_threads"), "stack", 128 << 10, name, library=False) if name != "silent.test" else (0, 0)
    print(f"{name}: {used} bytes, without the library {without}")
    assert code == (EAI_AGAIN if name == "silent.test" else 0)
    assert used < 16 << 10


STALE_ZONE = dns.answering(Zone({"host.test": ["192.0.2.7", "2001:db8::7"], "alias.test": "host.test", "short.b.test": ["192.0.2.4"]}))


@pytest.mark.parametrize("question, count, then", [
    (["gai", "host.test", "80", "0", "1", "0", "2"], 2, dns.silent), (["gai", "host.test", "80", "0", "1", "0", "2"], 2, dns.truncating),
    (["gai", "host.test", "80", "10", "1", "0", "2"], 1, dns.silent), (["gai", "alias.test", "80", "0", "1", "0", "2"], 2, dns.silent),
    (["gai", "short", "80", "0", "1", "0", "2"], 4, dns.silent), (["static", "alias.test", "2"], 1, dns.silent),
    (["name", "host.test", "10", "1000"], 1, dns.silent),
], ids=["both", "truncating", "IPv6", "alias", "search list", "gethostbyname", "gethostbyname2_r"])
def test_stale(net, build, question, count, then):
    """Where the servers are silent by a third of RESOLVE, the last good answer is given; what they answer is always given itself."""
    net.etc("resolv.conf", "nameserver 127.0.0.1\nsearch a.test b.test\n")
    server = net.dns(lambda q, *rest: (STALE_ZONE if len(server.questions) <= count else then)(q, *rest), dns.silent)
    (net.directory / "question").write_text(("\t".join(question) + "\n") * 2)
    result = net.run([*LOADER, build("musl_names"), "time"], stdin=lambda: (net.directory / "question").open(), RESOLVE="1500ms", STALE="1h", LOG="stderr")
    assert result.status == 0, result
    (*first, _), (*second, tenths) = (line.split() for line in result.out.decode().splitlines())
    if then is dns.truncating and second != first:  # before 1.2.4 what is truncated is an answer as it is
        assert not result.err and int(tenths) < 5, result
        return
    assert first == second and first[0] == "0" and 4 <= int(tenths) <= 13, result
    assert result.text.count("limit=STALE") == 1 and "limit=RESOLVE" not in result.text, result


@pytest.mark.parametrize("then, code", [(dns.failing(), "-3"), (dns.failing(dns.NXDOMAIN), "-2")], ids=["fails", "is gone"])
def test_no_stale_answer_where_a_server_answers(net, build, then, code):
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1\n")
    server = net.dns(lambda q, *rest: (STALE_ZONE if len(server.questions) <= 2 else then)(q, *rest))
    (net.directory / "question").write_text("gai\thost.test\t80\t0\t1\t0\t0\n" * 2)
    result = net.run([*LOADER, build("musl_names")], stdin=lambda: (net.directory / "question").open(), RESOLVE="9s", STALE="1h", LOG="stderr")
    assert result.out.decode().splitlines()[1].split()[0] == code and not result.err, result
