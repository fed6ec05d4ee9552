# lead: no configure step.  make | make demo | make test | make check | make asan | make help
# make brings a CC of its own, cc; only what the user says counts.
ifeq ($(origin CC),default)
CC      := gcc
endif
BUILD   := build
VERSION := 0.1
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

# What a make command is told: $(call given,AREA).  Of the command line alone: in the environment these short names may
# mean something else (CUDA=/usr/local/cuda).  None of them may be assigned in a makefile.
given    = $(if $(findstring command line,$(origin $1)),$($1))

# -ffp-contract=off: a*b+c rounds twice unless the source says fma, so every build draws the same random bits.
# -fno-math-errno only drops the errno store of sqrt and friends; it changes no value.
# -ffile-prefix-map: the same bytes, whatever directory it is built in (in quotes, so that no list of flags names it).
# -fPIC: one build is both libraries; without interposition its calls are as fast as others.
# Warnings are errors where WERROR=1 says so, for those who change the code; another compiler's are no reason to fail.
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           $(if $(call given,WERROR),-Werror)
CFLAGS  ?= -O2 -g
override CFLAGS += -std=c11 $(WARN) -ffp-contract=off -fno-math-errno -fopenmp -fPIC -fno-semantic-interposition \
                   '-ffile-prefix-map=$(CURDIR)=.' \
                   -D_GNU_SOURCE -Isrc -I. -MMD -MP $(EXTRA)
LDLIBS  := -lm
# What a result was made with: goes into the manifest (src/cli/support.c).
# SOURCES: a hash of everything that the program is compiled from.
SOURCES = $(shell cat $(sort $(SRC) $(CLI) $(REF) $(SIMD_SRC) $(SIMD_BF16) $(wildcard src/*/*.[hd]* src/*/*.inl src/*/*/*.h cuda/* mpi/*)) | sha256sum | cut -c 1-64)
MADE_BY = -DLEAD_VERSION='"$(VERSION)"' -DLEAD_COMMIT='"$(COMMIT)"' -DLEAD_SOURCES='"$(SOURCES)"' \
          -DLEAD_FLAGS='"$(filter -O% -m% -f% -std=%,$(CFLAGS))"'

# Reference kernels stay scalar, so that a speed-up is an honest one.
REFFLAGS := -fno-tree-vectorize

REF     := $(wildcard src/tensor/ref/*.inl)
SRC     := $(filter-out src/cli/%,$(wildcard src/*/*.c src/check/*/*.c src/traffic/*/*.c))
CLI     := $(wildcard src/cli/*.c)
OBJ     := $(SRC:%.c=$(BUILD)/%.o) \
           $(REF:%.inl=$(BUILD)/%.f32.o) $(REF:%.inl=$(BUILD)/%.f64.o)
ifeq ($(shell uname -m),x86_64)
# The sanitizers' build takes -O1: it costs minutes less to compile.
SIMD_OPT ?= -O3
SIMD_BF16 := $(wildcard cpu_simd/*_bf16.inl)
SIMD_SRC := $(filter-out $(SIMD_BF16),$(wildcard cpu_simd/*.inl))
OBJ     += $(SIMD_SRC:%.inl=$(BUILD)/%.avx2.o) $(SIMD_SRC:%.inl=$(BUILD)/%.avx512.o) \
           $(SIMD_BF16:%.inl=$(BUILD)/%.avx512bf16.o)
endif

all: deps $(BUILD)/lead $(BUILD)/liblead.a

# What Debian and Ubuntu call the one library we do not bring: PNG writing.  Installed when it is missing, after saying so.
STB := $(firstword $(wildcard /usr/include/stb/stb_image_write.h /usr/local/include/stb/stb_image_write.h))
deps:
ifeq ($(STB),)
	@echo "lead needs stb_image_write.h (Debian package libstb-dev); installing it with apt-get"
	@if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq libstb-dev; \
	else sudo apt-get update -qq && sudo apt-get install -y -qq libstb-dev; fi
endif

$(OBJ): | deps

# Synthetic traffic, training, forecast, table and pictures, in under three minutes.
demo: all
	$(BUILD)/lead demo

# Verifies every op on this machine.
check: all
	$(BUILD)/lead check

help:
	@echo "make               build/lead and build/liblead.a"
	@echo "make demo          synthetic traffic, training, forecast, pictures: everything in three minutes"
	@echo "make tour          the chapters of docs/tour, one program each"
	@echo "make check         gradients, oracles and parity of every op on this machine, one line an op"
	@echo "make test          all tests; AREA=\"ops cli\": some areas, QUICK=1: smallest sizes"
	@echo "make asan          quick tests under the address and undefined-behaviour sanitizers"
	@echo "make layers        who may include whom"
	@echo "make mutants       wrong kernels that the checks must notice; OP=\"linear add\": of some ops; SIMD=1, CUDA=1: those"
	@echo "                   kernels, MODEL=1: wrong lines above them; WORD=gemm: of some rows of their list"
	@echo "make checker       build/tests/checker, the checks of one op; MISSING=ok: although kernels are missing"
	@echo "make faults        lets each call to the system fail once, in every verb (hours); VERB=\"data info\": in one"
	@echo "make with-gcc-O0   quick tests of another build: also with-clang-O3, with-serial, with-musl, with-tsan; make valgrind"
	@echo "make nights        all of what takes hours"
	@echo "make fuzz          libFuzzer programs of the readers of files; make fuzz-run TARGET=json [RUNS=1000000]"
	@echo "make cuda          build/lead-cuda, where nvcc is; CUDA_ARCH=90: for one GPU"
	@echo "make mpi           build/lead-mpi, for mpirun, where mpicc is"
	@echo "make cuda-emulate  the CUDA kernels run and checked on the host"
	@echo "make cuda-report   registers, spills, shared memory of every CUDA kernel"
	@echo "make cuda-check    the GPU against the CPU; make cuda-bench: its speed"
	@echo "make bench         kernels against this machine's ceilings; BENCH=\"--quick --threads 1 conv2d\""
	@echo "make bench-peers   the same beside OpenBLAS, oneDNN 2.6 and 3.x, PyTorch, onnxruntime"
	@echo "make bench-models  whole models beside PyTorch and onnxruntime, peak memory"
	@echo "make ablation      what each idea of LEAD is worth: DATA=x.npy OUT=dir"
	@echo "make rivals        published forecasters beside LEAD, one table: DATA=x.npy OUT=dir, QUICK=1: minutes"
	@echo "make ladder        SGEMM and attention from plain loops to the product's kernels; BENCH=--quick: seconds"
	@echo "make twin          the whole model against its second derivation in PyTorch; QUICK=1: small sizes"
	@echo "make install       program, library, headers, models, man pages, completions; PREFIX=/usr/local DESTDIR=dir"
	@echo "make uninstall     takes them away again; make deb: a Debian package, below build"
	@echo "make clean         removes build"
	@echo "Words count on make's command line, not in the environment.  BUILD=directory: where things are built"
	@echo "WERROR=1: warnings are errors, for those who change the code.  CC=clang and CFLAGS=-O3 work too"

# q, not r: check/cases/linear.o must not replace autograd/linear.o.
$(BUILD)/liblead.a: $(OBJ)
	@rm -f $@
	@echo "  AR $@"
	@ar qcsD $@ $(OBJ)

$(BUILD)/lead: $(CLI:%.c=$(BUILD)/%.o) $(BUILD)/liblead.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(if $(findstring cli/support,$@),$(MADE_BY)) -c -o $@ $<

# The manifest names the commit, the report of lead check the sources: built again when those change.
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo "$(COMMIT) $(SOURCES)" | cmp -s - $@ || echo "$(COMMIT) $(SOURCES)" > $@
$(BUILD)/src/cli/support.o: $(BUILD)/commit

$(BUILD)/src/tensor/ref/%.f32.o: src/tensor/ref/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(REFFLAGS) -DREF_F32 -x c -c -o $@ $<

$(BUILD)/src/tensor/ref/%.f64.o: src/tensor/ref/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(REFFLAGS) -DREF_F64 -x c -c -o $@ $<

# A family of fast kernels is compiled twice too.  Instruction-set flags stay on these files; no other object may hold an
# instruction that the CPU lacks.
$(BUILD)/cpu_simd/%.avx2.o: cpu_simd/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(SIMD_OPT) -mavx2 -mfma -mf16c -x c -c -o $@ $<

AVX512  := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512
$(BUILD)/cpu_simd/%.avx512.o: cpu_simd/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(SIMD_OPT) $(AVX512) -x c -c -o $@ $<

$(BUILD)/cpu_simd/%.avx512bf16.o: cpu_simd/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(SIMD_OPT) $(AVX512) -mavx512bf16 -x c -c -o $@ $<

clean:
	rm -rf $(BUILD)

.PHONY: all deps demo check help clean
-include $(OBJ:.o=.d) $(CLI:%.c=$(BUILD)/%.d)
comma := ,
include cuda/cuda.mk
include tests/tests.mk
include tests/with.mk
include docs/tour/tour.mk
include packaging/install.mk
include packaging/mpi.mk
-include bench/bench.mk
