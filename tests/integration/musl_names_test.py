"""The same questions put to musl's own lookups and to the library's in a program of musl, with the same files and the same name
servers: the answers must be equal field by field, but for the kinds of difference that are pinned here.

TEST_MUSL_LOADERS names other versions' loaders (ld-musl-….so.1) that the questions are put under as well.
"""

import collections
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

import programs
from namespace import need_network

HERE = pathlib.Path(__file__).parent
PER_VARIANT = int(os.environ.get("TEST_QUESTIONS", "330"))
SEED = int(os.environ["TEST_SEED"])
LOADERS = ["", *os.environ.get("TEST_MUSL_LOADERS", "").split()]

pytestmark = [pytest.mark.skipif(bool(programs.RUNTIME), reason="musl has no such checks"),
              pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-tools are not installed")]

HOSTS = """\
127.0.0.1 localhost
::1 localhost ip6-localhost
192.0.2.10 one.example alias-one ONE-UPPER
192.0.2.11 two.example shared
192.0.2.11 two-again.example shared
2001:db8::11 three_.example shared
192.0.2.12 many a b c d a
2001:db8::12 many six
::ffff:192.0.2.13 mapped
10.0.0.1 # only an address
10.0.0.2
not-an-address bad.example
192.0.2.256 bad2.example
192.0.2.14 trailing # comment hidden
 \t 192.0.2.15\tindented\tx
0300.0.2.17 octal
fe80::1%lo scoped
fe80::2%1 scoped
2001:db8::5%lo badscope
192.0.2.16 under_score dash-.example -dash
192.0.2.18 _no-host really.example
127.0.1.1 a2-q2.example overridden
""" + "192.0.2.20 " + " ".join(f"filler{i}.example" for i in range(40)) + " late.example\n" + "".join(
    f"198.51.100.{i} crowd.example\n" for i in range(60)) + "192.0.2.99 last.example"
SERVICES_FILE = """\
tcpmux 1/tcp
http 80/tcp www www-http # WorldWideWeb HTTP
http 80/sctp
domain 53/udp
domain 53/tcp
syslog 514/udp
ftp\t21/tcp
twice 5000/tcp
twice 5000/udp other
twice 5001/tcp
large 65536/tcp
word word/tcp
a-name-of-more-than-thirty-two-characters 6000/tcp
#off 7000/tcp
x 1000/udp 2000
"""
# Time decides nothing here: there is an answer to every question, and no packet takes 10 s on a busy machine.
RESOLV = "nameserver 127.0.0.2\noptions timeout:10 attempts:1\n"

Variant = collections.namedtuple("Variant", "resolv hosts setup", defaults=(RESOLV, HOSTS, "true"))
VARIANTS = {
    "plain": Variant(),
    "search": Variant(RESOLV + "search dom.test nd.test tc.test other.test\n"),
    "ndots 3": Variant(RESOLV + "search dom.test other.test\noptions ndots:3\n"),
    "ndots 0": Variant(RESOLV + "domain dom.test\noptions ndots:0\n"),
    "the last list counts": Variant(RESOLV + "search a.test b.test\ndomain dom.test\noptions ndots:2\n"),
    "servers": Variant("nameserver 127.0.0.9\nnameserver 127.0.0.5\nnameserver 127.0.0.3\nnameserver 127.0.0.2\noptions timeout:10 attempts:1\n"),
    "both families": Variant("nameserver ::1\nnameserver 127.0.0.3\noptions timeout:10 attempts:2\nsearch dom.test\n"),
    "garbage": Variant("\xff junk\nnameserver\nnameserver 1.2.3.4.5\nnameserver 127.0.0.2 and more\n search indented\n"
                       "options\noptions timeout:99999999999 ndots:x attempts:-1\noptions timeout:10 attempts:3 ndots:99\n"
                       "domain first.test\nsearch\tdom.test  nd.test\n# search no.test\noptionsndots:1\nnameserver 127.0.0.2"),
    "long lines": Variant("search " + " ".join(f"domain{i}.test" for i in range(40)) + "\nsearch " + "x" * 100 + ".test dom.test\n" + RESOLV +
                          "options " + " " * 300 + "ndots:5\n"),
    "no hosts file": Variant(hosts=""),
    "no IPv6": Variant(setup="echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"),
    "no IPv4": Variant("nameserver ::1\noptions timeout:10 attempts:1\n", setup="ip -4 addr flush dev lo"),
}

NODES = ["-", "", ".", "..", "a..b", ".a", "localhost", "LocalHost", "localhost.", "foo.localhost", "ip6-localhost", "one.example", "ONE.example",
         "alias-one", "shared", "many", "six", "mapped", "overridden", "a2-q2.example", "10.0.0.2", "10.0.0.1", "bad.example", "trailing", "comment",
         "indented", "octal", "scoped", "badscope", "under_score", "-dash", "_no-host", "really.example", "late.example", "filler3.example",
         "crowd.example", "last.example", "192.0.2.10", "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1",
         "1.2.3.4.5", "1.2.3.", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "4294967295", "4294967296", "0x", "08", "1.2.3", "12345.", "::1", "::",
         "::ffff:1.2.3.4", "fe80::1", "fe80::1%lo", "fe80::1%1", "fe80::1%nosuch", "2001:db8::5%lo", "ff02::1%lo", "2001:db8::5%7",
         "fe80::1%4294967296", "fe80::1%", "1::2::3", ":::", "::1.", "dead:beef", "fade", "a2.example", "a2", "q2", "a1-q1", "a30.example", "a30-ov.example", "q29-ov",
         "a60-ov", "a60-q60", "a3-c3", "q2-c1", "a2-q1-ci-c1", "a2.", "q1.dom.test", "x" * 63, "x" * 64, ".".join(["a2"] + ["y" * 60] * 4),
         ".".join(["a2"] + ["y" * 62] * 3 + ["z" * 59]), "v" * 254, "v" * 255, "w" * 300, "a2." * 84, "a b", "a2!", "a*b", "_a2", "a2_",
         "xn--nxasmq6b.example", "-a2", "*", "host.local"]
SERVICES = ["-", "", "80", "http", "domain", "nosuch", "99999", "0", "-1", "080", "0x50", " 80", "4294967295", "ftp", "syslog", "www", "*", "65536",
            "65535", "twice", "other", "large", "word", "x", "80/tcp", "a-name-of-more-than-thirty-two-characters", "off", "WorldWideWeb"]
REVERSE = ["7f000001", "c000020a", "c000020b", "01020304", "0a000002", "c0000210", "20010db8000000000000000000000012", "00" * 15 + "01", "00" * 16,
           "00" * 10 + "ffffc000020d", "00" * 12 + "01020304", "fe80" + "00" * 13 + "01", "0102"]
# Words of the zone (resolver_driver/zone.py) besides addresses and CNAMEs.
WORDS = ["nx", "nd", "tc", "om", "wo", "ci", "ch", "bl", "cu", "mp", "tp", "ov"]
# Of these musl waits for a better answer until its time is over.
ERRORS = ["sf", "rf", "fe", "ni", "hd-sf", "ns4", "ns6", "ts"]


def some_name(dice, words):
    if dice.random() < 0.45:
        return dice.choice(NODES)
    parts = [f"a{dice.randrange(1, 9)}"] * (dice.random() < 0.7) + [f"q{dice.randrange(1, 9)}"] * (dice.random() < 0.6)
    parts += [f"c{dice.randrange(1, 4)}"] * (dice.random() < 0.3) + [dice.choice(words)] * (dice.random() < 0.4) + [f"u{dice.randrange(10**6)}"]
    return "-".join(parts) + dice.choice(["", "", ".", ".example", ".example.com.", ".nd.example"])


def some_flags(dice):
    return sum(flag for flag, odds in ((1, .2), (2, .35), (4, .1), (8, .35), (16, .25), (32, .2), (1024, .1), (64, .02), (1 << 14, .01))
               if dice.random() < odds)


def some_question(dice, words):
    def name():
        return next(n for n in iter(lambda: some_name(dice, words), None) if n != "-")

    def dns_name():
        """Of a name that ends with two dots versions before 1.2.4 make a damaged question, which no server answers."""
        return next(n for n in iter(name, None) if not n.endswith("."))

    def gai():
        if dice.random() < 0.15:
            return ["gai", some_name(dice, words), dice.choice(SERVICES), "-", "0", "0", "0"]
        kind, protocol = dice.choice([(0, 0), (1, 0), (1, 0), (2, 0), (1, 6), (2, 17), (1, 17), (3, 0), (3, 1), (0, 6), (0, 132), (5, 132), (5, 0),
                                      (0, -3)])
        return ["gai", some_name(dice, words), dice.choice(SERVICES), str(dice.choice([0, 0, 0, 2, 2, 10, 10, 1, 99])), str(kind), str(protocol),
                str(some_flags(dice))]

    def by_name():
        return ["name", name(), dice.choice(["2", "2", "10", "0"]), dice.choice(["30000", "30000", "1000", "100", "60", "0"])]

    def by_address():
        a = dice.choice(REVERSE) if dice.random() < 0.7 else f"{dice.getrandbits(32):08x}"
        family = "2" if len(a) == 8 else "10"
        return dice.choice([["addr", a, family, dice.choice(["30000", "100", "60", "40"])], ["saddr", a, family]])

    def info():
        text = dice.choice(["127.0.0.1", "192.0.2.10", "192.0.2.99", "::1", "2001:db8::12", "fe80::5", "fe80::1", "::ffff:1.2.3.4", "1.2.3.4", "::",
                            "0.0.0.0", "ff02::1", f"10.1.2.{dice.randrange(256)}", "192.0.2.18"])
        return ["info", text, dice.choice(["80", "53", "0", "9", "514", "5000", "6000", "60000"]), str(dice.choice([0, 1, 2, 3, 8, 16, 9, 18, 256])),
                dice.choice(["1024", "1024", "10", "0"])]

    def res():
        operation = dice.choice(["query", "search", "domain"])
        fields = [operation, dns_name()] + ([dice.choice(["dom.test", "nd.test", ""])] if operation == "domain" else [])
        return fields + ["1", dice.choice(["1", "28", "16", "12", "255"]), dice.choice(["12", "100", "512", "4096", "65535"])]

    makers = [gai] * 12 + [by_name] * 3 + [lambda: ["static", name(), dice.choice(["2", "10"])]] * 2 + [by_address] * 2 + [info] * 2 + [res] * 3
    makers += [lambda: ["send", dns_name(), dice.choice(["1", "28", "12"]), dice.choice(["12", "511", "512", "4096"])]]
    return dice.choice(makers)()


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    program = tmp_path_factory.mktemp("musl") / "names"
    subprocess.run(["musl-gcc", "-O1", "-o", program, HERE / "musl_names.c"], check=True)
    return program


SCRIPT = """
set -e
ip link set lo up
ip addr add 192.0.2.77/24 dev lo
ip addr add 2001:db8::77/64 dev lo nodad
eval "$5"
for file in resolv.conf hosts services; do [ -e /etc/$file ] || touch /etc/$file; mount --bind $1/$file /etc/$file; done
exec /usr/bin/python3 $2/resolver_driver/zone.py sh -c '
    for part in $0/part*; do
        $1 <$part >$part.musl & LD_PRELOAD=$2 $1 <$part >$part.ours &
    done
    wait' $1 "$3" $4
"""


def answers(client, directory, variant, asked, loader="", parts=3, settings=(), argument=""):
    """What musl and the library say, question by question; put by so many processes at a time."""
    need_network()
    for name, text in {"resolv.conf": variant.resolv, "hosts": variant.hosts, "services": SERVICES_FILE}.items():
        (directory / name).write_bytes(text.encode("latin1"))
    shares = [asked[n::parts] for n in range(parts)]
    for n, share in enumerate(shares):
        (directory / f"part{n}").write_text("".join("\t".join(question) + "\n" for question in share))
    env = {**os.environ, "LC_ALL": "C", "NETDEADLINE_RESOLVE": "25s", "NETDEADLINE_LOG": "off", **dict(settings)}
    result = subprocess.run(["unshare", "-n", "-m", "sh", "-c", SCRIPT, "sh", directory, HERE, f"{loader} {client} {argument}", programs.LIBRARY,
                             variant.setup],
                            env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and not result.stderr, result
    together = []
    for n, share in enumerate(shares):
        musl, ours = ((directory / f"part{n}.{kind}").read_text(errors="replace").splitlines() for kind in ("musl", "ours"))
        assert len(musl) == len(ours) == len(share), (len(musl), len(ours), len(share), (musl + ours)[-1])
        together += zip(share, musl, ours)
    for path in directory.glob("part*"):
        path.unlink()
    return together


def found_addresses(answer):
    return set(re.findall(r"(?:\[| )([\da-f.:]+[.:][\da-f.:]+)", answer))


KINDS = {
    # Of a record that is cut off at the end versions before 1.2.4 make an address of what lies in memory behind it.
    "half a record": lambda q, musl, ours: (re.search(r"\bcu\b", q[1]) is not None or
                                            (re.search(r"\bov\b", q[1]) is not None and found_addresses(ours) < found_addresses(musl))),
}


def unknown_differences(together):
    return [(q, musl, ours) for q, musl, ours in together if musl != ours and not any(match(q, musl, ours) for match in KINDS.values())]


def check_equal(ask, asked, record_property):
    together = ask(asked)
    unknown = unknown_differences(together)
    for _ in range(2):  # versions before 1.2.4 may give both questions for a name the same number, and miss an answer then
        if unknown:
            unknown = unknown_differences(ask([question for question, _, _ in unknown]))
    record_property("questions", (SEED, len(together), 0, sum(musl != ours for _, musl, ours in together)))
    shown = "\n".join(f"{q!r}\n  musl {musl[:600]}\n  ours {ours[:600]}" for q, musl, ours in unknown[:20])
    assert not unknown, f"seed {SEED}: {len(unknown)} answers differ\n{shown}"


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", VARIANTS)
def test_answers_are_those_of_musl(client, tmp_path, record_property, name, loader):
    dice = random.Random(f"{SEED} {name}")
    asked = [["gai", node, "80", family, "1", "0", str(dice.choice([0, 2, 8, 26]))] for node in NODES[::3] for family in ("0", "2", "10")]
    asked += [["gai", "127.0.0.1", service, "-", "0", "0", "0"] for service in SERVICES]
    asked += [some_question(dice, WORDS) for _ in range(PER_VARIANT)]
    check_equal(lambda some: answers(client, tmp_path, VARIANTS[name], some, loader), asked, record_property)


def wrong_times(together):
    """Answers that differ, or came at another time."""
    fields = [(question, musl.split(), ours.split()) for question, musl, ours in together]
    return [(question, musl, ours) for question, musl, ours in fields
            if musl[:-1] != ours[:-1] or abs(int(musl[-1]) - int(ours[-1])) > 7]


# What an answer is worth, and how long a better one is waited for.
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("resolv", ["nameserver 127.0.0.2\n", "nameserver 127.0.0.5\nnameserver 127.0.0.2\nsearch dom.test\n",
                                    "nameserver 127.0.0.9\n"], ids=["one", "silent and one", "closed"])
def test_errors_and_silence_are_waited_out_as_by_musl(client, tmp_path, resolv, loader):
    dice = random.Random(f"{SEED} {resolv}")
    names = [f"a2-q1-{word}-u{dice.randrange(10**6)}.example" for word in [*ERRORS, "la3", "lie", "la3-sf"]] + [f"a1-rf-u{dice.randrange(10**6)}"]
    asked = [["gai", name, "80", family, "1", "0", "0"] for name in names for family in ("0", "2")]
    asked += [["query", names[0], "1", "1", "512"], ["static", names[1], "2"], ["name", names[2], "10", "1000"], ["info", "10.9.8.7", "80", "0", "100"]]
    variant = Variant(resolv + "options timeout:1 attempts:2\n")
    for _ in range(3):  # a busy machine
        wrong = wrong_times(answers(client, tmp_path, variant, asked, loader, parts=len(asked), argument="time"))
        asked = [question for question, _, _ in wrong]
        if not wrong:
            break
    assert not wrong
