#!/bin/bash
# gpu_day.sh [OUT]: everything that a GPU is needed for, in under 8 minutes with the build, results as TSV below OUT
# (default $OUT, else build/gpu-day).  Written for a bare machine with nvcc, 16 cores and one GPU.
#   info.txt       GPU, driver, compiler, commit         report.tsv   registers and spills of each kernel
#   check.txt      lead check --device cuda --full: every case of every op against f64
#   shapes.tsv     every op at the shapes of LEAD and GPT-2 against the CPU, twice, same bits
#   train.tsv      200 training steps on CPU and GPU side by side
#   bench-*.tsv    times by op and shape for fp32, tf32, bf16; peers.tsv: PyTorch, where python3 has it
#   wgmma-*        gemm_sm90.cu (LEAD_WGMMA): its tiles on every case, shapes, times
#   sanitizer-*    compute-sanitizer memcheck, racecheck, initcheck on the quick cases
#   summary.tsv    step, seconds, exit status
# Needs stb_image_write.h; where it is not installed, put it into third_party/stb/ (not part of the repository).
# A step that fails does not stop the next; the exit status is the number of failed steps.
set -u
cd "$(dirname "$0")/../.."
out=${1:-${OUT:-build/gpu-day}}
mkdir -p "$out"
summary=$out/summary.tsv failed=0
printf 'step\tseconds\tstatus\n' > "$summary"
step() {   # name, limit in seconds, command..; output to $out/name.txt
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    timeout -s KILL "$limit" "$@" > "$out/$name.txt" 2>&1
    local rc=$?
    printf '%s\t%s\t%s\n' "$name" $((SECONDS - start)) $rc | tee -a "$summary"
    [ $rc -eq 0 ] || { failed=$((failed + 1)); tail -n 5 "$out/$name.txt"; }
}
arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
stb=
[ -e /usr/include/stb/stb_image_write.h ] || stb="STB=third_party/stb/stb_image_write.h EXTRA=-Ithird_party"
build="make -j$(nproc) BUILD=build/gpu CUDA_ARCH=${arch:-90} $stb"
lead=build/gpu/lead-cuda gpu=build/gpu/bench/gpu

step info 20 sh -c 'nvidia-smi; nvcc --version; git log -1 --oneline 2>/dev/null; nproc'
step build 240 $build cuda build/gpu/bench/gpu
step device 30 "$lead" info --device cuda
step report 60 make BUILD=build/gpu CUDA_ARCH="${arch:-90}" $stb cuda-report && cp "$out/report.txt" "$out/report.tsv"
step check 90 "$lead" check --device cuda --full
step shapes 90 "$gpu" check --tsv "$out/shapes.tsv"
step train 90 "$gpu" train --config small --steps 200 --tsv "$out/train.tsv"
for math in fp32 tf32 bf16; do step bench-$math 45 "$gpu" bench --math $math --tsv "$out/bench-$math.tsv"; done
for math in tf32 bf16; do step shapes-$math 60 "$gpu" check --math $math --tsv "$out/shapes-$math.tsv"; done
# wgmma, which is off until these have passed: every tile on every case of the three ops, a block under memcheck, then the
# shapes and times beside those above
if [ "${arch:-90}" = 90 ]; then
    for math in bf16 tf32; do
        for tile in 64x128 128x128 128x256; do
            for op in matmul linear linear_gelu; do
                step wgmma-$math-$tile-$op 15 env LEAD_WGMMA=$tile "$lead" check --device cuda --math $math --op $op
            done
        done
        step wgmma-shapes-$math 30 env LEAD_WGMMA=1 "$gpu" check --math $math --tsv "$out/wgmma-shapes-$math.tsv" matmul linear linear_gelu
        step wgmma-bench-$math 30 env LEAD_WGMMA=1 "$gpu" bench --math $math --tsv "$out/wgmma-bench-$math.tsv" matmul linear linear_gelu
    done
    command -v compute-sanitizer >/dev/null && step wgmma-memcheck 30 env LEAD_WGMMA=64x128 compute-sanitizer --tool memcheck \
        --error-exitcode 9 "$lead" check --device cuda --math bf16 --op linear
fi
[ -e bench/peers/gpu_peers.py ] && step peers 60 python3 bench/peers/gpu_peers.py "$out/peers.tsv"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        for op in linear conv2d attention softmax sum layer_norm; do
            step sanitizer-$tool-$op 20 compute-sanitizer --tool $tool --error-exitcode 9 "$lead" check --device cuda --op $op
        done
    done
fi
echo "gpu_day: $failed steps failed, $SECONDS s, results in $out"
exit $failed
