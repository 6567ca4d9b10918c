"""Prints the matrix of programs and faults at the end of a run."""


def pytest_terminal_summary(terminalreporter, config):
    cells = {tuple(value[:2]): value[2:] for reports in terminalreporter.stats.values() for report in reports
             if getattr(report, "when", "") == "call" for name, value in report.user_properties if name == "cell"}
    if not cells or config.getoption("verbose") < 0 and not config.getoption("tbstyle"):
        return
    terminalreporter.section("program, fault: without the library -> with it")
    for program in dict.fromkeys(program for program, _ in cells):
        for (name, fault), (without, under) in cells.items():
            if name == program:
                terminalreporter.write_line(f"{program:24} {fault:20} {without:10} -> {under}")
    hung = sum(without == "hangs" for without, _ in cells.values())
    terminalreporter.write_line(f"{len({program for program, _ in cells})} programs, {len(cells)} cells, "
                                f"{hung} of them hang without the library")
