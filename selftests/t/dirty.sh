# Dirty logging (a migration to nowhere) while an isolated driver works.
serve 1048576
# shellcheck disable=SC2086 # a list
iso_start a e1000 skip $NET || exit 1
net_up a >/dev/null
vm_qmp a '{"execute":"migrate","arguments":{"uri":"exec:cat >/dev/null"}}' >/dev/null
is "receive while dirty pages are logged" "$(fetch a)" "$SUM"
vm_qmp a '{"execute":"cont"}' >/dev/null
is "receive afterwards" "$(fetch a)" "$SUM"
is "no violation" "$(iso_stat a violations)" 0
vm_stop a
iso_detach a
unserve
