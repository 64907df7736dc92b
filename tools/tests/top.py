#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""chariot top on a terminal of any size, over the made-up VM of mock.c.  Speaks TAP.

The terminal is pyte's (python3-pyte).  Argument: chariot-mock.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

try:
    import pyte
except ImportError:
    print("1..0 # SKIP no python3-pyte")
    sys.exit(0)

MOCK = sys.argv[1]
nr = failed = 0


class Terminal:
    def __init__(self, columns, lines, *args, **env):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.status = None
        self.pid, self.fd = pty.fork()
        if not self.pid:
            self.resize(columns, lines, 0)
            os.environ.update({"TERM": "linux", **env})
            os.execv(MOCK, [MOCK, "top", "--delay", "0.3", *args])
        self.resize(columns, lines)

    def resize(self, columns, lines, fd=None):
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.fd if fd is None else fd, termios.TIOCSWINSZ, size)
        self.screen.resize(lines, columns)

    def read(self, seconds):
        """What comes, until it has ended or that time is over."""
        if self.status is None and select.select([self.fd], [], [], seconds)[0]:
            try:
                self.stream.feed(os.read(self.fd, 65536))
                return
            except OSError:
                pass
            self.status = os.waitpid(self.pid, 0)[1]

    def until(self, good, seconds=60):
        end = time.monotonic() + seconds
        while not good() and self.status is None and time.monotonic() < end:
            self.read(0.1)
        return good()

    def shows(self, text):
        return self.until(lambda: text in self.text())

    def text(self):
        return "\n".join(l.rstrip() for l in self.screen.display)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self, keys="q"):
        """Its exit status."""
        if self.status is None:
            self.type(keys)
        self.until(lambda: False, 60)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return self.status


def ok(good, what, terminal=None):
    global nr, failed
    nr += 1
    failed += not good
    print("ok" if good else "not ok", nr, "-", what)
    if not good and terminal:
        print("\n".join("#   |" + l for l in terminal.text().split("\n")))


def test_table():
    t = Terminal(80, 24)
    ok(t.shows("demo: event 6 of the mock"), "80x24: the last violation", t)
    lines = t.text().split("\n")
    ok(lines[0].startswith("chariot top ") and "2 VMs, 1 driver, 2 violations" in lines[0],
       "80x24: VMs and drivers in the first line", t)
    ok(lines[1].split() == ["VM", "DRIVER", "VERDICT", "VIOL*", "VIOL/S", "EXITS/S",
                            "CALLS/S", "TRUST"], "80x24: the columns that fit", t)
    ok(any(l.startswith("mock ") and " demo " in l and " skip " in l for l in lines[2:4]),
       "80x24: a driver", t)
    ok(any(l.startswith("other,one ") and (" unknown " in l or " not attached " in l)
           for l in lines[2:4]), "80x24: a VM that cannot be asked", t)
    ok(t.until(lambda: any(float(l.split()[5]) > 0 for l in t.text().split("\n")
                           if " demo " in l)), "80x24: a rate of exits", t)
    ok("q quit" in lines[23], "80x24: the keys in the last line", t)
    return t


def test_keys(t):
    t.type("v")
    ok(t.shows("demo: r report  s skip"), "v asks for the verdict", t)
    t.type("o")
    ok(t.shows("demo: its verdict is oops now") and t.shows(" oops "), "o: it is oops", t)
    t.type("vR")
    ok(t.shows("demo cannot be recovered"), "R: it is told that this cannot be", t)
    t.type("vq")
    ok(t.shows("q quit") and " oops " in t.text(), "another key: it is as it was", t)
    t.type("\r")
    ok(t.shows("Driver       demo, domain 1, verdict oops, mode strict") and
       t.shows("emulated_writes"), "Enter: details, with counters", t)
    ok("\n violations" not in t.text() and "allocations" in t.text(), "those that are not 0", t)
    t.type("\r")
    ok(t.shows("CALLS/S"), "Enter: back", t)
    t.type("?")
    ok(t.shows("end its isolation"), "?: help", t)
    t.type("?>")
    ok(t.shows("VIOL/S*"), ">: sorted by the next column", t)
    t.type("r")
    ok(t.shows("VIOL/S^"), "r: in the other order", t)
    t.type("\x1b[B")
    last = [l for l in t.text().split("\n")[2:4]][1].split()[0]
    ok(t.until(lambda: reverse(t, last)), "Down: the last row is chosen", t)
    t.type("k" if last == "mock" else "")
    ok(t.until(lambda: reverse(t, "other,one")), "the row of a VM", t)
    t.type("v")
    ok(t.shows("no driver of this VM is isolated"), "v: not for a VM", t)


def reverse(t, text):
    """Is the row with that text the one that is chosen?"""
    for y, line in enumerate(t.screen.display):
        if text in line and y > 1:
            return t.screen.buffer[y][0].reverse
    return False


def test_trust():
    t = Terminal(80, 24, MOCK_TRUST="held")
    ok(t.shows(" held"), "a build that is held", t)
    t.type("\r")
    ok(t.shows("held: 12 calls, 34 s") and t.shows("demo: it has done it before"),
       "and why, in the details", t)
    t.end()
    t = Terminal(80, 24, MOCK_TRUST="probation")
    ok(t.shows(" probation"), "one that is on probation", t)
    t.end()


def test_release():
    t = Terminal(80, 24)
    t.shows(" demo ")
    t.type("xn")
    ok(t.shows("q quit") and " demo " in t.text(), "x, n: it is not released", t)
    t.type("x")
    ok(t.shows("release demo of VM mock? y/n"), "x: are you sure", t)
    t.type("y")
    ok(t.shows("the guard was asked to release it") and
       t.until(lambda: " plain " in t.text()), "y: it is released", t)
    ok(t.end() == 0, "q: it ends", t)


def test_sizes():
    for columns, lines in (120, 40), (80, 10), (40, 6), (20, 3), (10, 2), (1, 1), (2, 30), (300, 2):
        t = Terminal(columns, lines)
        t.until(lambda: t.text().strip() != "", 60)
        t.type("\rv?\r?xn<>j")
        t.until(lambda: False, 0.5)
        # With ? help and details are left again before.
        t.type("\x1b")
        alive = t.status is None
        ok(t.end() == 0 and alive, "%dx%d" % (columns, lines), t)
    t = Terminal(80, 24)
    ok(t.shows("CALLS/S"), "80x24, to be resized", t)
    for columns, lines in (30, 5), (1, 1), (100, 30):
        t.resize(columns, lines)
        os.kill(t.pid, signal.SIGWINCH)
        t.until(lambda: False, 0.7)
    ok(t.shows("RECOV"), "it is resized, and shows more columns", t)
    ok(t.end() == 0, "it ends", t)


def test_ends():
    t = Terminal(80, 24, "--count", "1")
    t.until(lambda: False, 60)
    ok(t.status == 0, "--count 1: it ends of itself", t)
    t = Terminal(80, 24)
    t.shows("demo")
    os.kill(t.pid, signal.SIGTERM)
    ok(t.until(lambda: t.status is not None) and t.status == 0, "SIGTERM ends it", t)
    t = Terminal(80, 24, "--no-color")
    t.shows("demo")
    colors = {c.fg for row in t.screen.buffer.values() for c in row.values()}
    ok(colors <= {"default"}, "no colour with --no-color", t)
    t.end()
    t = Terminal(80, 24, TERM="no-such-terminal")
    t.until(lambda: False, 60)
    ok(os.waitstatus_to_exitcode(t.status) == 1 and "is not known" in t.text(),
       "a terminal that is not known", t)
    t = Terminal(80, 24, "no-such-vm")
    t.until(lambda: False, 60)
    ok(os.waitstatus_to_exitcode(t.status) == 1, "a VM that is not there", t)


t = test_table()
test_keys(t)
ok(t.end() == 0, "q: it ends", t)
test_trust()
test_release()
test_sizes()
test_ends()
print("1..%d" % nr)
sys.exit(failed != 0)
