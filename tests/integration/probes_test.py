"""The USDT probes: in the file, with their arguments, and a nop each where nobody listens."""

import re
import subprocess

import pytest

import programs


def probes():
    """Each probe's address and arguments."""
    text = subprocess.run(["readelf", "-nW", programs.LIBRARY], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"Provider: netdeadline\s+Name: (\w+)\s+Location: 0x([0-9a-f]+),.*\s+Arguments: (.*)", text)
    return [(name, int(location, 16), arguments.split()) for name, location, arguments in found]


@pytest.mark.parametrize("name, count", [("start", 4), ("end", 3), ("expiry", 5)])
def test_probe(name, count):
    places = [(location, arguments) for its, location, arguments in probes() if its == name]
    assert places and all(len(arguments) == count for _, arguments in places), probes()
    code = subprocess.run(["objdump", "-d", f"--start-address={places[0][0]}", f"--stop-address={places[0][0] + 4}", programs.LIBRARY],
                          capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^ *{places[0][0]:x}:.*\bnop\b", code, re.M), code
