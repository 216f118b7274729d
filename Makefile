# The only entry points. What takes more than a line is a script in
# plugins/toolchain. One profile and one selection of packages (the workspace's
# default members) for build and test: another would build everything twice.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

toolchain := plugins/toolchain
plugins := $(patsubst plugins/%/plugin.toml,%,$(wildcard plugins/*/plugin.toml))
# With the SDK in this workspace, or by hand in a workspace of their own.
sdk_examples := notes
examples := $(filter-out $(sdk_examples),$(patsubst plugins/examples/%/Cargo.toml,%,$(wildcard plugins/examples/*/Cargo.toml)))
guests := $(patsubst tests/guests/%.toml,%,$(filter-out %/Cargo.toml,$(wildcard tests/guests/*.toml)))
templates := $(patsubst plugins/templates/%/Cargo.toml,template-%,$(wildcard plugins/templates/*/Cargo.toml))
crates := -p hearth-plugin $(addprefix -p ,$(plugins) $(templates))
host_crates := $(addprefix -p ,hearth hearth-base hearth-backend hearth-runtime hearth-server)
nextest := $(shell command -v cargo-nextest)
comma := ,
packer := target/release/hearth

# A target folder set for all projects of a machine would move what is named here.
export CARGO_TARGET_DIR := $(CURDIR)/target

# What the prerequisites found, for every command that compiles or starts the host.
with = . .toolchain/env && $(1)
phase = @echo "==> $(1)"

# What the prerequisites look for beside the build's own.
test soak tools: of_tests := tests

# Benchmarks whose names begin with $(1), but not with bench:: and one of $(2); one after
# the other. `measure` has them measure what is installed.
skipped = $(foreach name,$(2),--skip bench::$(name))
measured = $(if $(nextest),\
	cargo nextest run --release --profile soak --run-ignored ignored-only --no-capture -E 'test(/^$(1)/)' -- $(call skipped,$(1),$(2)),\
	cargo test --release --test hearth -- --ignored --nocapture --test-threads=1 $(call skipped,$(1),$(2)) $(1))
measure = HEARTH_TEST_BINARY=$(CURDIR)/target/dist/hearth $(call measured,$(1),$(2))

.PHONY: help
help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: host shipped ## The host in target/release/hearth and its plugins in target/plugins

.PHONY: run
run: build ## Serve on 127.0.0.1:8080 with a Postgres and a demo customer of its own
	$(call phase,serving; Ctrl-C stops)
	@$(call with,exec target/release/hearth serve --config deploy/hearth.toml --demo)

.PHONY: test
test: tools build plugins guests ## Everything above, then all tests
	$(call phase,testing the SDK and the plugins on this machine)
	@$(call with,$(if $(nextest),cargo nextest run --no-tests=pass,cargo test) --release $(crates))
	@$(call with,cargo test --quiet --release --doc -p hearth-plugin)
	$(call phase,testing the host)
	@$(call with,tests/tools/run $(if $(nextest),nextest,cargo))

.PHONY: soak
soak: tools build plugins guests ## The host's tests with their full counts, without a limit of time
	$(call phase,testing the host at length)
	@$(call with,HEARTH_SOAK=1 tests/tools/run $(if $(nextest),nextest --profile soak,cargo))

.PHONY: dist
dist: packer := target/dist/hearth
dist: prerequisites ## The host as it is installed, in target/dist, with its plugins
	$(call phase,building the host as a whole (20 to 30 minutes the first time on two cores))
	@$(call with,cargo build --profile dist -p hearth)
	$(call phase,building the plugins: $(plugins))
	@$(toolchain)/build $(addprefix -p ,$(plugins))
	@$(foreach name,$(plugins),$(call pack,target/wasm32-wasip2/plugin/$(call library,$(name)).wasm,plugins/$(name)/plugin.toml,target/dist/plugins/$(name).wasm);)

.PHONY: bench
bench: build plugins guests dist peers ## Everything that is held against something; ONLY=reads for one subject
	$(call phase,measuring)
	@$(if $(ONLY),,rm -f target/bench/bench.json)
	@$(call with,failed=0; $(if $(ONLY),$(call measure,bench::$(ONLY)),$(call measure,bench::,growth shown)) || failed=1; \
		$(call measure,bench::shown); exit $$failed)

.PHONY: bench-growth
bench-growth: build plugins guests dist ## Every GET at a million rows against a thousand
	$(call phase,measuring what grows)
	@rm -f target/bench/growth.json
	@$(call with,failed=0; $(call measure,bench::growth) || failed=1; $(call measure,bench::shown); exit $$failed)

.PHONY: bench-forecast
bench-forecast: host shipped ## Forecasts of the series in FILE=series.csv, measured; BASE=sMAPE,MASE for another Naive2
	$(call phase,forecasting through the packed plugin)
	@$(if $(FILE),,echo 'name a file: make bench-forecast FILE=series.csv'; exit 1)
	@$(call with,HEARTH_BENCH_FILE='$(abspath $(FILE))' $(if $(BASE),HEARTH_BENCH_BASE='$(BASE)') $(call measured,bench::forecast))

.PHONY: check
check: prerequisites ## Compile host and tests without making anything of it (seconds)
	@$(call with,cargo check --release --lib --bins --test hearth)

.PHONY: t
t: prerequisites ## The tests whose names begin with T, and no others: make t T=cache
	@$(if $(T),,echo 'name a group of tests: make t T=cache'; exit 1)
	@$(call with,cargo build --release && $(if $(nextest),cargo nextest run --release -E 'test(/^$(T)/)',cargo test --release --test hearth $(T)))

.PHONY: fmt
fmt: ## Format all crates
	@cargo fmt --all

.PHONY: doc
doc: prerequisites ## The reference of host and SDK, in target/doc; warnings are errors
	@$(call with,RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --release -p hearth-plugin)
	@$(call with,RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' \
		cargo doc --no-deps --release --document-private-items --lib $(host_crates))

.PHONY: lint
lint: prerequisites ## Format, clippy (warnings are errors), licences and sources of all crates
	$(call phase,checking the format)
	@cargo fmt --all --check
	$(call phase,clippy: host and tests)
	@$(call with,cargo clippy --release --all-targets -- -D warnings)
	$(call phase,clippy: SDK$(comma) plugins and guests)
	@$(call with,cargo clippy --release $(crates) -p hearth-guests -p hearth-native --all-targets -- -D warnings)
	$(call phase,cargo-deny: licences$(comma) sources and banned crates)
	@$(toolchain)/deny

.PHONY: plugins
plugins: shipped sdk-examples $(addprefix example-,$(examples)) ## The plugins and the examples, packed

.PHONY: clean
clean: ## Remove what was built; keeps .toolchain (fetched tools) and .hearth (data)
	@rm -rf target

# The steps behind them.

.PHONY: prerequisites
prerequisites:
	$(call phase,looking for what $(if $(of_tests),the build and the tests want,the build wants) of this machine)
	@$(toolchain)/prerequisites $(of_tests)

.PHONY: host
host: prerequisites
	$(call phase,building the host (7 to 17 minutes the first time on two cores))
	@$(call with,cargo build --release)

.PHONY: shipped
shipped: host
	$(call phase,building the plugins: $(plugins))
	@$(if $(plugins),$(toolchain)/build $(addprefix -p ,$(plugins)))
	@$(foreach name,$(plugins),$(call pack,target/wasm32-wasip2/plugin/$(call library,$(name)).wasm,plugins/$(name)/plugin.toml,target/plugins/$(name).wasm);)

.PHONY: sdk-examples
sdk-examples: host
	$(call phase,building the examples with the SDK: $(sdk_examples))
	@$(toolchain)/build $(addprefix -p ,$(sdk_examples))
	@$(foreach name,$(sdk_examples),$(call pack,target/wasm32-wasip2/plugin/$(call library,$(name)).wasm,plugins/examples/$(name)/plugin.toml,target/plugins/$(name).wasm);)

.PHONY: $(addprefix example-,$(examples))
$(addprefix example-,$(examples)): example-%: host
	$(call phase,building the example: $*)
	@$(toolchain)/build-example $*
	@$(call pack,target/$*/wasm32-wasip1/release/$(call library,$*).wasm,plugins/examples/$*/plugin.toml,target/plugins/$*.wasm)

.PHONY: guests
guests: host
	$(call phase,building the guests of the tests: $(guests))
	@$(if $(guests),$(toolchain)/build -p hearth-guests --examples)
	@$(foreach name,$(guests),$(call pack,target/wasm32-wasip2/plugin/examples/$(call library,$(name)).wasm,tests/guests/$(name).toml,target/guests/$(name).wasm);)

.PHONY: peers
peers: prerequisites
	$(call phase,looking for what the benchmarks hold the host against)
	@tests/tools/debian wrk=wrk pgbench=postgresql-17
	@tests/tools/python bench-python bench-requirements.txt
	@tests/tools/missing tell
	@tests/tools/wasmtime
	@$(call with,cargo build --profile dist -p hearth-native)

# Before anything is built: what is missing is told at once, and not after a quarter of
# an hour.
.PHONY: tools
tools: prerequisites
	$(call phase,looking for the programs of others that the tests start)
	@tests/tools/debian slowhttptest=slowhttptest h2load=nghttp2-client redis-server=redis-server
	@tests/tools/browser
	$(call phase,looking for what the tests run with Python and Node$(comma) and for other versions of Postgres)
	@tests/tools/python
	@tests/tools/node
	@tests/tools/postgres
	@tests/tools/missing tell

# cargo names a library's file after its crate.
library = $(subst -,_,$(1))

# pack COMPONENT,MANIFEST,OUT
pack = mkdir -p $(dir $(3)); $(packer) pack --component $(1) --manifest $(2) --out $(3)
