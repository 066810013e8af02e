#!/usr/bin/env bash
# Makes sure that the image of Prometheus which compose names is there: pulled, or, where no image registry is reached,
# built by Go from the source of the same release. Ends with 1 where neither can be had.
#   prometheus-image.sh [PROGRAM]
# PROGRAM is one built before, without cgo, from the same release.
set -euo pipefail

image=$(sed -n 's/^ *image: \(.*prom\/prometheus:.*\)/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../compose.yaml")
version=${image##*:v}
if podman image exists "$image" || podman pull --quiet "$image" 2>/dev/null; then
  echo "$image is there"
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
  echo "$image cannot be pulled: building the program, which takes minutes the first time"
  # Of its service discovery, what monitoring/prometheus.yml needs.
  GOBIN=$work CGO_ENABLED=0 go install -tags remove_all_sd,enable_dns_sd "$module/cmd/prometheus@$release" >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log"; exit 1; }
  program=$work/prometheus
elif ! go version -m "$program" | grep -qE "$module\s+$release\s"; then
  echo "$program is not of $release"
  exit 1
fi

# As in the real one: the program in /bin, and a directory of the user nobody.
mkdir -p "$work/root/bin" "$work/root/etc/prometheus" "$work/root/prometheus" "$work/root/tmp"
cp "$program" "$work/root/bin/prometheus"
echo 'nobody:x:65534:65534:nobody:/home:/bin/false' >"$work/root/etc/passwd"
echo 'nobody:x:65534:' >"$work/root/etc/group"
chown 65534:65534 "$work/root/prometheus"
tar -C "$work/root" -cf - . | podman import --quiet --change 'USER nobody' --change 'WORKDIR /prometheus' \
  --change 'VOLUME /prometheus' --change 'EXPOSE 9090' --change 'ENTRYPOINT ["/bin/prometheus"]' - "$image"
