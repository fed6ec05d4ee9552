# Python with the yardsticks: PyTorch, onnxruntime.  PEERS_PYTHON=/some/venv/bin/python uses one that exists.
PEERS_PYTHON ?= build/venv/bin/python
build/venv/bin/python:
	python3 -m venv build/venv && build/venv/bin/pip install -q numpy safetensors torch onnxruntime onnx
	build/venv/bin/pip install -q --no-deps onednn-devel paddlepaddle
# oneDNN 3.x: its headers, and of PaddlePaddle only the libdnnl.so.3 in it, built for GNU OpenMP (that of the package
# `onednn` is built for SYCL: no fused attention, threads that are not ours).  ONEDNN3=/some/libdnnl.so.3 uses another.
PEERS_VENV := $(patsubst %/bin/,%,$(dir $(PEERS_PYTHON)))
ONEDNN3 ?= $(firstword $(wildcard $(PEERS_VENV)/lib/python3*/site-packages/paddle/libs/libdnnl.so.3) libdnnl.so.3)
$(BUILD)/bench/onednn3.o: override CFLAGS += -isystem $(PEERS_VENV)/include
$(BUILD)/bench/onednn3.o: $(wildcard $(PEERS_VENV)/include/oneapi/dnnl/dnnl_graph.h)

# Benchmarks: table on stdout, build/bench/bench.tsv for programs, build/bench/roofline.png.
#   make bench        [BENCH="--quick --threads 1 conv2d"]   our kernels and this machine's ceilings
#   make bench-peers  [BENCH=..]                             the same beside OpenBLAS, oneDNN, PyTorch, onnxruntime
#   make bench-models [BENCH="--threads 2 gpt2_train"]       whole models beside PyTorch and onnxruntime, peak memory
bench: $(BUILD)/bench/bench_ops $(BUILD)/bench/roofline
	$(BUILD)/bench/bench_ops --tsv $(BUILD)/bench/bench.tsv $(call given,BENCH)
	$(BUILD)/bench/roofline $(BUILD)/bench/bench.tsv $(BUILD)/bench/roofline.png

bench-peers: $(PEERS_PYTHON)
	@$(MAKE) $(BUILD)/bench/bench_ops $(BUILD)/bench/roofline   # a new make: it sees the headers that have just come
	ONEDNN3=$(ONEDNN3) $(BUILD)/bench/bench_ops --peers --python $(PEERS_PYTHON) --tsv $(BUILD)/bench/bench.tsv \
	    $(call given,BENCH)
	$(BUILD)/bench/roofline $(BUILD)/bench/bench.tsv $(BUILD)/bench/roofline.png

bench-models: $(BUILD)/bench/bench_models $(BUILD)/bench/dump_step $(PEERS_PYTHON)
	DUMP_STEP=$(BUILD)/bench/dump_step $(BUILD)/bench/bench_models --python $(PEERS_PYTHON) \
	    --tsv $(BUILD)/bench/models.tsv --memory $(BUILD)/bench/memory.tsv $(call given,BENCH)

BENCH_PROGRAM = @echo "  LD $@"; $(CC) $(CFLAGS) -o $@ $^ -ldl $(LDLIBS)
BENCH_OPS := bench_ops shapes problem peer openblas onednn onednn3 python
$(BUILD)/bench/bench_ops: $(BENCH_OPS:%=$(BUILD)/bench/%.o) $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
$(BUILD)/bench/bench_models: $(patsubst %,$(BUILD)/bench/%.o,bench_models models session python peer openblas onednn \
                             onednn3 problem shapes) $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
$(BUILD)/bench/roofline: $(BUILD)/bench/roofline.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
$(BUILD)/bench/dump_step: $(BUILD)/bench/dump_step.o $(BUILD)/bench/session.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)

# What each idea is worth.   make ablation DATA=x.npy OUT=dir [BENCH="--seeds 3 --steps 300"]
ablation: $(BUILD)/bench/ablate
	$(BUILD)/bench/ablate $(DATA) $(OUT) $(call given,BENCH)
$(BUILD)/bench/ablate: $(BUILD)/bench/ablate.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
.PHONY: ablation

# Published forecasters beside LEAD: docs/rivals.md.  Hours; repeat the command to go on.  QUICK=1: minutes, no result.
#   make rivals DATA=x.npy OUT=dir [SPLIT=val] [STRIDE=1] [PROTOCOL=clean] [MODELS=..] [TARGETS=..] [SEEDS=..] [MINUTES=15]
RIVALS_OUT = $(or $(call given,OUT),$(BUILD)/rivals)
rivals: $(BUILD)/lead
	MODELS="$(call given,MODELS)" TARGETS="$(call given,TARGETS)" SEEDS="$(call given,SEEDS)" \
	    MINUTES="$(call given,MINUTES)" QUICK="$(call given,QUICK)" bench/rivals.sh $(BUILD)/lead \
	    "$(call given,DATA)" $(RIVALS_OUT) $(or $(call given,SPLIT),val) $(or $(call given,STRIDE),1) \
	    $(or $(call given,PROTOCOL),clean)
.PHONY: rivals

# Samplers and distilled runs.   make build/bench/few_calls; build/bench/few_calls DATA.npy 82 32 RUN@ddim@10 ..
$(BUILD)/bench/few_calls: $(BUILD)/bench/few_calls.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
# Time of a forecast by network calls.   make build/bench/draws; build/bench/draws [ROUNDS] [PRESET ..]
$(BUILD)/bench/draws: $(BUILD)/bench/draws.o $(BUILD)/bench/session.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)

# SGEMM and attention from plain loops to the product's kernels: docs/tour/8_ladder.md.   make ladder [BENCH=--quick]
# The rungs are compiled as the fast kernels are, twice, with instruction-set flags on their files alone.
LADDER_OBJ := $(BUILD)/bench/rungs/check.o $(if $(SIMD_SRC),$(foreach isa,avx2 avx512,\
              $(patsubst %,$(BUILD)/bench/rungs/%.$(isa).o,sgemm attention)))
$(BUILD)/bench/rungs/%.avx2.o: bench/ladder/%.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(SIMD_OPT) -mavx2 -mfma -mf16c -c -o $@ $<
$(BUILD)/bench/rungs/%.avx512.o: bench/ladder/%.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) $(SIMD_OPT) $(AVX512) -c -o $@ $<
$(BUILD)/bench/rungs/%.o: bench/ladder/%.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	@$(CC) $(CFLAGS) -c -o $@ $<
$(BUILD)/bench/ladder: $(BUILD)/bench/rungs/run.o $(LADDER_OBJ) $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
ladder: $(BUILD)/bench/ladder
	$(BUILD)/bench/ladder $(call given,BENCH)
$(BUILD)/tests/run: $(LADDER_OBJ)

# The GPU verified and measured by one program: gpu-emulated runs the same kernels on the host.
#   make cuda-check | make cuda-bench      wants a GPU; tests/tools/gpu_day.sh runs everything
GPU_OBJ := $(patsubst %,$(BUILD)/bench/%.o,gpu models shapes problem session)
$(BUILD)/bench/gpu_peers.o: bench/gpu_peers.cu
	@mkdir -p $(@D)
	@echo "  NVCC $@"
	@$(NVCC) $(NVCCFLAGS) -I. $(GENCODE) -c -o $@ $<
$(BUILD)/bench/gpu: $(GPU_OBJ) $(BUILD)/bench/gpu_peers.o $(CUDA_OBJ) $(BUILD)/liblead.a
	@echo "  NVLINK $@"
	@$(NVCC) -Xcompiler -fopenmp -o $@ $^ -ldl $(LDLIBS)
$(BUILD)/tests/gpu-audit: $(GPU_OBJ) $(BUILD)/bench/gpu_peers.o $(CUDA_OBJ) $(BUILD)/tests/launch/runtime.o $(BUILD)/liblead.a
	@echo "  LD $@"
	@$(CXX) -fopenmp -o $@ $^ -ldl $(LDLIBS)   # cuda/cuda.mk, lead-audit
$(BUILD)/bench/gpu-emulated: $(GPU_OBJ) $(EMULATE_OBJ) $(BUILD)/tests/emulate/device_emulated.o $(BUILD)/liblead.a
	$(BENCH_PROGRAM)
cuda-check: $(BUILD)/bench/gpu $(BUILD)/lead-cuda
	$(BUILD)/lead-cuda check --device cuda --full
	$(BUILD)/bench/gpu check
	$(BUILD)/bench/gpu train --steps 200
cuda-bench: $(BUILD)/bench/gpu
	for math in fp32 tf32 bf16; do \
	    $(BUILD)/bench/gpu bench --math $$math --tsv $(BUILD)/bench/gpu-$$math.tsv || exit 1; \
	done
	$(BUILD)/bench/gpu models --math tf32 --tsv $(BUILD)/bench/gpu-models.tsv

# The whole model against its second derivation in PyTorch: docs/twin.md.  QUICK=1: without the sizes of the paper.
twin: $(BUILD)/bench/dump_step $(PEERS_PYTHON)
	sh bench/peers/twin.sh $(BUILD) $(PEERS_PYTHON) $(call given,QUICK)

.PHONY: cuda-check cuda-bench bench bench-peers bench-models ladder twin
-include $(wildcard $(BUILD)/bench/*.d $(BUILD)/bench/rungs/*.d)
