# CUDA.  make cuda: build/lead-cuda (where nvcc is); make cuda-emulate: every kernel on the host, part of make test.
# CUDA_ARCH: machine code for these GPUs, and the last one's PTX, which the driver compiles for newer ones (Blackwell)
# when the program starts; one architecture alone is for that GPU and brings no PTX.
CUDA_ARCH ?= 80 90
PTX_ARCH   = $(if $(word 2,$(CUDA_ARCH)),$(lastword $(CUDA_ARCH)))
NVCC      ?= nvcc
CU        := $(wildcard cuda/*.cu)
CU_SM90   := $(wildcard cuda/*_sm90.cu)
CU_EMU    := $(filter-out cuda/device.cu,$(CU))

# Deterministic and close to the CPU: IEEE division and square roots (the default), no fast math.  random.cu draws the
# very bits of the CPU: no contraction there.
NVCCFLAGS := -std=c++17 -O3 -lineinfo -Werror all-warnings -Xcompiler -Wall,-Wextra,-fopenmp -Isrc -Icuda -MMD -MP
GENCODE    = $(if $(findstring _sm90.cu,$<),-gencode arch=compute_90a$(comma)code=sm_90a, \
             $(foreach a,$(CUDA_ARCH),-gencode arch=compute_$(a)$(comma)code=[sm_$(a)$(if $(filter $a,$(PTX_ARCH)),$(comma)compute_$(a))]))

$(BUILD)/cuda/%.o: cuda/%.cu
	@mkdir -p $(@D)
	@echo "  NVCC $@"
	@$(NVCC) $(NVCCFLAGS) -Xptxas -v $(GENCODE) $(if $(findstring random.cu,$<),-fmad=false) -c -o $@ $< >$@.log 2>&1 || \
	    { cat $@.log; exit 1; }

CUDA_OBJ := $(CU:cuda/%.cu=$(BUILD)/cuda/%.o)
cuda: $(BUILD)/lead-cuda

# The kernels stand before the library, whose device_none.o is then not wanted.
$(BUILD)/lead-cuda: $(CLI:%.c=$(BUILD)/%.o) $(CUDA_OBJ) $(BUILD)/liblead.a
	@echo "  NVLINK $@"
	@$(NVCC) -Xcompiler -fopenmp -o $@ $^ $(LDLIBS)

# The host program and the bench as nvcc compiled them, on a stand-in for the CUDA runtime that runs no kernel and looks
# at every call (tests/launch/runtime.cc): make test AREA=cuda_launch.
$(BUILD)/tests/launch/%.o: tests/launch/%.cc
	@mkdir -p $(@D)
	@echo "  NVCC $@"
	@$(NVCC) -x c++ -std=c++17 -O1 -Xcompiler -Wall,-Wextra,-Werror -c -o $@ $<
$(BUILD)/tests/lead-audit: $(CLI:%.c=$(BUILD)/%.o) $(CUDA_OBJ) $(BUILD)/tests/launch/runtime.o $(BUILD)/liblead.a
	@echo "  LD $@"
	@$(CXX) -fopenmp -o $@ $^ $(LDLIBS)
$(BUILD)/tests/launch/faults: $(BUILD)/tests/launch/faults.o $(BUILD)/tests/launch/runtime.o
	@$(CXX) -o $@ $^
LAUNCH_AUDIT = $(if $(filter cuda_launch,$(call given,AREA)),$(if $(shell command -v $(NVCC)), \
               $(BUILD)/tests/lead-audit $(BUILD)/tests/gpu-audit $(BUILD)/tests/launch/faults))

# Registers, spills and shared memory of every kernel; a spill fails.
cuda-report: cuda
	@sh tests/tools/cuda_report.sh $(BUILD)

# The same sources as C++ (tests/emulate).
EMULATE_OBJ   := $(CU_EMU:cuda/%.cu=$(BUILD)/emulate/%.o) $(BUILD)/emulate/emulate.o $(BUILD)/emulate/hopper.o \
                 $(BUILD)/tests/emulate/fence.o
FAULT_OBJ     := $(BUILD)/emulate/faults.o
# Products and sums are contracted as by nvcc (but in random.cu), so that the checks see roundings of its kind; a CPU
# without fused multiply-add cannot.
HOST_FMA      := $(if $(filter x86_64,$(shell uname -m)),$(if $(shell grep -m1 -ow fma /proc/cpuinfo),-mfma,none))
EMULATE_FMA    = $(if $(filter none,$(HOST_FMA))$(findstring random.cu,$<),-ffp-contract=off,-ffp-contract=fast $(HOST_FMA))
EMULATE_FLAGS  = $(filter -O% -g -fsanitize% -fno-sanitize% -fno-omit%,$(CFLAGS)) -std=c++17 -DLEAD_CUDA_EMULATE -Wall \
                 -Wextra -Wshadow -Werror -Wno-unknown-pragmas -Wno-unused-function -fno-exceptions -fno-rtti \
                 -fno-threadsafe-statics $(EMULATE_FMA) -fno-math-errno -fopenmp -Isrc -Icuda -Itests/emulate \
                 -MMD -MP

$(BUILD)/emulate/%.o: cuda/%.cu
	@mkdir -p $(@D)
	@echo "  CXX $@"
	@$(CXX) $(EMULATE_FLAGS) -x c++ -c -o $@ $<

$(BUILD)/emulate/%.o: tests/emulate/%.cc
	@mkdir -p $(@D)
	@echo "  CXX $@"
	@$(CXX) $(EMULATE_FLAGS) -c -o $@ $<

cuda-emulate:
	$(MAKE) test AREA=cuda_emulate

.PHONY: cuda cuda-report cuda-emulate
-include $(EMULATE_OBJ:.o=.d) $(CU:cuda/%.cu=$(BUILD)/cuda/%.d)
