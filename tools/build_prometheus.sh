#!/usr/bin/env bash
# Build a Prometheus 3 server and promtool once, with the Go client, into a cache folder outside the repository (two
# minutes). Tests and `gamebird gameday --prometheus` use the server, tests of our own API use promtool; the server's
# web interface is left out.
set -euo pipefail
version=0.316.0 # the Go module's spelling of 3.16.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gamebird"
binary="$cache/prometheus"
if [ -x "$binary" ] && [ -x "$cache/promtool" ] && "$binary" --version 2>&1 | grep -q "version 3.16.0"; then
  echo "Prometheus 3.16.0 is in the cache"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "Building Prometheus needs Go: install it, or name a Prometheus 3 binary in GAMEBIRD_PROMETHEUS" >&2
  exit 3
fi
mkdir -p "$cache"
scratch=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
echo "building Prometheus 3.16.0 (once, about two minutes)"
GOBIN="$scratch" go install -trimpath \
  -ldflags "-s -w -X github.com/prometheus/common/version.Version=3.16.0" \
  "github.com/prometheus/prometheus/cmd/prometheus@v$version" "github.com/prometheus/prometheus/cmd/promtool@v$version"
mv "$scratch/promtool" "$cache/promtool" # a rename: nobody ever finds half a binary
mv "$scratch/prometheus" "$binary"
