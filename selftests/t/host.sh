# What is tried on the host by a guest, its driver, its VMM and callers.
# CHARIOT_HOSTILE: only these; CHARIOT_PATIENCE: seconds for what nothing holds up.
# shellcheck disable=SC2086 # a list
.build/selftests/hostile -w "${CHARIOT_PATIENCE:-$WAIT}" -m "$MODULE" ${CHARIOT_HOSTILE:-}
end=$?
# 1: it has told itself what is not ok.
[ $end -le 1 ] || not_ok "hostile ends with $end"
