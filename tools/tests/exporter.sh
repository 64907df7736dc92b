#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of the metrics over the made-up VM of mock.c: chariot stats --prometheus and
# chariot-exporter say the same; the rules, the dashboard, and a real Prometheus on
# loopback, if there is one (selftests/prometheus.sh).

OUT=${CHARIOT_OUT:?} TOP=${CHARIOT_TOP:?} SRC=${CHARIOT_SRC:?}
DIR=$(mktemp -d) || exit 1
PIDS=()
trap '[ ${#PIDS[@]} = 0 ] || kill "${PIDS[@]}" 2>/dev/null; rm -rf "$DIR"' EXIT
PATH=$PATH:$TOP/.cache/prometheus
N=0 FAILED=0
export CHARIOT_STATE=$DIR/state CHARIOT_PROVED=$DIR/proved
: >"$DIR/log"

ok()
{
	N=$((N + 1))
	if [ "$1" = 0 ]; then
		echo "ok $N - $2"
		return
	fi
	echo "not ok $N - $2"
	tail -n 20 "$DIR/log" | sed 's/^/#   /'
	FAILED=$((FAILED + 1))
}

skip() { N=$((N + 1)); echo "ok $N - $1 # SKIP $2"; }

# wait_for COMMAND...: until it succeeds, a minute at most
wait_for()
{
	for _ in $(seq 300); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.2
	done
	return 1
}

# py CODE ARG...: Python is true of it
py() { python3 - "$@" >>"$DIR/log" 2>&1; }

# http METHOD PATH: "STATUS TYPE ALLOW", and the body into $DIR/body
http()
{
	python3 - "$URL" "$1" "$2" "$DIR/body" 2>>"$DIR/log" <<-'END'
		import sys, urllib.error, urllib.request
		url, method, path, body = sys.argv[1:]
		r = urllib.request.Request(url + path, method=method,
		                           data=b"x" * 70000 if method == "POST" else None)
		try:
		    a = urllib.request.urlopen(r, timeout=60)
		except urllib.error.HTTPError as e:
		    a = e
		open(body, "wb").write(a.read())
		print(a.status, a.headers.get("Content-Type"), a.headers.get("Allow", ""))
	END
}

start()		# ARG...: the exporter, as $!; $URL if it says one
{
	: >"$DIR/exporter"
	"$OUT/exporter-mock" "$@" 2>"$DIR/exporter" &
	PIDS+=($!)
	wait_for grep -q http: "$DIR/exporter"
	URL=$(grep -o 'http://[^/]*' "$DIR/exporter")
}

# Values that stay, when each look at the mock counts on.
stable() { grep -v '_\(entries\|returns\|exits\|exits_by_cause\)_total' "$1"; }

test_text()
{
	mkdir -p "$CHARIOT_STATE"
	"$OUT/chariot-mock" stats --prometheus >"$DIR/text" 2>>"$DIR/log"
	ok $? "chariot stats --prometheus"
	py "$DIR/text" "$TOP/kmod/include/uapi/linux/chariot.h" <<-'END'
		import re, sys
		text, header = (open(p).read() for p in sys.argv[1:])
		names = re.findall(r'^\tX\((\w+), [01], "', header, re.M)
		assert len(names) > 20
		for n in names:
		    metric = re.sub("_ms$", "_seconds", n) + "_total{"
		    cause = 'violations_by_cause_total{vm="mock",pid="4711",driver="demo",' \
		            'domain="1",cause="%s"}' % n.replace("violations_", "")
		    if n.startswith("violations_"):
		        assert cause in text, n
		    else:
		        for kind in "vm", "domain":
		            assert "\nchariot_%s_%s" % (kind, metric) in text, n
	END
	ok $? "each counter of the uapi header is a metric, and each cause of a violation"
	grep -Fqx 'chariot_domain_down_seconds_total{vm="mock",pid="4711",driver="demo",domain="1"} 1.250' \
		"$DIR/text"
	ok $? "time is in seconds"
	grep -Fqx 'chariot_vm_state{vm="other,one",pid="4712",state="isolating"} 0' "$DIR/text"
	ok $? "a VM that cannot be asked has a state"
	py "$DIR/text" <<-'END'
		import sys
		lines = open(sys.argv[1]).read().splitlines()
		series = [l.rsplit(" ", 1)[0] for l in lines if not l.startswith("#")]
		assert len(series) == len(set(series)) > 100
		family = [l.split()[2] for l in lines if l.startswith("# TYPE")]
		assert len(family) == len(set(family))
	END
	ok $? "no metric and no series is there twice"
	py "$DIR/text" "$SRC/man/chariot-exporter.8" <<-'END'
		import re, sys
		text, page = (open(p).read() for p in sys.argv[1:])
		there = set(re.findall(r"^# TYPE (\S+)", text, re.M))
		said = {n for n in re.findall(r"chariot_[a-z_]+", page) if not n.endswith("_")}
		assert said <= there, said - there
		left = {n for n in there - said if not n.endswith("_total")}
		assert not left, left
	END
	ok $? "chariot-exporter(8) has these metrics"
	printf '{ "format": 1' >"$CHARIOT_STATE/bad.json"
	"$OUT/chariot-mock" stats --prometheus 2>/dev/null | grep -Fqx 'chariot_spoilt_builds 1'
	ok $? "a spoilt file of a build is counted"
	rm "$CHARIOT_STATE/bad.json"
}

test_exporter()
{
	local pid

	start --listen 127.0.0.1:0
	pid=$!
	[ "$(http GET /metrics)" = "200 text/plain; version=0.0.4; charset=utf-8 " ]
	ok $? "GET /metrics"
	diff <(stable "$DIR/body") <(stable "$DIR/text") >>"$DIR/log"
	ok $? "it says what chariot stats --prometheus says"
	[[ $(http GET /) == "200 text/html"* ]] && grep -q /metrics "$DIR/body"
	ok $? "GET /"
	[[ $(http GET /x) == 404* ]]
	ok $? "GET of another page"
	[[ $(http HEAD /metrics) == 200* ]] && [ ! -s "$DIR/body" ]
	ok $? "HEAD"
	[[ $(http POST /metrics) == "405 "*"GET, HEAD" ]]
	ok $? "POST is refused"
	"$OUT/exporter-mock" --listen "${URL#http://}" 2>>"$DIR/log"
	[ $? = 1 ] && grep -q "in use" "$DIR/log"
	ok $? "a second one on the same port says so"
	kill $pid
	wait $pid
	ok $? "SIGTERM ends it, without an error"
	for bad in 9930 localhost:9930 127.0.0.1 127.0.0.1:99999 '[::1:9930' ::1:9930; do
		"$OUT/exporter-mock" --listen "$bad" >>"$DIR/log" 2>&1
		[ $? = 2 ]
		ok $? "--listen $bad is none"
	done
	"$OUT/exporter-mock" x 2>>"$DIR/log"
	[ $? = 2 ]
	ok $? "an argument too many"
	! grep -v '^#' "$SRC/systemd/chariot-exporter.socket" | grep ListenStream |
		grep -vq '=127\.0\.0\.1:'
	ok $? "the socket unit is for loopback only"
}

# As systemd does it: descriptor 3 listens.
test_socket()
{
	if ! command -v systemd-socket-activate >/dev/null; then
		skip "systemd's socket" "no systemd-socket-activate"
		return
	fi
	URL=http://127.0.0.1:$((20000 + $$ % 20000))
	systemd-socket-activate -l "${URL#http://}" "$OUT/exporter-mock" 2>>"$DIR/log" &
	PIDS+=($!)
	wait_for grep -q Listening "$DIR/log"
	[[ $(http GET /metrics) == 200* ]]
	ok $? "it serves systemd's socket"
	kill $!
	if command -v systemd-analyze >/dev/null; then
		mkdir "$DIR/units"
		cp "$OUT"/*.service "$SRC"/systemd/*.socket "$DIR/units"
		sed -i "s|^ExecStart=.*/|ExecStart=$OUT/|" "$DIR"/units/*.service
		systemd-analyze verify --man=no "$DIR"/units/* >"$DIR/verify" 2>&1
		cat "$DIR/verify" >>"$DIR/log"
		! grep -q chariot "$DIR/verify"
		ok $? "systemd-analyze verify has nothing to say of the units"
	else
		skip "the units" "no systemd-analyze"
	fi
}

test_promtool()
{
	if ! command -v promtool >/dev/null; then
		skip "promtool" "no promtool, see selftests/prometheus.sh"
		return
	fi
	promtool check metrics <"$DIR/text" >"$DIR/lint" 2>&1 && [ ! -s "$DIR/lint" ]
	ok $? "promtool check metrics"
	cat "$DIR/lint" >>"$DIR/log"
	cp "$SRC"/exporter/*.yml "$SRC/tests/rules-test.yml" "$DIR"
	promtool check rules "$DIR/chariot.rules.yml" >>"$DIR/log" 2>&1
	ok $? "promtool check rules"
	promtool check config "$DIR/prometheus.yml" >>"$DIR/log" 2>&1
	ok $? "promtool check config"
	promtool test rules "$DIR/rules-test.yml" >>"$DIR/log" 2>&1
	ok $? "promtool test rules: who is told of what"
}

# ask PATH PYTHON: what Prometheus answers, o, is so
ask()
{
	python3 - "$PROM/api/v1/$1" "$2" >>"$DIR/log" 2>&1 <<-'END'
		import json, sys, urllib.request
		o = json.load(urllib.request.urlopen(sys.argv[1], timeout=60))["data"]
		sys.exit(not eval(sys.argv[2]))
	END
}

# All that dashboard and rules ask for is a metric that there is, and can be read.
test_expressions()
{
	py "$PROM" "$SRC/exporter/chariot-dashboard.json" "$SRC/exporter/chariot.rules.yml" \
		"$DIR/text" <<-'END'
		import json, re, sys, urllib.parse, urllib.request
		prom, board, rules, text = sys.argv[1:]
		panels = json.load(open(board))["panels"]
		ids = [p["id"] for p in panels]
		assert len(ids) == len(set(ids))
		exprs = [t["expr"] for p in panels for t in p["targets"]]
		assert len(exprs) > 10
		known = set(re.findall(r"^# TYPE (\S+)", open(text).read(), re.M))
		asked = set(re.findall(r"\bchariot_\w+", open(board).read() + open(rules).read()))
		assert asked <= known, asked - known
		for e in exprs:
		    e = e.replace("$vm", ".*").replace("$driver", ".*").replace("$__rate_interval", "1m")
		    urllib.request.urlopen(prom + "/api/v1/query?" +
		                           urllib.parse.urlencode({"query": e}), timeout=60)
	END
	ok $? "dashboard and rules ask for what there is"
}

test_prometheus()
{
	if ! command -v prometheus >/dev/null; then
		skip "a real Prometheus" "no prometheus, see selftests/prometheus.sh"
		return
	fi
	start --listen 127.0.0.1:0
	sed -i "s/127.0.0.1:9930/${URL#http://}/; s/: 15s/: 1s/" "$DIR/prometheus.yml"
	PROM=http://127.0.0.1:$((40000 + $$ % 20000))
	prometheus --config.file="$DIR/prometheus.yml" --storage.tsdb.path="$DIR/data" \
		--web.listen-address="${PROM#http://}" >>"$DIR/log" 2>&1 &
	PIDS+=($!)
	wait_for ask 'query?query=up' 'o["result"][0]["value"][1] == "1"'
	ok $? "a real Prometheus scrapes it"
	ask 'query?query=chariot_domain_violations_total' \
		'[(r["metric"]["driver"], r["value"][1]) for r in o["result"]] == [("demo", "2")]'
	ok $? "and has its violations"
	wait_for ask 'query?query=ALERTS' \
		'{"ChariotViolations"} <= {r["metric"]["alertname"] for r in o["result"]}'
	ok $? "and alerts of them"
	test_expressions
}

test_text
test_exporter
test_socket
test_promtool
test_prometheus
echo "1..$N"
[ $FAILED = 0 ]
