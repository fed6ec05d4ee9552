# Tests.  make test [AREA="ops philox"] | make asan | make layers | make mutants
# Every tests/test_<area>.c is found by its name; `make test AREA=...` runs some.  While an op is being written,
# `make test MISSING=ok AREA=ops` links although kernels are missing (they are NULL and fail their checks).
TEST_AREAS := $(patsubst tests/test_%.c,%,$(sort $(wildcard tests/test_*.c)))
TEST_OBJ   := $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/*.c))
TEST_LINK  := $(if $(MISSING),-no-pie -Wl$(comma)--unresolved-symbols=ignore-all)

test: $(if $(CLI),all) $(BUILD)/tests/run $(BUILD)/tests/checker
	$(BUILD)/tests/run $(AREA) $(if $(QUICK),--quick)

# The quick tests under the sanitizers, in a build of their own.  Leaks: arenas are never freed one by one, and
# LeakSanitizer cannot run under ptrace, so it is off.
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan:
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    $(MAKE) BUILD=build/asan CFLAGS="$(SANITIZE)" EXTRA=-Wno-maybe-uninitialized QUICK=1 test

layers:
	@sh tests/layers.sh

$(BUILD)/tests/run: $(TEST_OBJ) $(EMULATE_OBJ) $(BUILD)/liblead.a
	$(CC) $(CFLAGS) $(TEST_LINK) -o $@ $(TEST_OBJ) $(EMULATE_OBJ) $(BUILD)/liblead.a $(LDLIBS)

# Rewritten only when an area comes or goes, so that nothing is rebuilt for it.
$(BUILD)/tests/test_list.h: FORCE
	@mkdir -p $(@D)
	@printf 'AREA(%s)\n' $(TEST_AREAS) | cmp -s - $@ || printf 'AREA(%s)\n' $(TEST_AREAS) > $@

$(BUILD)/tests/main.o: $(BUILD)/tests/test_list.h
$(BUILD)/tests/%.o: override EXTRA += -Wno-missing-prototypes -I$(BUILD)/tests

.PHONY: test asan layers FORCE
-include $(TEST_OBJ:.o=.d)

# One op alone, while its kernel is written: make build/tests/checker MISSING=ok && build/tests/checker --isa scalar linear
checker: $(BUILD)/tests/checker
$(BUILD)/tests/checker: $(BUILD)/tests/mutants/checker.o $(EMULATE_OBJ) $(BUILD)/liblead.a
	$(CC) $(CFLAGS) $(TEST_LINK) -Wl,--dynamic-list=tests/mutants/exports.txt -o $@ $(BUILD)/tests/mutants/checker.o $(EMULATE_OBJ) $(BUILD)/liblead.a -ldl $(LDLIBS)

# Mutants of the harness itself and of every reference kernel (minutes; OP="linear add": of some).  `make test` takes a
# sample of them (test_mutants).
mutants: $(BUILD)/tests/checker
	sh tests/mutants/harness.sh $(BUILD)
	sh tests/mutants/run.sh $(BUILD)/tests/checker 1 $(OP)

.PHONY: checker mutants
-include $(BUILD)/tests/mutants/checker.d
