"""Name servers as people have them: what a lookup finds, and how soon, where some of several do not answer, answer late or
only in part, or disagree. What libc finds is found."""

import json
import signal
import subprocess
import time

import pytest

import programs
from faults import Zone, dns

LOOK_UP = """
families = {"": 0, "-4": socket.AF_INET, "-6": socket.AF_INET6}
def look_up(name, family="", flags=0):
    began = time.monotonic()
    try:
        found = sorted({entry[4][0] for entry in socket.getaddrinfo(name, None, families[family], socket.SOCK_STREAM, flags=flags)})
    except socket.gaierror as e:
        found = e.errno
    return [found, round(time.monotonic() - began, 3)]
"""
EACH = LOOK_UP + "tell([look_up(*json.loads(each)) for each in sys.argv[1:]])"
EAI_NONAME, EAI_AGAIN, AI_V4MAPPED = -2, -3, 8
V4, V6 = "192.0.2.7", "2001:db8::7"
GOOD = Zone({"host.test": [V4, V6], "four.test": [V4], "six.test": [V6], "host.one.test": [V4, V6]})
good = dns.answering(GOOD)
nobody = dns.answering(Zone())  # says of every name that it does not exist


def servers(net, *responders, options=""):
    """Name servers in their order, each (responder over UDP, the same over TCP) or one for both, and a resolv.conf with them."""
    hosts = [f"127.0.0.{number}" for number in range(1, len(responders) + 1)]
    net.etc("resolv.conf", "".join(f"nameserver {host}\n" for host in hosts) + options)
    return [net.dns(*(each if isinstance(each, tuple) else (each,)), host=host) for each, host in zip(responders, hosts)]


def look_up(net, *arguments, **how):
    """What a program finds, and the seconds it takes; where `how` has no limit, with the defaults."""
    return net.told(EACH, json.dumps(arguments), **how)[0]


def look_up_each(net, *names, **how):
    return net.told(EACH, *(json.dumps([name]) for name in names), **how)


def by_libc(net, *arguments):
    return look_up(net, *arguments, library=False)[0]


@pytest.fixture
def addresses(net):
    """Interface addresses, so that AI_ADDRCONFIG asks for both families."""
    net.do("ip", "-6", "address", "add", "2001:db8::77/64", "dev", "lo", "nodad")
    net.do("ip", "address", "add", "192.0.2.77/24", "dev", "lo")
    return net


def of_size(size):
    """Answers with as many addresses as fit into so many bytes, and in one datagram, whatever was announced."""

    def respond(question, send, _stop):
        count = (size - 12 - len(question.section)) // (len(question.section) - 4 + 14)
        send(dns.message(question, [dns.record(question.name, dns.A, bytes([192, 0, 2 + i // 250, 1 + i % 250]))
                                    for i in range(count)] if question.type == dns.A else []))

    return respond


@pytest.mark.parametrize("options", ["", "options edns0 trust-ad\n"], ids=["plain", "edns0"])
@pytest.mark.parametrize("size", [512, 540, 700, 1030, 1232, 4096, 4097, 9000, 20000])
def test_a_large_datagram_is_taken_as_it_is(net, size, options):
    """Without the TC bit it is the whole answer, whatever was asked for."""
    server, = servers(net, (of_size(size), dns.NO_TCP), options=options)
    found, took = look_up(net, "a.test", "-4")
    assert len(found) == (size - 12 - 12) // (8 + 14) and took < (0.5 if size <= 4096 else 3)
    asked = [question.transport for question in server.questions]
    assert asked == ["udp"] or (size > 4096 and asked == ["udp", "udp"])  # c-ares before 1.28 has no room for such
    assert found == by_libc(net, "a.test", "-4")


def test_a_large_answer_of_res_query_is_taken_as_it_is(net):
    server, = servers(net, (of_size(1900), dns.NO_TCP))
    ask = "answer = ctypes.create_string_buffer(4096); libc.res_query(b'a.test', 1, 1, answer, 4096); tell(answer.raw[6:8].hex())"
    assert net.told(ask) == net.told(ask, library=False) == f"{(1900 - 24) // 22:04x}"
    assert [question.transport for question in server.questions] == ["udp", "udp"]


@pytest.mark.parametrize("how", [(of_size(400),), (dns.truncating, of_size(400))], ids=["udp", "tcp"])
def test_an_answer_of_res_query_is_as_the_server_has_sent_it(net, how):
    """Also where c-ares has written it anew, with the names compressed."""
    servers(net, how)
    ask = "answer = ctypes.create_string_buffer(4096); size = libc.res_query(b'a.test', 1, 1, answer, 4096); tell([size, answer.raw[2:size].hex()])"
    assert net.told(ask) == net.told(ask, library=False)


@pytest.mark.parametrize("tcp, name", [(good, "nosuch.test"), (good, "six.test"), (dns.NO_TCP, "host.test"), (dns.ending, "host.test"), (dns.resetting(10**6, good), "host.test")],
                         ids=["no name", "no record", "closed", "ended", "reset"])
def test_errno_of_res_query_by_tcp(net, tcp, name):
    """It is libc's: not what a connect leaves that goes on in the background."""
    servers(net, (dns.truncating, tcp))
    ask = f"ctypes.set_errno(0); libc.res_query(b'{name}', 1, 1, ctypes.create_string_buffer(4096), 4096); tell(ctypes.get_errno())"
    assert net.told(ask) == net.told(ask, library=False)


TRUNCATED = {"A": dns.for_type(dns.A, dns.truncating, good), "AAAA": dns.for_type(dns.AAAA, dns.truncating, good),
             "both": dns.truncating}
TCP = {"closed": lambda: dns.NO_TCP, "reset": lambda: dns.resetting(10**6, good), "silent": lambda: dns.silent}


@pytest.mark.parametrize("family", ["", "-4"])
@pytest.mark.parametrize("tcp", TCP)
@pytest.mark.parametrize("truncated", TRUNCATED)
def test_truncated_and_no_tcp_but_a_second_server(net, truncated, tcp, family):
    second = Zone({"host.test": ["192.0.2.9", "2001:db8::9"]})
    servers(net, (TRUNCATED[truncated], TCP[tcp]()), dns.answering(second), options="options timeout:1\n")
    found, took = look_up(net, "host.test", family, RESOLVE="6s")
    both = ["192.0.2.9", "2001:db8::9"]
    assert found == ([V4] if truncated == "AAAA" and family else both[:1] if family else both)
    assert took < (1.9 if tcp == "silent" else 0.9)


@pytest.mark.parametrize("truncated, left", [("A", V6), ("AAAA", V4)])
def test_truncated_and_no_tcp_and_no_other_server(net, truncated, left):
    """What came by UDP is better than nothing, which is what libc gives."""
    servers(net, (TRUNCATED[truncated], dns.NO_TCP))
    found, took = look_up(net, "host.test")
    assert found == [left] and took < 0.5


def test_a_no_by_udp_behind_a_truncated_answer(net):
    """libc asks the second server by TCP, which may be closed: that the name does not exist is not known then."""
    first = (dns.truncating, dns.NO_TCP)
    servers(net, first, (nobody, dns.NO_TCP))
    assert look_up(net, "host.test")[0] == look_up(net, "host.test", "-4")[0] == by_libc(net, "host.test") == EAI_AGAIN


def test_a_no_by_tcp_behind_a_truncated_answer(net):
    servers(net, (dns.truncating, dns.NO_TCP), nobody)
    assert look_up(net, "host.test")[0] == look_up(net, "host.test", "-4")[0] == by_libc(net, "host.test") == EAI_NONAME


def test_half_a_no_by_udp_behind_a_truncated_answer(net):
    """A server that knows the name knows also what it does not have."""
    servers(net, (dns.truncating, dns.NO_TCP), (good, dns.NO_TCP))
    found, took = look_up(net, "four.test")
    assert found == [V4] and took < 0.9


@pytest.mark.parametrize("family", ["", "-4"])
def test_truncated_and_tcp(net, family):
    """Both questions are asked over one connection, and the UDP socket is closed before."""
    server, = servers(net, (dns.truncating, good))
    assert look_up(net, "host.test", family)[0] == ([V4] if family else [V4, V6])
    assert server.tcp.accepted == 1


@pytest.mark.parametrize("server", ["silent", "truncated and silent"])
def test_descriptors_of_a_lookup(net, server):
    """One, as with libc: the UDP socket is closed before TCP is tried."""
    servers(net, (dns.silent,) if server == "silent" else (dns.truncating, dns.silent))
    count = LOOK_UP + """
def count():
    time.sleep(0.5)
    most.append(len(os.listdir("/proc/self/fd")))
most, before = [], len(os.listdir("/proc/self/fd"))
thread = threading.Thread(target=count)
thread.start()
look_up("host.test")
thread.join()
tell(most[0] - before)
"""
    assert net.told(count, RESOLVE="1500ms") == 1


@pytest.mark.parametrize("family", ["", "-4"])
def test_a_reset_connection_is_made_again(net, family):
    """The name server may just have been restarted."""
    servers(net, dns.resetting(1, good), options="options use-vc\n")
    assert look_up(net, "host.test", family)[0] == ([V4] if family else [V4, V6])


def test_a_connection_is_made_again_once(net):
    server, = servers(net, dns.resetting(10**6, good), options="options use-vc\n")
    found, took = look_up(net, "host.test", "-4")
    assert took < 0.5 and server.tcp.accepted == 2
    assert found == by_libc(net, "host.test", "-4")


@pytest.mark.parametrize("second", [None, good], ids=["one server", "two servers"])
def test_an_answer_to_another_question(net, second):
    """Over TCP no better one follows, and it is not waited for."""
    servers(net, (dns.truncating, dns.mistaken), *[second] * bool(second))
    found, took = look_up(net, "host.test")
    assert found == ([V4, V6] if second else EAI_AGAIN) and took < 1.5


@pytest.mark.parametrize("second", [None, good], ids=["one server", "two servers"])
def test_one_answer_a_connection(net, second):
    servers(net, dns.one_a_connection(GOOD), *[second] * bool(second), options="options use-vc\n")
    found, took = look_up(net, "host.test")
    assert found == [V4, V6] and took < 0.5


def test_one_silent_family_and_a_second_server(net):
    """Where the first server does not answer one of two questions, the second one is asked, too."""
    servers(net, dns.for_type(dns.AAAA, dns.silent, good), good, options="options timeout:3\n")
    found, took = look_up(net, "host.test")
    assert found == [V4, V6] and took < 3


@pytest.mark.parametrize("limits", [{"RESOLVE": "2s"}, {}], ids=["2s", "defaults"])
def test_mapped_addresses_where_aaaa_is_dropped(net, limits):
    servers(net, dns.for_type(dns.AAAA, dns.silent, good), options="options timeout:2 attempts:1\n")
    found, took = look_up(net, "host.test", "-6", AI_V4MAPPED, **limits)
    assert found == ["::ffff:" + V4] == by_libc(net, "host.test", "-6", AI_V4MAPPED)
    assert took < 3.5


def test_no_mapped_address_where_aaaa_is_dropped(net):
    """That there is no A record does not mean that there is no address."""
    servers(net, dns.for_type(dns.AAAA, dns.silent, dns.answering(Zone({"host.test": [V6]}))))
    found, took = look_up(net, "host.test", "-6", AI_V4MAPPED, RESOLVE="1s")
    assert found == EAI_AGAIN and took < 2


@pytest.mark.parametrize("others", [1, 2])
@pytest.mark.parametrize("family", ["", "-4"])
def test_a_slow_first_server_is_believed_before_others(net, others, family):
    """The company's own behind a VPN, and public ones which know nothing of the company's names."""
    servers(net, dns.late(1.3, good), *[nobody] * others)
    found, took = look_up(net, "host.test", family)
    assert found == ([V4] if family else [V4, V6]) and took < 2


def test_no_wrong_no_at_the_deadline(net):
    servers(net, dns.late(1.5, good), nobody)
    for limit in "1s", "1200ms":
        assert look_up(net, "host.test", RESOLVE=limit)[0] == EAI_AGAIN


def test_the_no_of_a_second_server_after_libc_s_time(net):
    """The first server is dead: once known, it is not waited for again, in a search list neither."""
    servers(net, dns.silent, nobody, options="options timeout:2\nsearch one.test two.test three.test\n")
    first, *others = look_up_each(net, "host", "other.test", "third.test")
    assert first[0] == EAI_NONAME and 1.9 < first[1] < 3
    assert all(found == EAI_NONAME and took < 0.9 for found, took in others), others


def test_a_yes_of_a_second_server_needs_no_waiting(net):
    servers(net, dns.silent, good)
    for found, took in look_up_each(net, "host.test", "four.test"):
        assert found in ([V4, V6], [V4]) and took < 2


def test_a_dead_server_that_is_back_is_noticed(net):
    """It is asked all the time, and believed as soon as it answers."""
    first, _ = servers(net, dns.silent, nobody, options="options timeout:1\n")
    program = net.start(programs.child(LOOK_UP + """
for line in sys.stdin:
    print(*look_up("host.test"), flush=True)
"""), stdin=subprocess.PIPE)

    def ask():
        program.process.stdin.write(b"\n")
        return program.process.stdout.readline().decode().split("\n")[0]

    assert ask().startswith("-2 ") and ask().startswith("-2 ")
    first.udp_responder = good
    assert V6 in ask()


def test_one_answer_a_port(net):
    """Learned by the first lookup, which asks again from another port, and forgotten when resolv.conf changes."""
    servers(net, dns.one_at_a_time(GOOD, 0.06), options="options timeout:1\n")
    again = LOOK_UP + """
each = [look_up("host.test") for _ in range(4)]
with open("/etc/resolv.conf", "a") as f:
    f.write("# changed\\n")
tell(each + [look_up("host.test")])
"""
    *each, changed = net.told(again)
    assert all(found == [V4, V6] for found, _ in [*each, changed])
    assert 0.4 < each[0][1] < 0.9 and all(took < 0.35 for _, took in each[1:]), each
    assert 0.4 < changed[1] < 0.9


@pytest.mark.parametrize("options", ["", "options use-vc\n"], ids=["udp", "tcp"])
@pytest.mark.parametrize("sources", ["files dns", "files [UNAVAIL=return] dns"], ids=["ours", "libc's"])
def test_answers_that_came_while_the_process_was_stopped(net, sources, options):
    """They are read before the clock is looked at."""
    net.etc("nsswitch.conf", f"hosts: {sources}\n")
    servers(net, dns.late(0.5, good), options=options)
    program = net.start(programs.child(EACH, '["host.test"]'), RESOLVE="1s")
    time.sleep(0.35)  # it has started and asks, or is about to
    asked = net.opened[-1].questions
    for _ in range(100):
        if len(asked) == 2:
            break
        time.sleep(0.02)
    program.signal(signal.SIGSTOP)
    time.sleep(1.3)
    program.signal(signal.SIGCONT)
    assert json.loads(program.finish().out)[0][0] == [V4, V6]


SERVFAIL, REFUSED, NOTIMP = (dns.failing(code) for code in (dns.SERVFAIL, dns.REFUSED, dns.NOTIMP))
SEARCH = "options timeout:2\nsearch bad.test one.test\n"


def test_a_failed_lookup_takes_no_longer_than_with_libc(net):
    """A server that fails is not given the time of one that is silent."""
    servers(net, dns.silent, REFUSED, options="options timeout:1 attempts:1\n")
    found, took = look_up(net, "host.test")
    assert found == EAI_AGAIN and 0.9 < took < 1.7


@pytest.mark.parametrize("first, second", [(dns.silent, (dns.truncating, dns.NO_TCP)), ((dns.truncating, dns.NO_TCP), dns.silent)],
                         ids=["behind a dead one", "before a dead one"])
def test_after_a_truncated_answer_there_is_no_other_round(net, first, second):
    """libc goes on by TCP then, to which the silent server behind says nothing for ever; one before is not asked by it."""
    servers(net, first, second, options="options timeout:1 attempts:3\n")
    found, took = look_up(net, "host.test", RESOLVE="3s")
    assert found == EAI_AGAIN and (took < 2 if first is dns.silent else took < 4)


@pytest.mark.parametrize("name", ["host.test", "four.test"])
def test_a_second_server_that_answers_by_tcp_alone(net, name):
    """Where the answer is large: it was truncated by the first one, and the second one's is lost on its way."""
    servers(net, (dns.truncating, dns.NO_TCP), (dns.silent, good), options="options timeout:2 attempts:1\n")
    found, took = look_up(net, name)
    assert found == by_libc(net, name) != EAI_AGAIN and took < 1.2


def test_a_second_server_with_tcp_closed_and_slow(net):
    servers(net, (dns.truncating, dns.NO_TCP), (dns.late(0.6, good), dns.NO_TCP), options="options timeout:2 attempts:1\n")
    assert look_up(net, "host.test")[0] == [V4, V6]


def test_nor_behind_servers_that_cannot_be_reached(net, addresses):
    """They have failed by the time both questions have been sent to them."""
    servers(net, dns.silent)
    net.etc("resolv.conf", "nameserver 127.0.0.8\nnameserver 127.0.0.9\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    found, took = look_up(net, "host.test")
    assert found == EAI_AGAIN and 0.9 < took < 1.7


def test_the_no_of_a_third_server_behind_one_that_fails(net):
    servers(net, dns.silent, REFUSED, nobody, options="options timeout:1 attempts:1\n")
    found, took = look_up(net, "host.test")
    assert found == EAI_NONAME == by_libc(net, "host.test") and 0.9 < took < 1.7


def test_half_a_no_is_none(net):
    """The name is said not to have the one kind of address, and about the other nothing is known."""
    servers(net, (dns.for_type(dns.AAAA, dns.truncating, dns.answering(Zone({"host.test": []}))), dns.NO_TCP))
    assert look_up(net, "host.test")[0] == EAI_AGAIN == by_libc(net, "host.test")


def test_a_slow_yes_counts_after_half_a_no(net):
    servers(net, dns.for_type(dns.A, dns.late(1.3, good), good), options="options timeout:1\n")
    assert look_up(net, "four.test")[0] == [V4] == by_libc(net, "four.test")


def test_a_slow_a_record_counts_after_the_other_one(net):
    """Later than a whole timeout; libc has repeated the question meanwhile."""
    servers(net, dns.for_type(dns.A, dns.late(1.3, good), good), options="options timeout:1\n")
    assert look_up(net, "host.test")[0] == [V4, V6] == by_libc(net, "host.test")


def test_an_a_record_that_never_comes(net):
    """For twice the timeout, then what there is (libc: nothing, after three of them)."""
    servers(net, dns.for_type(dns.A, dns.silent, good), options="options timeout:1\n")
    found, took = look_up(net, "host.test")
    assert found == [V6] and 1.8 < took < 2.8
    assert by_libc(net, "host.test") == EAI_AGAIN


def test_a_silent_a_record_where_there_is_no_other_one(net):
    """The second server is asked when the first one has had its time."""
    servers(net, dns.for_type(dns.A, dns.silent, good), good, options="options timeout:2\n")
    found, took = look_up(net, "four.test")
    assert found == [V4] and took < 3.5


@pytest.mark.parametrize("last", [dns.A, dns.AAAA])
def test_the_first_answer_has_the_canonical_name(net, last):
    def alias(target):
        return dns.answering(Zone({"alias.test": target, target: [V4, V6]}))

    canonical = "tell(socket.getaddrinfo('alias.test', 80, 0, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)[0][3])"
    servers(net, dns.for_type(last, dns.late(0.2, alias("late.test")), alias("soon.test")))
    assert net.told(canonical) == "soon.test" == net.told(canonical, library=False)


def test_an_error_by_udp_and_an_answer_by_tcp(net):
    """libc asks both questions over TCP when one of them is truncated."""
    servers(net, (dns.for_type(dns.A, SERVFAIL, dns.truncating), good))
    assert look_up(net, "host.test")[0] == [V4, V6] == by_libc(net, "host.test")


@pytest.mark.parametrize("codes", [(REFUSED, SERVFAIL, SERVFAIL), (NOTIMP, SERVFAIL, SERVFAIL), (SERVFAIL, SERVFAIL, REFUSED),
                                   (SERVFAIL, NOTIMP, NOTIMP), (SERVFAIL, REFUSED, SERVFAIL)])
def test_the_search_goes_on_by_the_last_server_s_code(net, codes):
    """After SERVFAIL the next domain is tried, after other codes none."""

    def failing_for(bad):
        return lambda question, send, stop: (bad if "bad.test" in question.name else good)(question, send, stop)

    servers(net, *map(failing_for, codes), options=SEARCH)
    assert look_up(net, "host")[0] == by_libc(net, "host")


@pytest.mark.parametrize("seconds, limits, expected", [
    (6.5, {}, [V4, V6]), (6.5, {"RESOLVE": "5s"}, EAI_AGAIN)], ids=["default", "5s"])
def test_a_slow_server_within_libc_s_patience(net, seconds, limits, expected):
    servers(net, dns.late(seconds, good))
    found, took = look_up(net, "host.test", **limits)
    assert found == expected and took < 8


@pytest.mark.parametrize("limits, at_least, at_most", [({}, 19.5, 22), ({"RESOLVE": "15s"}, 14.9, 17)], ids=["default", "15s"])
def test_the_default_is_libc_s_patience_where_that_is_longer(net, limits, at_least, at_most):
    """Two dead servers take libc 20 s; a limit that the operator has set is taken as it is."""
    servers(net, dns.silent, dns.silent)
    found, took = look_up(net, "host.test", patience=40, **limits)
    assert found == EAI_AGAIN and at_least < took < at_most
