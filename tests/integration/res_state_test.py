"""Programs that use _res, or a state of their own: each step gives what it gives with libc alone, and asks the same servers."""

import signal
import socket
import time

import pytest

import look
import programs
from faults import Zone, dns

STATE = programs.BUILD / "tests/resstate"
DOMAINS = "d1.test d2.test d3.test d4.test d5.test d6.test d7.test d8.test"
LONG = " ".join(f"{letter * 60}.test" for letter in "abcde") + " d8.test"  # six domains are more than 256 bytes
NAMES = {"one.old.test": ["192.0.2.1"], "two.new.test": ["192.0.2.2"], "db.d8.test": ["192.0.2.8"], "one.test": ["192.0.2.3"],
         "one": ["192.0.2.4"], "many.test": ["192.0.2.5", "198.51.100.5", "203.0.113.5"]}
OLD = "nameserver 127.0.0.1\nsearch old.test\noptions timeout:1 attempts:1\n"
NEW = "nameserver 127.0.0.2\nsearch new.test\noptions ndots:2 timeout:1 attempts:1\n"
BOTH_IPV6 = "nameserver ::1\nnameserver 127.0.0.1\nsearch old.test\n"
USEVC, IGNTC, RECURSE, DEFNAMES, DNSRCH, NORELOAD = 8, 0x20, 0x40, 0x80, 0x200, 0x02000000


def is_asked(net):
    """Servers on the addresses and ports that the steps name; each answers from the same zone, and notes what it was asked."""
    servers = {}
    for host, port in (("127.0.0.1", 53), ("127.0.0.2", 53), ("127.0.0.3", 5300), ("::1", 53)):
        servers[host] = net.open(dns.DnsServer, dns.answering(Zone(NAMES)), host=host, port=port)
    return servers


def told(net, servers, library, resolv, steps, variables=None):
    net.etc("resolv.conf", resolv)
    (net.directory / "new").write_text(NEW)
    for server in servers.values():
        server.questions.clear()
    used = {"MALLOC_PERTURB_": "90", **(variables or {})}  # libc's states have bytes that it does not set
    result = net.run([STATE, *steps], library=library, variables=used)
    assert result.status == 0 and not result.err, result
    return result.text, {host: [(q.name, q.transport) for q in server.questions] for host, server in servers.items()}


@pytest.fixture
def check(net):
    servers = is_asked(net)

    def check(resolv, steps, variables=None):
        steps = [f"copy:{net.directory}/new" if step == "new" else step for step in steps.split()]
        expected = told(net, servers, False, resolv, steps, variables)
        given = told(net, servers, True, resolv, steps, variables)
        assert given == expected
        return given[0]

    return check


@pytest.mark.parametrize("domains", [DOMAINS, LONG], ids=["many", "long"])
@pytest.mark.parametrize("steps", ["init search:db", "ninit nsearch:db", "search:db", "gai:db", "init gai:db", "init host:db",
                                   "ninit new nsearch:db", "init set:0x8 search:db", "ninit set:0x8 new nsearch:db", "init ndots:3 search:db gai:db",
                                   "query:one.test ninit set:0x02000000 new nsearch:db search:db gai:db"])
def test_long_search_lists(check, domains, steps):
    """_res has room for six domains and 256 bytes; libc keeps the others elsewhere."""
    out = check(f"nameserver 127.0.0.1\nsearch {domains}\n", steps)
    if "new" not in steps:
        assert out.split()[-1] in ("8", "192.0.2.8"), out


def test_a_search_list_of_the_program_itself(check):
    """The domains that it has taken out stay out."""
    check(f"nameserver 127.0.0.1\nsearch {DOMAINS}\n", "init domain:old.test search:one search:db gai:one gai:db")
    check(f"nameserver 127.0.0.1\nsearch {DOMAINS}\n", "init server:127.0.0.3:5300 search:db gai:db")


FULL = "sortlist " + " ".join(f"10.0.0.{last}" for last in range(12)) + " 203.0.113.0\n"  # _res has room for ten


@pytest.mark.parametrize("steps", ["host:many.test", "init host:many.test", "init sort:198.51.100.0 host:many.test",
                                   "query:one.test thread host:many.test", "init new host:many.test"])
@pytest.mark.parametrize("sortlist", ["", "sortlist 203.0.113.0\n", FULL], ids=["none", "one", "full"])
def test_a_sortlist(check, sortlist, steps):
    check(OLD + sortlist, steps)


@pytest.mark.parametrize("first", ["", "init", "query:one.test", "init search:one", "gai:one", "init gai:one"])
@pytest.mark.parametrize("then", ["search:two state", "query:two.new.test state", "gai:two", "host:two", "send:two.new.test state",
                                  "thread gai:two search:two state"])
def test_a_file_that_changes(check, first, then):
    """A state that the program has not touched follows the file: servers, search list and options."""
    check(OLD, f"{first} new {then}")


@pytest.mark.parametrize("change", ["retrans:2", "ndots:3", "set:0x8", "server:127.0.0.1:53", "set:0x02000000"])
def test_a_file_that_changes_behind_a_changed_state(check, change):
    check(OLD, f"init {change} new search:one search:two gai:one gai:two state")


@pytest.mark.parametrize("steps", ["query:one.test state new search:two gai:two state", "gai:one new gai:one gai:two",
                                   "gai:one new thread gai:one gai:two", "init new gai:one search:one"])
def test_no_reload(check, steps):
    check(OLD + "options no-reload\n", steps)


@pytest.mark.parametrize("resolv", [OLD, NEW, BOTH_IPV6, "search old.test\n", OLD + "options rotate edns0 no-aaaa\n"])
@pytest.mark.parametrize("first", ["query:one.test", "search:one", "send:one.test"])
def test_the_state_after_a_first_question(check, resolv, first):
    check(resolv, f"{first} state")


@pytest.mark.parametrize("before", ["set:0x8", "retrans:3"])
def test_what_was_set_before_a_first_question(check, before):
    """res_query overwrites it, res_send keeps it."""
    check(OLD, f"{before} query:one.test state")
    check(OLD, f"{before} send:one.test state")


@pytest.mark.parametrize("change", ["server:127.0.0.3:5300", f"set:{USEVC}", f"clear:{DNSRCH}", f"clear:{DEFNAMES}", "ndots:0",
                                    "domain:old.test", f"server:127.0.0.3:5300 set:{USEVC}"])
@pytest.mark.parametrize("first", ["init", "query:one.test"])
def test_what_the_program_sets(check, first, change):
    """It holds for every kind of lookup of this thread, and for no other thread."""
    check(NEW, f"{first} {change} query:one.test search:one gai:one host:one gai:one.test thread gai:one.test search:two")


@pytest.mark.parametrize("resolv", [NEW, f"nameserver 127.0.0.1\nsearch {DOMAINS}\n", BOTH_IPV6], ids=["new", "many", "ipv6"])
@pytest.mark.parametrize("steps", ["init server:127.0.0.3:5300 gai:one gai:one.test host:one", "init domain:old.test gai:one host:one gai:db",
                                   f"init set:{USEVC} gai:one.test gai:db host:db", "init ndots:0 gai:one host:one", f"init clear:{DNSRCH} gai:db gai:one",
                                   "init gai:db gai:one", "query:one.test server:127.0.0.3:5300 gai:one.test thread gai:one.test gai:one",
                                   f"init set:{NORELOAD} new gai:one gai:two", "init new gai:one gai:two host:two",
                                   "init server:127.0.0.3:5300 new gai:one.test gai:one", "init sort:198.51.100.0 host:many.test"])
def test_what_the_program_sets_where_libc_makes_the_lookup(net, check, resolv, steps):
    """In another thread, which has a _res of its own. Of an old file libc has the domains that do not fit into _res."""
    if str(NORELOAD) in steps and DOMAINS in resolv:
        pytest.skip("the seventh domain of a file that has changed is lost")
    net.etc("nsswitch.conf", "hosts: files [UNAVAIL=return] dns\n")
    check(resolv, steps)


def test_the_environment_is_read_with_the_file(net, check):
    """setenv in another thread frees what getenv reads: libc does not look at each lookup."""
    variables = {"LOCALDOMAIN": "old.test", "RES_OPTIONS": "ndots:3"}
    net.etc("hosts", "192.0.2.5 host.test\n")
    check(NEW, "gai:one gai:host.test getenv:0 gai:host.test host:host.test gai:one.test query:one.test", variables)
    check(NEW, "gai:one getenv:1 gai:one", variables)  # HOSTALIASES, as libc does


KEEP = USEVC | 0x100  # RES_STAYOPEN
HEALTHY = dns.answering(Zone(NAMES))


def closing(question, send, stop):
    """Ends the connection after its answer."""
    HEALTHY(question, send, stop)
    send.__closure__[0].cell_contents.shutdown(socket.SHUT_RDWR)


def in_pieces(question, send, stop):
    """Each byte alone, behind an answer to another question."""
    connection, stray = send.__closure__[0].cell_contents, []
    dns.wrong_ids(HEALTHY)(question, stray.append, stop)
    for reply in stray:
        for byte in len(reply).to_bytes(2, "big") + reply:
            connection.sendall(bytes([byte]))
            time.sleep(0.0005)


def refusing(question, send, _stop):
    send.__closure__[0].cell_contents.close()


@pytest.mark.parametrize("behaviour, times", [(HEALTHY, 1), (closing, None), (in_pieces, 1)])
@pytest.mark.parametrize("steps", [f"init set:{KEEP} QUERY QUERY search:one QUERY open", f"init set:{KEEP} send:one.test send:one.test QUERY",
                                   f"ninit nset:{KEEP} nquery:one.test nsearch:one nquery:one.test open nclose open",
                                   f"init set:{KEEP} QUERY close QUERY open QUERY"])
def test_a_connection_that_stays_open(net, behaviour, times, steps):
    """Its descriptor is the state's, as in libc, and the questions that a connection is for are asked over it alone."""
    connections = set()
    net.etc("resolv.conf", "nameserver 127.0.0.1\nsearch old.test test\noptions timeout:5\n")
    net.dns(dns.silent, lambda question, send, stop: (connections.add(send), behaviour(question, send, stop)))
    told = {}
    for library in [True] if behaviour is closing else [False, True]:  # libc takes an end of file for no answer
        connections.clear()
        result = net.run([STATE, *steps.replace("QUERY", "query:one.test").split()], library=library)
        told[library] = result.status, result.text, len(connections)
    assert told[True][0] == 0 and "h_errno" not in told[True][1], told
    if behaviour is not closing:
        assert told[True][:2] == told[False][:2], told
    assert times is None or "close" in steps or told[True][2] == told[False][2] == times, told


def test_a_connection_that_stays_open_and_a_process_that_is_stopped(net):
    """The answer is read before the clock is looked at."""
    net.dns(dns.silent, dns.late(0.3, HEALTHY))
    program = net.start([STATE, "init", f"set:{KEEP}", "query:one.test"], RESOLVE="1200ms")
    assert look.until(lambda: net.opened[-1].questions)
    program.signal(signal.SIGSTOP)
    time.sleep(1.5)
    program.signal(signal.SIGCONT)
    result = program.finish()
    assert result.out == b"query 3\n" and [q.transport for q in net.opened[-1].questions] == ["tcp"], result


@pytest.mark.parametrize("steps", [f"init set:{KEEP} query:one.test gai:one.test host:one.test gai:one.test open",
                                   f"init set:{KEEP} gai:one.test gai:one.test query:one.test open",
                                   f"init set:{KEEP} query:one.test clear:{KEEP} gai:one.test open",
                                   f"init set:{KEEP} query:one.test clear:{KEEP} query:one.test open"])
def test_a_connection_that_stays_open_is_for_all_lookups(net, steps):
    """Of names by getaddrinfo and gethostbyname, too; and it is closed where it is to stay open no more."""
    connections = set()
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5\n")
    net.dns(HEALTHY, lambda question, send, stop: (connections.add(send), HEALTHY(question, send, stop)))
    told = []
    for library in False, True:
        connections.clear()
        result = net.run([STATE, *steps.split()], library=library)
        told.append((result.status, result.text, len(connections)))
    assert told[0] == told[1] and told[0][0] == 0 and told[0][2] == 1, told


@pytest.mark.parametrize("tcp", [dns.silent, refusing])
def test_a_connection_that_stays_open_and_silent(net, tcp):
    """The next server is asked, and the connection is not kept."""
    net.etc("resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1\n")
    net.dns(dns.silent, tcp)
    net.dns(dns.silent, HEALTHY, host="127.0.0.2")
    result = net.run([STATE, "init", f"set:{KEEP}", "query:one.test", "open"], RESOLVE="4s")
    assert result.out.split() == [b"query", b"3", b"open", b"3"] and result.elapsed < 4, result
