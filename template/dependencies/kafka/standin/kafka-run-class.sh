#!/bin/bash
set -euo pipefail

# Unquoted: each variable holds several options. The quoted * is Java's, not the shell's.
# shellcheck disable=SC2086
exec java \
    ${KAFKA_HEAP_OPTS:--Xmx256M} \
    ${KAFKA_JVM_PERFORMANCE_OPTS:-} \
    ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/opt/kafka/config/tools-log4j2.yaml} \
    ${KAFKA_OPTS:-} \
    -cp "/opt/kafka/libs/*" \
    "$@"
