#!/usr/bin/env bash
# Ensures that the base image exists: pulls it or, without an image registry, builds a substitute from Debian packages and
# the same Node.js from npm, or else the host's. Images on the substitute are for testing only.
set -euo pipefail

image=$(sed -n 's/^ARG NODE_IMAGE=//p' "$(dirname "${BASH_SOURCE[0]}")/../inference.Dockerfile")
if podman image exists "$image" || podman pull --quiet "$image" 2>/dev/null; then
  echo "$image exists"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "$image cannot be pulled: building a substitute"
debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/log" 2>&1 ||
  { tail -n 5 "$work/log"; exit 1; }
rm -rf "$work/root/var/cache/apt/archives" "$work/root/var/lib/apt/lists"

# As in the original: node and npm in /usr/local, and the user node with id 1000.
local_root=$work/root/usr/local
tag=${image##*:}
# The package's install script puts the binary in place.
if npm install --silent --no-audit --no-fund --ignore-scripts=false --prefix "$work/npm" "node@${tag%%-*}" >"$work/log" 2>&1; then
  cp -L "$work/npm/node_modules/node/bin/node" "$local_root/bin/node"
else
  echo "  with the host's Node.js $(node --version)"
  cp "$(node -p process.execPath)" "$local_root/bin/node"
fi
mkdir -p "$local_root/lib/node_modules"
cp -rL "$(npm root --global)/npm" "$local_root/lib/node_modules/npm"
chmod +x "$local_root"/lib/node_modules/npm/bin/*.js
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$local_root/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$local_root/bin/npx"
echo 'node:x:1000:' >>"$work/root/etc/group"
echo 'node:x:1000:1000::/home/node:/bin/bash' >>"$work/root/etc/passwd"
mkdir -p "$work/root/home/node"
chown 1000:1000 "$work/root/home/node"

changes=(--change 'CMD ["node"]')
if [[ -n ${NODE_EXTRA_CA_CERTS:-} ]]; then
  cp "$NODE_EXTRA_CA_CERTS" "$work/root/etc/ssl/certs/host.crt"
  changes+=(--change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/host.crt')
fi
tar -C "$work/root" -cf - . | podman import --quiet "${changes[@]}" - "$image"
