# shellcheck shell=bash
# Lists what e2e.sh needs and what of it is missing. Exits with 2 if a required program is missing.

: "${root:?}"

# Prints whether one of several programs is here; the first argument says what for.
need() {
  local purpose=$1 program
  shift
  for program; do
    if command -v "$program" >/dev/null; then
      echo "  found    $program: $purpose"
      return 0
    fi
  done
  echo "  MISSING  $(printf "%s " "$@"): $purpose"
  return 1
}

# need_all COMPOSE_PROGRAM: checks everything.
need_all() {
  local missing=0
  echo 'Needs'
  if (($(id -u) != 0)); then
    echo '  MISSING  root: to limit and inspect containers'
    missing=1
  fi
  need 'to build and run containers' podman || missing=1
  need "podman's runtime" runc crun || missing=1
  need 'compose (pip install podman-compose, 1.1 or later; PODMAN_COMPOSE names it)' "$1" || missing=1
  need 'to call the servers' curl || missing=1
  need "podman kube play, for the part kubernetes" catatonit /usr/libexec/podman/catatonit || true
  need 'the programs, 20 or later, after npm ci && npm run build' node || missing=1
  need 'a base image, if none can be pulled' debootstrap || true
  need 'the part kubernetes' kubectl || true
  need 'the part tls' openssl || true
  need 'the image of Prometheus, if it cannot be pulled and PROMETHEUS names no program' go || true
  if [[ ! -e $root/client/dist/src || ! -e $root/demo/hub/dist/src ]]; then
    echo '  MISSING  the build: npm ci && npm run build'
    missing=1
  fi
  if ((missing)); then exit 2; fi
}
