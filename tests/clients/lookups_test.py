"""Programs that look names up, each in its own way, end at RESOLVE and say that it was the name."""

import pytest

import programs
from faults import dns

SERVERS = {"silent": (dns.silent, None), "truncated and silent": (dns.truncating, dns.silent)}


def apt(directory):
    """apt asks for an SRV record by res_nquery, in a process of its own, before it asks for addresses."""
    for name in "lists/partial", "archives/partial", "log":
        (directory / name).mkdir(parents=True)
    (directory / "sources.list").write_text("deb [trusted=yes] http://host.test/debian stable main\n")
    options = {"Dir::Etc::sourcelist": directory / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": directory / "lists",
               "Dir::Cache": directory, "Dir::Log": directory / "log", "APT::Sandbox::User": "root", "Acquire::Retries": "0",
               "Acquire::http::Proxy": "DIRECT"}
    return ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), "update"]


PROGRAMS = {
    "apt": (apt, "Temporary failure resolving 'host.test'"),
    "ping": (lambda _: ["ping", "-c1", "host.test"], "Temporary failure in name resolution"),
    "ping -4": (lambda _: ["ping", "-4", "-c1", "host.test"], "Temporary failure in name resolution"),
    "ssh": (lambda _: ["ssh", "-F/dev/null", "-oBatchMode=yes", "host.test", "true"],
            "Could not resolve hostname host.test: Temporary failure in name resolution"),
    "getent hosts": (lambda _: ["getent", "hosts", "host.test"], ""),
    "getent ahosts": (lambda _: ["getent", "ahosts", "host.test"], ""),
    "getent by address": (lambda _: ["getent", "hosts", "192.0.2.9"], ""),
    "msmtp": (lambda _: ["msmtp", "--file=/dev/null", "--host=host.test", "--from=a@b.test", "--tls=off", "c@d.test"],
              "cannot locate host host.test: Temporary failure in name resolution"),
    "wget": (lambda _: ["wget", "--tries=1", "-O/dev/null", "http://host.test/"], "Temporary failure in name resolution"),
    "git": (lambda _: ["git", "ls-remote", "git://host.test/x"], "Temporary failure in name resolution"),
    "busybox": (lambda _: ["busybox", "ping", "-c1", "host.test"], "bad address 'host.test'"),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_ends_in_time(net, tmp_path, name, server):
    make, said = PROGRAMS[name]
    net.dns(*SERVERS[server])
    result = net.run(make(tmp_path), RESOLVE="400ms", CONNECT="1s")
    lookups = 3 if name == "apt" else 2  # one after another: SRV and addresses, or a second try
    assert not result.cut and 0.4 <= result.elapsed < 0.4 * lookups + 2, result
    assert result.status > 0 or name == "apt", result  # what apt cannot fetch is a warning
    assert said in result.text, result
