#!/bin/sh
# cuda_report.sh BUILD: what the compiler made of every CUDA kernel, from the logs of `make cuda` (-Xptxas -v), a row for each
# architecture and kernel: registers, stack, spills, static shared memory.  Where cuobjdump is installed, also counts in the
# machine code: local loads and stores, tensor-core instructions, 16-byte loads.
# Fails when a kernel spills, unless cuda_spills.txt names it with the reason why it is not hot.
build=$1 here=$(dirname "$0")
set -- "$build"/cuda/*.o.log
[ -e "$1" ] || { echo "cuda-report: no $build/cuda/*.o.log; make cuda first"; exit 1; }
tab=$(printf '\t')
printf 'arch\tregisters\tstack\tspilled\tshared\tkernel\n'
cat "$@" | c++filt 2>/dev/null | awk -v OFS="$tab" '
FILENAME ~ /cuda_spills.txt$/ { if ($0 !~ /^#/ && NF) allowed[$1] = 1; next }
/Compiling entry function/ {
    match($0, /entry function .* for .sm_/)
    kernel = substr($0, RSTART + 16, RLENGTH - 25)
    gsub(/\047/, "", kernel)
    arch = $0
    sub(/.*for \047/, "", arch)
    sub(/\047.*/, "", arch)
}
/bytes stack frame/ { stack = $1; spilled = $5 + $9 }
/Used [0-9]+ registers/ {
    registers = shared = 0
    for (i = 1; i <= NF; i++) {
        if ($i == "Used") registers = $(i + 1)
        if ($i ~ /^smem/) shared = $(i - 2)
    }
    name = kernel
    sub(/\(.*/, "", name)
    sub(/^void /, "", name)
    print arch, registers, stack, spilled, shared, name
    n++
    short = name
    sub(/<.*/, "", short)
    if (spilled > 0 && !(short in allowed)) { bad++; list = list " " name }
}
END {
    printf "cuda-report: %d kernels, %d spill%s\n", n, bad, list > "/dev/stderr"
    exit bad > 0 || n == 0
}' "$here/cuda_spills.txt" - || bad=1
if command -v cuobjdump >/dev/null; then
    printf 'object\tLDL+STL\tHMMA\tHGMMA\tFFMA\tLDG.128\tLDGSTS\n'
    for o in "$build"/cuda/*.o; do
        cuobjdump -sass "$o" 2>/dev/null | awk -v o="$(basename "$o")" -v OFS="$tab" '
        / (LDL|STL)/ { l++ } / HMMA/ { h++ } / HGMMA/ { g++ } / FFMA/ { f++ } / LDG[^ ]*128/ { v++ } / LDGSTS/ { a++ }
        END { print o, l + 0, h + 0, g + 0, f + 0, v + 0, a + 0 }'
    done
fi
exit ${bad:-0}
