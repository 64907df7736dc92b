#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""picture.py RECORDING SVG: a picture of the terminal at the end of a recording of
record.py.  The terminal is pyte's (python3-pyte)."""
import sys
from xml.sax.saxutils import escape

import pyte

WIDTH, HEIGHT, MARGIN = 8.4, 18, 12
BACK, TEXT = "#16181d", "#d8dbe2"
COLORS = {"black": "#16181d", "red": "#ff6b68", "green": "#7ec699", "brown": "#e5c07b",
          "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": TEXT,
          "default": TEXT}


def style(c):
    """What a character looks like: (colour, behind it or None, bold)."""
    front, back = COLORS.get(c.fg, TEXT), None
    if c.reverse:
        front, back = BACK, front
    return front, back, c.bold


def runs(row, columns):
    """Pieces of a line that look the same: (column, text, style)."""
    at, text, look = 0, "", None
    for x in range(columns):
        c = row[x]
        if style(c) != look and text:
            yield at, text, look
            at, text = x, ""
        look = style(c)
        text += c.data
    yield at, text, look


def line(y, row, columns):
    out = []
    for x, text, (front, back, bold) in runs(row, columns):
        left, top = MARGIN + x * WIDTH, MARGIN + y * HEIGHT
        if back:
            out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' %
                       (left, top, len(text) * WIDTH, HEIGHT, back))
        if text.strip():
            out.append('<text x="%.1f" y="%.1f" textLength="%.1f" fill="%s"%s>%s</text>' %
                       (left, top + 13, len(text.rstrip()) * WIDTH, front,
                        ' font-weight="bold"' if bold else "", escape(text.rstrip())))
    return out


def main():
    size, data = open(sys.argv[1], "rb").read().split(b"\r\n", 1)
    columns, lines = map(int, size.split(b"x"))
    screen = pyte.Screen(columns, lines)
    pyte.ByteStream(screen).feed(data)
    used = max([y + 1 for y in range(lines) if screen.display[y].strip()], default=1)
    width, height = columns * WIDTH + 2 * MARGIN, used * HEIGHT + 2 * MARGIN
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" '
           'height="%.0f" font-family="monospace" font-size="14" xml:space="preserve">' %
           (width, height, width, height),
           '<!-- by selftests/picture.py from the recording of that name -->',
           '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % BACK]
    for y in range(used):
        out += line(y, screen.buffer[y], columns)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write("\n".join(out + ["</svg>"]) + "\n")


main()
