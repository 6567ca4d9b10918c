"""The same questions put to libc and to the resolver, with the same files and the same name server: the answers must be
equal field by field, but for the kinds of difference that are pinned here.

Most questions are made at random; TEST_SEED repeats a run.
"""

import collections
import os
import pathlib
import random
import re
import subprocess
import textwrap

import pytest

from namespace import need_network

HERE = pathlib.Path(__file__).parent
PER_VARIANT = int(os.environ.get("TEST_QUESTIONS", "480"))
SEED = int(os.environ["TEST_SEED"])

HOSTS = """\
127.0.0.1 localhost
::1 localhost ip6-localhost
192.0.2.10 one.example alias-one ONE-UPPER
192.0.2.11 two.example shared
192.0.2.11 two-again.example shared
192.0.2.12 many a b c d a
2001:db8::12 many six
::ffff:192.0.2.13 mapped
10.0.0.1 # only an address
10.0.0.2
not-an-address bad.example
192.0.2.256 bad2.example
192.0.2.14 trailing # comment hidden
 \t 192.0.2.15\tindented\tx
fe80::1%lo scoped
192.0.2.16 under_score dash-.example -dash
127.0.1.1 a2-q2.example overridden
"""
NSSWITCH = "hosts: files dns\nservices: files\n"
# Time decides nothing here: there is an answer to every question, and no packet takes 10 s on a busy machine.
RESOLV = "nameserver 127.0.0.2\noptions timeout:10 attempts:1\n"

Variant = collections.namedtuple("Variant", "resolv hosts nsswitch env host_conf gai_conf",
                                 defaults=(RESOLV, HOSTS, NSSWITCH, {}, "multi on\n", ""))
VARIANTS = {
    "plain": Variant(),
    "search list": Variant(RESOLV + "search dom.test nd.test sf.test\n"),
    "ndots 3": Variant(RESOLV + "search dom.test . other.test\noptions ndots:3\n"),
    "domain and dead servers": Variant("nameserver 127.0.0.9\nnameserver 127.0.0.3\nnameserver 127.0.0.2\n"
                                       "nameserver 127.0.0.4\ndomain sf-a1.test\noptions timeout:10 rotate\n"),
    "options": Variant(RESOLV + "search dom.test\noptions edns0 trust-ad single-request no-tld-query\n"),
    "reopen, ndots 0": Variant(RESOLV + "search dom.test\noptions single-request-reopen ndots:0\n"),
    "tcp": Variant(RESOLV + "options use-vc\nsearch dom.test\n"),
    "no-aaaa": Variant(RESOLV + "options no-aaaa\nsearch dom.test\n"),
    "sortlist": Variant(RESOLV + "sortlist 192.0.2.0/255.255.255.192 10.0.0.0 198.51.100.128&255.255.255.128 no 127 ;169.254.0.0\n"
                        "options something-new\nsortlist 192.0.2.0\n"),
    "no server": Variant("nameserver 127.0.0.9\nsearch a.test b.test\n"),
    "garbage": Variant("\0\xff junk\nnameserver\nnameserver 1.2.3.4.5\nnameserver 127.0.0.2 and more\n search indented\n"
                       "options\noptions timeout:99999999999 ndots:x attempts:-1\noptions timeout:10 attempts:1\n"
                       "domain first.test\nsearch\tdom.test  nd.test\n# search no.test\n"),
    "environment": Variant(RESOLV + "search no.test\n", env={"LOCALDOMAIN": "dom.test nd.test",
                                                            "RES_OPTIONS": "ndots:2 single-request"}),
    "files only": Variant(nsswitch="hosts: files\nservices: db files\n"),
    "dns first": Variant(nsswitch="hosts:\tdns files [NOTFOUND=return]\nservices: files\n"),
    "a comment that libc takes for sources": Variant(nsswitch="hosts: files # dns\nservices: files # db\n"),
    "mdns and myhostname": Variant(nsswitch="hosts: files mdns4_minimal [NOTFOUND=return] dns myhostname\n"),
    "first line only": Variant(host_conf="multi off\n"),
    "no hosts file": Variant(hosts=""),
    "large hosts file": Variant(hosts="".join(f"203.0.113.{i % 256} filler{i}.example\n" for i in range(3000)) + HOSTS),
}

LABELS = ["nx", "nd", "sf", "rf", "fe", "ni", "tc", "om", "wo", "ci", "ch", "bl", "cu", "mp", "hd"]
NODES = ["-", "", ".", "..", "a..b", ".a", "localhost", "LocalHost", "localhost.", "foo.localhost", "ip6-localhost",
         "one.example", "ONE.example", "alias-one", "shared", "many", "six", "mapped", "overridden", "a2-q2.example",
         "10.0.0.2", "bad.example", "trailing", "comment", "indented", "under_score", "-dash", "dash-.example",
         "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "1.2.3.4.5", "1.2.3.",
         "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "4294967295", "4294967296", "0x", "08", "1.2.3", "999", "12345.",
         "::1", "::", "::ffff:1.2.3.4", "fe80::1", "fe80::1%lo", "fe80::1%1", "fe80::1%nosuch", "2001:db8::5%lo",
         "ff02::1%lo", "2001:db8::5%7", "fe80::1%4294967296", "fe80::1%", "1::2::3", ":::", "::1.", "dead:beef", "fade",
         "a2.example", "a2", "q2", "a1-q1", "a100.example", "a100-q100", "a3-c3", "q2-c1", "a2-ci-c1", "a2.", "q1.dom.test",
         "x" * 63, "x" * 64, ".".join(["a2"] + ["y" * 60] * 4), ".".join(["a2"] + ["y" * 62] * 3 + ["z" * 59]),
         "v" * 255, "w" * 300, "a2." * 120, "a2-q1.\\046.x", "a\\.b", "a2\\", "a b", "a2-\u00e9", "a2!", "a*b", "_a2",
         "a2_", "xn--nxasmq6b.example", "a2.xn--p1ai", "-a2", "a2-", "*", "host.local", "printer.local."]
SERVICES = ["-", "", "80", "http", "domain", "nosuch", "99999", "0", "-1", "080", "0x50", " 80", "4294967295", "ftp",
            "syslog", "ntp", "*", "snmp", "65536", "www", "tftp"]
REVERSE = ["7f000001", "c000020a", "c000020b", "01020304", "0a000002", "20010db8000000000000000000000012", "00" * 15 + "01",
           "00" * 16, "00" * 10 + "ffffc000020d", "00" * 12 + "01020304", "fe80" + "00" * 13 + "01", "0102", "c0000210"]


def questions(dice, count):
    """Fixed ones first, then random mixtures."""
    def name():
        if dice.random() < 0.5:
            return dice.choice(NODES)
        words = [f"a{dice.randrange(1, 6)}"] * (dice.random() < 0.7) + [f"q{dice.randrange(1, 6)}"] * (dice.random() < 0.6)
        words += [f"c{dice.randrange(1, 4)}"] * (dice.random() < 0.3) + [dice.choice(LABELS)] * (dice.random() < 0.4)
        words += [f"u{dice.randrange(10**6)}"]
        return "-".join(words) + dice.choice(["", ".", ".example", ".example.com.", ".nd.example"])

    def gai():
        if dice.random() < 0.15:
            return ["gai", name(), dice.choice(SERVICES), "-", "0", "0", "0"]
        family = dice.choice([0, 0, 0, 2, 2, 10, 10, 1, 99]) if dice.random() < 0.9 else dice.choice([0, 2, 10])
        kind, protocol = dice.choice([(0, 0), (1, 0), (1, 0), (2, 0), (1, 6), (2, 17), (1, 17), (3, 0), (3, 1), (0, 6),
                                      (0, 132), (5, 132), (5, 0), (9, 0), (0, 250), (2, 136), (6, 33)])
        flags = sum(flag for flag, odds in ((1, .2), (2, .35), (4, .1), (8, .3), (16, .25), (32, .15), (1024, .1),
                                            (64, .1), (128, .2), (256, .02), (1 << 14, .01)) if dice.random() < odds)
        return ["gai", name(), dice.choice(SERVICES), str(family), str(kind), str(protocol), str(flags)]

    def address():
        return dice.choice(REVERSE) if dice.random() < 0.7 else f"{dice.getrandbits(32):08x}"

    def text_address():
        return dice.choice(["127.0.0.1", "192.0.2.10", "192.0.2.99", "::1", "2001:db8::12", "fe80::5", "::ffff:1.2.3.4",
                            "1.2.3.4", "::", "0.0.0.0", "ff02::1", f"10.1.2.{dice.randrange(256)}"])

    def plain_name():
        return next(n for n in iter(name, None) if n != "-")

    def res(operation):
        fields = [operation, plain_name()] + ([dice.choice(["dom.test", "nd.test", "", "."])] if operation == "domain" else [])
        return fields + ["1", dice.choice(["1", "28", "16", "12", "33", "255"]), dice.choice(["12", "100", "512", "4096", "65535"])]

    makers = [gai] * 12 + [lambda: ["name", plain_name(), dice.choice(["2", "10"])]] * 3
    makers += [lambda: ["static", plain_name()], lambda: (a := address()) and ["addr", a, "2" if len(a) == 8 else "10"],
               lambda: ["info", text_address(), dice.choice(["80", "53", "0", "9", "60000"]),
                        str(dice.choice([0, 1, 2, 3, 8, 16, 9, 18]))]]
    makers += [lambda: res("query"), lambda: res("search"), lambda: res("domain")]
    for node in NODES:
        for family in 0, 2, 10:
            yield ["gai", node, "80", str(family), "1", "0", str(dice.choice([0, 2, 8, 26]))]
    for service in SERVICES:
        yield ["gai", "127.0.0.1", service, "-", "0", "0", "0"]
    for _ in range(count):
        yield dice.choice(makers)()


@pytest.fixture(scope="module")
def driver(resolver_program):
    return resolver_program("driver", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


def run(driver, directory, variant, asked):
    """What the driver says about these questions, with the variant's files in the files' places."""
    need_network()
    files = {"/etc/resolv.conf": variant.resolv, "/etc/hosts": variant.hosts, "/etc/nsswitch.conf": variant.nsswitch,
             "/etc/gai.conf": variant.gai_conf, "/etc/host.conf": variant.host_conf}
    script = ["set -e", "ip link set lo up", "ip addr add 192.0.2.77/24 dev lo", "ip addr add 2001:db8::77/64 dev lo nodad"]
    for number, (path, content) in enumerate(files.items()):
        source = directory / str(number)
        source.write_bytes(content.encode("latin1"))
        script.append(f"[ -e {path} ] || touch {path}; mount --bind {source} {path}")
    script.append(f"exec /usr/bin/python3 {HERE}/resolver_driver/zone.py {driver}")
    env = {**os.environ, **variant.env, "LC_ALL": "C", "UBSAN_OPTIONS": "print_stacktrace=1"}
    result = subprocess.run(["unshare", "-n", "-m", "sh", "-c", "\n".join(script)], env=env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, input="".join("\t".join(q) + "\n" for q in asked).encode(), timeout=280)
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-4000:]
    return result.stdout.decode(errors="replace")


# The kinds of difference that stay, with their reasons. `match(question, libc, ours, variant)`.
def absent_module(_, libc, __, variant):
    return "mdns" in variant.nsswitch and ("errno 16" in libc or re.match(r"(-11|16|0 h-1|0 h3)", libc) is not None)


KINDS = {
    # libc cannot load the module that nsswitch.conf names here; where it is installed it passes these names on.
    "a module that is not installed": absent_module,
    # gethostbyaddr_r compares errno with ECONNREFUSED after restoring the errno of whoever called before.
    "errno of an earlier call": lambda q, libc, ours, _: q[0] in ("addr", "info") and "111 h2" in libc and "0 h2" in ours,
    # What getaddrinfo leaves in h_errno for both families is what the packet says that comes last.
    "h_errno by the order of packets": lambda q, libc, ours, _: (q[0] == "gai" and q[3] in "-0"
                                                              and libc.rsplit(" t", 1)[0] == ours.rsplit(" t", 1)[0]),
    # With no-aaaa and no room for the question, libc returns the size of an answer that is not there.
    "no-aaaa without room": lambda q, _, __, v: ("no-aaaa" in v.resolv and q[0] in ("query", "search", "domain")
                                                and int(q[-1]) < len(q[1]) + 30),
}

RES = ("query", "search", "domain")
ANEW = 0x011C00  # from c-ares 1.28 on it reads every packet and writes it anew
KINDS_ANEW = {
    "res_… answers written anew": lambda q, libc, ours, _: q[0] in RES and libc[0] != "-",
    "names that c-ares does not send": lambda q, libc, ours, _: re.search(r"[^-\w.]", q[1], re.A) is not None,
    "damaged packets": lambda q, libc, ours, _: re.search(r"\b(cu|bl|ch|ci)\b", q[1]) is not None,
}
assert len(KINDS | KINDS_ANEW) <= 10


def ask(driver, directory, variant, asked):
    """How many were asked and left to libc, the differences, and those of no kind that is pinned."""
    output = run(driver, directory, variant, asked)
    total, _, left, version = map(int, output.rstrip().rsplit("\n", 1)[-1].split("\t")[1:])
    kinds = {**KINDS, **(KINDS_ANEW if version >= ANEW else {})}
    differences = re.findall(r"^differ\t(.*)\n\tlibc (.*)\n\tours (.*)$", output, re.M)
    unknown = [(question, libc, ours) for question, libc, ours in differences
               if not any(match(question.split("\t"), libc, ours, variant) for match in kinds.values())]
    return total, left, differences, unknown


def check_answers(driver, tmp_path, record_property, variant, asked):
    total, left, differences, unknown = ask(driver, tmp_path, variant, asked)
    for _ in range(5):  # libc puts the addresses of both families that its sorting leaves equal in the order of their packets' arrival
        if unknown:
            _, _, _, unknown = ask(driver, tmp_path, variant, [question.split("\t") for question, _, _ in unknown])
    record_property("questions", (SEED, total, left, len(differences)))
    shown = "\n".join(f"{q!r}\n  libc {textwrap.shorten(a, 600)}\n  ours {textwrap.shorten(b, 600)}" for q, a, b in unknown[:20])
    assert not unknown, f"seed {SEED}: {len(unknown)} answers differ\n{shown}"
    assert total == len(asked)
    assert left < total / 10, "what is left to libc is not tested here"


@pytest.mark.parametrize("name", VARIANTS)
def test_answers_are_those_of_libc(driver, tmp_path, record_property, name):
    asked = list(questions(random.Random(f"{SEED} {name}"), PER_VARIANT))
    check_answers(driver, tmp_path, record_property, VARIANTS[name], asked)


# Prefixes of the zone's addresses, of the host's own and of neither; then what is not a prefix.
PREFIXES = ["::/0", "::1/128", "::ffff:0:0/96", "::ffff:192.0.2.0/120", "::ffff:10.0.0.0/104", "2002::/16", "2001::/32",
            "2001:db8::/64", "2001:db8:1::/48", "2001:db8::/33", "2001:db8::77/128", "fe80::/10", "fec0::/10", "fc00::/7", "fd00::/9",
            "::/96", "2000::/3", "2001:db8:ffff:ffff::/65"]
SCOPES = ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/24", "192.0.2.77/32", "198.51.100.0/25", "::ffff:127.0.0.0/104", "::ffff:169.254.0.0/112",
          "::ffff:0:0/96", "169.254.0.0/17", "127.0.0.0/8"]
NO_PREFIXES = ["", "::1/129", "2001:db8::/", "2001:db8::/x", "2001:db8::/+16", "1.2.3.4/33", "::/95", "no/8", "::/-1", "x" * 80]
VALUES = ["0", "1", "2", "5", "10", "14", "40", "100", "2147483647", "2147483648", "-1", "-0", "+7", "0x10", "", "7 more", "99999999999999999999"]


def gai_conf(dice):
    """A file as people write it, or with anything in it."""
    kinds = dice.sample(["label", "precedence", "scopev4"], dice.randrange(1, 4))
    lines = []
    for _ in range(dice.randrange(1, 12)):
        kind = dice.choice(kinds)
        prefix = dice.choice(NO_PREFIXES if dice.random() < 0.1 else SCOPES if kind == "scopev4" else PREFIXES)
        value = dice.choice(VALUES[:8] if dice.random() < 0.8 else VALUES)
        lines.append(dice.choice(["", "", "", " \t", "#"]) + kind + dice.choice([" ", "\t ", "  "]) + prefix + "  " + value)
    lines += dice.sample(["", "# nothing", "labels ::/0 3", "reload yes", "reload no", "LABEL ::/0 9", "precedence", "label #::1/128 4", "junk\0label ::/0 8"],
                         dice.randrange(3))
    dice.shuffle(lines)
    return "\n".join(lines) + dice.choice(["\n", ""])


GAI_CONF = ["precedence ::ffff:0:0/96  100\n", "label ::1/128 0\nlabel ::/0 1\n", "scopev4 ::ffff:0.0.0.0/96 14\n", "reload yes\n", None, None, None, None, None, None]


@pytest.mark.parametrize("number", range(len(GAI_CONF)))
def test_addresses_are_sorted_as_by_libc(driver, tmp_path, record_property, number):
    dice = random.Random(f"{SEED} gai.conf {number}")
    text = GAI_CONF[number] or gai_conf(dice)
    asked = [["gai", f"a{dice.randrange(1, 6)}-q{dice.randrange(1, 6)}-u{dice.randrange(10**6)}.example", "80", str(dice.choice([0, 0, 0, 2, 10])),
              str(dice.choice([0, 1])), "0", str(dice.choice([0, 2, 24, 32]))] for _ in range(PER_VARIANT // 4)]
    variant = Variant(RESOLV + "options single-request\n", gai_conf=text)  # the order of arrival decides nothing then
    check_answers(driver, tmp_path, record_property, variant, asked + [["gai", "-", "80", "-", "0", "0", "0"]])


@pytest.mark.parametrize("line", ["files absent [!UNAVAIL=return] dns", "files [NOTFOUND=return] dns", "files [!SUCCESS=return] absent", "files myhostname dns"])
def test_what_the_files_have_is_not_left_to_libc(driver, tmp_path, record_property, line):
    names = ["localhost", "one.example", "ONE.example", "alias-one", "shared", "many", "six", "mapped", "overridden", "a2-q2.example"]
    asked = [["gai", name, "80", family, "1", "0", flags] for name in names for family in ("0", "2") for flags in ("0", "2", "26")]
    asked += [["name", name, "2"] for name in names if name != "six"] + [["name", "six", "10"], ["addr", "7f000001", "2"], ["info", "192.0.2.10", "80", "0"]]
    total, left, _, unknown = ask(driver, tmp_path, Variant(nsswitch=f"hosts: {line}\nservices: files\n"), asked)
    assert not unknown and left <= 3, (left, total, unknown)  # "six" has no IPv4 address


def test_the_sortlist_is_followed_as_by_libc(driver, tmp_path, record_property):
    dice = random.Random(f"{SEED} sortlist")
    counts = [*(dice.randrange(2, 9) for _ in range(60)), *(47, 48, 49, 50, 100) * 3]
    names = [f"a{count}-u{dice.randrange(10**6)}.example" for count in counts]
    asked = [["name", name, "2"] for name in names] + [["gai", name, "80", family, "1", "0", "0"] for name in names for family in ("2", "0")]
    check_answers(driver, tmp_path, record_property, VARIANTS["sortlist"], asked)
