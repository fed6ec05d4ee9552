# make mpi: build/lead-mpi, the same program over several processes (docs/parallel.md), where mpicc is.
MPICC ?= mpicc

mpi: $(BUILD)/lead-mpi

$(BUILD)/mpi/%.o: mpi/%.c
	@mkdir -p $(@D)
	@command -v $(MPICC) >/dev/null || { echo "make mpi: want $(MPICC) (Debian packages libopenmpi-dev openmpi-bin), found none" >&2; exit 1; }
	@echo "  MPICC $@"
	@OMPI_CC="$(CC)" MPICH_CC="$(CC)" $(MPICC) $(CFLAGS) -c -o $@ $<

# Its object stands before the library, whose ranks.o is then not wanted.
$(BUILD)/lead-mpi: $(CLI:%.c=$(BUILD)/%.o) $(BUILD)/mpi/ranks_mpi.o $(BUILD)/liblead.a
	@echo "  MPILD $@"
	@OMPI_CC="$(CC)" MPICH_CC="$(CC)" $(MPICC) $(CFLAGS) -o $@ $^ $(LDLIBS)

# What the test ranks runs is built by their make; without mpicc it says that it skips.
ifneq ($(if $(call given,QUICK),,$(shell command -v $(MPICC))),)
test: $(BUILD)/lead-mpi
endif

# What the sums over ranks cost: RANKS=2.
$(BUILD)/bench/ranks: $(BUILD)/bench/ranks.o $(BUILD)/mpi/ranks_mpi.o $(BUILD)/liblead.a
	@echo "  MPILD $@"
	@OMPI_CC="$(CC)" MPICH_CC="$(CC)" $(MPICC) $(CFLAGS) -o $@ $^ $(LDLIBS)
bench-ranks: $(BUILD)/bench/ranks
	mpirun --oversubscribe -n $(or $(call given,RANKS),2) $(BUILD)/bench/ranks

.PHONY: mpi bench-ranks
-include $(BUILD)/mpi/ranks_mpi.d
