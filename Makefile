# "make help" lists the targets. Needs Go 1.26, gcc, make, git. nomsgpack leaves out a third of gin that nothing uses; trimpath makes builds repeatable.
SHELL := /bin/bash -o pipefail
export GOFLAGS := $(strip $(shell go env GOFLAGS) -tags=nomsgpack -trimpath)
FUZZTIME ?= 30s
OPENAPI_CONFIGS := $(filter-out api/openapi.yaml,$(wildcard api/*.yaml))
REWRITERS = $(sort $(dir $(shell grep -rl --include='*_test.go' 'testenv\.Golden' .)))
.PHONY: help build demo test race fuzz twin mutate soak-honest soak-mailbox soak-traffic soak-ratchet soak-delivery soak-validators vectors bench detection screenshots generate lint clean
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 16
build: ; go build -ldflags=-w -o bin/ ./cmd/tunic ./cmd/tunic-validator ## bin/tunic, bin/tunic-validator
demo: ; go build -ldflags=-w -o bin/tunic ./cmd/tunic && bin/tunic demo ## a whole network, and a message through it
test: ## what every change has to pass
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt -w these:"; echo "$$out"; exit 1; }
	go vet ./...
	go test ./...
race: ; go test -race ./... ## the tests under the race detector
fuzz: ## 10,000 proofs judged offline and on chain, then each fuzz target for FUZZTIME (30s)
	TUNIC_CORPUS=10000 go test -count=1 -run TestAgreement ./ledger/machine
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's|/[^/]*:func | |' | sort -u | while read -r dir name; do echo "$$dir $$name"; \
	go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$dir </dev/null || go test -count=1 -run "^$$name\$$" $$dir || exit 1; done # a finding is among the seeds now; one that fails for its time alone is none
twin: ## 100,000 random transactions against a naive twin
	go test ./ledger/machine -run TestTwin -twin 100000 -timeout 30m
vectors: ## write the golden vectors anew; fails if one changed
	go test -count=1 -run Vectors $(REWRITERS) -rewrite
	@out=$$(git status --porcelain -- ':(glob)**/testdata/**'); test -z "$$out" || { echo "vectors changed:"; echo "$$out"; exit 1; }
bench: build ; bin/tunic bench ## every figure of docs/performance.md
detection: build ; bin/tunic bench detection --svg docs/detection.svg ## draw how soon relays that drop packets are out
screenshots: ; go test -count=1 ./api/pages -run TestBrowser/screenshots -args -screenshots "$(CURDIR)/docs/images" ## docs/images anew, from a network in Chromium
soak-honest: ; go test -count=1 -v -timeout 120m -run TestHonest ./devnet/soak -networks $(or $(NETWORKS),1000) -seed $(or $(SEED),1) ## NETWORKS (1000) in which nobody cheats and much goes wrong
soak-mailbox: ; go test -count=1 -v -timeout 120m -run TestMailboxes ./devnet/chaos -seeds $(or $(SEEDS),200) -seed $(or $(SEED),1) ## SEEDS (200) networks whose relays are killed and robbed
soak-traffic: ; go test -count=1 -v -timeout 60m -run TestKinds ./devnet/traffic -epochs $(or $(EPOCHS),20) ## EPOCHS (20) of traffic, compared by what relays see of it
soak-ratchet: ; go test -count=1 -v -timeout 30m -run TestModel ./client/ratchet -operations $(or $(OPERATIONS),1000000) -seed $(or $(SEED),1) ## OPERATIONS (1000000) on sessions, against a model
soak-delivery: ; go test -count=1 -v -timeout 120m -run TestLossDelays ./devnet/deliver -seeds $(or $(SEEDS),500) -seed $(or $(SEED),1) ## SEEDS (500) networks that lose a fifth of all packets and one relay of ten
soak-validators: ; go test -count=1 -v -timeout 60m -run 'TestConformance|TestLoad' ./ledger/comet -conformance 2000 -load 10000 -load-runs $(or $(RUNS),20) && go test -count=1 -v -timeout 60m -run TestScenariosOnValidators ./devnet/scenario -on-validators && go test -count=1 -v -timeout 60m -run TestValidatorsAgree ./devnet/partition -all ## four validators: 2,000 blocks carried out thrice, RUNS (20) times 10,000 transactions, all scripts that fit, everything that goes wrong between machines
generate: ## the API's code, from api/openapi.yaml
	@for c in $(OPENAPI_CONFIGS); do go tool -modfile=tools.mod oapi-codegen -config $$c api/openapi.yaml || exit 1; done
mutate: ## every scenario fails once its rule is disabled
	TUNIC_MUTATE=all go test -count=1 -v -timeout 60m -run TestMutations ./devnet/scenario
lint: ; golangci-lint run ## golangci-lint, if it is installed
clean: ; rm -rf bin ## what building left
