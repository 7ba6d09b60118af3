# Targets with a ## comment are listed by `make help`.

# Matrix products run in Go assembly on amd64. Elsewhere they run in OpenBLAS where a C compiler can link it, else in Go.
# OPENBLAS=openblas takes OpenBLAS on amd64 too, and OPENBLAS= leaves it out.
OPENBLAS := $(shell test "`go env GOARCH`" = amd64 || { printf 'void cblas_sgemm(void);int main(void){return 0;}' | \
	$${CC:-cc} -xc - -lopenblas -o /dev/null 2>/dev/null && echo openblas; })
# The CUDA device needs a C compiler, and no CUDA. CUDA= leaves it out.
CUDA := $(shell test "`go env GOOS GOARCH | xargs`" = "linux amd64" && printf 'int main(void){return 0;}' | \
	$${CC:-cc} -xc - -o /dev/null 2>/dev/null && echo cuda)
# Ranks talk over the MPI library of the machine, which is opened at run time. It needs the loader of glibc. MPI= leaves
# it out.
MPI := $(shell case "`go env GOOS GOARCH | xargs`" in \
	("linux amd64") test -e /lib64/ld-linux-x86-64.so.2 && echo mpi;; \
	("linux arm64") test -e /lib/ld-linux-aarch64.so.1 && echo mpi;; esac)
comma := ,
tags = $(if $(strip $1),-tags $(subst $() ,$(comma),$(strip $1)))
TAGS := $(call tags,$(OPENBLAS) $(CUDA) $(MPI))
ifneq ($(OPENBLAS),)
export CGO_LDFLAGS := -lopenblas
endif
ifneq ($(CUDA),)
export CGO_CFLAGS := -O2 -g -I$(CURDIR)/internal/gpu/culazy/include
endif
ifeq ($(OPENBLAS)$(CUDA),)
# A build without cgo needs no C compiler.
export CGO_ENABLED ?= 0
endif

# Without the tables of a debugger the binary is two thirds of the size. STRIP= keeps them.
STRIP := -ldflags='-s -w'

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The packages that start goroutines, and those that drive them.
RACE := ./internal/cpu ./internal/dataset ./internal/tokenizer ./internal/train ./internal/serve

# One package's tests take two minutes at most on an idle machine. The limit
# stops a test that hangs, and leaves room for a busy machine.
TIMEOUT := 60m

.DEFAULT_GOAL := help
.PHONY: help build man toolchain kernels ptxas-report test test-short fuzz orders barriers accesses card card-short race lint bench demo demo-decoder table1 table2 fig2 fig6 fig7 golden python-test docs site notices release gpu-bundle docker clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

# The build has the CUDA device if nvcc is present or can be fetched to compile
# the kernels.
build: ## build bin/lor2c
	@echo "matrix products: $(if $(OPENBLAS),OpenBLAS,$(if $(filter amd64,$(shell go env GOARCH)),Go assembly,gonum))"
ifeq ($(CUDA),)
	@echo "CUDA device: left out$(if $(findstring command,$(origin CUDA)),,; it needs Linux on amd64 and a C compiler)"
	go build $(TAGS) $(STRIP) -o bin/lor2c ./cmd/lor2c
else
	@if $(NVCC) || sh scripts/toolchain.sh; then \
	  $(MAKE) --no-print-directory kernels && echo "CUDA device: `head -2 build/kernels/compiler | xargs`" && \
	  set -x && go build $(TAGS) $(STRIP) -o bin/lor2c ./cmd/lor2c; \
	else \
	  echo "CUDA device: left out; it needs a CUDA compiler" && \
	  set -x && go build $(call tags,$(OPENBLAS) $(MPI)) $(STRIP) -o bin/lor2c ./cmd/lor2c; \
	fi
endif

NVCC := test -x "$$CUDA_HOME/bin/nvcc" || command -v nvcc >/dev/null
toolchain: ## fetch a CUDA compiler into .toolchain (needs Python with pip)
	sh scripts/toolchain.sh

# LINEINFO=1 adds line numbers to the code, for compute-sanitizer, in another folder.
kernels: ## compile the CUDA kernels (nvcc from CUDA_HOME, PATH or make toolchain; ARCH=sm_90a for one target)
	@$(MAKE) -C kernels --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

ptxas-report: kernels ## write registers and spills of every kernel to bench/results/ptxas.csv; none may spill
	@$(MAKE) -C kernels --no-print-directory report

# `make lint` runs go vet, so the tests do not run it again.
test: ## run all tests that need no GPU
	@$(if $(CUDA),go run ./internal/gpu/hostlib/hostkernels,echo "kernels on the CPU: left out; a build without CUDA")
	go test -vet=off -timeout $(TIMEOUT) $(TAGS) ./...

test-short: ## run the quick tests, without the CUDA device
	go test -vet=off -short -timeout $(TIMEOUT) $(if $(OPENBLAS),-tags openblas) ./...

FUZZTIME ?= 10s
fuzz: ## run every fuzz target for a while (FUZZTIME)
	sh scripts/fuzz.sh $(FUZZTIME)

# These seeds draw the orders in which threads, blocks and streams run.
ORDERS ?= 2 3 4 5
orders: ## run the kernels on the CPU in other orders than test does (ORDERS)
	for seed in $(ORDERS); do LOR2C_HOST_SEED=$$seed go test -timeout $(TIMEOUT) $(TAGS) ./internal/gpu ./internal/gpu/hostlib || exit 1; done

barriers: ## write bench/results/barriers.csv: the test that finds a race if a barrier of a kernel is taken out
	LOR2C_UPDATE=1 go test -timeout $(TIMEOUT) -tags cuda -run '^TestBarriers$$' ./internal/gpu

accesses: ## write bench/results/accesses.csv: sectors, bank wavefronts and barriers of the kernels
	LOR2C_UPDATE=1 go test -timeout $(TIMEOUT) -tags cuda -run '^TestAccesses$$' ./internal/gpu

# The seed selects the card, and draws the errors of its functions.
card: ## run the numbers of the kernels with the arithmetic of an A100 and of an H100
	for seed in 1 2; do LOR2C_HOST_MODE=card LOR2C_HOST_SEED=$$seed go test -timeout $(TIMEOUT) -tags cuda \
	  -run '^(TestConformance|TestProducts|TestSlopeJoinsProduct|TestAttentionUnaligned|TestGradientOfLongParts)$$' \
	  ./internal/gpu || exit 1; done

# Three sizes of each op, and the golden of one encoder.
card-short: export LOR2C_HOST_MODE = card
card-short: export LOR2C_HOST_SEED = 2
card-short: export LOR2C_TEST_SAMPLE = 3
card-short: ## run the part of `make card` that CI runs: products, attention and encoder steps on an H100
	go test -timeout $(TIMEOUT) -tags cuda -run \
	  '^(TestConformance|TestSumsOfProducts)$$/^dtype=bf16$$/^(op=(Linear|Gemm|Attention|AttentionGrad)|tile=.*)$$' ./internal/gpu
	go test -timeout $(TIMEOUT) -tags cuda -run '^TestGoldenCUDA$$/^case=bert_lor2c$$/^dtype=bfloat16$$' ./internal/train

# The race detector cannot be combined with the address sanitizer of the
# kernels.
race: ## run the race detector on the packages with goroutines (needs a C compiler)
	CGO_ENABLED=1 go test -race -short -timeout $(TIMEOUT) $(if $(OPENBLAS),-tags $(OPENBLAS)) $(RACE)
	$(if $(CUDA),LOR2C_HOST_FAST=1 go test -race -timeout $(TIMEOUT) -tags cuda -run 'Replay|Upload|Faults|Calls' ./internal/gpu)

man: ## write the man pages to man
	@mkdir -p man
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-`git log -1 --format=%ct`} go run -tags man ./cmd/lor2c man man

lint: ## check formatting, vet and staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet $(TAGS) ./...
	go vet -tags man ./cmd/lor2c
	cd internal/sgemm/asm && CGO_ENABLED=0 go vet ./...
	cd internal/vector/asm && CGO_ENABLED=0 go vet .
	go run $(STATICCHECK) $(TAGS) ./...

bench: ## run the benchmarks, and a RoBERTa-base step on random weights
	go test -timeout $(TIMEOUT) $(TAGS) -run '^$$' -bench . ./internal/cpu ./internal/tokenizer ./internal/train

# Only a machine with a card needs the CUDA compiler.
CARD := $(wildcard /dev/nvidia0 /dev/dxg)
demo: ## fine-tune the demo encoder on real sentences and compare three scores
	@$(MAKE) --no-print-directory build $(if $(CARD),,CUDA=)
	sh scripts/demo.sh

demo-decoder: ## fine-tune the demo decoder and show what it writes before and after
	@$(MAKE) --no-print-directory build $(if $(CARD),,CUDA=)
	sh scripts/demo_decoder.sh

# PROFILE=mini takes minutes. The others are lists or directories, such as TASKS=mrpc,rte SEEDS=1,2 MODEL=models/roberta-base.
# SET is a list of KEY=VALUE in all run files, and LARGEST the end of the grid of fig6.
PROFILE ?= paper
REPRODUCE = --profile $(PROFILE) $(if $(TASKS),--tasks $(TASKS)) $(if $(METHODS),--methods $(METHODS)) \
	$(if $(SEEDS),--seeds $(SEEDS)) $(if $(MODEL),--model $(MODEL)) $(if $(DATA),--data $(DATA)) $(if $(ALLOW_CODE),--allow-code-execution) \
	$(if $(LARGEST),--largest $(LARGEST)) $(SET:%=--set %)
table1: ## reproduce table I of the paper (see lor2c reproduce --help; PROFILE TASKS METHODS SEEDS MODEL DATA)
table2: ## reproduce table II of the paper (ALLOW_CODE=1 runs what the models write for HumanEval, in a sandbox)
fig2: ## reproduce figure 2, singular values of W = BA
fig6: ## reproduce figure 6, merges and injections
fig7: ## reproduce figure 7, gradients of LoR2C over LoRA
table1 table2 fig2 fig6 fig7:
	@$(MAKE) --no-print-directory build $(if $(CARD),,CUDA=)
	bin/lor2c reproduce $@ $(strip $(REPRODUCE))

python-test: ## test the Python package lor2c_peft, compare it with lor2c, and run the notebook
	@$(MAKE) --no-print-directory build $(if $(CARD),,CUDA=)
	sh scripts/python_test.sh

golden: ## write the PyTorch fixtures again (needs Python with torch, transformers, peft)
	python3 scripts/golden.py
	python3 scripts/golden_events.py
	python3 scripts/golden_loss.py
	python3 scripts/golden_multilabel.py
	python3 scripts/golden_tags.py
	python3 scripts/golden_tokens.py
	python3 scripts/golden_words.py
	python3 scripts/golden_generate.py
	python3 scripts/golden_methods.py
	python3 scripts/golden_peft.py

docs: ## write docs/config.md, docs/run.schema.json and the diagram of ARCHITECTURE.md
	go run ./scripts/configdocs
	go test ./internal/archtest -run '^TestDiagram$$' -update

HUGO := github.com/gohugoio/hugo@v0.165.0
site: ## write the documentation as a site to build/site (compiles Hugo, which takes minutes the first time)
	CGO_ENABLED=0 go run $(HUGO) --noBuildLock --cleanDestinationDir --panicOnWarning --config site/hugo.toml

notices: ## write NOTICE and THIRD_PARTY_LICENSES from the licences of the linked modules
	CGO_ENABLED=0 go run ./scripts/notices

# linux/amd64 is built with the CUDA device if this machine can compile it
# (CUDA= leaves it out).
release: ## build the archives and the Python wheel of a release into build/release (RELEASE=linux/arm64 for one)
ifneq ($(CUDA),)
	@$(NVCC) || sh scripts/toolchain.sh
	@$(MAKE) --no-print-directory kernels
endif
	sh scripts/release.sh $(RELEASE)

gpu-bundle: ## pack the tests of the CUDA device for a machine with a card
	@$(NVCC) || sh scripts/toolchain.sh
	@$(MAKE) --no-print-directory kernels
	@$(MAKE) --no-print-directory kernels LINEINFO=1
	sh scripts/gpu_bundle.sh

docker: ## build a container image with the release binary
	@$(MAKE) --no-print-directory release RELEASE=linux/amd64
	docker build -t lor2c .

clean: ## remove what was built and run here
	rm -rf bin build kernels/build/*.tar.gz runs/demo runs/reproduce-mini
