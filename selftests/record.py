#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""record.py FILE COLUMNSxLINES SECONDS COMMAND...: run each COMMAND of the shell on a
terminal of that size, and write what is seen there into FILE, for picture.py.

One that has not ended SECONDS after it has shown something is interrupted: what it shows
then is the picture.
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


def run(command, columns, lines, seconds):
    pid, fd = pty.fork()
    if not pid:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.environ["TERM"] = "linux"
        os.execvp("bash", ["bash", "-c", command])
    out, end = b"", time.monotonic() + 600
    while True:
        left = end - time.monotonic()
        if left <= 0:
            os.kill(pid, signal.SIGTERM)
            break
        if not select.select([fd], [], [], left)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        if not out:
            end = time.monotonic() + seconds
        out += data
    # What a screen leaves behind is no part of it.
    while True:
        try:
            if not os.read(fd, 65536):
                break
        except OSError:
            break
    os.waitpid(pid, 0)
    return out


def main():
    path, size, seconds, *commands = sys.argv[1:]
    columns, lines = map(int, size.split("x"))
    with open(path, "wb") as f:
        f.write(b"%dx%d\r\n" % (columns, lines))
        for c in commands:
            f.write(b"\x1b[1m# %s\x1b[0m\r\n" % c.encode())
            f.write(run(c, columns, lines, float(seconds)))


main()
