# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sockets between virtual machines; this one is both.
# modules: vsock_loopback

work()
{
	modprobe vsock_loopback
	$W/work vsock >/tmp/vsock 2>&1 || fail "$(tail -n 1 /tmp/vsock)" || return
	cat /tmp/vsock
	modprobe -r vsock_loopback
	result="a stream both ways"
}
