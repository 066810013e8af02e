#!/usr/bin/env bash
# End-to-end test of the images, the compose stack and the Kubernetes pod with podman, on the embedded models from the local
# hub: cold and warm start, a killed downloader, an empty volume, no network, no writes, draining, memory, the profiles,
# Prometheus.
#
#   npm ci && npm run build && deploy/podman/e2e.sh [images] [refusal] [kill] [compose] [tls] [profiles] [monitoring] [kubernetes]
#
# Prints first what it needs (needs.sh), and times for information only. The last line is `N passed, N failed`. Removes everything it
# created, except the images.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
compose_program=${PODMAN_COMPOSE:-podman-compose}
work=$(mktemp -d)
# shellcheck source-path=SCRIPTDIR source=steps.sh
source "$here/steps.sh"
# shellcheck source-path=SCRIPTDIR source=needs.sh
source "$here/needs.sh"
# shellcheck source-path=SCRIPTDIR source=tls.sh
source "$here/tls.sh"
need_all "$compose_program"

# Timeout of a step that waits for a container, in seconds.
step_timeout_s=300

if [[ -z ${CONTAINERS_CONF:-} && ! -d /run/systemd/system ]]; then
  export CONTAINERS_CONF=$work/containers.conf
  runtime=$(command -v runc crun | head -n 1)
  sed "s/^runtime = .*/runtime = \"${runtime##*/}\"/" "$here/containers.conf" >"$CONTAINERS_CONF"
fi

# Settings of the stack, independent of the caller's environment.
unset HF_TOKEN HTTPS_PROXY NO_PROXY PUBLISH
export DOWNLOADER_IMAGE=localhost/heimdex/downloader:e2e INFERENCE_IMAGE=localhost/heimdex/inference:e2e
export ASR_MODEL=moonshine-tiny VISION_MODEL_NAME=heimdex/siglip-pocket
export FEATURE_FACE=true FACE_MODEL_NAME=heimdex/face-pocket MEMORY_LIMIT=2g PREPARE_MIN_MB=0
export PUBLISH=127.0.0.1:18001 PUBLISH_FACE=127.0.0.1:18002 PUBLISH_BGE=127.0.0.1:18003
export HEIMDEX_ADDRESS=127.0.0.1:18001
service=heimdex_model-service_1
revision=$(git -C "$root" rev-parse HEAD)
base=$(sed -n 's/^ARG NODE_IMAGE=//p' "$here/../inference.Dockerfile")

# Without systemd podman warns about its timers on every call. What it says is complete when it returns, hence a pipe: a process
# substitution may write the end of a container's log after the check that looks for it.
podman() {
  { command podman "$@" 2>&1 >&3 3>&- | grep -vE 'systemd connection|connect to syslog' >&2 3>&-; return "${PIPESTATUS[0]}"; } 3>&1
}
compose() { "$compose_program" -f "$here/../compose.yaml" ${overlay:+-f "$overlay"} "$@"; }
overlay=
heimdex() { node "$root/client/bin/heimdex.js" "$@"; }
# Whether the server is ready at the given address (default: HEIMDEX_ADDRESS).
ready() { curl -sf -m 2 "http://${1:-$HEIMDEX_ADDRESS}/readyz" || revive_names; }
# Starts podman's name server if it ended, as that of Debian 12 (1.4) at times does while containers start. Fails always.
revive_names() { pgrep -x aardvark-dns || podman network reload --all; return 1; } >/dev/null 2>&1
logs() { podman logs "$1" 2>&1; }
inside() { podman exec "$service" node -e "$1"; }
# Runs only the downloader: VOLUME [ARGUMENT...].
download() { podman run --rm --name heimdex-e2e-download --network heimdex_outside --read-only -v "$1:/app/models/.cache" \
  "${model_env[@]}" "$DOWNLOADER_IMAGE" "${@:2}"; }
# Runs only the server: VOLUME.
serve_alone() { podman run --rm --network none --read-only --tmpfs /tmp -v "$1:/app/models/.cache:ro" "${model_env[@]}" "$INFERENCE_IMAGE"; }
model_env=(-e ASR_MODEL -e VISION_MODEL_NAME -e FEATURE_FACE -e FACE_MODEL_NAME -e HF_ENDPOINT)

# Models that are not in the repository; without them, their tests are skipped.
fixture=$root/../shared/models/fixtures/bge-m3-tiny

start_hub() {
  podman rm -f heimdex-e2e-hub >/dev/null 2>&1
  local more=()
  if [[ -d $fixture ]]; then
    more=(-v "$(realpath "$fixture"):/fixture:ro")
    set -- "$@" fixtures/bge-m3-tiny=/fixture
  fi
  podman run -d --name heimdex-e2e-hub --network heimdex_outside -v "$root:/src:ro" "${more[@]}" "$base" node /src/deploy/podman/hub.js "$@" >/dev/null
  within "$step_timeout_s" says HF_ENDPOINT= logs heimdex-e2e-hub || { logs heimdex-e2e-hub; exit 1; }
  HF_ENDPOINT=$(logs heimdex-e2e-hub | sed -n 's/^HF_ENDPOINT=//p')
  export HF_ENDPOINT
}

# Removes the stack and its volumes. podman-compose does not remove explicitly named volumes.
take_down() {
  compose --profile face --profile bge --profile monitoring down -v
  podman volume rm -f models_cache heimdex_prometheus_data
} >/dev/null 2>&1

clean_up() {
  podman pod rm -f inference-pod-0
  take_down
  podman rm -f --ignore heimdex-e2e-hub heimdex-e2e-download
  podman volume rm -f heimdex-e2e-empty heimdex-e2e-killed
  podman network rm heimdex_inside heimdex_outside
  rm -rf "$work"
} >/dev/null 2>&1
if podman volume exists models_cache; then
  echo 'The volume models_cache exists, and this test would remove it. If it is not needed: podman volume rm models_cache' >&2
  exit 2
fi
trap clean_up EXIT
trap 'exit 130' INT TERM

above_base_mb() {
  echo $((($(podman image inspect "$1" --format '{{.Size}}') - $(podman image inspect "$base" --format '{{.Size}}')) / 1000000))
}

build() {
  podman build --format docker --network host --build-arg "REVISION=$revision" -f "$root/deploy/$1.Dockerfile" -t "$2" "$root" >"$work/build.log" 2>&1 ||
    { tail -n 30 "$work/build.log"; exit 1; }
}

part_images() {
  echo 'Images'
  "$here/base-image.sh" || exit 1
  build downloader "$DOWNLOADER_IMAGE"
  build inference "$INFERENCE_IMAGE"
  local downloader_mb inference_mb
  downloader_mb=$(above_base_mb "$DOWNLOADER_IMAGE")
  inference_mb=$(above_base_mb "$INFERENCE_IMAGE")
  check "downloader: $downloader_mb MB above its base, maximum 120" at_most "$downloader_mb" 120
  check "inference: $inference_mb MB above its base, maximum 300" at_most "$inference_mb" 300
  check 'both run as user 1000' says '1000:1000 1000:1000' echo \
    "$(podman image inspect "$DOWNLOADER_IMAGE" "$INFERENCE_IMAGE" --format '{{.Config.User}}' | tr '\n' ' ')"
  check 'both name their commit and base' says "$revision $base $revision $base" echo "$(podman image inspect "$DOWNLOADER_IMAGE" "$INFERENCE_IMAGE" \
    --format '{{index .Labels "org.opencontainers.image.revision"}} {{index .Labels "org.opencontainers.image.base.name"}}' | tr '\n' ' ')"
  check 'the bill of materials lists what is installed' sboms_fit
  check 'the server answers --version without a network' podman run --rm --network none --read-only "$INFERENCE_IMAGE" --version
}

# Compares the bill of materials in both images with the packages in their node_modules.
sboms_fit() {
  local image
  for image in "$DOWNLOADER_IMAGE" "$INFERENCE_IMAGE"; do
    podman run --rm --network none -v "$root/deploy/images:/scripts:ro" --entrypoint node "$image" /scripts/sbom.js --check || return 1
  done
}

part_refusal() {
  echo 'An empty volume'
  podman volume create heimdex-e2e-empty >/dev/null
  check 'the server ends with 3' ends_with 3 serve_alone heimdex-e2e-empty
  check 'and names the command that fixes it' says 'heimdex-downloader download' serve_alone heimdex-e2e-empty
}

part_kill() {
  echo 'A downloader killed midway'
  start_hub --slow
  podman volume create heimdex-e2e-killed >/dev/null
  podman run -d --name heimdex-e2e-download --network heimdex_outside -v heimdex-e2e-killed:/app/models/.cache \
    "${model_env[@]}" "$DOWNLOADER_IMAGE" >/dev/null
  local data
  data=$(podman volume inspect heimdex-e2e-killed --format '{{.Mountpoint}}')
  check 'bytes arrive' within "$step_timeout_s" has_bytes "$data"
  local model_bytes
  model_bytes=$(logs heimdex-e2e-download | sed -n 's/.*"event":"start".*"bytes":\([0-9]*\).*/\1/p')
  podman kill heimdex-e2e-download >/dev/null
  podman rm -f heimdex-e2e-download >/dev/null
  check 'the server rejects the incomplete volume' ends_with 3 serve_alone heimdex-e2e-killed
  start_hub
  check 'the restarted downloader succeeds' says '"event":"summary"' download heimdex-e2e-killed
  check 'and resumes where it stopped' at_most "$(fetched_bytes "$work/said.log")" $((model_bytes - 65536))
  check 'and every byte is verified' download heimdex-e2e-killed verify
  check 'no incomplete file remains' not has_unfinished "$data"
}

fetched_bytes() { sed -n 's/.*"fetchedBytes":\([0-9]*\).*/\1/p' "$1" | tail -n 1; }
has_bytes() { [[ -n $(find "$1" -name '*.incomplete' -size +64k -print -quit) ]]; }
has_unfinished() { find "$1" -name '*.incomplete' | grep .; }

part_compose() {
  echo 'Compose, cold: empty volume, hub running'
  # A call in progress may take as long as any other step.
  overlay=$work/patient.yaml
  cat >"$overlay" <<END
services: { model-service: { environment: { SHUTDOWN_DRAIN_SECONDS: "$step_timeout_s" } } }
END
  start_hub
  local start_ms
  start_ms=$(now_ms)
  check 'up' compose up -d --no-build
  check 'the service is ready' within "$step_timeout_s" ready
  echo "          after $(($(now_ms) - start_ms)) ms, download included"
  check 'the models were prepared' says '"msg":"Prepared"' logs heimdex_model-preparer_1
  check 'and the server loads the prepared models' says '"prepared":true' logs "$service"
  check 'the image health check passes' podman healthcheck run "$service"
  check 'speech' says 'bottle of water to the party on Saturday' heimdex transcribe "$root/demo/samples/speech/party.flac"
  check 'text-to-image search' says 03-pizza.jpg heimdex search pizza "$root"/demo/samples/images/*.jpg --top 1
  check 'faces' heimdex detect-faces "$root/demo/samples/faces/faces_1.png" --json

  echo 'An update'
  check 'asks the hub' says 'No changes: the lock file matches the sources' compose run --rm model-downloader update
  check 'prepares' compose run --rm --no-deps model-preparer
  check 'and restarts the server' within "$step_timeout_s" compose restart model-service
  check 'which is ready' within "$step_timeout_s" ready

  echo 'Isolation, from inside the service container'
  check 'external addresses are unreachable' says ENETUNREACH inside 'fetch("http://192.0.2.1").catch((e) => console.log(e.cause.code))'
  check 'external names do not resolve' says ENOTFOUND inside 'require("dns").lookup("example.com", (e) => console.log(e && e.code))'
  check 'the volume cannot be written' says EROFS inside 'try { require("fs").writeFileSync("/app/models/.cache/x", "") } catch (e) { console.log(e.code) }'
  check 'the root file system cannot be written' says EROFS inside 'try { require("fs").writeFileSync("/app/x", "") } catch (e) { console.log(e.code) }'

  echo 'Memory'
  local limit peak
  limit=$(podman inspect "$service" --format '{{.HostConfig.Memory}}')
  peak=$(podman exec "$service" sh -c 'cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes')
  check "the limit is in force: $((limit / 1048576)) MiB" at_most 1 "$limit"
  check "peak memory: $((peak / 1048576)) MiB" at_most "$peak" "$limit"
  check 'no process was OOM-killed' says false podman inspect "$service" --format '{{.State.OOMKilled}}'

  echo 'SIGTERM while a call is in progress'
  node "$here/long-speech.js" "$work/long.wav" 90 || exit 1
  heimdex transcribe "$work/long.wav" >"$work/long.txt" 2>"$work/long.log" &
  local call=$!
  check 'the call has started' within "$step_timeout_s" in_progress
  podman stop -t "$step_timeout_s" "$service" >/dev/null
  check 'it completes' wait "$call"
  check 'with its last sentence' at_least "$(grep -o 'on Saturday' "$work/long.txt" | wc -l)" 10
  check 'the server ends with 0' says 0 podman inspect "$service" --format '{{.State.ExitCode}}'
  check 'and logs its end' says '"msg":"ended"' logs "$service"

  echo 'Compose, warm: filled volume, no hub'
  podman rm -f heimdex-e2e-hub >/dev/null
  compose down >/dev/null 2>&1
  start_ms=$(now_ms)
  check 'up' compose up -d --no-build
  check 'the service is ready' within "$step_timeout_s" ready
  echo "          after $(($(now_ms) - start_ms)) ms"
  check 'the downloader made no request' says '"fetchedFiles":0' logs heimdex_model-downloader_1
  check 'nothing was prepared twice' says 'Already prepared' logs heimdex_model-preparer_1
  check 'verify, in a container without a network' podman run --rm --network none -v models_cache:/app/models/.cache:ro \
    "${model_env[@]}" "$DOWNLOADER_IMAGE" verify

  echo 'Backup of the volume'
  check 'export, a file' back_up
  take_down
  check 'import, into an empty volume' bring_back
  check 'and every byte is verified' compose run --rm model-downloader verify
  take_down
  overlay=
}

back_up() { podman run --rm --network none -v models_cache:/app/models/.cache:ro "${model_env[@]}" "$DOWNLOADER_IMAGE" export - >"$work/models.tar"; }
bring_back() { podman run --rm -i --network none -v models_cache:/app/models/.cache "${model_env[@]}" "$DOWNLOADER_IMAGE" import - <"$work/models.tar"; }

part_profiles() {
  echo 'Profiles: separate servers for faces and sentences'
  if [[ ! -d $fixture ]]; then echo '          sentences skipped: their small model is missing'; fi
  start_hub
  export TEXT_MODEL_NAME=fixtures/bge-m3-tiny FEATURE_FACE=false
  local profiles=(--profile face)
  if [[ -d $fixture ]]; then profiles+=(--profile bge); fi
  # podman 4.3 restarts ended dependencies, and fails if one ends before it is inspected.
  check 'up' within "$step_timeout_s" compose "${profiles[@]}" up -d --no-build
  check 'the face server is ready' within "$step_timeout_s" ready "$PUBLISH_FACE"
  check 'and detects faces' says '"landmarks"' heimdex detect-faces -a "$PUBLISH_FACE" "$root/demo/samples/faces/faces_1.png" --json
  check 'and has no other models' says FEATURE_DISABLED heimdex transcribe -a "$PUBLISH_FACE" "$root/demo/samples/speech/party.flac"
  check 'the first server has no faces' says FEATURE_DISABLED heimdex detect-faces "$root/demo/samples/faces/faces_1.png"
  if [[ -d $fixture ]]; then
    check 'the sentence server is ready' within "$step_timeout_s" ready "$PUBLISH_BGE"
    check 'and embeds' says '"vector"' heimdex embed-text -a "$PUBLISH_BGE" --model text --json 'Hello world'
    check 'with the prepared model' says '"prepared":true' logs heimdex_bge-service_1
  fi
  take_down
  export FEATURE_FACE=true
  unset TEXT_MODEL_NAME
}

part_monitoring() {
  echo 'Profile monitoring: Prometheus'
  if ! "$here/prometheus-image.sh" ${PROMETHEUS:+"$PROMETHEUS"}; then
    echo '          skipped: no Prometheus'
    return
  fi
  start_hub
  check 'up, except Grafana' compose --profile monitoring up -d --no-build gateway prometheus
  check 'the service is ready' within "$step_timeout_s" ready
  check 'Prometheus scrapes it' within "$step_timeout_s" says '"health":"up"' prometheus targets
  check 'and no other server' says 1 echo "$(prometheus targets | grep -o '"scrapeUrl"' | wc -l)"
  check 'it has loaded the alerts' says HeimdexModelWithoutWorker prometheus rules
  check 'speech' says 'on Saturday' heimdex transcribe "$root/demo/samples/speech/party.flac"
  check 'the call is counted' within "$step_timeout_s" says '"1"]' prometheus 'query?query=sum(heimdex_items_total)'
  check 'Prometheus is only in the internal network' says '"heimdex_inside"' podman inspect heimdex_prometheus_1 \
    --format '{{json .NetworkSettings.Networks}}'
  take_down
}

# Queries the Prometheus API from the server's container, since its port is not published.
prometheus() { inside "fetch('http://prometheus:9090/api/v1/$1').then((r) => r.text()).then(console.log)"; }

in_progress() { curl -sf "http://$HEIMDEX_ADDRESS/metrics" | grep -qE '^heimdex_requests_in_progress(\{.*\})? [1-9]'; }

part_kubernetes() {
  echo 'Kubernetes: the pod with node-local models'
  if ! command -v kubectl >/dev/null; then
    echo '          skipped: kubectl is not installed'
    return
  fi
  start_hub
  kubectl kustomize "$root/deploy/kubernetes/overlays/podman" |
    sed -e "s#http://hub.invalid#$HF_ENDPOINT#" -e 's#\(localhost/heimdex/[a-z]*\):dev#\1:e2e#' >"$work/pod.yaml"
  check 'podman kube play' podman kube play --network heimdex_outside "$work/pod.yaml"
  check 'the service is ready' within "$step_timeout_s" ready
  check 'speech' says 'bottle of water to the party on Saturday' heimdex transcribe "$root/demo/samples/speech/party.flac"
  check 'with the prepared model' says '"prepared":true' logs inference-pod-0-inference
  check 'the volume is mounted read-only' says '/app/models/.cache false' podman inspect inference-pod-0-inference \
    --format '{{range .Mounts}}{{.Destination}} {{.RW}} {{end}}'
  check 'podman kube down' podman kube down "$work/pod.yaml"
}

podman network create heimdex_outside >/dev/null 2>&1
(($#)) || set -- images refusal kill compose tls profiles monitoring kubernetes
for part; do "part_$part"; done
echo "$passed passed, $failed failed"
((failed == 0))
