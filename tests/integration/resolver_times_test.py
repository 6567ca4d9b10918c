"""How long lookups take when servers are silent, late or lying, and what is left behind."""

import os
import pathlib
import subprocess

import pytest

from namespace import need_network

HERE = pathlib.Path(__file__).parent
EAI_NONAME, EAI_AGAIN = -2, -3
SLACK_MS = int(os.environ.get("NETDEADLINE_SLACK_MS", "600"))
FAST = "options timeout:1 attempts:1\n"


@pytest.fixture(scope="module")
def programs(resolver_program):
    ask = resolver_program("ask")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", ask.with_name("libnss_ndstuck.so.2"), HERE / "resolver_driver/stuck.c"], check=True)
    return ask.parent


class Result:
    def __init__(self, line):
        fields = list(map(int, line.split()))
        self.code, self.ms, self.expired, self.addresses, self.descriptors, self.threads, self.cancelled = fields


@pytest.fixture
def ask(programs, tmp_path):
    def run(resolv, *arguments, nsswitch="hosts: files dns\n", before="", patience=60):
        need_network()
        (tmp_path / "resolv").write_text(resolv)
        (tmp_path / "nsswitch").write_text(nsswitch)
        (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
        (tmp_path / "empty").write_text("")
        script = ["set -e", "ip link set lo up", "[ -e /etc/gai.conf ] || touch /etc/gai.conf"]
        script += [f"mount --bind {tmp_path}/{name} /etc/{path}" for name, path in (
            ("resolv", "resolv.conf"), ("nsswitch", "nsswitch.conf"), ("hosts", "hosts"), ("empty", "gai.conf"))]
        script.append(f"{before}\nexec /usr/bin/python3 {HERE}/resolver_driver/zone.py {programs}/ask " + " ".join(map(str, arguments)))
        env = {**os.environ, "LD_LIBRARY_PATH": str(programs)}
        done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", "\n".join(script)], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=patience)
        assert done.returncode == 0, done.stderr
        return Result(done.stdout)
    return run


def check(result, code, at_least, at_most, expired):
    assert result.code == code
    assert at_least <= result.ms <= at_most + SLACK_MS
    assert bool(result.expired) == expired
    assert result.descriptors == 0


def test_silent_server_ends_at_the_deadline(ask):
    check(ask("nameserver 127.0.0.5\n", 700, "a1-q1.example"), EAI_AGAIN, 700, 700, True)


def test_libc_s_shorter_timeout_counts(ask):
    check(ask("nameserver 127.0.0.5\n" + FAST, 8000, "a1-q1.example"), EAI_AGAIN, 1000, 1000, False)


def test_dead_first_server_costs_a_third(ask):
    check(ask("nameserver 127.0.0.5\nnameserver 127.0.0.2\n", 1500, "a1-q1.example"), 0, 100, 500, False)


def test_every_server_is_asked_within_the_budget(ask):
    resolv = "nameserver 127.0.0.5\nnameserver 127.0.0.6\nnameserver 127.0.0.2\n"
    check(ask(resolv, 1500, "a1-q1.example"), 0, 100, 1000, False)


def test_late_answer_of_a_server_that_was_passed_over_counts(ask):
    result = ask("nameserver 127.0.0.2\nnameserver 127.0.0.5\n", 2000, "la12-a1-q1.example")
    check(result, 0, 1200, 1250, False)


def test_late_answer_within_the_limit_is_waited_for(ask):
    check(ask("nameserver 127.0.0.2\n", 4000, "la25-a1-q1.example"), 0, 2500, 2550, False)


@pytest.mark.parametrize("node, timeouts", [("ns6-a2-q2.example", 1), ("ns4-a2-q2.example", 2)])
def test_one_silent_family_does_not_fail_the_other(ask, node, timeouts):
    result = ask("nameserver 127.0.0.2\n" + FAST, 5000, node)
    check(result, 0, 900 * timeouts, 1000 * timeouts, False)
    assert result.addresses == 2


def test_half_an_answer_at_the_deadline_is_an_answer(ask):
    result = ask("nameserver 127.0.0.2\n", 600, "ns6-a2-q2.example")
    check(result, 0, 600, 600, True)
    assert result.addresses == 2


def test_half_a_no_at_the_deadline_is_not_a_no(ask):
    check(ask("nameserver 127.0.0.2\n", 600, "ns6-nd.example"), EAI_AGAIN, 600, 600, True)


def test_truncated_and_silent_over_tcp_ends_at_the_deadline(ask):
    check(ask("nameserver 127.0.0.2\n", 900, "ts-a1-q1.example"), EAI_AGAIN, 900, 900, True)


def test_tcp_only_and_silent_ends_at_the_deadline(ask):
    check(ask("nameserver 127.0.0.5\noptions use-vc\n", 900, "a1-q1.example"), EAI_AGAIN, 900, 900, True)


def test_closed_port_fails_at_once(ask):
    check(ask("nameserver 127.0.0.99\n", 5000, "a1.example"), EAI_AGAIN, 0, 50, False)


def test_wrong_ids_are_not_believed(ask):
    result = ask("nameserver 127.0.0.2\n", 3000, "lie-a1.example", 2)
    check(result, 0, 0, 100, False)
    assert result.addresses == 1


def test_servers_that_fail_are_passed_at_once(ask):
    check(ask("nameserver 127.0.0.2\nnameserver 127.0.0.3\n", 5000, "sf.example"), EAI_AGAIN, 0, 100, False)


def test_small_stack(ask):
    check(ask("nameserver 127.0.0.2\n", "-s", 65536, 3000, "a9-q9-c3.example"), 0, 0, 200, False)


def test_many_threads_leave_nothing_behind(ask):
    result = ask("nameserver 127.0.0.5\nnameserver 127.0.0.6\n", "-t", 30, "-n", 10, 100, "a1.example")
    check(result, EAI_AGAIN, 100, 300, True)
    assert result.threads == 1


def test_cancelled_thread_leaves_no_descriptor(ask):
    result = ask("nameserver 127.0.0.5\n", "-c", 150, "-n", 1000, 400, "a1.example")
    assert result.cancelled == 1
    assert result.descriptors == 0


def test_no_name_server_in_sight(ask):
    check(ask("nameserver 203.0.113.1\n", 1000, "a1.example"), EAI_AGAIN, 0, 100, False)


STUCK = "hosts: files ndstuck\n"


def test_stuck_module_does_not_hold_its_callers(ask):
    result = ask("", "-l", 300, "a1.example", 2, nsswitch=STUCK)
    check(result, EAI_AGAIN, 300, 300, True)
    assert result.threads == 2


def test_a_thousand_callers_of_one_name_make_one_thread(ask):
    result = ask("", "-l", "-s", 65536, "-t", 1000, 1500, "a1.example", 2, nsswitch=STUCK)
    assert (result.code, result.threads) == (EAI_AGAIN, 2)


def test_libc_s_answer_comes_through_the_helper(ask):
    check(ask("nameserver 127.0.0.2\n", "-l", 3000, "a3.example", 2, nsswitch="hosts: dns\n"), 0, 0, 200, False)


def test_what_only_libc_can_answer_is_left_to_it(ask):
    assert ask("", 300, "a1.example", nsswitch=STUCK).code == 1
