"""How long a limit is: never shorter than it says; and which timeouts of the program's are longer than it."""

from faults import tcp

def run(net, body, **limits):
    return net.told(body + "tell(told)", net.serve(tcp.silent).port, **limits)


def test_lifetime_is_never_short(net):
    told = run(net, """
told = []
for i in range(12):
    time.sleep(0.003)
    began = time.monotonic()
    s = dial()
    told.append((error(lambda: s.recv(1)), time.monotonic() - began))
""", LIFETIME="100ms")
    assert all(name == "ETIMEDOUT" and 0.1 <= seconds < 3.1 for name, seconds in told), told


def test_select_takes_any_number_of_microseconds(net):
    """A timeout of 4,000,000 us is one of 4 s."""
    ready, left, seconds, name = run(net, """
s = dial()
fds = (ctypes.c_ulong * 16)(1 << s.fileno())
timeout = (ctypes.c_long * 2)(0, 4000000)
began = time.monotonic()
ready = libc.select(s.fileno() + 1, fds, None, None, timeout)
told = ready, list(timeout), time.monotonic() - began, error(lambda: s.recv(1))
""", RECV="300ms")
    assert (ready, name) == (1, "ETIMEDOUT") and 0.29 <= seconds < 3.5, (ready, seconds, name)
    assert left[0] <= 3 and 0 <= left[1] < 1000000, left


def test_select_with_a_count_beyond_every_descriptor(net):
    """As of select(getdtablesize(), ...) under a high limit: the kernel reads no more than its table of descriptors has."""
    told = run(net, """
s = dial()
table = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("FDSize"))
words = (ctypes.c_ulong * 64)(1 << s.fileno())
for i in range(table // 64, 64):
    words[i] = 0xA5A5A5A5A5A5A5A5
before = list(words)
timeout = (ctypes.c_long * 2)(6, 0)
began = time.monotonic()
ready = libc.select(100000, words, None, None, timeout)
told = ready, list(words) == before, time.monotonic() - began, error(lambda: s.recv(1))
""", RECV="300ms")
    ready, kept, seconds, name = told
    assert (ready, kept, name) == (1, True, "ETIMEDOUT") and 0.29 <= seconds < 3.5, told
