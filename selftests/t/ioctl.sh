# Bad input at /dev/chariot, while a VM runs.
vm_start a || exit 1
vm_wait a || exit 1
.build/selftests/ioctl "$(vm_pid a)" | grep -v '^1\.\.'
is "the VM is unharmed" "$(vm_run a 'echo fine')" fine
vm_stop a
