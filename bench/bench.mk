# Benchmarks.  make bench [BENCH="--threads 1 --reps 9 conv2d"]   table on stdout, build/bench/bench.tsv for programs
bench: $(BUILD)/bench/bench_ops
	$(BUILD)/bench/bench_ops --tsv $(BUILD)/bench/bench.tsv $(BENCH)

$(BUILD)/bench/bench_ops: $(BUILD)/bench/bench_ops.o $(BUILD)/bench/rival.o $(BUILD)/liblead.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -o $@ $^ -ldl $(LDLIBS)

.PHONY: bench
-include $(BUILD)/bench/bench_ops.d $(BUILD)/bench/rival.d
