# The program built otherwise, each in a directory of its own below build/with, and some tests run with it.
#   make with-gcc-O0 with-clang-O3 ..    another compiler or optimisation: quick tests of the areas below (WITH="all": all)
#   make with-tsan    threads under ThreadSanitizer: clang and libomp, whose races archer tells from OpenMP's own waiting
#   make with-serial  without OpenMP
#   make with-musl    linked statically with musl, without OpenMP (Debian: musl-tools)
#   make valgrind     verbs under memcheck, kernels up to AVX2 (it knows no AVX-512)
#   make nights       all of these, each fault (make faults), all mutants, and every fuzzer: hours
# A target whose compiler is not there says so and is no failure.
WITH_AREAS    := ops tape json series tokenizer gpt2 model checkpoint cli
WITH_LEVELS   := O0 O1 O2 O3
WITH_GCC      := $(sort $(notdir $(wildcard $(addprefix /usr/bin/,gcc gcc-1[0-9]))))
WITH_CLANG    := $(sort $(notdir $(wildcard $(addprefix /usr/bin/,clang clang-1[0-9] clang-2[0-9]))))
WITH_BUILDS   := $(foreach c,$(sort gcc clang $(WITH_GCC) $(WITH_CLANG)),$(foreach o,$(WITH_LEVELS),with-$(c)-$(o)))
with_areas     = $(if $(filter all,$(call given,WITH)),,$(filter $(TEST_AREAS),$(or $(call given,WITH),$(WITH_AREAS))))
# $(call with,NAME,COMPILER,FLAGS): the tests of that build
with           = @if command -v $(firstword $(2)) > /dev/null; then \
    $(MAKE) BUILD=build/with/$(1) CC="$(2)" CFLAGS="$(3)" AREA="$(with_areas)" QUICK=1 test; \
    else echo "skipped $(1): there is no $(firstword $(2))"; fi

$(WITH_BUILDS): with-%:
	$(call with,$*,$(firstword $(subst -O, ,$*)),-O$(lastword $(subst -O, ,$*)) -g)

# One thread, and no library for more.
SERIAL := -fno-openmp -Itests/serial -Wno-unknown-pragmas
with-serial:
	$(MAKE) BUILD=build/with/serial EXTRA="$(SERIAL)" build/with/serial/lead
	build/with/serial/lead check --op linear
	build/with/serial/lead check --golden --op add

# musl has no header of stb or of the kernel: those of the system come last.
with-musl:
ifeq ($(shell command -v musl-gcc),)
	@echo "skipped with-musl: there is no musl-gcc (Debian: musl-tools)"
else
	$(MAKE) BUILD=build/with/musl CC=musl-gcc CFLAGS="-O2 -g -static" EXTRA="$(SERIAL) -idirafter /usr/include" \
	    build/with/musl/lead
	build/with/musl/lead check --op linear
	build/with/musl/lead check --op softmax
endif

# archer is part of libomp, and reads its waiting for ThreadSanitizer; libomp itself is not built with it.
ARCHER := $(firstword $(wildcard /usr/lib/llvm-*/lib/libarcher.so))
with-tsan:
ifeq ($(and $(shell command -v clang),$(ARCHER)),)
	@echo "skipped with-tsan: it needs clang and libarcher.so (Debian: clang libomp-dev)"
else
	$(MAKE) BUILD=build/with/tsan CC=clang CFLAGS="-O1 -g -fsanitize=thread" SIMD_OPT=-O1 build/with/tsan/lead
	TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" OMP_TOOL_LIBRARIES="$(ARCHER)" \
	    sh tests/tools/verbs.sh build/with/tsan/lead 4
endif

valgrind: all
	@if command -v valgrind > /dev/null; then \
	    LEAD_ISA=avx2 sh tests/tools/verbs.sh "valgrind -q --error-exitcode=99 --leak-check=no $(BUILD)/lead" 1; \
	else echo "skipped valgrind: there is none"; fi

nights: $(WITH_BUILDS) with-serial with-musl with-tsan valgrind asan faults mutants
	for t in $(FUZZ_TARGETS); do $(MAKE) fuzz-run TARGET=$$t || exit 1; done

.PHONY: $(WITH_BUILDS) with-serial with-musl with-tsan valgrind nights
