#!/usr/bin/env bash
# Ensures that the Prometheus image of compose.yaml exists: pulls it or, without an image registry, builds the same release
# from source with Go. Exits with 1 if neither is possible.
#   prometheus-image.sh [PROGRAM]
# PROGRAM is an executable of the same release, built before without cgo.
set -euo pipefail

image=$(sed -n 's/^ *image: \(.*prom\/prometheus:.*\)/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../compose.yaml")
version=${image##*:v}
if podman image exists "$image" || podman pull --quiet "$image" 2>/dev/null; then
  echo "$image exists"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Prometheus 3.16.0 is v0.316.0 of its Go module.
IFS=. read -r major minor patch <<<"$version"
module=github.com/prometheus/prometheus
release=v0.$major$(printf '%02d' "$minor").$patch
program=${1:-}
if [[ -z $program ]]; then
  echo "$image cannot be pulled: building from source, which takes minutes the first time"
  # Only the service discovery that monitoring/prometheus.yml uses.
  GOBIN=$work CGO_ENABLED=0 go install -tags remove_all_sd,enable_dns_sd "$module/cmd/prometheus@$release" >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log"; exit 1; }
  program=$work/prometheus
elif ! go version -m "$program" | grep -qE "$module\s+$release\s"; then
  echo "$program is not of $release"
  exit 1
fi

# As in the original: the program in /bin, and a directory owned by nobody.
mkdir -p "$work/root/bin" "$work/root/etc/prometheus" "$work/root/prometheus" "$work/root/tmp"
cp "$program" "$work/root/bin/prometheus"
echo 'nobody:x:65534:65534:nobody:/home:/bin/false' >"$work/root/etc/passwd"
echo 'nobody:x:65534:' >"$work/root/etc/group"
chown 65534:65534 "$work/root/prometheus"
tar -C "$work/root" -cf - . | podman import --quiet --change 'USER nobody' --change 'WORKDIR /prometheus' \
  --change 'VOLUME /prometheus' --change 'EXPOSE 9090' --change 'ENTRYPOINT ["/bin/prometheus"]' - "$image"
