# Python with the yardsticks: PyTorch, onnxruntime.  PEERS_PYTHON=/some/venv/bin/python uses one that exists.
PEERS_PYTHON ?= build/venv/bin/python
build/venv/bin/python:
	python3 -m venv build/venv && build/venv/bin/pip install -q numpy safetensors torch onnxruntime onnx

# Benchmarks: table on stdout, build/bench/bench.tsv for programs.
#   make bench        [BENCH="--quick --threads 1 conv2d"]   our kernels and this machine's ceilings
#   make bench-peers  [BENCH=..]                             the same beside OpenBLAS, oneDNN, PyTorch, onnxruntime
bench: $(BUILD)/bench/bench_ops
	$(BUILD)/bench/bench_ops --tsv $(BUILD)/bench/bench.tsv $(BENCH)

bench-peers: $(BUILD)/bench/bench_ops $(PEERS_PYTHON)
	$(BUILD)/bench/bench_ops --peers --python $(PEERS_PYTHON) --tsv $(BUILD)/bench/bench.tsv $(BENCH)

BENCH_PROGRAM = @echo "  LD $@"; $(CC) $(CFLAGS) -o $@ $^ -ldl $(LDLIBS)
BENCH_OPS := bench_ops shapes problem peer openblas onednn python
$(BUILD)/bench/bench_ops: $(BENCH_OPS:%=$(BUILD)/bench/%.o) $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
$(BUILD)/bench/dump_step: $(BUILD)/bench/dump_step.o $(BUILD)/bench/session.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)

# The whole model against its second derivation in PyTorch: docs/twin.md.  QUICK=1: without the sizes of the paper.
twin: $(BUILD)/bench/dump_step $(PEERS_PYTHON)
	sh bench/peers/twin.sh $(BUILD) $(PEERS_PYTHON) $(QUICK)

.PHONY: bench bench-peers twin
-include $(wildcard $(BUILD)/bench/*.d)
