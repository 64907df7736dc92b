# Sixty modules of the guest's kernel, chosen by a rule (modules/plan.sh), are each
# loaded isolated, and unloaded: as well as without Chariot, and with no violation.
#
# VM_SAMPLE	only so many of them (60)
# shellcheck source=selftests/modules/plan.sh
. selftests/modules/plan.sh
export VM=modules MODULES_HOST=$HOST
# shellcheck source=selftests/modules/run.sh
. selftests/modules/run.sh

sample_of "$GUEST" /tmp/modules.list
for_guest /tmp/modules.list
head -n "${VM_SAMPLE:-60}" /tmp/modules.list >/tmp/modules.some
mv /tmp/modules.some /tmp/modules.list
modules_run "${VM_MODE:-strict}" /tmp/modules.list "$OUT/modules.json"
modules_again /tmp/modules.list "$OUT/modules.json" >/tmp/modules.again
modules_run none /tmp/modules.again "$OUT/modules.json"
is "all of them have a result" "$(grep -c '"isolated":' "$OUT/modules.json")" "${VM_SAMPLE:-60}"
cat "$OUT/audit"
bash selftests/modules/report.sh tap "$OUT/modules.json"
