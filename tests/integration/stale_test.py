"""STALE: where the name servers are silent, the last good answer is given, by a third of RESOLVE, and told."""

import json

import pytest

import look
import programs
from faults import Zone, dns, good

NAMES = {"host.test": ["192.0.2.7", "2001:db8::7"], "alias.test": "host.test", "four.test": ["192.0.2.4"], "local.test": ["127.0.0.1"],
         "many.test": [f"192.0.2.{i}" for i in range(20, 60)]}
HEALTHY = dns.answering(Zone(NAMES))
DEAD = {"silent": dns.silent, "truncating": dns.truncating}


def dying(count, then=dns.silent):
    """Answers so many questions."""
    asked = []

    def respond(question, *rest):
        asked.append(question)
        (HEALTHY if len(asked) <= count else then)(question, *rest)

    return respond


def ask(net, *argv, **limits):
    return net.run(argv, **{"RESOLVE": "1500ms", "STALE": "1h", "LOG": "stderr", **limits})


def fields(line):
    return dict(word.split("=", 1) for word in line.split())


@pytest.mark.parametrize("then", DEAD.values(), ids=DEAD)
@pytest.mark.parametrize("name, database", [("host.test", "ahosts"), ("host.test", "ahostsv4"), ("host.test", "ahostsv6"), ("host.test", "hosts"),
                                            ("alias.test", "ahosts"), ("alias.test", "hosts"), ("many.test", "ahosts"), ("many.test", "ahostsv4")])
def test_getent(net, name, database, then):
    count = 2 if database == "ahosts" else 1
    server = net.dns(lambda question, *rest: (HEALTHY if len(server.questions) <= left else then)(question, *rest), dns.silent)
    left = count
    one = ask(net, "getent", database, name)
    assert one.out and not one.err, one
    left = len(server.questions) + count
    two = ask(net, "getent", database, name, name)
    assert two.status == 0 and two.out == one.out * 2, two
    line = fields(two.err.decode())
    assert line["name"] == name and line["limit"] == "STALE" and line["timeout"] == "1h" and float(line["age"][:-1]) < 5, line
    assert 0.5 <= float(line["elapsed"][:-1]) < 1.4, line


@pytest.mark.parametrize("tcp", [dns.ending, dns.resetting(10**6, dns.silent)], ids=["ended", "reset"])
def test_a_server_that_ends_its_connections_says_nothing(net, tcp):
    net.dns(dying(1, dns.truncating), tcp)
    result = ask(net, "getent", "ahostsv4", "host.test", "host.test")
    assert result.status == 0 and result.out.count(b"192.0.2.7") == 6 and b" limit=STALE " in result.err, result


@pytest.mark.skipif(bool(programs.RUNTIME), reason="curl hangs under a sanitizer's runtime alone")
def test_curl(net):
    """Its own memory is of names with ports."""
    one, two = (net.serve(good.http(requests=[])) for _ in range(2))
    net.dns(dying(2))
    result = ask(net, "curl", "-sS", f"http://local.test:{one.port}/", f"http://local.test:{two.port}/")
    assert (result.status, result.out) == (0, b"hello\n" * 2) and b" limit=STALE " in result.err, result


PYTHON = """
def found(name, family=0):
    try:
        return sorted({a[4][0] for a in socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)})
    except socket.gaierror as error:
        return error.errno
answers = []
for step in sys.argv[1:]:
    if step.startswith("write:"):
        _, path, text = step.split(":", 2)
        open(path, "w").write(text + "\\n")
    else:
        name, _, family = step.partition(":")
        answers.append(found(name, int(family or 0)))
print(json.dumps(answers))"""
BOTH = ["192.0.2.7", "2001:db8::7"]
RESOLV = "nameserver 127.0.0.1\noptions attempts:1"


def python(net, *steps, **limits):
    result = ask(net, *programs.child(PYTHON, *steps), **limits)
    assert result.status == 0, result
    return json.loads(result.out), result.err.decode().splitlines()


def test_it_is_off_by_default(net):
    net.dns(dying(2))
    answers, _ = python(net, "host.test", "host.test", RESOLVE="900ms", STALE="off")
    assert answers == [BOTH, -3]


def test_what_was_asked_is_what_is_given(net):
    """An answer for one family is none for the other, nor for another name."""
    net.dns(dying(2))
    answers, lines = python(net, "host.test:2", "four.test:2", "host.test:10", "host.test:2", "four.test:2", "host.test", RESOLVE="900ms")
    assert answers == [BOTH[:1], ["192.0.2.4"], -3, BOTH[:1], ["192.0.2.4"], -3]
    assert [fields(line)["limit"] for line in lines] == ["RESOLVE", "STALE", "STALE", "RESOLVE"]


def test_one_family_of_an_answer_for_both(net):
    net.dns(dying(2))
    answers, _ = python(net, "host.test", "host.test:2", "HOST.test:10", RESOLVE="900ms")
    assert answers == [BOTH, BOTH[:1], BOTH[1:]]


def test_a_mapped_address(net):
    """Of two questions in turn, each has its last answer."""
    net.dns(dying(2))
    ask_mapped = "for _ in range(2): print(socket.getaddrinfo('four.test', 80, socket.AF_INET6, socket.SOCK_STREAM, 0, socket.AI_V4MAPPED)[0][4][0])"
    result = ask(net, *programs.child(ask_mapped), RESOLVE="1s")
    assert result.out == b"::ffff:192.0.2.4\n" * 2, result


def test_refused(net):
    """Where no server is there any more, it is given at once."""
    stopping = net.dns(HEALTHY)
    program = net.start(programs.child("""
for _ in range(2):
    began = time.monotonic()
    print(len(socket.getaddrinfo("host.test", 80, 0, socket.SOCK_STREAM)), time.monotonic() - began, flush=True)
    sys.stdin.readline()"""), RESOLVE="15s", STALE="1h", stdin=programs.subprocess.PIPE)
    assert program.process.stdout.readline().startswith(b"2 ")
    stopping.close()
    program.process.stdin.write(b"\n")
    found, took = program.process.stdout.readline().split()
    assert found == b"2" and float(took) < 3


@pytest.mark.parametrize("name, text", [("resolv.conf", RESOLV + "\nsearch x.test"), ("hosts", "192.0.2.9 other.test"),
                                        ("nsswitch.conf", "hosts: files dns ")])
def test_a_file_that_changes(net, name, text):
    net.etc("resolv.conf", RESOLV + "\n")
    net.etc("hosts", "127.0.0.1 localhost\n")
    net.etc("nsswitch.conf", "hosts: files dns\n")
    net.dns(dying(2))
    assert python(net, "host.test", f"write:/etc/{name}:{text}", "host.test", RESOLVE="900ms")[0] == [BOTH, -3]


def test_an_answer_of_the_server_s(net):
    """A failure is one, and so is that the name is gone; what the server has said before a failure is not forgotten."""
    net.dns(lambda question, *rest: then[step[question.name]](question, *rest))
    step = {"host.test": 0, "four.test": 0}
    then = [HEALTHY, dns.for_type(dns.A, lambda q, *rest: dns.failing(dns.SERVFAIL if q.name == "four.test" else dns.NXDOMAIN)(q, *rest), HEALTHY),
            dns.silent]
    program = net.start(programs.child("""
for line in sys.stdin:
    try:
        print(socket.getaddrinfo(line.strip(), 80, socket.AF_INET)[0][4][0], flush=True)
    except socket.gaierror as error:
        print(error.errno, flush=True)"""), RESOLVE="1500ms", STALE="1h", stdin=programs.subprocess.PIPE)
    answers = []
    for number in range(3):
        for name in step:
            step[name] = number
            program.process.stdin.write(name.encode() + b"\n")
            answers.append(program.process.stdout.readline().decode().strip())
    assert answers == ["192.0.2.7", "192.0.2.4", "-2", "-3", "-3", "192.0.2.4"]


def test_every_server_is_asked_in_a_third_of_the_time(net):
    net.etc("resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
    net.dns(dns.silent)
    second = net.dns(dying(2), host="127.0.0.2")
    answers, lines = python(net, "host.test", "host.test", RESOLVE="900ms")
    assert answers == [BOTH, BOTH] and len(second.questions) >= 4 and len(lines) == 1


def test_it_is_counted(net):
    net.dns(dying(2))
    program = net.start(programs.child("""
for _ in range(3): socket.getaddrinfo("host.test", 80, 0, socket.SOCK_STREAM)
print("done", flush=True)
time.sleep(20)"""), RESOLVE="900ms", STALE="1h")
    assert program.process.stdout.readline() == b"done\n"
    pid = look.pid_of(program)
    row = look.stats(pid)[pid]["getaddrinfo"]
    assert (row["stale_answers"], row["expired"], row["calls"]) == (2, 0, 3)


def test_a_section_for_a_destination_has_none(net, tmp_path):
    (tmp_path / "conf").write_text("STALE = 1h\n[destination host.test]\nSTALE = 2h\n")
    result = net.run(["true"], CONFIG=str(tmp_path / "conf"))
    assert b"STALE" in result.err, result
