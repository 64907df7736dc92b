# SPDX-License-Identifier: GPL-2.0
#
# plot.awk: contained share against speed, as SVG. Its input are lines of fields,
# separated by tabs:
#
#	panel N TITLE X-LABEL EMPTY	what is said when it has no points
#	point N KIND LABEL X Y LOW HIGH	all of 0 to 1; KIND strict, fast, defer, ...
#
# Colours are of medium lightness: they can be read on white and on black.

function escape(s)
{
	gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s)
	gsub(/"/, "\\&quot;", s)
	return s
}

function text(x, y, anchor, class, s)
{
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", x, y, anchor,
		class == "" ? "" : " class=\"" class "\"", escape(s)
}

function line(x1, y1, x2, y2, class)
{
	printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2, class
}

# A step of 1, 2 or 5 times a power of ten, so that there are at most N to MAX
function step_of(max, n,   s)
{
	for (s = 1e-6; max / s > n + 1e-9; )
		if (max / (2 * s) <= n + 1e-9) s *= 2
		else if (max / (5 * s) <= n + 1e-9) s *= 5
		else s *= 10
	return s
}

function up_to(v, s,   n)
{
	n = int(v / s)
	return (n * s >= v - 1e-9 ? n : n + 1) * s
}

function y_at(v) { return BOTTOM - (v - y0) / (1 - y0) * (BOTTOM - TOP) }

function axes(p, left,   i, v, s)
{
	text(left + W / 2, 24, "middle", "title", title[p])
	s = step_of(1 - y0, 5)
	for (i = 0; (v = y0 + i * s) <= 1 + 1e-9; i++) {
		line(left, y_at(v), left + W, y_at(v), "grid")
		text(left - 8, y_at(v) + 4, "end", "", sprintf("%g %%", v * 100))
	}
	s = step_of(x_max[p], 5)
	for (i = 0; (v = i * s) <= x_max[p] + 1e-9; i++) {
		line(left + v / x_max[p] * W, BOTTOM, left + v / x_max[p] * W, BOTTOM + 5, "axis")
		text(left + v / x_max[p] * W, BOTTOM + 20, "middle", "", sprintf("%g", v))
	}
	line(left, BOTTOM, left + W, BOTTOM, "axis")
	line(left, TOP, left, BOTTOM, "axis")
	text(left + W / 2, BOTTOM + 42, "middle", "", x_label[p])
	printf "<text transform=\"translate(%.1f %.1f) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
		left - 54, (TOP + BOTTOM) / 2, "damage contained"
}

function mark(x, y, kind)
{
	if (kind == "strict")
		printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\" class=\"k1\"/>\n", x, y
	else if (kind == "fast")
		printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" class=\"k2\"/>\n", x - 5, y - 5
	else
		printf "<path d=\"M%.1f %.1fl6.5 6.5l-6.5 6.5l-6.5 -6.5z\" class=\"k3\"/>\n", x, y - 6.5
}

function overlaps(x, y, w,   i)
{
	for (i = 1; i <= nr_boxes; i++)
		if (x < bx[i] + bw[i] && bx[i] < x + w && y < by[i] + bh[i] && by[i] < y + 14)
			return 1
	return 0
}

function box(x, y, w, h) { nr_boxes++; bx[nr_boxes] = x; by[nr_boxes] = y; bw[nr_boxes] = w; bh[nr_boxes] = h }

# Beside its point, and not on what is there; with a thin line if it is further off.
function place(x, y, s, left,   w, i, side, dy, lx, ly)
{
	w = length(s) * 6.6 + 4
	for (i = 0; i < 40; i++) {
		side = i % 2
		dy = int(i / 2) * 15 * (int(i / 2) % 2 ? 1 : -1)
		lx = side ? x - 11 - w : x + 11
		ly = y - 7 + dy
		if (lx < left + 2 || lx + w > left + W + ROOM || ly < TOP - 8 || ly + 14 > BOTTOM)
			continue
		if (!overlaps(lx, ly, w))
			break
	}
	box(lx, ly, w, 14)
	if (dy > 20 || dy < -20)
		line(x, y, side ? lx + w : lx, ly + 7, "grid")
	text(side ? lx + w - 2 : lx + 2, ly + 11, side ? "end" : "start", "", s)
}

function points(p, left,   i, x)
{
	nr_boxes = 0
	for (i = 1; i <= n; i++) {
		if (panel[i] != p)
			continue
		x = left + px[i] / x_max[p] * W
		box(x - 7, y_at(py[i]) - 7, 14, 14)
		box(x - 2, y_at(high[i]), 4, y_at(low[i]) - y_at(high[i]))
		line(x, y_at(low[i]), x, y_at(high[i]), "bar")
		line(x - 4, y_at(low[i]), x + 4, y_at(low[i]), "bar")
		line(x - 4, y_at(high[i]), x + 4, y_at(high[i]), "bar")
	}
	for (i = 1; i <= n; i++)
		if (panel[i] == p)
			mark(left + px[i] / x_max[p] * W, y_at(py[i]), kind[i])
	for (i = 1; i <= n; i++)
		if (panel[i] == p)
			place(left + px[i] / x_max[p] * W, y_at(py[i]), label[i], left)
}

BEGIN { FS = "\t"; W = 300; ROOM = 40; TOP = 44; BOTTOM = 330; y0 = 0.8 }

$1 == "panel" { nr++; title[$2] = $3; x_label[$2] = $4; empty[$2] = $5 }

$1 == "point" {
	n++
	panel[n] = $2; kind[n] = $3; label[n] = $4
	px[n] = $5; py[n] = $6; low[n] = $7; high[n] = $8
	count[$2]++
	if (px[n] > x_max[$2])
		x_max[$2] = px[n]
	while (y0 > low[n] && y0 > 0.001)
		y0 -= 0.2
}

END {
	if (y0 < 0.001 || !n)
		y0 = 0
	width = 80 + nr * (W + ROOM + 90) - 50
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d 390\" width=\"%d\" height=\"390\" role=\"img\">\n", width, width
	print "<title>Damage contained against speed</title>"
	print "<style>"
	print "text { font: 12px sans-serif; fill: #767676 }"
	print ".title { font-weight: bold }"
	print ".axis { stroke: #767676; stroke-width: 1 }"
	print ".grid { stroke: #767676; stroke-width: 1; stroke-opacity: .3 }"
	print ".bar { stroke: #767676; stroke-width: 1.5 }"
	print ".k1 { fill: #2b7de0 } .k2 { fill: #d2691e } .k3 { fill: #2e8b57 }"
	print "</style>"
	for (p = 1; p <= nr; p++) {
		left = 80 + (p - 1) * (W + ROOM + 90)
		x_max[p] = count[p] ? up_to(x_max[p] * 1.15, step_of(x_max[p] * 1.15, 5)) : 1
		axes(p, left)
		if (count[p])
			points(p, left)
		else
			text(left + W / 2, (TOP + BOTTOM) / 2, "middle", "", empty[p])
	}
	print "</svg>"
}
