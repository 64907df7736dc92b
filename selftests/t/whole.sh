# A driver that is two modules: chariot_whole uses what chariot_whole_core allocates for
# it, by pointers of no type, and lends it memory of its own.
faults=0

# run VM WHAT: what who asks the driver for it gets
run()
{
	vm_run "$1" "echo $2 >/sys/module/chariot_whole/parameters/run && echo done" 2>&1 |
		sed 's/.*: //' | tail -n 1
}

# domain VM PATTERN: the domains that fit
domain() { chariot -j domain list "$1" | grep -cE "$2"; }

modules() { vm_run "$1" 'grep -c ^chariot_whole /proc/modules'; }

# fails WHAT: both modules are stopped, unloaded and loaded
fails()
{
	faults=$((faults + 1))
	is "$1: its caller gets an error" "$(run b "$1")" "Input/output error"
	check "$1: the driver has failed" wait_stat b faults $faults
	check "$1: it is loaded again" wait_stat b recoveries $faults
	is "$1: both modules are" "$(modules b)" 2
	is "$1: and in one domain" "$(domain b '"driver":"chariot_whole"')" 1
	is "$1: it works" "$(run b work)" "done"
	is "$1: the write was not done" "$(vm_run b 'uname -n')" guest
}

module_files chariot_whole chariot_whole_core

# The reason: by its types alone one without the other is accused, although it does
# nothing wrong.
echo 'evidence off' >"$OUT/off.policy"
VM_POLICY=$OUT/off.policy
iso_start a chariot_whole skip || exit 1
vm_run a 'depmod; modprobe chariot_whole' >/dev/null 2>&1
check "alone it is accused" stat_is_at_least a violations 1
vm_stop a
iso_detach a
VM_POLICY=

# Named, and loaded while the guard waits
iso_start b chariot_whole+chariot_whole_core recover || exit 1
vm_run b 'depmod; modprobe chariot_whole'
is "both are loaded" "$(modules b)" 2
is "they are one domain" "$(domain b '"driver":"chariot_whole".*"verdict":"recover"')" 1
is "and no other" "$(domain b '"driver":')" 1
came "the second was added" b module-new 1
is "it works" "$(run b work)" "done"
is "no violation" "$(iso_stat b violations)" 0
audit b

# One of them goes, and comes again
vm_run b 'rmmod chariot_whole'
came "one is unloaded" b module-gone 1
is "the domain stays" "$(domain b '"driver":"chariot_whole"')" 1
audit b
vm_run b 'for i in 1 2 3; do modprobe chariot_whole; rmmod chariot_whole; done
	modprobe chariot_whole'
is "again and again: it works" "$(run b work)" "done"
is "no violation" "$(iso_stat b violations)" 0
vm_run b 'rmmod chariot_whole chariot_whole_core'
came "both are unloaded: the domain goes" b domain-gone 1
vm_run b 'modprobe chariot_whole'
is "loaded anew" "$(run b work)" "done"
is "no error" "$(iso_events b error | grep -c .)" 0

fails wild
fails core
is "the guest's kernel has not oopsed" \
	"$(grep -acE 'BUG:|Oops|Kernel panic' "$(vm_log b)")" 0
iso_events b error | sed 's/^/# /'
vm_stop b
iso_detach b

# By what it depends on: known when it is loaded, and enforced when it is loaded anew
iso_start c chariot_whole+ skip || exit 1
vm_run c 'depmod; modprobe chariot_whole'
came "what it depends on was added" c module-new 1
is "that ran already: report" "$(domain c '"driver":"chariot_whole".*"verdict":"report"')" 1
is "it works" "$(run c work)" "done"
vm_run c 'rmmod chariot_whole chariot_whole_core; modprobe chariot_whole'
came "loaded anew both are isolated" c module-new 2
is "and enforced" "$(domain c '"driver":"chariot_whole".*"verdict":"skip"')" 1
n=$(iso_stat c violations)
is "it works" "$(run c work)" "done"
is "no violation" "$(iso_stat c violations)" "$n"
is "a wild write" "$(run c core)" "done"
is "is not done" "$(vm_run c 'uname -n')" guest
is "and told" "$(iso_stat c violations)" $((n + 1))
vm_stop c
iso_detach c
