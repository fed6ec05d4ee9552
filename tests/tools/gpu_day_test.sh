#!/bin/sh
# gpu_day_test.sh TMP: runs both calls of gpu_day.sh where no GPU is, with programs that stand in for lead-cuda, gpu,
# nvidia-smi, compute-sanitizer, ncu and python3: the steps and their order, what lies in $OUT, failed, killed and
# skipped steps, the exit status, that it stops at its limit, and what is expected of rows.
tmp=$1/gpu_day bad=0
rm -rf "$tmp" && mkdir -p "$tmp/bin" "$tmp/.gpu" || exit 1
fail() { echo "gpu_day_test: $*"; bad=1; }
fake() { printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1"; }
for tool in nvidia-smi nvcc compute-sanitizer ncu; do fake "$tmp/bin/$tool" 'echo "$0 $*"'; done
fake "$tmp/bin/python3" 'case "$1" in -c) echo /nowhere ;; *) echo peer > "$2" ;; esac'
fake "$tmp/.gpu/lead-cuda" '
case "$*" in
ops) [ -z "$OPS" ] || exit 1; printf "op\tfamily\nlinear\tlinear\nadd\telementwise\n" ;;
info*) exit ${INFO:-0} ;;
*"--op add"*) echo said by add; [ -z "$SLOW" ] || sleep 60; exit ${ADD:-0} ;;
*"math bf16 --op linear") [ -z "$LEAD_WGMMA" ] || echo "tile $LEAD_WGMMA" ; [ -z "$LEAD_WGMMA" ] || exit ${WGMMA:-0} ;;
esac'
fake "$tmp/.gpu/gpu" '
echo "gpu $* wgmma $LEAD_WGMMA"
while [ $# -gt 0 ]; do
    if [ "$1" = --tsv ]; then
        printf "# GPU\nop\tshape\tpass\tmicroseconds\tTFLOP/s\tTB/s\n" > "$2"
        printf "matmul\t4096x4096x4096\tfwd\t250.0\t%s\t1\nmul\t1x1\tfwd\t1\t1\t1\n" "${RATE:-500}" >> "$2"
        [ "$SHORT" ] || printf "matmul\t8192x8192x8192\tfwd\t2000.0\t%s\t1\n" "${RATE:-500}" >> "$2"
    fi
    shift
done'
fake "$tmp/.gpu/dump_step" true
echo a commit > "$tmp/.gpu/ABOUT"

# day NAME WANT PART VARIABLES..: runs a call, wants this exit status
day() {
    name=$1 want=$2 part=$3
    shift 3
    env PATH="$tmp/bin:$PATH" GPU_DAY_PROGRAMS="$tmp/.gpu" GPU_DAY_STATE="$tmp/state" OUT="$tmp/$name" "$@" \
        bash tests/tools/gpu_day.sh "$part" > "$tmp/$name.log" 2>&1
    rc=$?
    [ $rc = "$want" ] || { fail "$name: exit status $rc, want $want"; cat "$tmp/$name.log"; }
}
says() { grep -q -- "$2" "$tmp/$1/day$3.log" || fail "$1: no line '$2' in day$3.log"; }
silent() { ! grep -q -- "$2" "$tmp/$1/day$3.log" || fail "$1: '$2' in day$3.log"; }

day good 0 1
for step in facts info check check-math bf16-cpu bf16-gpu wgmma-first wgmma train-image train-paper models torch bench-bf16 gpt2 \
            bench-tf32 bench-mem ncu races; do
    says good "^## $step rc=0 [0-9]* s$" 1
done
says good "^ok .*/lead-cuda check --device cuda --op add$" 1
says good "^gpu bench --math bf16 .* wgmma 1$" 1
says good "^expected	matmul	4096x4096x4096	fwd	TFLOP/s	500	420 .. 540	as expected$" 1
says good "^expected: 2 rows known, 0 outside$" 1
[ "$(ls "$tmp/good" | wc -l)" -le 3 ] || fail "good: more than three files: $(ls "$tmp/good")"
tar tzf "$tmp/good/day1.tgz" | grep -q bench-bf16.tsv || fail "good: no bench-bf16.tsv in day1.tgz"
awk '/^## (info|check|wgmma-first|models|torch|bench-bf16|ncu) / { o = o $2 " " }
     END { exit o != "info check wgmma-first models torch bench-bf16 ncu " }' "$tmp/good/day1.log" || fail "good: another order"
day again 0 2
for step in check-full synccheck shapes samples bench-other bench-fp32 torch-ops train-200; do
    says again "^## $step rc=0" 2
done
says again "^gpu bench --math bf16 .* wgmma 0$" 2   # the other way than the first call's
day far 0 1 RATE=100
says far "420 .. 540	BELOW$" 1
day short 0 1 SHORT=1
says short "^expected	matmul	8192x8192x8192	fwd	TFLOP/s	-	500 .. 610	MISSING$" 1
day add 1 1 ADD=3
says add "^FAILED .*--op add: 3$" 1
says add "^said by add$" 1
says add "^ok .*--op linear$" 1   # one op hides no other
day wgmma 1 1 WGMMA=4
silent wgmma "^## wgmma rc" 1     # the tiles are not tried
day off 0 2
silent off "wgmma 1" 2            # nor timed
day empty 1 1 OPS=1
says empty "^## check: want commands, got none" 1
says wgmma "^gpu bench --math bf16 .* wgmma 0$" 1
day none 1 1 INFO=1
says none "no usable GPU" 1
silent none "^## check" 1
start=$(date +%s)
day slow 1 1 SLOW=1 LIMIT=7
[ $(($(date +%s) - start)) -lt 20 ] || fail "slow: it ran past its limit"
says slow "^## check rc=137" 1
says slow "^## races skipped$" 1
[ -s "$tmp/slow/day1.tgz" ] || fail "slow: no archive"
day part 99 3
mv "$tmp/.gpu/gpu" "$tmp/.gpu/gone"
day unpacked 99 1
grep -q "gpu_pack.sh first" "$tmp/unpacked.log" || fail "unpacked: it does not say what to do"
[ $bad = 0 ] && echo "gpu_day: both calls without a GPU as wanted"
exit $bad
