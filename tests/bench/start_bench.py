"""What the start of a program costs more with the library, and with one that is empty: the least that any preloaded library costs.
The fastest and the median of many starts of true, the three kinds in turn, so that all see the same machine: what else runs there makes
all slower, but for the fastest. Argument: ROUNDS."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import programs  # noqa: E402


def seconds(environment):
    began = time.perf_counter()
    pid = os.posix_spawn("/bin/true", ["true"], environment)
    os.waitpid(pid, 0)
    return time.perf_counter() - began


def main():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory(prefix="netdeadline-bench-") as directory:
        empty = f"{directory}/empty.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", empty, "-x", "c", "/dev/null"], check=True)
        kinds = {"without": {}, "an empty library": {"LD_PRELOAD": empty}, "netdeadline": {"LD_PRELOAD": str(programs.LIBRARY)}}
        times = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, environment in kinds.items():
                times[kind].append(seconds(environment))
    print(f"{'start of true, ms':36}{'fastest':>12}{'added':>10}{'median':>12}{'added':>10}   (of {rounds})")
    for kind, each in times.items():
        columns = [f"{of(each) * 1e3:12.3f}{(of(each) - of(times['without'])) * 1e3:10.3f}" for of in (min, statistics.median)]
        print(f"{kind:36}" + "".join(columns), flush=True)


main()
