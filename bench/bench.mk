# Benchmarks.  make bench [BENCH="--threads 1 --reps 9 conv2d"]   table on stdout, build/bench/bench.tsv for programs
bench: $(BUILD)/bench/bench_ops
	$(BUILD)/bench/bench_ops --tsv $(BUILD)/bench/bench.tsv $(BENCH)

BENCH_PROGRAM = @echo "  LD $@"; $(CC) $(CFLAGS) -o $@ $^ -ldl $(LDLIBS)
$(BUILD)/bench/bench_ops: $(BUILD)/bench/bench_ops.o $(BUILD)/bench/rival.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
$(BUILD)/bench/dump_step: $(BUILD)/bench/dump_step.o $(BUILD)/bench/session.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)

# Python with the yardsticks: PyTorch, onnxruntime.  PEERS_PYTHON=/some/venv/bin/python uses one that exists.
PEERS_PYTHON ?= build/venv/bin/python
build/venv/bin/python:
	python3 -m venv build/venv && build/venv/bin/pip install -q numpy safetensors torch onnxruntime onnx

# The whole model against its second derivation in PyTorch: docs/twin.md.  QUICK=1: without the sizes of the paper.
twin: $(BUILD)/bench/dump_step $(PEERS_PYTHON)
	sh bench/peers/twin.sh $(BUILD) $(PEERS_PYTHON) $(QUICK)

.PHONY: bench twin
-include $(wildcard $(BUILD)/bench/*.d)
