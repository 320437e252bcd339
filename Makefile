# Postern's tasks. "make" alone lists them.
#
# What they need: run and test-unit need Go and nothing else. test, up and image need a container engine as
# well, or (test) root on Debian, where the servers are installed and run as processes. lint, fmt and ci build
# their tools from the tools module into bin/ on first use (two minutes).

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# GOTEST can be replaced by a wrapper that counts results (.ci/run does).
GOTEST   ?= go test
FUZZTIME ?= 1m
PKGS     ?= ./...

.PHONY: help
help: ## list the tasks
	@echo "usage: make TASK [VARIABLE=value ...]"; echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## the demo: a server, the program and an echo network in one process; log in with any client
	go run ./cmd/gateway demo

##@ test

.PHONY: test
test: ## all tests, on real Prosody, ejabberd and Postgres (POSTERN_SERVERS=containers or =processes picks how)
	@./scripts/servers.sh
	$(GOTEST) -tags integration $(PKGS)

.PHONY: test-unit
test-unit: ## the tests that need only Go
	$(GOTEST) $(PKGS)

.PHONY: race
race: ## the unit tests five times under the race detector
	$(GOTEST) -race -count=5 $$(go list $(PKGS) | grep -vE '/(docs|internal/(archtest|fork|mutants|rows))$$')

.PHONY: fuzz
fuzz: ## every fuzz target in turn for FUZZTIME (1m)
	@FUZZTIME=$(FUZZTIME) ./scripts/fuzz.sh $(PKGS)

.PHONY: mutants
mutants: ## take each guard away and demand that the test of its row fails (ROW=SEC-23 for one)
	@go run ./internal/mutants $(if $(ROW),-row $(ROW)) $(MUTANTFLAGS)

.PHONY: faults
faults: ## kill a process at each of its crash points RUNS (100) times, on every store; SEED repeats a run that failed
	@./scripts/servers.sh
	POSTERN_FAULT_RUNS=$(or $(RUNS),100) POSTERN_FAULT_SEED=$(SEED) $(GOTEST) -tags integration -timeout 3h -v \
		-run 'TestFLT(01_Ledger|03_(Two|Conn|Paused)|17_|39_P)' ./outbox

.PHONY: soak
soak: ## cut a client's connection to a real server CUTS (100) times at random bytes; SEED repeats a run that failed
	@./scripts/servers.sh
	POSTERN_SM_CUTS=$(or $(CUTS),100) POSTERN_SM_SEED=$(SEED) $(GOTEST) -tags integration,soak -timeout 3h -v -run TestRealSoak ./client

.PHONY: rows
rows: ## hold docs/guarantees.md against the tests: every row is named by one
	$(GOTEST) -tags rows -run TestEveryRowHasATest ./internal/rows

.PHONY: bench
bench: ## the benchmarks of every package, then the end-to-end program of docs/performance.md
	go test -run '^$$' -bench . -benchmem $(if $(BENCHTIME),-benchtime $(BENCHTIME)) \
		$(or $(filter-out ./...,$(PKGS)),$$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u))
	go run ./internal/bench $(BENCHFLAGS)

##@ check

.PHONY: lint
lint: bin/golangci-lint ## all linters, on all code
	bin/golangci-lint run

.PHONY: fmt
fmt: bin/golangci-lint ## format the code (gofumpt, imports in three groups)
	bin/golangci-lint fmt

.PHONY: docs
docs: ## bring the code blocks of the documentation up to date with the code they show
	go test ./docs -run TestSnippets -update

.PHONY: sqlc
sqlc: bin/sqlc ## generate the queries of storage/postgres from its statements, checked against the migrations
	bin/sqlc generate -f storage/postgres/sqlc.yaml
	go test ./storage/postgres -run 'TestGenerated$$' -update

.PHONY: tidy-check
tidy-check: ## go.mod and go.sum of both modules say what is used
	go mod tidy -diff
	cd tools && go mod tidy -diff

.PHONY: vuln
vuln: bin/govulncheck ## known vulnerabilities that our code reaches (asks vuln.go.dev)
	bin/govulncheck ./...

.PHONY: ci
ci: ## what CI runs
	./.ci/run

##@ servers

.PHONY: servers
servers: ## see to it that the servers of "make test" are there
	./scripts/servers.sh

.PHONY: up
up: ## Prosody, Postgres and the program with docker compose (PROFILE=ejabberd for ejabberd)
	./scripts/up.sh

.PHONY: down
down: ## stop what "up" started and leave nothing behind
	./scripts/down.sh

.PHONY: image
image: ## the program's container image
	./scripts/image.sh

# fork: begin
##@ fork

.PHONY: fork
fork: ## make this tree yours: MODULE=example.org/irc-gateway NAME=irc-gateway [EXAMPLE=echo] [OUT=dir]
	@go run ./internal/fork -module '$(MODULE)' -name '$(NAME)' $(if $(EXAMPLE),-example '$(EXAMPLE)') $(if $(OUT),-out '$(OUT)')

.PHONY: fork-check
fork-check: ## fork into a temporary folder, extend the fork as docs/extending.md says, run its tests
	$(GOTEST) -tags forktrial -run TestTrial -timeout 14m ./internal/fork
# fork: end

# The tools live in a module of their own, so that they stay out of users' go.mod.
bin/%: tools/go.mod tools/go.sum
	@mkdir -p bin
	@echo "building bin/$* (cached until tools/go.mod changes)"
	@pkg=$$(cd tools && sed -n 's,^[[:space:]]\(.*/$*\)$$,\1,p' go.mod | head -1); \
		test -n "$$pkg" || { echo "tools/go.mod has no tool $*" >&2; exit 1; }; \
		go build -C tools -o ../bin/$* "$$pkg"
