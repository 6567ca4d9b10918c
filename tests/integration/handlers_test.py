"""Calls that a signal handler makes while the main program is inside the same hooks."""

import pytest

import programs


@pytest.mark.parametrize("limits", [
    {},
    dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED", "IDLE", "LIFETIME", "ACCEPT"], "15s") | {"MIN_RATE": "1/15s"},
], ids=["defaults", "limits"])
def test_handler_talks(net, limits):
    net.names({"echo.test": ["127.0.0.1"]})
    result = net.run([programs.BUILD / "tests/handlers", "echo.test", 2], patience=40, **limits)
    assert (result.status, result.out) == (0, b"wrong 0, bad 0\n"), result
