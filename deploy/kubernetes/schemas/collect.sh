#!/usr/bin/env bash
# Collects the schemas for kubeconform, so that validation needs no network:
#   deploy/kubernetes/schemas/collect.sh DIR
# Those of the oldest and newest supported Kubernetes version come from the PyPI package kubernetes-validate (installed in
# PYTHON), those of prometheus-operator from its Go module. Needs `npm ci`. Then:
#   kubectl kustomize deploy/kubernetes/overlays/shared-volume |
#     kubeconform -strict -summary -schema-location "DIR/v1.30.0/{{.ResourceKind}}{{.KindSuffix}}.json"
set -euo pipefail

directory=${1:?Say where the schemas go}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

package=$("${PYTHON:-python3}" -c 'import kubernetes_validate, os; print(os.path.dirname(kubernetes_validate.__file__))')
module=$(go mod download -json "$operator" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
for version in v1.30.0 v1.37.0; do
  mkdir -p "$directory/$version"
  node "$here/make.js" "$directory/$version" "$package/kubernetes-json-schema/$version-local-strict" \
    "$module"/example/prometheus-operator-crd/*.yaml
done
