#!/usr/bin/env bash
# Build etcd, kube-apiserver and kube-controller-manager once, with the Go client, into a cache folder outside the
# repository (about six minutes on two cores). tests/cluster starts them as a cluster without a kubelet.
# $KUBEBUILDER_ASSETS, where it is set, is used instead and nothing is built.
set -euo pipefail
kubernetes=1.36.3
staging=0.36.3 # the modules of k8s.io/kubernetes/staging carry this version
etcd=3.6.6
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gamebird/cluster-$kubernetes-$etcd"
binaries=(etcd kube-apiserver kube-controller-manager)

complete() {
  for binary in "${binaries[@]}"; do [ -x "$1/$binary" ] || return 1; done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  echo "the cluster's programs are taken from KUBEBUILDER_ASSETS"
  exit 0
fi
if complete "$cache"; then
  echo "etcd $etcd and Kubernetes $kubernetes are in the cache"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "Building an API server needs Go: install it, or name a folder with its programs in KUBEBUILDER_ASSETS" >&2
  exit 3
fi
mkdir -p "$(dirname "$cache")"
scratch=$(mktemp -d "$(dirname "$cache")/build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
echo "building etcd $etcd and Kubernetes $kubernetes (once, about six minutes)"

mkdir -p "$scratch/kubernetes" "$scratch/etcd" "$scratch/bin"
cd "$scratch/kubernetes"
go mod download -json "k8s.io/kubernetes@v$kubernetes" >download.json
source=$(sed -n 's/^[[:space:]]*"GoMod": "\(.*\)",\{0,1\}$/\1/p' download.json)
cat >go.mod <<MOD
module gamebird.dev/test-cluster/kubernetes

go 1.25.0

require k8s.io/kubernetes v$kubernetes

MOD
# The release's own go.mod points these modules into its staging folder, which a module download does not have.
sed -n 's#^[[:space:]]*\(k8s\.io/[^ ]*\) => \./staging/.*#replace \1 => \1 v'"$staging"'#p' "$source" >>go.mod
cat >tools.go <<GO
//go:build tools

package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)
GO
go mod tidy -e >/dev/null 2>&1 || true
version="-X k8s.io/component-base/version.gitVersion=v$kubernetes"
for program in kube-apiserver kube-controller-manager; do
  go build -mod=mod -trimpath -ldflags "-s -w $version" -o "$scratch/bin/$program" "k8s.io/kubernetes/cmd/$program"
done

cd "$scratch/etcd"
cat >go.mod <<MOD
module gamebird.dev/test-cluster/etcd

go 1.25.0

require go.etcd.io/etcd/server/v3 v$etcd
MOD
cat >main.go <<GO
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
go mod tidy >/dev/null 2>&1
go build -mod=mod -trimpath -ldflags "-s -w" -o "$scratch/bin/etcd" .

rm -rf "$cache"
mv "$scratch/bin" "$cache" # a rename: nobody ever finds half a build
complete "$cache"
