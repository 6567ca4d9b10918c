"""Throughput over loopback with and without the library, alternating, so that both see the same machine. Prints medians and
their ratio: above 1.00 the library is slower."""

import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import programs  # noqa: E402

LIMITS = {"RECV": "30s", "SEND": "30s", "CONNECT": "10s", "TLS_HANDSHAKE": "10s"}
MODES = [("pingpong", 20_000, "64-byte questions and answers"), ("polled", 20_000, "the same, with poll before each answer"),
         ("bulk", 20_000, "64 KiB writes to a reader"), ("files", 200_000, "read and write on a file and a pipe")]
KINDS = {"without": programs.environment(library=False), "defaults": programs.environment(),
         "limits set": programs.environment(**LIMITS)}


def seconds(mode, count, environment):
    loop = [programs.BUILD / "tests/loop", mode, str(count)]
    return float(subprocess.run(loop, env=environment, check=True, capture_output=True).stdout)


def main():
    # Both ends on one processor: where the scheduler puts them would otherwise matter more than what is measured.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'':44}{'without':>12}{'defaults':>12}{'ratio':>8}{'limits set':>12}{'ratio':>8}   (us a round, median of {rounds})")
    for mode, count, text in MODES:
        times = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind, environment in KINDS.items():
                times[kind].append(seconds(mode, count, environment) / count * 1e6)
        medians = {kind: statistics.median(each) for kind, each in times.items()}
        base = medians["without"]
        print(f"{mode + ': ' + text:44.44}{base:12.2f}" +
              "".join(f"{medians[kind]:12.2f}{medians[kind] / base:8.3f}" for kind in ("defaults", "limits set")), flush=True)


main()
