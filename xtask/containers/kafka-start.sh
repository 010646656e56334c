#!/bin/sh
# A broker whose settings are in the environment: KAFKA_LOG_DIRS is log.dirs, as in the image whose place this takes.
set -eu
settings=/opt/kafka/config/server.properties
env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
    printf '%s=%s\n' "$(printf %s "$name" | tr 'A-Z_' 'a-z.')" "$value"
done > "$settings"

java='java -Xmx512m -XX:+UseSerialGC -Dlog4j2.level=WARN'
$java -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --ignore-formatted \
    --cluster-id "${CLUSTER_ID:-bWlsbHJhY2UtZGV2LWthZg}" --config "$settings"
exec $java -cp '/opt/kafka/libs/*' kafka.Kafka "$settings"
