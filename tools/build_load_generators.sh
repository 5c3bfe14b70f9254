#!/usr/bin/env bash
# Build vegeta and k6 once, with the Go client, into a cache folder outside the repository (about a minute). The bench of
# the load generator asks them for the same rates and judges all by one clock.
set -euo pipefail
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gamebird/bench-tools"
if [ -x "$cache/vegeta" ] && [ -x "$cache/k6" ]; then
  echo "vegeta and k6 are in the cache"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "Building vegeta and k6 needs Go: install it, or put both programs into $cache" >&2
  exit 3
fi
mkdir -p "$cache"
scratch=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
echo "building vegeta and k6 (once, about a minute)"
GOBIN="$scratch" go install -trimpath -ldflags "-s -w" github.com/tsenart/vegeta/v12@v12.13.0
GOBIN="$scratch" go install -trimpath -ldflags "-s -w" go.k6.io/k6@v1.8.1
mv "$scratch/vegeta" "$cache/vegeta" # a rename: nobody ever finds half a binary
mv "$scratch/k6" "$cache/k6"
