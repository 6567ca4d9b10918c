"""Programs that use _res, or a state of their own: each step gives what it gives with libc alone, and asks the same servers."""

import pytest

import programs
from faults import Zone, dns

STATE = programs.BUILD / "tests/resstate"
DOMAINS = "d1.test d2.test d3.test d4.test d5.test d6.test d7.test d8.test"
LONG = " ".join(f"{letter * 60}.test" for letter in "abcde") + " d8.test"  # six domains are more than 256 bytes
NAMES = {"one.old.test": ["192.0.2.1"], "two.new.test": ["192.0.2.2"], "db.d8.test": ["192.0.2.8"], "one.test": ["192.0.2.3"],
         "one": ["192.0.2.4"]}
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
    result = net.run([STATE, *steps], library=library, variables=variables)
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


def test_the_environment_is_read_with_the_file(net, check):
    """setenv in another thread frees what getenv reads: libc does not look at each lookup."""
    variables = {"LOCALDOMAIN": "old.test", "RES_OPTIONS": "ndots:3"}
    net.etc("hosts", "192.0.2.5 host.test\n")
    check(NEW, "gai:one gai:host.test getenv:0 gai:host.test host:host.test gai:one.test query:one.test", variables)
    check(NEW, "gai:one getenv:1 gai:one", variables)  # HOSTALIASES, as libc does
