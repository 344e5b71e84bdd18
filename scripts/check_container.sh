#!/usr/bin/env bash
# Build the container image and prove that it runs, from nothing and back to nothing. As root, on Debian.
#
#   scripts/check_container.sh            where no engine is: buildah, namespaces, chroot; two minutes
#   scripts/check_container.sh --docker   on the Docker engine that answers here, with Compose; nine minutes
#
#   CHECK_MODEL=u2netp      the model to freeze
#   CHECK_BASE=FILE         keep the base there as a tar, and take it from there the next time
#   CHECK_CA=FILE           certificates the package index of this machine needs
#   CHECK_REQUESTS=120      of callers while Compose's replica is killed
#   PYTHON=.venv/bin/python
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
model=${CHECK_MODEL:-u2netp}
certificates=${CHECK_CA:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
health=/api/background-removal/health
removal=/api/background-removal/remove
photo=examples/photos/astronaut.jpg
work=$(mktemp -d -t check-container.XXXXXX)
base=${CHECK_BASE:-$work/base.tar}
doing="what it takes" told=''

export BENTOML_HOME=$work/bentoml BENTOML_DO_NOT_TRACK=True

# Stands for the Dockerfile's FROM, as a tar.
bootstrap() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sed -n 1p)
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
        bookworm "$work/base" "$mirror" >"$work/debootstrap.log" || { tail "$work/debootstrap.log"; return 1; }
    rm "$work"/base/usr/lib/python3*/EXTERNALLY-MANAGED # a python image lets pip install
    echo "127.0.0.1 localhost" >"$work/base/etc/hosts" # an engine would write it
    tar -C "$work/base" -cf "$base" .
    rm -rf "$work/base"
}

# The name the Dockerfile expects of it.
base_name() {
    sed -n 's/.*base_image="\(.*\)".*/\1/p' service/container_image.py
}

need() {
    local tool
    [ "$(id -u)" = 0 ] || fail "this takes root"
    for tool in "$@"; do
        command -v "$tool" >/dev/null || fail "$tool is missing; on Debian: apt-get install $packages"
    done
}

is_cutout() {
    "$python" - "$1" <<'END' || fail "$1 is not a cutout"
import sys
from PIL import Image

cutout = Image.open(sys.argv[1])
assert cutout.mode == "RGBA", cutout.mode
lowest, highest = cutout.getchannel("A").getextrema()
assert (lowest, highest) == (0, 255), (lowest, highest)
END
}

# Long enough under way to be met by a stop.
make_large_picture() {
    "$python" -c "from PIL import Image; Image.open('$photo') \
        .resize((3200, 3200)).save('$work/large.png', compress_level=1)"
}

step() {
    local started=$EPOCHREALTIME
    doing=$1
    shift
    "$@"
    printf '%-36s %6.1f s\n' "$doing" "$(seconds_since "$started")"
}

seconds_since() {
    awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }'
}

fail() {
    echo "check_container: $1" >&2
    told=1
    exit 1
}

finish() {
    local status=$?
    trap - EXIT
    [ "$status" = 0 ] || [ -n "$told" ] || echo "check_container: this step failed: $doing" >&2
    clean_up || status=1
    exit "$status"
}

case "$*" in
    '') . scripts/check_without_engine.sh ;;
    --docker) . scripts/check_with_docker.sh ;;
    *) rm -rf "$work"; fail "the one option there is: --docker" ;;
esac
trap finish EXIT
main
step "nothing left" clean_up
trap - EXIT
echo "the container does what it should"
