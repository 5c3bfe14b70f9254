#!/usr/bin/env bash
# A kind cluster with ingress-nginx, a Prometheus and Gamebird's controller, on which examples/cluster-drill can be
# played: `make kind`. Safe to repeat. `make kind-down` takes it away. Needs Docker, kind, kubectl and helm.
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=gamebird
ingress=controller-v1.13.3
context="kind-$cluster"
version=$(sed -n 's/^appVersion: //p' deploy/helm/gamebird/Chart.yaml)

fail() {
  echo "make kind: $1" >&2
  exit 3
}
command -v docker >/dev/null || fail "Docker is not installed: https://docs.docker.com/get-docker. Without it, the test cluster does: docs/kind.md"
docker info >/dev/null 2>&1 || fail "Docker is installed and its daemon does not answer (docker info). Without it, the test cluster does: docs/kind.md"
command -v kind >/dev/null || fail "kind is not installed: go install sigs.k8s.io/kind@latest"
command -v kubectl >/dev/null || fail "kubectl is not installed: https://kubernetes.io/docs/tasks/tools"
helm=$(command -v helm || echo "${XDG_CACHE_HOME:-$HOME/.cache}/gamebird/helm")
[ -x "$helm" ] || fail "helm is not installed: tools/build_helm.sh builds one, with Go"

say() { printf '\n== %s\n' "$*"; }
kube() { kubectl --context "$context" "$@"; }

say "the images"
docker build -q -f deploy/image/Dockerfile -t "gamebird:$version" .
docker build -q -f deploy/image/Dockerfile --target demo -t example.test/drill:1 .

say "the cluster"
kind get clusters | grep -qx "$cluster" || kind create cluster --config deploy/kind/cluster.yaml --wait 120s
kind load docker-image --name "$cluster" "gamebird:$version" example.test/drill:1

say "ingress-nginx and Prometheus"
kube apply -f "https://raw.githubusercontent.com/kubernetes/ingress-nginx/$ingress/deploy/static/provider/kind/deploy.yaml"
kube apply -f deploy/kind/prometheus.yaml
kube -n ingress-nginx rollout status deployment/ingress-nginx-controller --timeout=180s
kube -n monitoring rollout status deployment/prometheus --timeout=180s

say "Gamebird"
"$helm" --kube-context "$context" upgrade --install gamebird deploy/helm/gamebird \
  --namespace gamebird --create-namespace --wait --timeout 3m
kube create namespace drill --dry-run=client -o yaml | kube apply -f -

cat <<SAID

The cluster is there. Play a drill on it:

  .venv/bin/gamebird gameday run examples/cluster-drill/gamedays/errors-20pct.yaml \\
    --world cluster --context $context -n drill --policy ingress --target http://drill.localhost:8080
SAID
