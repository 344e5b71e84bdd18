#!/usr/bin/env bash
# One picture with curl 7.84 or newer:
#     bash examples/curl.sh portrait.jpg cutout.png [http://localhost:55433]
set -euo pipefail
picture=${1:?name a picture} cutout=${2:?name a file for the cutout} service=${3:-http://localhost:55433}

# --retry waits as Retry-After says. --fail-with-body: a refusal ends with status 22, and is not taken for a picture.
curl -sS --fail-with-body --retry 3 -o "$cutout" \
    -w '%{time_total} s, of these %header{x-processing-time-ms} ms in the service; %header{x-original-size}; %header{x-model-version}\n' \
    -F "image=@$picture" -F smoothing=true \
    "$service/api/background-removal/remove" || {
    status=$?
    [ ! -e "$cutout" ] || { cat "$cutout" >&2 && rm "$cutout"; } # what was refused, in the service's words
    exit "$status"
}
