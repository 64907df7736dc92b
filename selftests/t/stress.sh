# Random calls from all sides. STRESS_SEED, STRESS_CALLS: another run.
.build/selftests/stress -s "${STRESS_SEED:-1}" -n "${STRESS_CALLS:-10000}" -r "$MODULE" \
	-w "$WAIT"
end=$?
# 1: it has told itself what is not ok.
[ $end -le 1 ] || not_ok "stress ends with $end"
