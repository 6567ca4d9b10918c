"""How many instructions the library adds to a call that can proceed, counted by callgrind: the same on every machine."""

import re
import shutil

import pytest

import programs

LIMITS = dict.fromkeys(["RECV", "SEND", "UNACKED", "CONNECT"], "30s")

# mode of loop.c: calls in a round, and the most that each may cost more, with the defaults and with every limit set. The aim is 15
# everywhere; where more stands here the call goes through the slow path even when it need not wait.
MODES = {"files": (4, 15, 15), "reads": (1, 15, 650), "sends": (1, 80, 400)}

pytestmark = [pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer adds instructions of its own"),
              pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is missing")]


def instructions(net, mode, count, **how):
    env = programs.environment(**how)
    preload = [f"LD_PRELOAD={env.pop('LD_PRELOAD')}"] if "LD_PRELOAD" in env else []
    result = net.run(["env", *preload, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=" + str(net.directory / "log.%p"),
                      programs.BUILD / "tests/loop", mode, count], library=False, variables=env, patience=60)
    assert result.status == 0, result
    # The process that was started wrote the first of the logs; the other end is its child.
    first = min(net.directory.glob("log.*"), key=lambda log: int(log.suffix[1:]))
    collected = int(re.search(r"Collected : (\d+)", first.read_text())[1])
    for log in net.directory.glob("log.*"):
        log.unlink()
    return collected


def per_call(net, mode, **how):
    """Of a call in 1000 more rounds: what start and end cost is in both counts."""
    few, many = (instructions(net, mode, count, **how) for count in (1000, 2000))
    return (many - few) / 1000 / MODES[mode][0]


@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["defaults", "limits"])
@pytest.mark.parametrize("mode", MODES)
def test_added_instructions(net, record_property, mode, limits):
    added = per_call(net, mode, **limits) - per_call(net, mode, library=False)
    print(f"{mode}: {added:.1f} instructions added to a call")
    assert 0 < added <= MODES[mode][2 if limits else 1]
