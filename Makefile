# gradus: `make` prints this help. CI runs `make check`.

GO            ?= go
LINT_VERSION  := v2.15.0
TAGS          := nomsgpack
VERSION       := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS       := -s -w -X main.version=$(VERSION)
# The race detector needs cgo, a C compiler and its headers; without them the
# tests run all the same.
RACE          := $(shell test "$$($(GO) env CGO_ENABLED)" = 1 && $$($(GO) env CC) -E -include stdlib.h -x c /dev/null >/dev/null 2>&1 && echo -race)
TESTFLAGS     ?= $(RACE) -shuffle=on -timeout=15m
# Of this version and no other, wherever the machine has one.
GOLANGCI_LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.DEFAULT_GOAL := help
.PHONY: help build run test test-deps lint check bench attacks chaos e2e-model schemathesis fuzz golden screenshots clean

help: ## print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/gradus
	$(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/gradus ./cmd/gradus

run: ## serve on http://localhost:8080 with the settings of the environment
	$(GO) run -tags $(TAGS) ./cmd/gradus serve

test: test-deps ## run every test (finds or installs what the tests need)
	$(GO) test -tags $(TAGS) $(TESTFLAGS) ./...

test-deps:
	@sh .ci/deps redis-server chromium npm

lint: ## check format, layout and style
	$(GOLANGCI_LINT) run ./...
	@$(GO) mod tidy -diff >/dev/null || { echo "go.mod is not tidy: run go mod tidy"; exit 1; }

check: build lint test ## what CI runs: build, lint, test

bench: test-deps ## measure speed, and end with the ratios between contenders of one run
	@$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem -benchtime=$(or $(BENCHTIME),1s) $(or $(PKG),./...) 2>&1 | awk -f .ci/bench.awk

attacks: ## grade the attack corpus kept beside the checkout with both judges, by family
	$(GO) test -tags $(TAGS) -count=1 -v -run 'TestAttacks|TestHonestLookalikes' ./internal/app

chaos: test-deps ## grade 5,000 answers while processes, Redis and the model fail for ten minutes (SEED=, CHAOS_TIME=, CHAOS_ITEMS=)
	$(GO) test -tags $(TAGS) -count=1 -v -timeout=40m -run '^TestLedger$$' ./cmd/gradus \
		-args -ledger.seed=$(or $(SEED),$(shell date +%s)) -ledger.time=$(or $(CHAOS_TIME),10m) -ledger.items=$(or $(CHAOS_ITEMS),5000)

e2e-model: ## run the model judge against a real small model (installs a server, or OPENAI_BASE_URL)
	@GO='$(GO)' bash .ci/e2e-model

schemathesis: build ## hold a running service to its OpenAPI document (installs schemathesis; EXAMPLES=, SEED=)
	@bash .ci/schemathesis

fuzz: ## run each fuzz target for a short while
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target$$" -fuzztime=$(or $(FUZZTIME),10s) $$pkg; done; done

# The packages that have golden files; the others do not know the flag.
GOLDEN = $(sort $(dir $(shell grep -rl --include='*_test.go' 'flag.Bool."update"' ./cmd ./internal)))

golden: ## rewrite the golden files, and what the README shows, from what the code does now
	$(GO) test -tags $(TAGS) $(GOLDEN) -update

screenshots: test-deps ## make the README's pictures anew from the running program
	$(GO) test -tags $(TAGS) -count=1 -run PicturesOfTheREADME ./internal/web -args -readme $(CURDIR)/.github

clean: ## remove what was built
	rm -rf bin
