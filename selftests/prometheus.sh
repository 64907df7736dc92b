#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# prometheus.sh: fetch Debian's package of Prometheus (19 MB) into .cache/prometheus, for
# the tests of the metrics (tools/tests/exporter.sh). It is not installed: that would
# start it on this machine, for all to see.

set -u
cd "$(dirname "$0")/.." || exit 1
DIR=.cache/prometheus

if command -v prometheus && command -v promtool || [ -x $DIR/promtool ]; then
	exit 0
fi >/dev/null
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
if ! (cd "$tmp" && apt-get download prometheus) >"$tmp/log" 2>&1; then
	cat "$tmp/log" >&2
	echo "prometheus: error: Debian's package cannot be fetched (apt-get download)" >&2
	exit 1
fi
mkdir -p $DIR
dpkg-deb --fsys-tarfile "$tmp"/prometheus_*.deb |
	tar -x -C "$tmp" ./usr/bin/prometheus ./usr/bin/promtool &&
	mv "$tmp"/usr/bin/prometheus "$tmp"/usr/bin/promtool $DIR/ ||
	{ echo "prometheus: error: its package has no such programs" >&2; exit 1; }
