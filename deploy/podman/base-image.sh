#!/usr/bin/env bash
# Makes sure that the images' base is there: pulled, or, where no image registry is reached, a stand-in from Debian's
# packages and this machine's own Node.js. Images on the stand-in are for trying out, not for use.
set -euo pipefail

image=$(sed -n 's/^ARG NODE_IMAGE=//p' "$(dirname "${BASH_SOURCE[0]}")/../inference.Dockerfile")
if podman image exists "$image" || podman pull --quiet "$image" 2>/dev/null; then
  echo "$image is there"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "$image cannot be pulled: building a stand-in for it"
debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/log" 2>&1 ||
  { tail -n 5 "$work/log"; exit 1; }
rm -rf "$work/root/var/cache/apt/archives" "$work/root/var/lib/apt/lists"

# As in the real one: node and npm in /usr/local, and a user named node with number 1000.
local_root=$work/root/usr/local
cp "$(node -p process.execPath)" "$local_root/bin/node"
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
