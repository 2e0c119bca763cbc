# plugstorm. `make run` and `make test` do everything; what they need first
# stands in README.md.

GO     ?= go
CACHE  := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/plugstorm
AGENTS := amd64 ppc64le ppc64

# The linter is built once into the cache, at the version named here.
LINT_VERSION := v2.15.0
LINT         := $(CACHE)/tools/golangci-lint-$(LINT_VERSION)/golangci-lint

# What `make install` may do without asking. CI says: --yes --backports
INSTALL ?=
# Further arguments of `make run`.
RUN     ?=
FUZZTIME ?= 10m

.PHONY: help build agents install run test unit lint vm fuzz bench docs clean

help:              ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST)

build: agents      ## bin/plugstorm, with the guests' agents inside
	@$(GO) build -trimpath -o bin/plugstorm ./harness/cmd/plugstorm

agents:
	@for arch in $(AGENTS); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags '-s -w' \
			-o images/agents/$$arch ./guests/agent || exit 1; \
	done

install: build     ## install what this host lacks; says what, and asks on a terminal
	@bin/plugstorm doctor --install $(INSTALL)

run: install       ## install, build, and run the default suite on both machines
	@bin/plugstorm run $(RUN)

test: install lint unit vm ## everything that CI runs

unit: agents       ## tests without a VM, with the race detector
	@$(GO) test -race $$($(GO) list ./... | grep -v '^plugstorm/suites$$')

lint: agents $(LINT) ## gofmt, vet, golangci-lint
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	@$(GO) vet ./...
	@$(LINT) run ./...

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION) into the cache (once, a few minutes)"
	@GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

vm: install        ## tests with real guests of both machines; JUnit in plugstorm-runs/junit.xml
	@mkdir -p plugstorm-runs
	@$(GO) tool ginkgo run --timeout 80m --poll-progress-after 10m \
		--label-filter '!on-demand' --junit-report junit.xml --output-dir plugstorm-runs ./suites

fuzz: agents       ## fuzz every target for FUZZTIME each
	@for target in $$(grep -rl --include='*_test.go' 'func Fuzz' . | sort); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$target); do \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$(dirname $$target) || exit 1; \
		done; \
	done

bench: install     ## benchmarks, with real guests for the pace of hotplug
	@$(GO) test -run '^$$' -bench . -benchtime 1x ./harness/... ./images/...
	@$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m -v ./suites

docs: build        ## rewrite the generated parts of docs/
	@bin/plugstorm docs docs

clean:             ## remove what was built here; the cache stays
	@rm -rf bin images/agents/amd64 images/agents/ppc64 images/agents/ppc64le
