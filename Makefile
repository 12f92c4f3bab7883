# gradus: `make` prints this help. CI runs `make check`.

GO            ?= go
LINT_VERSION  := v2.15.0
TAGS          := nomsgpack
VERSION       := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS       := -s -w -X main.version=$(VERSION)
# The race detector needs a C compiler; without one the tests run all the same.
RACE          := $(if $(shell command -v $$($(GO) env CC)),-race)
TESTFLAGS     ?= $(RACE) -shuffle=on -timeout=15m
GOLANGCI_LINT := $(shell command -v golangci-lint 2>/dev/null || echo $(shell $(GO) env GOPATH)/bin/golangci-lint)

.DEFAULT_GOAL := help
.PHONY: help build run test test-deps lint lint-deps check bench attacks fuzz golden clean

help: ## print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/gradus
	$(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/gradus ./cmd/gradus

run: ## serve on http://localhost:8080 with the settings of the environment
	$(GO) run -tags $(TAGS) ./cmd/gradus serve

test: test-deps ## run every test (finds or installs what the tests need)
	$(GO) test -tags $(TAGS) $(TESTFLAGS) ./...

test-deps:
	@sh .ci/deps redis-server

lint: lint-deps ## check format, layout and style
	$(GOLANGCI_LINT) run ./...
	@$(GO) mod tidy -diff >/dev/null || { echo "go.mod is not tidy: run go mod tidy"; exit 1; }

lint-deps:
	@test -x "$(GOLANGCI_LINT)" && "$(GOLANGCI_LINT)" version 2>/dev/null | grep -q '$(LINT_VERSION:v%=%)' || \
		{ echo "installing golangci-lint $(LINT_VERSION)"; $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION); }

check: build lint test ## what CI runs: build, lint, test

bench: test-deps ## measure speed: ratios between contenders of one run
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem -benchtime=$(or $(BENCHTIME),1s) ./... | grep -Ev '^(ok|PASS|\?|goos|goarch|pkg|cpu)'

attacks: ## grade the attack corpus kept beside the checkout with both judges, by family
	$(GO) test -tags $(TAGS) -count=1 -v -run 'TestAttacks|TestHonestLookalikes' ./internal/app

fuzz: ## run each fuzz target for a short while
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target$$" -fuzztime=$(or $(FUZZTIME),10s) $$pkg; done; done

golden: ## rewrite the golden files from what the code prints now
	$(GO) test -tags $(TAGS) ./... -run Golden -update

clean: ## remove what was built
	rm -rf bin
