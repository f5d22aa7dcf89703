#!/bin/sh
# Starts a server of compose.yaml: start.sh single | master | replica MASTER | sentinel.
# All but `single` begin with a copy of their configuration in /data: Redis and Sentinel write into it who is master now.
set -eu
here=/etc/pms

begin() {
  [ -f "$1" ] || { cat > "$1.new" && mv "$1.new" "$1"; }
}

case "$1" in
  single)
    exec redis-server "$here/single.conf" ;;
  master)
    begin /data/redis.conf <<END
include $here/ha.conf
replica-announce-ip $(hostname)
END
    exec redis-server /data/redis.conf ;;
  replica)
    begin /data/redis.conf <<END
include $here/ha.conf
replica-announce-ip $(hostname)
replicaof $2 6379
END
    exec redis-server /data/redis.conf ;;
  sentinel)
    begin /data/sentinel.conf <<END
$(cat "$here/sentinel.conf" /run/secrets/sentinel.conf)
sentinel announce-ip $(hostname)
END
    exec redis-sentinel /data/sentinel.conf ;;
esac
