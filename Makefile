SHELL := /bin/bash
COMPOSE := docker compose -f docker-compose-dev.yaml
STATICCHECK := go tool staticcheck
MISSPELL := go tool misspell -error -i comando,argumentos,momento,problemas,terminales,terminaron
SCRIPTS := generar-compose.sh validar-echo-server.sh deploy/local-images.sh deploy/mount-certs.sh .ci/run

# No line is longer than so many characters. Tables, and blocks of code, which are
# indented, may be: what they show has its own length.
GO_WIDTH := 200
TEXT_WIDTH := 140

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 24

.PHONY: run
run: build ## a whole lottery on this machine, without containers (DATA=folder for other data)
	go build -o bin/run ./cmd/run
	@exec bin/run --bin bin --data "$(or $(DATA),.data)"

.PHONY: tls
tls: build ## the same over TLS, with certificates that are made for it in run/certs (DATA=folder for other data)
	go build -o bin/ ./cmd/run ./cmd/certs
	bin/certs --folder run/certs
	@exec bin/run --bin bin --data "$(or $(DATA),.data)" --tls run/certs

.PHONY: watch
watch: build ## the same, slowly, and with the central's page to watch it: http://127.0.0.1:8080/ until Ctrl-C (ADMIN=host:port for another)
	go build -o bin/run ./cmd/run
	@exec bin/run --bin bin --data "$(or $(DATA),.data)" --admin "$(or $(ADMIN),127.0.0.1:8080)" --loop-period 100ms --stay

.PHONY: cluster
cluster: build bin/nats-server ## the same with three NATS servers that keep the bets of two centrals (DATA=folder for other data)
	go build -o bin/run ./cmd/run
	cd cluster && go build -o ../bin/cluster ./demo
	@exec bin/cluster --bin bin --data "$(or $(DATA),.data)"

# Go itself knows when there is something to do.
.PHONY: bin/nats-server
bin/nats-server:
	cd cluster && CGO_ENABLED=0 go build -trimpath -o ../bin/nats-server github.com/nats-io/nats-server/v2

.PHONY: build
build: ## bin/server and bin/client, static
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/server ./cmd/client

.PHONY: test
test: ## every test that needs no container engine, with the race detector
	go test -race -timeout 20m ./...
	cd bench/peers && go test -timeout 20m ./...
	cd cluster && go test -race -timeout 20m ./...

# With SHORT=1 it is only seen that everything runs: the figures say nothing.
COUNT ?= $(if $(SHORT),1,6)
BRIEF := $(if $(SHORT),--rounds 1 --duration 50ms)
FEW := $(if $(SHORT),--scale 1000)

.PHONY: bench
bench: build $(if $(BEFORE),bench-before) ## measures the parts (run/bench.txt, for benchstat), the peers, the goals and centrals on NATS: some thirty minutes (DATA=folder for other data, BEFORE=commit compares with that one, SHORT=1 to see only that it runs)
	@mkdir -p run
	go build -o bin/ ./bench/goals
	cd bench/peers && go build -o ../../bin/peers .
	set -o pipefail; go test -run '^$$' -bench . -benchtime $(if $(SHORT),1x,500ms) -count $(COUNT) -timeout 30m ./bench | tee run/bench.txt
	@echo
	bin/peers --bin bin --folder run $(if $(BEFORE),--before bin/before) $(or $(BRIEF),--rounds 15 --duration 400ms) 2>run/bench.log
	@echo
	bin/goals --bin bin --folder run --data "$(or $(DATA),.data)" $(BRIEF) $(FEW) $(if $(SHORT),--connected 100) 2>>run/bench.log
	@echo
	@$(MAKE) --no-print-directory bench-cluster

.PHONY: bench-cluster
bench-cluster: build $(if $(BEFORE),bench-before) ## centrals on three NATS servers against their goals: some ten minutes (BEFORE=commit compares the folder and the size with that one, PROFILES=folder for CPU profiles)
	@mkdir -p run
	cd cluster && CGO_ENABLED=0 go build -trimpath -o ../bin/ github.com/nats-io/nats-server/v2
	cd cluster && go build -o ../bin/bench-cluster ./bench
	set -o pipefail; bin/bench-cluster --bin bin --folder run $(BRIEF) $(FEW) $(if $(SHORT),--kills 1) $(if $(BEFORE),--before bin/before) $(if $(PROFILES),--profiles "$(PROFILES)") 2>run/bench-cluster.log | tee run/bench-cluster.txt

.PHONY: bench-before
bench-before: # bin/before/server is that of the commit BEFORE
	rm -rf run/before && mkdir -p run/before
	git archive "$(BEFORE)" | tar -x -C run/before
	cd run/before && CGO_ENABLED=0 go build -trimpath -o ../../bin/before/ ./cmd/server
	rm -rf run/before

.PHONY: chaos
chaos: ## the long forms of the tests with power cuts, kills, cut connections and hostile peers
	CHAOS=1 go test -count=1 -timeout 60m -v -run 'PowerCut|Fault|Full|Kills|Cuts|Turned|Renewed|Revoked|Rivals|Hostile' ./lottery/csvledger ./cmd
	cd cluster && CHAOS=1 go test -count=1 -timeout 60m -v ./...

FUZZTIME ?= 10m

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10m)
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "== $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

.PHONY: lint
lint: ## gofmt, vet, staticcheck, spelling, the length of lines, and shellcheck where it is installed
	@unformatted=$$(gofmt -l .) && { [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }; }
	go vet ./...
	go vet -tags e2e ./deploy/e2e
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags e2e ./deploy/e2e
	cd bench/peers && go vet ./... && $$(go -C ../.. tool -n staticcheck) ./...
	cd cluster && go vet ./... && $$(go -C .. tool -n staticcheck) ./...
	@long=$$(git ls-files '*.go' | LC_ALL=C.UTF-8 xargs grep -nE '^.{$(GO_WIDTH)}.' | cut -c 1-$(TEXT_WIDTH)); \
		[ -z "$$long" ] || { printf 'longer than $(GO_WIDTH) characters:\n%s\n' "$$long"; exit 1; }
	@long=$$(git ls-files '*.md' | LC_ALL=C.UTF-8 xargs grep -nE '^.{$(TEXT_WIDTH)}.' | \
		grep -vE '^[^:]+:[0-9]+:(    |\|)' | cut -c 1-$(TEXT_WIDTH)); \
		[ -z "$$long" ] || { printf 'longer than $(TEXT_WIDTH) characters:\n%s\n' "$$long"; exit 1; }
	@git ls-files '*.go' '*.md' '*.sh' '*.yaml' '*.yml' '*.html' '*.js' '*.css' '*.service' '*.env' Makefile .ci/run | xargs $(MISSPELL)
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo "shellcheck is not installed: skipped"; fi

.PHONY: pictures
pictures: ## the pictures of README, with Chromium
	go test -count=1 -v -run TestPictures ./docs -pictures .

.PHONY: e2e
e2e: ## the end-to-end tests in containers; makes what cannot be pulled
	deploy/local-images.sh
	go test -tags e2e -count=1 -timeout 30m -v ./deploy/e2e

.PHONY: docker-image
docker-image: VERSION = $(shell git describe --always --dirty --tags 2>/dev/null)
docker-image: ## the images server:latest and client:latest
	docker build --build-arg "VERSION=$(VERSION)" -f ./server/Dockerfile -t server:latest .
	docker build --build-arg "VERSION=$(VERSION)" -f ./client/Dockerfile -t client:latest .

.PHONY: docker-compose-up
docker-compose-up: docker-image ## the containers of docker-compose-dev.yaml, in the background
	$(COMPOSE) up -d

.PHONY: docker-compose-logs
docker-compose-logs: ## what they log, until interrupted
	$(COMPOSE) logs -f

# Agencies of another generated file belong to the project too.
.PHONY: docker-compose-down
docker-compose-down: ## stops and destroys all that the project started, the volume with the bets too
	$(COMPOSE) stop -t 10
	$(COMPOSE) down --volumes --remove-orphans

.PHONY: clean
clean: ## removes what build and run have made here
	rm -rf bin run
