# One command each for a rehearsal, the tests, the checks and the figures. `make help` lists them.
#
# .venv is made on first use from requirements.lock; its stamp is remade when the lock or pyproject.toml changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SPEED  ?= 20

.DEFAULT_GOAL := help
.PHONY: help gameday test check format bench fuzz nightly wild lock manifests kind kind-down clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml tools/install.py
	@$(PYTHON) tools/install.py --venv $(VENV) --lock requirements.lock --stamp $(STAMP)

gameday: $(STAMP) ## rehearse a bad release twice: with the policy as it is, and with queries that see the canary
	@$(BIN)/gamebird gameday run examples/orders-api/gamedays/errors-5pct.yaml --policy both --speed $(SPEED) --demo

test: $(STAMP) ## every test, those against real processes one after the other
	$(BIN)/python -m pytest

check: $(STAMP) ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## let the formatter have its way
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## the figures, as ratios and counts
	$(BIN)/python -m bench

fuzz: $(STAMP) ## longer searches for a wrong answer
	GAMEBIRD_FUZZ=1 $(BIN)/python -m pytest -m fuzz

nightly: $(STAMP) ## what takes longer than a change should wait for: 200 rehearsals held against their prediction, the whole catalogue, long searches
	$(BIN)/python tools/truth.py examples/short-policy/gamedays/at-the-edge.yaml --to docs/truth.md
	GAMEBIRD_NIGHTLY=1 $(BIN)/python -m pytest tests/e2e/test_catalogue.py
	$(MAKE) fuzz

wild: $(STAMP) ## what real public policies catch: simulates ../shared/corpus and renews docs/wild.md
	$(BIN)/python tools/wild.py ../shared/corpus --to docs/wild.md

lock: $(STAMP) ## pin what is installed now
	$(BIN)/python tools/lock.py > requirements.lock.new && mv requirements.lock.new requirements.lock

manifests: $(STAMP) ## render deploy/manifests and the chart's custom resources; builds helm once, with Go
	@tools/build_helm.sh
	$(BIN)/python tools/deploy.py $${GAMEBIRD_HELM:-$${XDG_CACHE_HOME:-$$HOME/.cache}/gamebird/helm}

kind: ## a kind cluster with ingress-nginx, Prometheus and the controller; needs Docker, kind and kubectl
	@deploy/kind/up.sh

kind-down: ## take it away
	kind delete cluster --name gamebird

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
