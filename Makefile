# lead: no configure step.  make | make demo | make test | make asan | make help
CC      ?= gcc
BUILD   ?= build
VERSION := 0.1
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

# -ffp-contract=off: a*b+c rounds twice unless the source says fma, so every build draws the same random bits.
# -fno-math-errno only drops the errno store of sqrt and friends; it changes no value.
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
CFLAGS  ?= -O2 -g
override CFLAGS += -std=c11 $(WARN) -ffp-contract=off -fno-math-errno -fopenmp -D_GNU_SOURCE -Isrc -I. -MMD -MP $(EXTRA)
LDLIBS  := -lm
# What a result was made with: goes into the manifest (src/cli/support.c).
MADE_BY := -DLEAD_COMMIT='"$(COMMIT)"' -DLEAD_FLAGS='"$(filter -O% -m% -f% -std=%,$(CFLAGS))"'

# Reference kernels stay scalar, so that a speed-up is an honest one.
REFFLAGS := -fno-tree-vectorize

REF     := $(wildcard src/tensor/ref/*.inl)
SRC     := $(filter-out src/cli/%,$(wildcard src/*/*.c src/check/*/*.c))
CLI     := $(wildcard src/cli/*.c)
OBJ     := $(SRC:%.c=$(BUILD)/%.o) \
           $(REF:%.inl=$(BUILD)/%.f32.o) $(REF:%.inl=$(BUILD)/%.f64.o)
ifeq ($(shell uname -m),x86_64)
OBJ     += $(patsubst %.c,$(BUILD)/%.o,$(wildcard cpu_simd/avx2.c cpu_simd/avx512.c))
endif

all: $(BUILD)/lead $(BUILD)/liblead.a

# q, not r: check/cases/linear.o must not replace autograd/linear.o.
$(BUILD)/liblead.a: $(OBJ)
	@rm -f $@
	ar qcs $@ $(OBJ)

$(BUILD)/lead: $(CLI:%.c=$(BUILD)/%.o) $(BUILD)/liblead.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(if $(findstring cli/support,$@),$(MADE_BY)) -c -o $@ $<

$(BUILD)/src/tensor/ref/%.f32.o: src/tensor/ref/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(REFFLAGS) -DREF_F32 -x c -c -o $@ $<

$(BUILD)/src/tensor/ref/%.f64.o: src/tensor/ref/%.inl
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(REFFLAGS) -DREF_F64 -x c -c -o $@ $<

# Instruction-set flags stay on their own file; no other object may hold an instruction the CPU lacks.
$(BUILD)/cpu_simd/avx2.o: cpu_simd/avx2.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) -O3 -mavx2 -mfma -mf16c -c -o $@ $<

$(BUILD)/cpu_simd/avx512.o: cpu_simd/avx512.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512 -c -o $@ $<

clean:
	rm -rf $(BUILD)

.PHONY: all clean
-include $(OBJ:.o=.d) $(CLI:%.c=$(BUILD)/%.d)
include tests/tests.mk
