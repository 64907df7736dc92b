# The ACT against a simple twin, in the kernel.
check "act-test loads" insmod ".build/act/$HOST/act-test.ko"
rmmod act_test
dmesg | sed -n 's/.*act-test: \(not ok\|ok\) [0-9]* /\1 /p'
is "five tests ran" "$(dmesg | grep -c 'act-test: .*ok')" 5
