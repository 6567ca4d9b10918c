"""The matrix: every program of the table on every fault that applies to it, without the library and with it."""

import contextlib
import os

import pytest

from faults import tls
from matrix import FAULTS, NAME, outcome
from network import Net
from table import ROWS

LIMIT = 1.0
LIMITS = dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "TLS_HANDSHAKE", "TLS_SHUTDOWN"], "1s")
LONG = dict.fromkeys(LIMITS, "20s")

# What one expiry may take beyond its limit, and what starting and ending a program may take beside many others.
PER_EXPIRY, SLACK = 0.5, 6.0

UPLOADED = b"data " * 200_000

# Of two faults that are much alike each program gets one; EXTENT=all asks for both.
ALL = os.environ.get("EXTENT") == "all"
CELLS = [pytest.param(row, fault, id=f"{row.name}-{fault.name}") for number, row in enumerate(ROWS) for fault in FAULTS
         if fault.applies(row) and (ALL or fault.turn in (None, number % 2))]
HEALTHY = [pytest.param(row, id=row.name) for row in ROWS if row.protocol and row.protocol.healthy]


def command(row, host, port, directory):
    if row.missing:
        pytest.skip(f"{row.argv[0]} is missing: {row.package}")
    return row.command(host, port, directory)


@pytest.fixture
def given(tmp_path):
    """given(row): what a program reads, to be handed to each run of it."""
    silent, ours = os.pipe()

    def source(row):
        data = UPLOADED if row.sends else row.stdin
        if data is None:
            return silent if row.beside_stdin else None
        file = tmp_path / "stdin"
        file.write_bytes(data)
        return lambda: file.open("rb")

    yield source
    os.close(silent)
    os.close(ours)


@pytest.fixture
def another_net(tmp_path_factory):
    """another_net(): a network without the fault."""
    with contextlib.ExitStack() as stack:
        yield lambda: Net(tmp_path_factory.mktemp("net"), stack)


@pytest.mark.parametrize("row, fault", CELLS)
def test_fault(net, another_net, tmp_path, given, record_property, row, fault):
    """It ends in time and with an error. What it also does on an honest error without the library may be no better here."""
    if reason := row.unseen.get("all", row.unseen.get(fault.name)):
        pytest.skip(f"{row.name}: {reason}")
    where = fault.arrange(net, row)

    def begin(name, network, where, **how):
        """Each run has a directory of its own: what another has written there would change what a program does."""
        directory = tmp_path / name
        directory.mkdir()
        return network.start(command(row, *where, directory), stdin=given(row), variables=row.variables, cwd=directory, **how)

    patience = row.expiries * (LIMIT + PER_EXPIRY) + SLACK + row.slow
    control = begin("control", net, where, library=False)
    log = tmp_path / "log"
    result = begin("bounded", net, where, **LIMITS, **fault.limits, LOG=str(log)).finish(patience)
    without = control.finish(max(0.1, 2 * LIMIT - result.elapsed))
    record_property("cell", [row.name, fault.name, outcome(without), f"{outcome(result)}, {result.elapsed:.1f} s"])
    answered = result.status == 0 and row.answer and row.answer in result.out
    if not answered and (result.cut or result.status <= 0):
        other = another_net()
        honest = begin("honest", other, fault.honest(other, row), library=False).finish(patience)
        assert outcome(honest) == outcome(result), f"on an honest error: {honest}; here: {result}"
        assert fault.name in row.as_on_error, f"{outcome(result)}, as on an honest error: to be noted in the table"
        if result.cut:  # it began anew by itself: each of its attempts has to have ended
            assert log.read_text().count("\n") > patience / (LIMIT + PER_EXPIRY) / 2, result


@pytest.mark.parametrize("row", HEALTHY)
def test_no_fault(net, tmp_path, given, record_property, row):
    """Output, exit status and errors are the same without the library, with it, and with limits that are not reached."""
    net.names({NAME: ["127.0.0.1"]})
    behaviour = tls.over_tls(row.protocol.healthy) if row.tls else row.protocol.healthy
    server = net.serve(behaviour, port=row.port)
    argv = command(row, "127.0.0.1" if row.numeric else NAME, server.port, tmp_path)
    how = {"stdin": None if row.outlives_peer else given(row), "variables": row.variables, "cwd": tmp_path}

    def told(**limits):
        result = net.run(argv, **how, **limits)
        answer = (tmp_path / row.answers_in).read_bytes() if row.answers_in else result.out
        if row.answers_in:
            (tmp_path / row.answers_in).unlink()
        assert result.status == 0 and not result.cut, result
        assert row.sends or row.answer in answer, result
        return row.other(answer), row.other(result.err)

    first = told(library=False)
    assert [told(), told(**LONG)] == [first, first]
    record_property("cell", [row.name, "no fault", "exit 0", "the same"])


def test_forty_programs():
    """Fewer would be a matrix of what happens to be installed."""
    present = {row.argv[0] for row in ROWS if not row.missing}
    absent = sorted({row.package for row in ROWS if row.missing})
    assert len(present) >= 40, f"{len(present)} programs; missing packages: {', '.join(absent)}"
