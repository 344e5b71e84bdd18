# Read by check_container.sh: the container on a real Docker engine, alone and with Compose.
# The engine may be somebody's: everything made here bears a name of its own and is removed.

# The first of two ports that nobody listens on.
free_pair() {
    "$python" - <<'END'
import socket

while True:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        try:
            second.bind(("127.0.0.1", port + 1))
        except (OSError, OverflowError):
            continue
        print(port)
        break
END
}

name=birefnet-check-$$
image=$name:cpu
port=$(free_pair)
address=http://127.0.0.1:$port
run=(--init --read-only --cap-drop ALL --security-opt no-new-privileges)
unlimited=(BIREFNET_RATE_LIMIT_PER_MINUTE=0 BIREFNET_RATE_LIMIT_PER_SECOND=0 BIREFNET_MAX_IN_FLIGHT_PER_CLIENT=0)
. scripts/check_with_compose.sh

main() {
    check_tools
    inventory >"$work/before"
    step "base image" make_base_image
    step "make image" build_image
    report_size
    step "docker run, to the first cutout" start "$name" --restart unless-stopped
    step "user, root, writes, memory" look_inside "$name"
    step "starts that are refused" refuse
    step "a GPU that is not there" promise_a_gpu
    step "a BiRefNet's checkpoint mounted" mount_checkpoint
    step "two models, one of them killed" serve_two
    step "kill -9 of inference" kill_worker inference "200 503"
    step "kill -9 of public" kill_worker background_removal "200 503 closed"
    step "kill -9 of process 1" kill_first
    step "docker kill with tasks, docker start" kill_container
    step "docker stop with calls in flight" stop docker stop -t 120 "$name"
    step "docker stop while it starts" stop_early
    step "Compose: up, until healthy" compose_up
    step "Compose: a setting" change_setting
    step "Compose: a misspelt setting" misspell_setting
    step "Compose: a model imported" import_model
    step "Compose: two replicas" scale
    step "Compose: stop with calls in flight" stop docker compose stop
    step "Compose: two replicas that share" share
    step "Compose: down" docker compose --progress quiet down -v
}

check_tools() {
    local packages="docker.io debootstrap curl" version
    need debootstrap docker curl
    docker info >/dev/null 2>&1 || fail "no Docker engine answers; start dockerd"
    version=$(docker compose version --short 2>/dev/null) \
        || fail "'docker compose' is missing: it takes Compose 2.24 or newer (docker-compose 1 will not do)"
    printf '2.24\n%s\n' "${version#v}" | sort -VC || fail "Compose is $version; it takes 2.24 or newer"
    make --no-print-directory builder || fail "'make image' would not work here"
    echo "Docker $(docker version --format '{{.Server.Version}}'), Compose $version"
}

# Everything there is on the engine.
inventory() {
    docker ps -aq --no-trunc
    docker volume ls -q
    docker network ls -q --no-trunc
    docker images -aq --no-trunc
    build_cache
}

build_cache() {
    docker system df -v --format '{{range .BuildCache}}{{println .ID}}{{end}}' | sed '/^$/d'
}

# What this machine needs to reach its package index is added here and nowhere else.
make_base_image() {
    docker image inspect "$(base_name)" >/dev/null 2>&1 && return
    [ -s "$base" ] || bootstrap
    docker import "$base" "$name:base" >/dev/null
    docker build -q -t "$(base_name)" -f - "$(dirname "$certificates")" >/dev/null <<END
FROM $name:base
COPY $(basename "$certificates") /opt/check/certificates.crt
ENV SSL_CERT_FILE=/opt/check/certificates.crt PIP_CERT=/opt/check/certificates.crt
END
    touch "$work/made-base"
}

build_image() {
    make --no-print-directory image MODEL="$model" IMAGE="$name" >"$work/build.log" 2>&1 \
        || { tail -n 40 "$work/build.log"; fail "the image was not built"; }
    tail -n 2 "$work/build.log" | sed 's/^/    /'
    docker image inspect "$name:$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)-cpu" >/dev/null
}

report_size() {
    echo "size in MB: $(docker image inspect -f '{{.Size}}' "$image" | awk '{ print int($1 / 1e6) }'), of which"
    docker run --rm --entrypoint sh "$image" -c '
        du -sBMB /app/.venv /home/bentoml/bento /usr/local/lib/python3*
        du -BMB -d 1 /app/.venv/lib/python3*/site-packages | sort -rn | sed -n 2,8p' | sed 's/^/    /'
}

# A name, what docker run is told beside, until a cutout comes back.
start() {
    local container=$1
    shift
    docker run -d --name "$container" "${run[@]}" -p "127.0.0.1:$port:55433" -v "$container:/data" \
        $(printf -- '-e %s ' "${unlimited[@]}") "$@" "$image" >/dev/null
    wait_for_cutout "$container"
}

# Waits until a background is removed, for as long as the container lives; says after how long.
wait_for_cutout() {
    local container=$1 started=$EPOCHREALTIME
    until remove "$photo" "$work/cutout.png" 2>/dev/null; do
        [ "$(seconds_since "$started" | cut -d. -f1)" -lt 120 ] || lose "$container" "no cutout after 120 s"
        case $(state "$container" Status) in
            running | restarting) sleep 0.1 ;;
            *) lose "$container" "the container ended" ;;
        esac
    done
    is_cutout "$work/cutout.png"
    echo "    a cutout after $(seconds_since "$started" | cut -c1-4) s"
}

remove() {
    curl -sS --fail --max-time 60 -F "image=@$1" -o "$2" "$address$removal"
}

state() {
    docker inspect -f "{{.State.$2}}" "$1"
}

lose() {
    docker logs --tail 40 "$1" || true
    fail "$2"
}

look_inside() {
    local container=$1 folder
    [ "$(docker exec "$container" id -u)" = 1034 ] || fail "it does not run as user 1034"
    for folder in /home/bentoml /tmp /app /etc; do
        if docker exec -u 0 "$container" touch "$folder/probe" 2>/dev/null; then fail "$folder is writable"; fi
    done
    docker exec "$container" grep -q '^CapBnd:\s*0*$' /proc/1/status || fail "it has capabilities"
    docker exec "$container" grep -q '^NoNewPrivs:\s*1$' /proc/1/status || fail "it may gain privileges"
    show_page
    echo "    written to the volume: $(docker exec "$container" du -sh /data | cut -f 1)"
    echo "    memory: $(docker stats --no-stream --format '{{.MemUsage}}' "$container")"
}

# The page for people, with what it is made of.
show_page() {
    local script
    script=$(curl -sS --fail "$address/" | sed -n 's/.* src="\.\(\/page\/[^"]*\.js\)".*/\1/p')
    [ -n "$script" ] && curl -sS --fail -o /dev/null "$address$script" || fail "the page is not in the image"
}

# What an operator gets wrong ends the start with one sentence.
refuse() {
    mkdir "$work/locked"
    expect_refusal "/data is not writable for user 1034" -v "$work/locked:/data"
    expect_refusal "this Bento was built with $model, not with BiRefNet-general" -e BIREFNET_MODEL=BiRefNet-general
    expect_refusal "BIREFNET_MODEL_PATH" -e BIREFNET_MODEL_PATH=/models/none.onnx
    expect_refusal "BIREFNET_ENGNE is not a setting; did you mean BIREFNET_ENGINE?" -e BIREFNET_ENGNE=auto
    expect_refusal "/app/cache is not a writable folder" -e BIREFNET_CACHE_DIR=/app/cache
    expect_refusal "cannot listen on 0.0.0.0:55433" --network "container:$name"
}

# A sentence, and what docker run is told.
expect_refusal() {
    local sentence=$1 status=0
    shift
    timeout 60 docker run --rm --name "$name-refused" "${run[@]}" "$@" "$image" >"$work/refused.log" 2>&1 || status=$?
    [ "$status" != 0 ] && [ "$status" != 124 ] && grep -qF "$sentence" "$work/refused.log" \
        && ! grep -q Traceback "$work/refused.log" \
        || { cat "$work/refused.log"; fail "$*: not refused in a sentence (status $status)"; }
    echo "    $*: $(grep -F "$sentence" "$work/refused.log" | sed "s/^ *//; q")"
}

promise_a_gpu() {
    local port=$((port + 1))
    local address=http://127.0.0.1:$port
    start "$name-gpu" -e BIREFNET_DEVICE=cuda
    curl -sS --fail "$address$health" >"$work/health.json"
    grep -q '"status":"degraded"' "$work/health.json" && grep -q "BIREFNET_DEVICE=cuda" "$work/health.json" \
        || { cat "$work/health.json"; fail "health does not say that the GPU is missing"; }
    docker rm -f "$name-gpu" >/dev/null
}

# The image holds no PyTorch: it registers what is mounted by itself. Random weights, so that the
# matte is nonsense; that it is this model's is what counts.
mount_checkpoint() {
    local started
    mkdir "$work/models"
    "$python" - "$work/models/BiRefNet-general-lite.safetensors" <<'END'
import sys
from pathlib import Path

import torch

from models.birefnet import build_birefnet
from models.birefnet.seeded import seed_weights
from models.weights.safetensors import write_safetensors

with torch.device("meta"):
    network = build_birefnet("swin_v1_t")
network.to_empty(device="cpu")
seed_weights(network, head_scale=2.0)
arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
write_safetensors(arrays, Path(sys.argv[1]))
END
    chmod -R a+rX "$work" # the container's user reads what is mounted
    started=$EPOCHREALTIME
    start_beside -v "$work/models:/models:ro" -e BIREFNET_MODEL_PATH=/models/BiRefNet-general-lite.safetensors
    wait_for_model BiRefNet-general-lite
    echo "    answered after $(seconds_since "$started" | cut -c1-4) s"
    if docker exec "$name-beside" python -c "import torch" 2>/dev/null; then fail "the image holds PyTorch"; fi
    docker rm -f "$name-beside" >/dev/null
}

# An image of its own: a Bento serves at once what it was built to serve at once.
serve_two() {
    local two=$model,BiRefNet-general-lite
    "$python" -m scripts.register_model --model BiRefNet-general-lite \
        --from-file "$work/models/BiRefNet-general-lite.safetensors" --output-dir "$work/given" >/dev/null 2>&1
    BIREFNET_MODELS=$two "$python" -m bentoml build >/dev/null 2>&1
    "$python" -m bentoml containerize background_removal:latest --backend docker -t "$name:two" >"$work/two.log" 2>&1 \
        || { tail -n 40 "$work/two.log"; fail "the image with two models was not built"; }
    image=$name:two start_beside
    wait_for_model "$model"
    wait_for_model BiRefNet-general-lite
    docker exec "$name-beside" python -c "
import psutil
for process in psutil.process_iter():
    if 'inference_birefnet_general_lite' in process.cmdline():
        process.kill()"
    for _ in 1 2 3 4 5; do [ "$(served_by "$model")" = "$model" ] || lose "$name-beside" "$model did not go on"; done
    wait_for_model BiRefNet-general-lite
    docker rm -f "$name-beside" >/dev/null
    docker volume rm "$name-beside" >/dev/null
}

# A second container, with a port and a volume of its own.
start_beside() {
    docker run -d --name "$name-beside" "${run[@]}" -p "127.0.0.1:$((port + 1)):55433" -v "$name-beside:/data" \
        $(printf -- '-e %s ' "${unlimited[@]}") "$@" "$image" >/dev/null
}

# The model that says it made the matte, when that one was asked for.
served_by() {
    curl -sS --fail --max-time 60 -F "image=@$photo" -F "model=$1" -o /dev/null -w '%header{x-model-version}' \
        "http://127.0.0.1:$((port + 1))$removal" 2>/dev/null || true
}

wait_for_model() {
    for _ in $(seq 600); do
        [ "$(served_by "$1")" = "$1" ] && return
        [ "$(state "$name-beside" Status)" = running ] || lose "$name-beside" "the container ended"
        sleep 0.2
    done
    lose "$name-beside" "$1 never answered"
}

# A service, and with what a call in flight may end.
kill_worker() {
    local service=$1 may=$2 before old call answer healthy=''
    before=$(docker inspect -f '{{.State.StartedAt}} {{.RestartCount}}' "$name")
    old=$(worker "$service")
    [ -n "$old" ] || fail "there is no process of $service"
    make_large_picture
    answer_of "$work/large.png" >"$work/answer" &
    call=$!
    sleep 0.3
    # Held still, the supervisor replaces nothing until the health check has looked.
    kill -STOP "$(state "$name" Pid)"
    docker exec "$name" python -c "import os; os.kill($old, 9)"
    if [ "$service" = inference ] && probe; then fail "its health check does not see that inference is dead"; fi
    kill -CONT "$(state "$name" Pid)"
    wait_for_cutout "$name"
    [ -n "$(worker "$service")" ] && [ "$(worker "$service")" != "$old" ] || fail "$service was not replaced"
    [ "$(docker inspect -f '{{.State.StartedAt}} {{.RestartCount}}' "$name")" = "$before" ] \
        || fail "the container was restarted, which nobody asked for"
    for _ in $(seq 20); do probe && healthy=1 && break; sleep 0.5; done # it warms up
    [ -n "$healthy" ] || lose "$name" "its health check fails for 10 s after it healed"
    wait "$call" || true
    answer=$(cat "$work/answer")
    [[ " $may " == *" $answer "* ]] || lose "$name" "the call in flight was answered $answer"
    echo "    the call in flight: $answer"
}

# The status a picture is answered with.
answer_of() {
    local status
    status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 60 -F "image=@$1" "$address$removal") || status=closed
    echo "$status"
}

# The number of a service's process in the container.
worker() {
    docker exec "$name" python -c "
import psutil
for process in psutil.process_iter():
    words = process.cmdline()
    if '--service-name' in words and words[words.index('--service-name') + 1] == '$1':
        print(process.pid)"
}

# The image's own health check.
probe() {
    local words
    mapfile -t words < <(docker inspect -f '{{range .Config.Healthcheck.Test}}{{println .}}{{end}}' "$name" | sed '1d; /^$/d')
    docker exec "$name" "${words[@]}" >/dev/null 2>&1
}

# As the kernel does where memory is out. The restart policy brings it back.
kill_first() {
    kill -9 "$(state "$name" Pid)"
    sleep 0.2
    wait_for_cutout "$name"
    [ "$(docker inspect -f '{{.RestartCount}}' "$name")" = 1 ] || fail "the restart policy did nothing"
}

# An operator's own end is one: no policy undoes it. What is left on the volume hinders no start.
# Tasks that were accepted are done by the next start, from the volume.
kill_container() {
    local tasks='' task give_up
    for task in 1 2 3 4 5 6; do
        tasks+=" $(curl -sS --fail -F "image=@$photo" "$address$removal-async" | sed -n 's/.*"check_url":"\([^"]*\)".*/\1/p')"
    done
    docker kill "$name" >/dev/null
    sleep 1
    [ "$(state "$name" Status)" = exited ] || fail "docker kill did not end it"
    docker start "$name" >/dev/null
    wait_for_cutout "$name"
    give_up=$((SECONDS + 60))
    for task in $tasks; do
        until curl -sS --fail "$address$task" | grep -q '"status":"completed"'; do
            [ "$SECONDS" -lt "$give_up" ] || fail "a task was lost by docker kill"
            sleep 0.2
        done
        curl -sS --fail -o "$work/task.png" "$address$task/result"
        is_cutout "$work/task.png"
    done
}

# Three large pictures at once, for two threads: some have not been decoded when the stop comes.
# All must come back, and the end must be its own.
stop() {
    local before call calls='' all='' started container
    container=$(docker ps -q --filter "publish=$port")
    make_large_picture
    before=$(in_progress)
    for call in 1 2 3; do
        remove "$work/large.png" "$work/last$call.png" &
        calls+=" $!"
    done
    for _ in $(seq 200); do [ "$(in_progress)" -ge $((before + 3)) ] && all=1 && break; sleep 0.01; done
    [ -n "$all" ] || fail "the calls were never all under way"
    started=$EPOCHREALTIME
    "$@" >/dev/null 2>&1
    for call in $calls; do wait "$call" || lose "$container" "a call in flight was lost"; done
    for call in 1 2 3; do is_cutout "$work/last$call.png"; done
    [ "$(state "$container" ExitCode)" = 0 ] || lose "$container" "it ended with status $(state "$container" ExitCode)"
    echo "    three calls came back; it took $(seconds_since "$started" | cut -c1-4) s"
}

# Its end is a matter of moments, whenever the signal comes.
stop_early() {
    local after started
    for after in 0 0.5 1 2 4; do
        docker start "$name" >/dev/null
        sleep "$after"
        started=$EPOCHREALTIME
        docker stop -t 60 "$name" >/dev/null
        [ "$(seconds_since "$started" | cut -d. -f1)" -lt 30 ] || lose "$name" "a stop $after s after the start was lost"
        echo "    $after s after the start: ended after $(seconds_since "$started" | cut -c1-4) s"
    done
}

in_progress() {
    curl -sS --fail "$address/metrics" | awk '/^background_removal_requests_in_progress / { print int($2) }'
}

clean_up() {
    local unwanted
    [ -s "$work/before" ] || { rm -rf "$work"; return; } # nothing was begun
    wait
    [ ! -e "$compose_image" ] || docker compose --profile '*' --progress quiet down -v >/dev/null 2>&1
    docker rm -f "$name" "$name-gpu" "$name-beside" "$name-refused" >/dev/null 2>&1 || true
    docker volume rm -f "$name" "$name-gpu" "$name-beside" >/dev/null 2>&1 || true
    unwanted=$(docker images --format '{{.Repository}}:{{.Tag}}' --filter "reference=$name")
    [ ! -e "$work/made-base" ] || unwanted+=" $(base_name)"
    [ -z "$unwanted" ] || docker rmi $unwanted >/dev/null
    remove_build_cache
    if inventory | grep -vxFf "$work/before"; then fail "this is left on the engine"; fi
    rm -rf "$work"
}

# What was built upon another entry goes before it.
remove_build_cache() {
    local entry
    for _ in $(seq 30); do
        entry=$(build_cache | grep -vxFf "$work/before") || return 0
        for entry in $entry; do docker builder prune -af --filter "id=$entry" >/dev/null; done
    done
}
