# Read by check_container.sh: the container by buildah, namespaces and chroot, its root read-only and
# without a network.

image=birefnet-background-removal:check
address=http://127.0.0.1:55433
data=$work/data
outside='' inside='' root=''
# buildah keeps a cache there whatever it is told.
[ -e /var/lib/containers ] && cache='' || cache=/var/lib/containers

export TMPDIR=$work
export BUILDAH_ISOLATION=chroot BUILDAH_FORMAT=docker CONTAINERS_STORAGE_CONF=$work/storage.conf

main() {
    check_tools
    step "base image" make_base_image
    step "Bento" build_bento
    step "container image" build_image
    report_size
    step "starts that are refused" refuse
    step "a GPU that is not there" promise_a_gpu
    step "start, until healthy" start
    step "a background removed" remove_background
    step "BentoML's own clients" use_clients
    step "stop with calls in flight" stop
}

check_tools() {
    local packages="debootstrap buildah util-linux iproute2 curl"
    need debootstrap buildah unshare nsenter ip curl
    cat >"$CONTAINERS_STORAGE_CONF" <<END
[storage]
driver = "overlay"
graphroot = "$work/storage"
runroot = "$work/storage-run"
END
}

# What this machine needs to reach its package index is added here and nowhere else.
make_base_image() {
    [ -s "$base" ] || bootstrap
    local container
    container=$(buildah from scratch)
    buildah add -q "$container" "$base" / >/dev/null
    buildah copy -q "$container" "$certificates" /opt/check/certificates.crt >/dev/null
    buildah config --env SSL_CERT_FILE=/opt/check/certificates.crt \
        --env PIP_CERT=/opt/check/certificates.crt "$container"
    buildah commit -q "$container" "docker.io/library/$(base_name)" >/dev/null
    buildah rm "$container" >/dev/null
}

build_bento() {
    "$python" -m scripts.register_model --model "$model" >/dev/null 2>&1
    BIREFNET_MODEL=$model "$python" -m bentoml build >/dev/null
}

build_image() {
    "$python" -m bentoml containerize background_removal:latest --backend buildah -t "$image" \
        >"$work/build.log" 2>&1 || true # it tells of a failure in no other way than this:
    buildah inspect --type image "$image" >"$work/image.json" 2>/dev/null \
        || { tail -n 40 "$work/build.log"; fail "the image was not built"; }
    root=$(buildah mount "$(buildah from "$image")")
}

report_size() {
    echo "size in MB:"
    cd "$root"
    for folder in . app/.venv home/bentoml/bento home/bentoml/bento/models; do
        du -xsm "$folder"
    done | sed 's/^/    /'
    du -xm -d 1 app/.venv/lib/python*/site-packages | sort -rn | sed -n '2,11 s/^/    /p'
    cd "$OLDPWD"
}

# What an operator gets wrong ends the start with one sentence.
refuse() {
    mkdir "$data"
    describe_image
    expect_refusal "/data is not writable for user 1034" LOG_LEVEL=info
    chown 1034:1034 "$data"
    expect_refusal "this Bento was built with $model, not with BiRefNet-general" BIREFNET_MODEL=BiRefNet-general
    expect_refusal "BIREFNET_ENGNE is not a setting; did you mean BIREFNET_ENGINE?" BIREFNET_ENGNE=auto
    mkdir "$data/locked"
    expect_refusal "/data/locked is not a writable folder" BIREFNET_CACHE_DIR=/data/locked
    chown 0:0 "$data"
    expect_refusal "/data is not writable for user 1034" LOG_LEVEL=debug
    chown 1034:1034 "$data"
    rmdir "$data/locked"
    expect_refusal "cannot listen on 0.0.0.0:55433" BIREFNET_DEVICE=auto python3 -m http.server 55433
}

# A sentence, a setting, and what already runs in the container.
expect_refusal() {
    local sentence=$1 setting=$2 status=0
    shift 2
    launch "$@" -- "$setting"
    timeout 60 tail --pid "$outside" -f /dev/null || fail "$setting: it started"
    wait "$outside" || status=$?
    outside=''
    [ "$status" != 0 ] && grep -qF "$sentence" "$work/service.log" && ! grep -q Traceback "$work/service.log" \
        || { cat "$work/service.log"; fail "$setting: not refused in a sentence"; }
    echo "    $setting: $(grep -F "$sentence" "$work/service.log" | sed "s/^ *//; q")"
}

promise_a_gpu() {
    start BIREFNET_DEVICE=cuda
    ask "$address$health" >"$work/health.json"
    grep -q '"status":"degraded"' "$work/health.json" && grep -q "BIREFNET_DEVICE=cuda" "$work/health.json" \
        || { cat "$work/health.json"; fail "health does not say that the GPU is missing"; }
    echo "    $(grep -o '"reasons":[^]]*]' "$work/health.json")"
    kill -TERM "$inside"
    wait "$outside" || true
    outside='' inside=''
}

start() {
    launch -- "$@"
    for _ in $(seq 600); do
        inside=$(cat "/proc/$outside/task/$outside/children" 2>/dev/null) && inside=${inside% }
        [ -n "$inside" ] && probe >/dev/null 2>&1 && return
        kill -0 "$outside" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/service.log"
    fail "it did not become healthy"
}

# What an engine does with the image's own user, environment, folder and entry point: what runs
# beside it, then settings.
launch() {
    unshare --mount --pid --net --ipc --uts --fork --kill-child bash -euc '
        root=$0; data=$1; . "$2"; shift 2
        mount --bind "$root" "$root"
        mount -o remount,bind,ro "$root"
        mount --bind "$data" "$root/data"
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount -t tmpfs -o size=1m,mode=755 tmpfs "$root/dev"
        for device in null zero random urandom; do
            touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
        done
        ip link set lo up
        beside=()
        while [ "$1" != -- ]; do beside+=("$1"); shift; done
        shift
        [ ${#beside[@]} = 0 ] || { "${beside[@]}" >/dev/null 2>&1 & sleep 1; }
        exec setpriv --no-new-privs chroot --userspec=1034:1034 --groups= "$root" \
            env -i -C "$workdir" "${environment[@]}" "$@" "${entrypoint[@]}"
    ' "$root" "$data" "$work/image.sh" "$@" >"$work/service.log" 2>&1 &
    outside=$!
}

describe_image() {
    "$python" - "$work/image.json" >"$work/image.sh" <<'END'
import json, shlex, sys

config = json.load(open(sys.argv[1]))["Docker"]["config"]
assert config["User"] == "bentoml", config["User"]
assert "/data" in config["Volumes"] and "55433/tcp" in config["ExposedPorts"], config
for name, words in {
    "environment": config["Env"],
    "entrypoint": config["Entrypoint"],
    "probe": config["Healthcheck"]["Test"][1:],
}.items():
    print(f"{name}=({shlex.join(words)})")
print(f"workdir={shlex.quote(config['WorkingDir'])}")
END
}

# The image's own health check, as its own user.
probe() (
    . "$work/image.sh"
    within env -i -C "$workdir" "${environment[@]}" "${probe[@]}"
)

within() {
    nsenter --target "$inside" --mount --pid --net --root --setuid 1034 --setgid 1034 "$@"
}

ask() {
    nsenter --target "$inside" --net curl -sS --fail --max-time 60 "$@"
}

remove_background() {
    ask "$address$health"
    echo
    ask -F image=@$photo -o "$work/cutout.png" "$address$removal"
    is_cutout "$work/cutout.png"
    if within touch /home/bentoml/probe 2>/dev/null; then fail "the root is writable"; fi
    if within ls /sys/class/net | grep -qv '^lo$'; then fail "there is a network"; fi
    echo "    written to the volume: $(cd "$data" && du -sh . | cut -f 1), $(ls "$data" | tr '\n' ' ')"
    echo "    memory: $(awk '/^Pss:/ { kb += $2 } END { print int(kb / 1024) " MB" }' \
        $(members | sed 's|.*|/proc/&/smaps_rollup|'))"
}

# From outside, as their reader would: the address is all they know of the container.
use_clients() {
    mkdir "$work/cutouts"
    nsenter --target "$inside" --net "$python" examples/sync_client.py \
        examples/photos/astronaut.jpg "$work/sync.png" "$address"
    nsenter --target "$inside" --net "$python" examples/async_client.py examples/photos "$work/cutouts" "$address"
    for cutout in "$work/sync.png" "$work"/cutouts/*.png; do is_cutout "$cutout"; done
    ls "$work/cutouts" | wc -l | sed 's/^/    cutouts: 1 and /'
}

# Three pictures at once, for two threads: when the service says it has them, beside the question
# itself, one of them has not been decoded yet. All must come back.
stop() {
    local everybody call calls='' inside_all='' status=0
    everybody=$(members)
    make_large_picture
    for call in 1 2 3; do
        ask -F "image=@$work/large.png" -o "$work/last$call.png" "$address$removal" &
        calls+=" $!"
    done
    for _ in $(seq 200); do
        [[ $(ask "$address/metrics") == *"background_removal_requests_in_progress 4"* ]] && inside_all=1 && break
        sleep 0.01
    done
    [ -n "$inside_all" ] || fail "the calls were never all under way"
    kill -TERM "$inside"
    kill -0 $calls || fail "a call ended before the stop"
    for call in $calls; do
        wait "$call" || { cat "$work/service.log"; fail "a call in flight was lost"; }
    done
    for call in 1 2 3; do is_cutout "$work/last$call.png"; done
    wait "$outside" || status=$?
    outside='' inside=''
    [ "$status" = 0 ] || { cat "$work/service.log"; fail "it ended with status $status"; }
    echo "    left on the volume: $(ls "$data" | tr '\n' ' ')"
    for pid in $everybody; do
        if kill -0 "$pid" 2>/dev/null; then fail "process $pid lives on"; fi
    done
}

# Every process of the container.
members() {
    local namespace
    namespace=$(readlink "/proc/$inside/ns/pid")
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/pid" 2>/dev/null)" = "$namespace" ] && echo "${process#/proc/}"
    done || true
}

clean_up() {
    if [ -n "$inside" ]; then
        kill -KILL "$inside" 2>/dev/null || true # and the kernel ends all in the container with it
    fi
    wait
    awk -v work="$work/" 'index($5, work) == 1 { print $5 }' /proc/self/mountinfo | tac | xargs -r umount
    rm -rf "$work" $cache
    if grep -q "$work" /proc/self/mountinfo; then fail "a mount is left"; fi
}
