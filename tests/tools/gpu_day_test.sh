#!/bin/sh
# gpu_day_test.sh TMP: runs gpu_day.sh where no GPU is, with programs that stand in for nvidia-smi, nvcc,
# compute-sanitizer, python3 and the two that it builds: the order of its steps, their outputs, failed, killed and
# skipped steps, its exit status, and that it stops at its limit.
tmp=$1/gpu_day bad=0
rm -rf "$tmp" && mkdir -p "$tmp/bin" "$tmp/build/bench" "$tmp/build/cuda" || exit 1
fail() { echo "gpu_day_test: $*"; bad=1; }
fake() { printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1"; }
fake "$tmp/bin/nvidia-smi" 'case "$*" in *compute_cap*) echo 9.0 ;; *) echo "a GPU" ;; esac'
fake "$tmp/bin/nvcc" 'echo nvcc'
fake "$tmp/bin/compute-sanitizer" 'echo "$*"'
fake "$tmp/bin/python3" 'case "$1" in -c) exit 0 ;; *) echo peer > "$2" ;; esac'
fake "$tmp/build/lead-cuda" 'echo "$*"; case "$*" in *--full*) exit ${FULL:-0} ;; esac'
fake "$tmp/build/bench/gpu" '
case "$*" in *--no-peers*) ;; bench*) [ -n "$SLOW" ] && sleep 30; [ -n "$BROKEN" ] && exit 3 ;; esac
while [ $# -gt 0 ]; do [ "$1" = --tsv ] && echo row > "$2"; shift; done; true'
cat > "$tmp/build/cuda/k.o.log" <<'END'
ptxas info    : Compiling entry function '_Z1kv' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers
END

# day NAME WANT VARIABLES..: runs it, wants this exit status
day() {
    name=$1 want=$2
    shift 2
    env PATH="$tmp/bin:$PATH" GPU_DAY_BUILD="$tmp/build" MAKE=true "$@" \
        bash tests/tools/gpu_day.sh "$tmp/$name" > "$tmp/$name.log" 2>&1
    rc=$?
    [ $rc = "$want" ] || { fail "$name: exit status $rc, want $want"; cat "$tmp/$name.log"; }
}
says() { grep -q "$2" "$tmp/$1/summary.tsv" || fail "$1: no line '$2' in summary.tsv"; }

day good 0
for step in info build device check bench-bf16 bench-tf32 bench-fp32 models train shapes peers sanitizer-racecheck-linear \
            check-full report; do
    says good "^$step	[0-9]*	0$"
done
for file in bench-bf16 models train shapes peers cuda-report; do [ -s "$tmp/good/$file.tsv" ] || fail "good: no $file.tsv"; done
day broken 5 BROKEN=1   # three maths and wgmma's two
says broken '^bench-bf16	[0-9]*	3$'
says broken '^bench-bf16-alone	[0-9]*	0$'
day full 1 FULL=1
says full '^check-full	[0-9]*	1$'
start=$(date +%s)
day slow 1 SLOW=1 LIMIT=5
[ $(($(date +%s) - start)) -lt 25 ] || fail "slow: it ran past its limit"
says slow '^bench-bf16	[0-9]*	137$'
says slow '^check-full	0	skipped$'
[ $bad = 0 ] && echo "gpu_day: 4 days without a GPU as wanted"
exit $bad
