#!/usr/bin/env bash
# Build helm once, with the Go client, into a cache folder outside the repository (about eighty seconds). tests/deploy
# renders the chart with it and applies what comes out to a real API server; `make manifests` renders the plain manifests.
set -euo pipefail
version=3.22.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gamebird"
binary="$cache/helm"
if [ -x "$binary" ] && "$binary" version --short 2>/dev/null | grep -q "^v$version"; then
  echo "helm $version is in the cache"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "Building helm needs Go: install it, or name a helm 3 binary in GAMEBIRD_HELM" >&2
  exit 3
fi
mkdir -p "$cache"
scratch=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
echo "building helm $version (once, about eighty seconds)"
GOBIN="$scratch" go install -trimpath \
  -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=v$version" "helm.sh/helm/v3/cmd/helm@v$version"
mv "$scratch/helm" "$binary" # a rename: nobody ever finds half a binary
