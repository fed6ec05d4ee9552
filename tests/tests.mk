# Tests.  make test [AREA="ops philox"] | make asan | make layers | make mutants
# Every tests/test_<area>.c is found by its name; `make test AREA=...` runs some.  While an op is being written,
# `make test MISSING=ok AREA=ops` links although kernels are missing (they are NULL and fail their checks).
TEST_AREAS := $(patsubst tests/test_%.c,%,$(sort $(wildcard tests/test_*.c)))
TEST_OBJ   := $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/*.c) tests/fuzz/targets.c tests/fuzz/traffic.c tests/fuzz/series.c tests/fuzz/run.c tests/fuzz/seeds.c)
TEST_LINK  := $(if $(call given,MISSING),-no-pie -Wl$(comma)--unresolved-symbols=ignore-all)

# For area each_fault.
INJECT := $(if $(filter x86_64,$(shell uname -m)),$(BUILD)/tests/inject.so)

test: $(if $(CLI),all) $(BUILD)/tests/run $(INJECT) $(BUILD)/tests/checker $(if $(CLI),$(BUILD)/tests/lead-emulated) $(LAUNCH_AUDIT)
	$(BUILD)/tests/run $(call given,AREA) $(if $(call given,QUICK),--quick)

# The quick tests under the sanitizers, in a build of their own.  Leaks: arenas are never freed one by one, and
# LeakSanitizer cannot run under ptrace, so it is off.
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan:
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    $(MAKE) BUILD=build/asan CFLAGS="$(SANITIZE)" EXTRA=-Wno-maybe-uninitialized SIMD_OPT=-O1 QUICK=1 test

layers:
	@sh tests/layers.sh

$(BUILD)/tests/run: $(TEST_OBJ) $(EMULATE_OBJ) $(FAULT_OBJ) $(BUILD)/liblead.a
	$(CC) $(CFLAGS) $(TEST_LINK) -o $@ $(TEST_OBJ) $(EMULATE_OBJ) $(FAULT_OBJ) $(LADDER_OBJ) $(BUILD)/liblead.a $(LDLIBS)
	@echo $(TEST_OBJ) $(EMULATE_OBJ) $(FAULT_OBJ) $(LADDER_OBJ) > $@.objects   # for tests/mutants/listed.sh model

# The program with --device cuda emulated.
$(BUILD)/tests/lead-emulated: $(CLI:%.c=$(BUILD)/%.o) $(EMULATE_OBJ) $(BUILD)/tests/emulate/device_emulated.o $(BUILD)/liblead.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
-include $(BUILD)/tests/emulate/device_emulated.d

# The object that lets the k-th call to the system fail (area each_fault).  make faults: every k of every verb (an hour);
# VERB="gpt2 train": of one.
$(BUILD)/tests/inject.so: tests/inject/inject.c tests/inject/kinds.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -O1 -g $(WARN) -Wno-missing-prototypes -I. -fno-builtin -shared -fPIC -o $@ $< -ldl
faults: all $(BUILD)/tests/run $(INJECT)
	LEAD_EVERY_FAULT="$(or $(call given,VERB),1)" $(BUILD)/tests/run each_fault

# Rewritten only when an area comes or goes, so that nothing is rebuilt for it.
$(BUILD)/tests/test_list.h: FORCE
	@mkdir -p $(@D)
	@printf 'AREA(%s)\n' $(TEST_AREAS) | cmp -s - $@ || printf 'AREA(%s)\n' $(TEST_AREAS) > $@

$(BUILD)/tests/main.o: $(BUILD)/tests/test_list.h
$(BUILD)/tests/%.o: override EXTRA += -Wno-missing-prototypes -I$(BUILD)/tests

.PHONY: test asan layers faults FORCE
-include $(TEST_OBJ:.o=.d)

# One op alone, while its kernel is written: make build/tests/checker MISSING=ok && build/tests/checker --isa scalar linear
checker: $(BUILD)/tests/checker
$(BUILD)/tests/checker: $(BUILD)/tests/mutants/checker.o $(EMULATE_OBJ) $(BUILD)/liblead.a
	$(CC) $(CFLAGS) $(TEST_LINK) -Wl,--dynamic-list=tests/mutants/exports.txt -o $@ $(BUILD)/tests/mutants/checker.o $(EMULATE_OBJ) $(BUILD)/liblead.a -ldl $(LDLIBS)

# Mutants of the harness itself and of every reference kernel (minutes); OP="linear add": of those kernels alone.
# CUDA=1: of the CUDA kernels, SIMD=1: of the AVX2 and AVX-512 kernels, MODEL=1: of what is composed of them, from the model
# to the program, instead (WORD=gemm: those with that word in their row).
# `make test` takes a sample of them (test_mutants).
ifneq ($(filter mutants,$(MAKECMDGOALS)),)
KERNELS := $(strip $(foreach k,CUDA SIMD MODEL,$(if $(call given,$k),$k)))
ifneq ($(word 2,$(KERNELS)),)
$(error mutants: want one of CUDA=1, SIMD=1 and MODEL=1, got $(KERNELS))
endif
ifneq ($(filter-out 1,$(call given,CUDA) $(call given,SIMD) $(call given,MODEL)),)
$(error mutants: want CUDA=1, SIMD=1 or MODEL=1, got $(call given,CUDA)$(call given,SIMD)$(call given,MODEL))
endif
ifneq ($(and $(KERNELS),$(call given,OP)),)
$(error mutants: OP chooses reference kernels; with $(KERNELS)=1 give WORD)
endif
ifneq ($(if $(KERNELS),,$(call given,WORD)),)
$(error mutants: WORD chooses rows of the lists of SIMD=1, CUDA=1 and MODEL=1; reference kernels are chosen by OP)
endif
endif
mutants: $(if $(call given,MODEL),$(BUILD)/tests/run $(BUILD)/lead,$(BUILD)/tests/checker)
ifneq ($(call given,MODEL),)
	sh tests/mutants/listed.sh model $(BUILD)/tests/run 1 "$(call given,WORD)"
else ifneq ($(call given,CUDA)$(call given,SIMD),)
	sh tests/mutants/listed.sh $(if $(call given,CUDA),cuda,simd) $(BUILD)/tests/checker 1 "$(call given,WORD)"
else
	$(if $(call given,OP),,sh tests/mutants/harness.sh $(BUILD))
	sh tests/mutants/run.sh $(BUILD)/tests/checker 1 $(call given,OP)
endif

.PHONY: checker mutants
-include $(BUILD)/tests/mutants/checker.d

# libFuzzer programs of the readers of foreign files (clang with its runtime library); contract: tests/fuzz/targets.h.
# The readers are built with coverage and sanitizers; what else they refer to comes from the library as it is.
FUZZ_TARGETS := safetensors json vocab merges tokenizer config llmc xml gzip sndlib totem matrix_text repetita paragon npy npz table map topology record
FUZZ_CC      ?= $(firstword $(foreach c,clang clang-19 clang-17 clang-15 clang-14,$(if $(shell command -v $(c)),$(c))))
FUZZ_FLAGS   := -O2 -g -std=c11 -D_GNU_SOURCE -Isrc -I. -fno-sanitize-recover=all -Wno-unknown-pragmas
FUZZ_SRC     := $(addprefix src/,tensor/arena.c tensor/status.c tensor/utf8.c io/file.c tensor/tensor.c io/json.c \
                io/safetensors.c nn/params.c io/sha256.c llm/bpe.c llm/bpe_vocab.c llm/bpe_files.c llm/unicode.c \
                llm/gpt2_weights.c llm/gpt2_file.c llm/gpt2_config.c llm/gpt2_llmc.c \
                io/xml.c io/gzip.c io/number.c io/npy.c io/npz.c io/stb.c traffic/times.c traffic/unit.c traffic/text.c \
                traffic/text_table.c traffic/csv.c traffic/csv_layout.c traffic/csv_names.c traffic/long.c \
                traffic/long_columns.c traffic/long_json.c traffic/long_map.c traffic/series.c traffic/series_grid.c \
                traffic/series_fill.c traffic/series_read.c traffic/series_npz.c links/topology_read.c links/topology_xml.c \
                lead/record.c lead/config.c lead/stats.c lead/stats_check.c nn/checkpoint.c) $(wildcard src/traffic/formats/*.c) \
                tests/fuzz/targets.c tests/fuzz/traffic.c tests/fuzz/series.c tests/fuzz/run.c tests/fuzz/seeds.c tests/fuzz/entry.c
FUZZ_OBJ     := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(filter-out %/entry.c,$(FUZZ_SRC)))
FUZZ_LINK     = $(BUILD)/liblead.a -L$(dir $(shell $(CC) -print-file-name=libgomp.so)) -lgomp -lm
RUNS         ?= 10000000
fuzz: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<
-include $(FUZZ_OBJ:.o=.d)
$(BUILD)/fuzz/seeds: $(BUILD)/liblead.a $(FUZZ_OBJ) tests/fuzz/entry.c
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=address,undefined -o $@ tests/fuzz/entry.c $(FUZZ_OBJ) $(FUZZ_LINK)
$(FUZZ_TARGETS:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: $(FUZZ_OBJ) tests/fuzz/entry.c $(BUILD)/fuzz/seeds
	$(FUZZ_CC) $(FUZZ_FLAGS) -DTARGET=fuzz_$* -fsanitize=fuzzer,address,undefined -o $@ tests/fuzz/entry.c $(FUZZ_OBJ) $(FUZZ_LINK)
	@mkdir -p $@.corpus
	ASAN_OPTIONS=detect_leaks=0 $(BUILD)/fuzz/seeds $* $@.corpus

# make fuzz-run TARGET=json [RUNS=1000000]: ends with an input below build/fuzz when it finds something.
fuzz-run: $(BUILD)/fuzz/$(call given,TARGET)
	ASAN_OPTIONS=detect_leaks=0 $< -runs=$(RUNS) -max_len=2048 -timeout=5 -rss_limit_mb=4096 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/fuzz/$(TARGET)- $<.corpus

.PHONY: fuzz fuzz-run

# The engine's side of tests/tools/compare_transformers.py.
$(BUILD)/tests/gpt2_twin: $(BUILD)/tests/tools/gpt2_twin.o $(BUILD)/liblead.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
-include $(BUILD)/tests/tools/gpt2_twin.d
