"""TLS over loopback with and without the library, alternating, so that both see the same machine. Prints medians and the ratio
of rates: below 1.00 the library is slower."""

import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import programs  # noqa: E402
from faults import tls  # noqa: E402

LIMITS = {"RECV": "30s", "SEND": "30s", "CONNECT": "10s", "TLS_HANDSHAKE": "10s", "TLS_SHUTDOWN": "5s"}
MODES = [("requests", 20_000, "requests"), ("bulk", 20_000, "16 KiB writes"), ("handshakes", 300, "connections")]
KINDS = {"without": programs.environment(library=False), "defaults": programs.environment(),
         "limits set": programs.environment(**LIMITS)}


def rate(mode, count, environment):
    loop = [programs.BUILD / "tests/tlsloop", mode, str(count), tls.certificate()]
    return count / float(subprocess.run(loop, env=environment, check=True, capture_output=True).stdout)


def main():
    # Both ends on one processor: where the scheduler puts them would otherwise matter more than what is measured.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 31
    print(f"{'TLS':24}{'without':>12}{'defaults':>12}{'ratio':>8}{'limits set':>12}{'ratio':>8}   (a second, median of {rounds})")
    for mode, count, text in MODES:
        rates = {kind: [] for kind in KINDS}
        for turn in range(rounds):
            for kind in sorted(KINDS, key=list(KINDS).index, reverse=bool(turn % 2)):  # in turns, so that none is always first
                rates[kind].append(rate(mode, count, KINDS[kind]))
        medians = {kind: statistics.median(each) for kind, each in rates.items()}
        base = medians["without"]
        print(f"{text:24}{base:12.0f}" +
              "".join(f"{medians[kind]:12.0f}{medians[kind] / base:8.3f}" for kind in ("defaults", "limits set")), flush=True)


main()
