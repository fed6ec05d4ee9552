# The tour: docs/tour/N_name.c becomes $(BUILD)/tour/N_name.  `make tour` runs the chapters in order; `make test` builds
# them, and tests/test_tour.c compares what they print with their pages.
TOUR_SRC := $(sort $(wildcard docs/tour/*.c))
TOUR     := $(TOUR_SRC:docs/tour/%.c=$(BUILD)/tour/%)

$(TOUR): $(BUILD)/tour/%: $(BUILD)/docs/tour/%.o $(BUILD)/liblead.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

# Threads that wait must sleep: the tensors here are small, and a thread that spins takes the core of one that works.
tour: $(TOUR)
	@export OMP_WAIT_POLICY=passive; for chapter in $(TOUR); do echo "== $$chapter"; $$chapter $(BUILD)/tour || exit 1; done

test: $(TOUR)

.PHONY: tour
.SECONDARY: $(TOUR_SRC:%.c=$(BUILD)/%.o)
-include $(TOUR_SRC:%.c=$(BUILD)/%.d)
