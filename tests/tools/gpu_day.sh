#!/bin/bash
# gpu_day.sh [1|2]: what a GPU is needed for, in two calls of a borrowed machine: 420 s, then 300 s (LIMIT).  Nothing is
# built there: tests/tools/gpu_pack.sh packs the programs beforehand into .gpu (GPU_DAY_PROGRAMS: another folder, or one
# that holds them unpacked).
#   $OUT/day1.log   every step's output, appended when the step ends, so that a killed call leaves what was known;
#                   $OUT/day1.tgz: the same as files.  Without OUT: build/gpu-day.  Two files a call: 8 come back.
#   1  facts; every op's quick cases, each its own process; the tensor cores' ops in tf32 and bf16; bf16 weights beside
#      the CPU's; the first case of wgmma alone, then its tiles; training beside the CPU, its recorded steps beside
#      PyTorch's, eager and compiled; products, attention, convolutions beside cuBLASLt and cuDNN; GPT-2; memory-bound
#      ops; counters of the main kernels; races
#   2  all cases, synccheck, the shapes of LEAD and GPT-2 against the CPU, products without wgmma and in fp32, samples,
#      PyTorch's ops and GPT-2, 200 steps of training
# What is expected of a row stands in bench/gpu_expected.tsv; rows that differ from it are named after each step.
# A step that fails, hangs or has no time left does not stop the others; only a GPU that does not answer does.  The exit
# status is the number of failed steps.  tests/tools/gpu_day_test.sh runs both calls without a GPU.
set -u
shopt -s lastpipe   # what is piped into `many` counts its failures here
cd "$(dirname "$0")/../.."
SECONDS=0
part=${1:-1}
case $part in 1) limit=${LIMIT:-420} ;; 2) limit=${LIMIT:-300} ;; *) echo "gpu_day: want 1 or 2, got $part"; exit 99 ;; esac
out=${OUT:-build/gpu-day} b=${GPU_DAY_PROGRAMS:-$PWD/.gpu} failed=0 skipped=0
log=$out/day$part.log
state=${GPU_DAY_STATE:-build/gpu-day-wgmma}   # what the first call found, for the second: $OUT is emptied between them
if [ -e "$b/programs.tgz" ]; then
    mkdir -p build/gpu-programs && tar xzf "$b/programs.tgz" -C build/gpu-programs && b=$PWD/build/gpu-programs
fi
for program in lead-cuda gpu dump_step; do
    [ -x "$b/$program" ] || { echo "gpu_day: no $b/$program; sh tests/tools/gpu_pack.sh first, and carry .gpu"; exit 99; }
done
w=$(mktemp -d) && mkdir -p "$out" build && : > "$log" || exit 99
trap 'rm -rf "$w"' EXIT
L=$b/lead-cuda G=$b/gpu
export PATH=$PATH:/usr/local/cuda/bin DUMP_STEP=$b/dump_step PYTHONUNBUFFERED=1
# cuBLAS and cuDNN may lie in PyTorch's packages alone; libgomp travels with the programs
libs=$(python3 -c "import glob, nvidia, os
print(':'.join(sorted({os.path.dirname(p) for n in nvidia.__path__ for p in glob.glob(n + '/**/lib*.so*', recursive=True)})))" \
    2>/dev/null)
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libs:/usr/local/cuda/lib64:$b

say() { echo "$*" | tee -a "$log"; }

# step NAME LIMIT COMMAND..: at most LIMIT seconds and never beyond the whole's; the last lines go to stdout.  A kill is
# of the whole process group, which the --foreground below keeps together.
step() {
    local name=$1 most=$2 start=$SECONDS left=$((limit - SECONDS)) rc
    shift 2
    if [ "$left" -lt 3 ]; then
        skipped=$((skipped + 1))
        say "## $name skipped"
        return 1
    fi
    [ "$most" -gt "$left" ] && most=$left
    timeout -s KILL "$most" "$@" > "$w/$name.txt" 2>&1
    rc=$?
    cat "$w/$name.txt" >> "$log"
    tail -n 3 "$w/$name.txt"
    say "## $name rc=$rc $((SECONDS - start)) s"
    [ $rc -eq 0 ] && return 0
    failed=$((failed + 1))
    return 1
}

# many NAME LIMIT WIDTH: the commands of stdin, WIDTH at a time, each at most 25 s; of those that fail their last lines.
# many_said NAME LIMIT: one at a time, with all that they say.
many() {
    local commands
    commands=$(cat)
    [ -n "$commands" ] || { failed=$((failed + 1)); say "## $1: want commands, got none"; return 1; }
    step "$1" "$2" xargs -d '\n' -P "$3" -I{} sh -c 'o=$(timeout --foreground -s KILL 25 {} 2>&1) && echo "ok {}" ||
        { echo "FAILED {}: $?"; echo "$o" | tail -n 8; exit 1; }' <<< "$commands"
}
many_said() { step "$1" "$2" xargs -d '\n' -I{} sh -c 'echo "# {}"; timeout --foreground -s KILL 25 {} 2>&1 || exit 1'; }

# table NAME LIMIT WGMMA MODE MATH SECONDS [ROW..]: rows of the bench, and which of them were not expected.
table() {
    local name=$1 most=$2 wgmma=$3 mode=$4 math=$5 seconds=$6 tsv=$w/$1.tsv
    shift 6
    step "$name" "$most" env LEAD_WGMMA="$wgmma" "$G" "$mode" --math "$math" --seconds "$seconds" --tsv "$tsv" "$@"
    [ -s "$tsv" ] && awk -v math="$math" -v wgmma="$wgmma" -f bench/gpu_expected.awk bench/gpu_expected.tsv "$tsv" | tee -a "$log"
}

each_op() { "$L" ops | tail -n +2 | cut -f 1 | sed "s|.*|$L check --device cuda $1--op &|"; }
products="matmul linear linear_gelu linear_silu linear_add"

first() {
    local math tile op T="The dog ran over the hill and then it went back home to sleep for a while in the sun"
    step facts 15 sh -c 'cat "$0/ABOUT"; nvidia-smi; python3 -c "import torch; print(torch.__version__)"
        which nvcc ncu compute-sanitizer; nproc; free -g | head -n 2; true' "$b"
    step info 20 "$L" info --device cuda || { say "gpu_day: no usable GPU"; return; }
    each_op "" | many check 60 10
    for math in tf32 bf16; do
        for op in $products conv2d conv2d_multi attention; do echo "$L check --device cuda --math $math --op $op"; done
    done | many check-math 30 8
    step bf16-cpu 10 "$L" gpt2 logits --llm-weights bf16 --text "$T" --top 3
    step bf16-gpu 15 "$L" gpt2 logits --device cuda --math bf16 --llm-weights bf16 --text "$T" --top 3
    local W=0
    if step wgmma-first 15 env LEAD_WGMMA=64x128 "$L" check --device cuda --math bf16 --op linear; then
        for math in bf16 tf32; do for tile in 64x128 128x128 128x256; do for op in $products; do
            echo "env LEAD_WGMMA=$tile $L check --device cuda --math $math --op $op"
        done; done; done | many wgmma 40 6 && W=1
    fi
    echo "W=$W" > "$state"
    step train-image 30 "$G" train --config image --steps 20 --math tf32
    step train-paper 40 "$G" train --config paper --steps 3 --math tf32
    table models 25 $W models tf32 20 lead_step lead_sample
    step torch 75 python3 bench/peers/gpu_peers.py "$w/torch.tsv" --math tf32 --rows lead_step
    table bench-bf16 40 $W bench bf16 35 matmul attention linear conv2d
    table gpt2 30 $W models bf16 20 gpt2_train gpt2_forward gpt2_decode
    table bench-tf32 40 $W bench tf32 35 conv2d attention linear
    table bench-mem 25 0 bench tf32 20 add gelu_tanh softmax layer_norm group_norm permute cross_entropy adamw sumsq randn
    for op in linear conv2d attention; do
        echo "env LEAD_WGMMA=$W ncu --clock-control none --launch-count 3 --section SpeedOfLight --section WarpStateStats" \
            "$G bench --math bf16 --no-peers --seconds 1 $op"
    done | many_said ncu 40
    for op in linear conv2d attention; do
        echo "compute-sanitizer --tool racecheck --error-exitcode 9 $L check --device cuda --math bf16 --op $op"
    done | many races 40 3
}

second() {
    local W=0 op
    [ -e "$state" ] && . "$state"
    each_op "--full " | many check-full 90 10
    for op in linear attention softmax sum layer_norm; do
        echo "compute-sanitizer --tool synccheck --error-exitcode 9 $L check --device cuda --math bf16 --op $op"
    done | many synccheck 40 3
    table shapes 40 0 check tf32 30
    table samples 25 $W models tf32 20 lead_sample
    [ $W = 1 ] && table bench-other 30 0 bench bf16 25 matmul linear   # W = 0: those of the first call are these
    table bench-fp32 25 0 bench fp32 20 matmul
    step torch-ops 60 python3 bench/peers/gpu_peers.py "$w/torch-ops.tsv" --math bf16 --rows linear attention conv2d \
        layer_norm softmax gelu_tanh add gpt2_forward gpt2_train
    step train-200 60 "$G" train --config image --steps 200 --math tf32
}

if [ "$part" = 1 ]; then first; else second; fi
tar czf "$out/day$part.tgz" -C "$w" .
say "gpu_day $part: $failed steps failed, $skipped skipped, $SECONDS s; $log"
[ $failed -gt 98 ] && failed=98
exit $failed
