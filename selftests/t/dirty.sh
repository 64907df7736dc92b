# Dirty logging, for a migration that is too slow to end, while an isolated
# driver works.
migration()
{
	vm_qmp a '{"execute":"query-migrate"}' |
		sed -n 's/.*"status": *"\([a-z-]*\)".*/\1/p' | head -n 1
}

serve 1048576
# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
vm_qmp a '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":4096}}' >/dev/null
vm_qmp a '{"execute":"migrate","arguments":{"uri":"exec:cat >/dev/null"}}' >/dev/null
migrates() { [ "$(migration)" = active ]; }
wait_until migrates
is "receive while dirty pages are logged" "$(fetch a)" "$SUM"
is "they were all the time" "$(migration)" active
vm_qmp a '{"execute":"migrate_cancel"}' >/dev/null
is "receive afterwards" "$(fetch a)" "$SUM"
is "no violation" "$(iso_stat a violations)" 0
vm_stop a
iso_detach a
unserve
