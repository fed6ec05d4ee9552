#!/bin/bash
# gpu_day.sh [OUT]: everything that a GPU is needed for, in under 8 minutes with the build, results as TSV below OUT
# (default $OUT, else build/gpu-day).  Written for a bare machine with nvcc, 16 cores and one GPU; the most telling
# steps come first, and no step outlasts the whole: one that no longer fits is listed as skipped.
#   info.txt        GPU, driver, compiler, commit          device.txt   lead info
#   check.txt       every op's quick cases against f64; check-full.txt: all cases
#   bench-*.tsv     times by op and shape for bf16, tf32, fp32 beside cuBLAS, cuBLASLt, cuDNN and the measured ceilings
#   wgmma-*         gemm_sm90.cu (LEAD_WGMMA), which is off until these have passed: its tiles on every case, shapes,
#                   times
#   models.tsv      training steps, samples, GPT-2: milliseconds, samples and tokens a second
#   shapes*.tsv     every op at the shapes of LEAD and GPT-2 against the CPU, twice, same bits
#   train.tsv       200 training steps on CPU and GPU side by side
#   peers.tsv       PyTorch, where python3 has it with CUDA
#   sanitizer-*     compute-sanitizer memcheck, racecheck, initcheck on the quick cases
#   report.txt, cuda-report.tsv   registers, spills, machine code of each kernel
#   summary.tsv     step, seconds, exit status (137: over its limit; skipped: no time was left)
# LIMIT=480: seconds for all of it.  Needs stb_image_write.h.  GPU_DAY_BUILD: build directory; with MAKE=true its
# programs are taken as they are (tests/tools/gpu_day_test.sh runs the whole flow so, without a GPU).
# A step that fails does not stop the next, except the build; the exit status is the number of failed steps.
set -u
cd "$(dirname "$0")/../.."
SECONDS=0
limit_all=${LIMIT:-480} out=${1:-${OUT:-build/gpu-day}} dir=${GPU_DAY_BUILD:-build/gpu} make=${MAKE:-make}
stb=
if [ ! -e /usr/include/stb/stb_image_write.h ] && [ ! -e /usr/local/include/stb/stb_image_write.h ]; then
    if [ ! -e third_party/stb/stb_image_write.h ]; then
        echo "gpu_day: stb_image_write.h is missing.  Install libstb-dev here or, where it is installed, before the day:"
        echo "    mkdir -p third_party/stb && cp /usr/include/stb/stb_image_write.h third_party/stb/"
        echo "and bring third_party/ along (it is not part of the repository: echo /third_party/ >> .git/info/exclude)."
        exit 99
    fi
    stb="STB=third_party/stb/stb_image_write.h EXTRA=-Ithird_party"
fi
mkdir -p "$out" || exit 99
summary=$out/summary.tsv failed=0
printf 'step\tseconds\tstatus\n' > "$summary"

# step NAME LIMIT COMMAND..: output to $out/NAME.txt; at most LIMIT seconds and never beyond the whole's.
step() {
    local name=$1 limit=$2 start=$SECONDS rc left=$((limit_all - SECONDS))
    shift 2
    if [ "$left" -lt 2 ]; then
        printf '%s\t0\tskipped\n' "$name" | tee -a "$summary"
        return 1
    fi
    [ "$limit" -gt "$left" ] && limit=$left
    timeout -s KILL "$limit" "$@" > "$out/$name.txt" 2>&1
    rc=$?
    printf '%s\t%s\t%s\n' "$name" $((SECONDS - start)) $rc | tee -a "$summary"
    [ $rc -eq 0 ] && return 0
    failed=$((failed + 1))
    tail -n 5 "$out/$name.txt"
    return 1
}
finish() {
    echo "gpu_day: $failed steps failed, $(grep -c skipped "$summary") skipped, $SECONDS s, results in $out"
    exit "$failed"
}

# Only the architecture of this machine's GPU is compiled.
arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
build="$make -j$(nproc) BUILD=$dir CUDA_ARCH=${arch:-90} $stb"
lead=$dir/lead-cuda gpu=$dir/bench/gpu

step info 20 sh -c 'nvidia-smi; nvcc --version; git log -1 --oneline 2>/dev/null; nproc'
step build 200 $build cuda "$dir/bench/gpu" || finish
step device 20 "$lead" info --device cuda || finish
step check 40 "$lead" check --device cuda
for math in bf16 tf32 fp32; do
    # the peers' libraries may misbehave on a machine that they do not know: then once more without them
    step bench-$math 60 "$gpu" bench --math $math --seconds 30 --tsv "$out/bench-$math.tsv" ||
        step bench-$math-alone 30 "$gpu" bench --math $math --seconds 20 --no-peers --tsv "$out/bench-$math.tsv"
done
step models 60 "$gpu" models --math tf32 --seconds 40 --tsv "$out/models.tsv"
if [ "${arch:-90}" = 90 ]; then
    products="matmul linear linear_gelu linear_add"
    for math in bf16 tf32; do
        for tile in 64x128 128x128 128x256; do
            for op in $products; do
                step wgmma-$math-$tile-$op 10 env LEAD_WGMMA=$tile "$lead" check --device cuda --math $math --op $op
            done
        done
        step wgmma-shapes-$math 20 env LEAD_WGMMA=1 "$gpu" check --math $math --seconds 15 \
            --tsv "$out/wgmma-shapes-$math.tsv" $products
        step wgmma-bench-$math 20 env LEAD_WGMMA=1 "$gpu" bench --math $math --seconds 15 \
            --tsv "$out/wgmma-bench-$math.tsv" $products
    done
    if command -v compute-sanitizer >/dev/null; then
        step wgmma-memcheck 30 env LEAD_WGMMA=64x128 compute-sanitizer --tool memcheck --error-exitcode 9 "$lead" check \
            --device cuda --math bf16 --op linear
    fi
fi
step train 50 "$gpu" train --config image --steps 200 --tsv "$out/train.tsv"
step shapes 60 "$gpu" check --seconds 50 --tsv "$out/shapes.tsv"
for math in tf32 bf16; do
    step shapes-$math 30 "$gpu" check --math $math --seconds 20 --tsv "$out/shapes-$math.tsv" linear conv2d attention
done
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    step peers 70 python3 bench/peers/gpu_peers.py "$out/peers.tsv"
fi
if command -v compute-sanitizer >/dev/null; then
    for tool in racecheck memcheck initcheck; do
        for op in linear conv2d attention softmax sum layer_norm; do
            step sanitizer-$tool-$op 15 compute-sanitizer --tool $tool --error-exitcode 9 \
                "$lead" check --device cuda --op $op
        done
    done
fi
step check-full 90 "$lead" check --device cuda --full
step report 30 sh tests/tools/cuda_report.sh "$dir" && cp "$dir/cuda-report.tsv" "$out/" 2>/dev/null
finish
