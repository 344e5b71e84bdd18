# Read by check_with_docker.sh: compose.yaml as an operator uses it, with the image of the check.

compose_image=$work/image.yaml

export COMPOSE_PROJECT_NAME=$name COMPOSE_FILE=$work/deploy/compose.yaml:$compose_image

compose_up() {
    cp -r deploy "$work/deploy"
    echo "services: {cpu: {image: '$image'}}" >"$compose_image"
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
