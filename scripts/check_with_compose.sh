# Read by check_with_docker.sh: compose.yaml as an operator uses it, with the image of the check.

compose_image=$work/image.yaml

compose_others=$work/others.yaml

export COMPOSE_PROJECT_NAME=$name COMPOSE_FILE=$work/deploy/compose.yaml:$compose_image:$compose_others

compose_up() {
    cp -r deploy "$work/deploy"
    echo "services: {cpu: {image: '$image'}}" >"$compose_image"
    cat >"$compose_others" <<END
services:
  proxy:
    image: $name:others
    pull_policy: never
    command: [haproxy, -W, -db, -f, /usr/local/etc/haproxy/haproxy.cfg]
    stop_signal: SIGUSR1
  redis: {image: $name:others, pull_policy: never, command: [redis-server, --save, '', --protected-mode, 'no']}
  postgres:
    image: $name:others
    pull_policy: never
    environment: {PGDATA: /var/lib/postgresql/data}
    command:
      - sh
      - -c
      - |
        [ -s \$\$PGDATA/PG_VERSION ] || { echo "\$\$POSTGRES_PASSWORD" >/tmp/word
            initdb -E UTF8 -U postgres -A scram-sha-256 --pwfile=/tmp/word && echo host all all all scram-sha-256 >>\$\$PGDATA/pg_hba.conf; }
        exec postgres -c listen_addresses=* -k /tmp
END
    set_up
    compose up -d --wait --wait-timeout 120
    wait_for_cutout "$(docker compose ps -q cpu)"
    look_inside "$(docker compose ps -q cpu)"
}

# The file of settings, with some more lines.
set_up() {
    printf '%s\n' COMPOSE_PROFILES=cpu "PUBLISH=127.0.0.1:$port" "${unlimited[@]}" "$@" >"$work/deploy/.env"
}

compose() {
    docker compose --progress quiet "$@" >"$work/compose.log" 2>&1 \
        || { cat "$work/compose.log"; docker compose logs --tail 40; fail "docker compose $* did not work"; }
}

change_setting() {
    local status
    set_up BIREFNET_MAX_IMAGE_SIZE_MB=0.05
    compose up -d
    for _ in $(seq 300); do curl -sf -o /dev/null "$address/readyz" && break; sleep 0.1; done
    status=$(answer_of "$photo")
    [ "$status" = 413 ] || fail "0.1 MB were answered $status, not 413, where 0.05 are the most"
}

misspell_setting() {
    set_up BIREFNET_MAX_IMAGE_SIZE=1
    compose up -d
    for _ in $(seq 100); do
        docker compose logs cpu 2>&1 | grep -F "BIREFNET_MAX_IMAGE_SIZE is not a setting" >"$work/sentence" && break
        sleep 0.1
    done
    [ -s "$work/sentence" ] || { docker compose logs; fail "the log does not name the misspelt setting"; }
    sed 's/.*| */    /; q' "$work/sentence"
}

import_model() {
    "$python" -m scripts.register_model --model modnet >/dev/null 2>&1 || fail "modnet could not be registered"
    "$python" -m bentoml models export modnet:latest "$work/deploy/models/modnet.tar" >/dev/null
    set_up
    compose run --rm -T cpu bentoml models import /models/modnet.tar
    set_up BIREFNET_MODEL=modnet
    compose up -d
    wait_for_cutout "$(docker compose ps -q cpu)"
    curl -sS --fail "$address$health" | grep -o '"model":"modnet[^"]*"' | sed 's/^/    /' \
        || fail "health does not name the imported model"
}

scale() {
    set_up "PUBLISH=127.0.0.1:$port-$((port + 1))"
    compose up -d --scale cpu=2
    wait_for_cutout "$(docker compose ps -q cpu | sed -n 1p)"
    address=http://127.0.0.1:$((port + 1)) wait_for_cutout "$(docker compose ps -q cpu | sed -n 2p)"
    compose up -d --scale cpu=1
    docker ps -q --filter "publish=$port" | grep -q . || port=$((port + 1))
    address=http://127.0.0.1:$port
}

# Two replicas behind the proxy, with the Redis and the Postgres they share, as replicas.env has it. One
# is killed under load: callers get every picture, and the restart policy heals.
share() {
    local first
    build_others
    set_up COMPOSE_PROFILES=cpu,proxy,shared "PROXY=127.0.0.1:$port" "${shared[@]}"
    compose up -d --scale cpu=2
    wait_for_replica 1 && wait_for_replica 2
    wait_for_cutout "$(docker compose ps -q proxy)"
    first=$(docker compose ps -q cpu | sed -n 1p)
    PYTHONPATH=client "$python" - "$address" "$photo" "$(state "$first" Pid)" "${CHECK_REQUESTS:-120}" <<'END' || fail "callers lost a picture"
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from birefnet_client import Client

url, photo, victim = sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3])


def ask(turn: int) -> bytes:
    if turn == 40:
        os.kill(victim, 9)
    return client.remove(photo).data


with Client(url) as client, ThreadPoolExecutor(4) as callers:
    made = list(callers.map(ask, range(int(sys.argv[4]))))
assert all(one.startswith(b"\x89PNG") for one in made)
print(f"    {len(made)} of {sys.argv[4]} pictures came, one of two replicas was killed at the 40th")
END
    [ "$(docker inspect -f '{{.RestartCount}}' "$first")" = 1 ] || fail "the killed replica was not restarted"
    wait_for_replica 1 && wait_for_replica 2
    share_tasks
    share_limits
}

shared=(PUBLISH=127.0.0.1: POSTGRES_PASSWORD=check BIREFNET_TASKS=postgresql://postgres:check@postgres/postgres
    BIREFNET_REDIS_URL=redis://redis:6379/0 BIREFNET_TRUSTED_PROXIES=172.16.0.0/12,192.168.0.0/16
    BIREFNET_RATE_LIMIT_PER_MINUTE=10000)

# Images of others cannot be pulled everywhere; Debian's programs do the same with the same settings.
build_others() {
    docker build -q -t "$name:others" - >/dev/null <<END
FROM $(base_name)
RUN apt-get update -q && apt-get install -y -q --no-install-recommends haproxy redis-server postgresql \
    && useradd -u 999 -M other && install -d -o 999 -g 999 -m 700 /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
}

replica() {
    docker compose port --index "$1" cpu 55433
}

wait_for_replica() {
    for _ in $(seq 300); do curl -sf -o /dev/null "http://$(replica "$1")/readyz" && return; sleep 0.2; done
    docker compose logs --tail 40
    fail "replica $1 is not ready"
}

# Each knows of the tasks of both.
share_tasks() {
    local task one
    task=$(curl -sS --fail -F "image=@$photo" "http://$(replica 1)$removal-async" \
        | sed -n 's/.*"check_url":"\([^"]*\)".*/\1/p')
    for one in 1 2; do
        for _ in $(seq 100); do
            curl -sS --fail "http://$(replica "$one")$task" | grep -q '"status":"completed"' && continue 2
            sleep 0.2
        done
        docker compose logs --tail 40
        fail "replica $one does not know of the task"
    done
}

# Six a minute are six at both together.
share_limits() {
    local answers='' one
    set_up COMPOSE_PROFILES=cpu,proxy,shared "PROXY=127.0.0.1:$port" "${shared[@]}" BIREFNET_RATE_LIMIT_PER_MINUTE=6
    compose up -d --scale cpu=2
    wait_for_replica 1 && wait_for_replica 2
    for one in 1 2 1 2 1 2 1 2 1 2 1 2; do answers+="$(address=http://$(replica "$one") answer_of "$photo") "; done
    [ "$(tr ' ' '\n' <<<"$answers" | grep -c 200)" = 6 ] || fail "of six a minute two replicas made: $answers"
    echo "    six a minute, asked of both in turn: $answers"
}
