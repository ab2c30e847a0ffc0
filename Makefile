# Two commands: `make verify` runs the gate, `make test` tests the gate itself.
#
#   make verify                                      the embedded quickstart, on a cluster of its own
#   make verify ARGS='--tree DIR --release v1.5.0'   what `quickproof verify` takes
#
# make exits with 2 whenever a recipe fails; quickproof's own exit code is in the line `make: *** … Error N`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: verify test setup lint test-offline test-servers test-vllm images test-cluster selftest fuzz

# What .ci/setup unpacked, Go where its installer puts it, and root's programs.
export PATH := $(shell .ci/setup path):$(PATH):/usr/local/go/bin:/usr/sbin:/sbin
TARGET := $(or $(CARGO_TARGET_DIR),target)
ARGS ?=

setup:
	@.ci/setup

verify: setup
	@trap '.ci/setup engine-down --for make-$$$$' EXIT
	.ci/setup engine-up --for make-$$$$
	cargo build --release --locked
	$(TARGET)/release/quickproof verify $(ARGS)

test:
	@echo 'make test: about 50 minutes on two idle cores: the offline tests and lints take 12, real clusters the rest.'
	echo 'The first time it is an hour, since dependencies are compiled, and images too where no image registry answers.'
	echo 'What needs neither network nor container engine takes minutes: make test-offline'
	.ci/setup
	.ci/setup node
	trap '.ci/setup engine-down --for make-$$$$' EXIT
	.ci/setup engine-up --for make-$$$$
	$(MAKE) --no-print-directory lint test-offline test-servers images test-cluster

# Formatting, lints, licences and sources of dependencies.
lint:
	@set -x
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test cluster --test servers -- -D warnings    # not among "all targets": they are no default tests
	.ci/setup cargo-deny
	cargo deny --all-features --config .deny.toml check --hide-inclusion-graph bans licenses sources
	{ echo "== lint: $$SECONDS s"; } 2>/dev/null

# Everything that needs neither network nor container engine.
test-offline:
	@set -x
	cargo test --locked --lib --bins --test it
	cargo test --locked --doc
	{ echo "== test-offline: $$SECONDS s"; } 2>/dev/null

# Contracts with real model servers, which are installed by hash the first time (60 MB).
test-servers:
	@set -x
	.ci/setup model-servers
	cargo test --locked --test servers
	{ echo "== test-servers: $$SECONDS s"; } 2>/dev/null

# The same with real vLLM on the CPU: 6 GB to install, minutes to run, so no part of `make test`. `make test-vllm VLLM=0.31.0`
# takes another version.
test-vllm:
	@set -x
	VLLM='$(VLLM)' .ci/setup vllm
	cargo test --locked --test servers -- --ignored
	{ echo "== test-vllm: $$SECONDS s"; } 2>/dev/null

# What cluster tests run beside the newest release on Istio; made only when it is asked for.
ASKED_FOR := docker.io/envoyproxy/gateway:v1.8.1 docker.io/envoyproxy/ai-gateway-controller:v1.0.0 \
             $(addprefix registry.k8s.io/gateway-api-inference-extension/epp:,v1.2.0 v1.0.0)

# Container images for the cluster tests; nothing to do where they were made before.
images:
	@set -x
	cargo build --locked
	$(TARGET)/debug/quickproof images build
	$(TARGET)/debug/quickproof images build $(ASKED_FOR)
	{ echo "== images: $$SECONDS s"; } 2>/dev/null

# The real thing: cluster, endpoint picker, simulator, gateway. Two at a time: most of each is waiting. Those that must be
# alone say so (`alone` in tests/cluster/bench.rs).
test-cluster:
	@trap '$(TARGET)/debug/quickproof cluster down quickproof-tests 2>/dev/null || true' EXIT    # what the tests share
	set -x
	cargo test --locked --test cluster -- --test-threads=2
	{ echo "== test-cluster: $$SECONDS s"; } 2>/dev/null

# Every seeded fault, each in a run of its own, on a cluster that is made for it: see docs/selftest.md. SELFTEST='pool-.*' takes
# fewer, and more arguments.
SELFTEST ?=
selftest:
	@set -x
	cargo build --locked
	$(TARGET)/debug/quickproof selftest $(SELFTEST)

# What reads others' words, and what writes them, under a fuzzer, each for FUZZ_S seconds; what breaks one, takes it longer
# than 10 s or more than 512 MB is left in target/fuzz/<reader>-*. The first build takes a quarter of an hour of two cores.
FUZZ_S ?= 3600
FUZZ ?= guide inventory journal shell stream tree writers yaml
# Coverage by rustc's own LLVM, on the stable compiler; `--target` keeps build scripts free of it.
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
fuzz:
	@triple=$$(rustc -vV | sed -n 's/^host: //p')
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --locked --release --manifest-path tests/fuzz/Cargo.toml --target "$$triple" --target-dir $(TARGET)/fuzz
	for reader in $(FUZZ); do
	  corpus=$(TARGET)/fuzz/corpus/$$reader
	  mkdir -p "$$corpus"
	  find manifests tests/data -type f \( -name '*.md' -o -name '*.yaml' -o -name '*.jsonl' -o -path '*/inventories/*' \) | while read -r file; do cp "$$file" "$$corpus/$${file//\//-}"; done
	  echo "== fuzz $$reader, $(FUZZ_S) s"
	  dict=tests/fuzz/$$reader.dict
	  FUZZ_READER=$$reader $(TARGET)/fuzz/$$triple/release/reader "$$corpus" $$([ ! -f "$$dict" ] || echo "-dict=$$dict") -max_total_time=$(FUZZ_S) \
	    -timeout=10 -rss_limit_mb=512 -max_len=8192 -artifact_prefix=$(TARGET)/fuzz/$$reader- -print_final_stats=1
	done
