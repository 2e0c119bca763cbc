# plugstorm. `make run` and `make test` do everything; README.md says what
# stands above them.

GO      ?= go
AGENTS  := amd64 ppc64le ppc64
PKGS    := ./...

.PHONY: build agents run test unit lint vm fuzz bench clean

build: agents ## bin/plugstorm, with the guests' agents inside
	$(GO) build -trimpath -o bin/plugstorm ./harness/cmd/plugstorm

agents:
	@for arch in $(AGENTS); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags '-s -w' -o images/agents/$$arch ./guests/agent || exit 1; \
	done
