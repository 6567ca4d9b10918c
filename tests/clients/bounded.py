"""The judgement on a client that meets a fault: it hangs without the library and ends with its own error with it."""

import re

# Every limit an operator can set on outgoing work.
LIMIT = 1.0
ALL_LIMITS = dict.fromkeys(
    ["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "TLS_HANDSHAKE", "TLS_SHUTDOWN"], f"{LIMIT:.0f}s")

# What one expiry may take beyond its limit, and what a loaded machine may add to starting and ending a program.
PER_EXPIRY, SLACK = 0.3, 2.0


def expect_bounded(net, report_time, name, argv, retries=1, says=r"\S", limits=None, **how):
    """Runs `argv` without the library, which must hang, beside a run with it, which must fail in time and say why."""
    in_time = retries * (LIMIT + PER_EXPIRY) + SLACK
    control = net.start(argv, library=False, **how)
    result = net.run(argv, patience=in_time + 1, **how, **(limits or ALL_LIMITS))
    hung = control.running
    report_time(name, result.elapsed)
    assert not result.cut, f"still running after {result.elapsed:.1f} s: {result.text}"
    assert result.status > 0, f"ended with {result.status}: {result.text}"
    assert re.search(says, result.text, re.IGNORECASE), f"did not say {says}: {result.text}"
    assert LIMIT <= result.elapsed <= in_time
    assert hung, f"ends by itself: {control.finish().text}"
    return result
