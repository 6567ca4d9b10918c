"""Runs the Nth of M shares of a module of CPython's own tests, and prints `ID<tab>OUTCOME` for each test: MODULE N M, or
MODULE and the ids of single tests."""

import faulthandler
import os
import sys
import tempfile
import unittest

from test import support

PER_TEST = 60  # seconds, before a test counts as hung and the rest of the share is left out


class Outcomes(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.outcome = "ok"
        faulthandler.dump_traceback_later(PER_TEST, exit=True)
        print(test.id(), end="\t", flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        print(self.outcome, flush=True)

    def note(self, test, outcome, error=None):
        self.outcome = outcome
        if error:
            sys.stderr.write(f"{test.id()}\n{self._exc_info_to_string(error, test)}\n")

    def addError(self, test, error):
        super().addError(test, error)
        if isinstance(test, unittest.TestCase):
            self.note(test, "error", error)
        else:  # a class or module whose set-up failed
            print(f"{test.id()}\terror", flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "failure", error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcome = "skipped"

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.outcome = "expected failure"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.outcome = "unexpected success"

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.note(test, "failure", error)


def by_class(suite):
    classes = {}

    def walk(part):
        for test in part:
            if isinstance(test, unittest.TestSuite):
                walk(test)
            else:
                classes.setdefault(type(test), []).append(test)

    walk(suite)
    # AF_VSOCK knows no namespaces: runs side by side would meet.
    return [tests for kind, tests in classes.items() if "VSOCK" not in kind.__name__]


def main(module, *which):
    # Neither the internet nor a sound card; "network" is loopback there.
    support.use_resources = ["network"] if "socketserver" in module else []
    support.verbose = False
    loader = unittest.TestLoader()
    if which[0].isdigit():
        share, shares = map(int, which)
        suite = unittest.TestSuite(unittest.TestSuite(tests) for tests in
                                   by_class(loader.loadTestsFromName(module))[share::shares])
    else:
        suite = loader.loadTestsFromNames(which)
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        suite.run(Outcomes())


main(*sys.argv[1:])
