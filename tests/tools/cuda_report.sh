#!/bin/sh
# cuda_report.sh BUILD: what the compiler made of every CUDA kernel; fails when one spills registers, and when a kernel
# that is named for wgmma has none, or no TMA.
# A row for each architecture and kernel, as an aligned table on stdout and as BUILD/cuda-report.tsv:
#   from the logs of `make cuda` (-Xptxas -v): registers; bytes of stack, spilled (stores + loads), static shared memory
#   from the machine code (cuobjdump -sass): instructions LDL + STL (local memory), HMMA and HGMMA (tensor cores,
#     wgmma), FFMA, LDG.128 and STG.128 (16-byte loads and stores), LDGSTS (cp.async), UBLKCP + UTMALDG + UTMASTG (TMA)
# cuobjdump comes with CUDA's toolkit, or CUOBJDUMP=.. (PyTorch's Triton carries one); without it those columns are `-`.
build=$1 out=$1/cuda-report.tsv dump=${CUOBJDUMP:-cuobjdump}
set -- "$build"/cuda/*.o.log
[ -e "$1" ] || { echo "cuda-report: no $build/cuda/*.o.log; make cuda first"; exit 1; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# name.sass: source, arch, kernel, counts
: > "$tmp/all.sass"
if command -v "$dump" >/dev/null; then
    for log; do printf '%s\n' "${log%.log}"; done | xargs -P "$(nproc)" -I{} sh -c '
        "$1" -sass "$2" 2>/dev/null | awk -v OFS="\t" -v file="$(basename "$2" .o)" "
        function flush() { if (kernel) print file, arch, kernel, l + 0, h + 0, g + 0, f + 0, ld + 0, st + 0, a + 0, t + 0
                           kernel = \"\"; l = h = g = f = ld = st = a = t = 0 }
        /^[ \t]*arch = / { flush(); arch = \$3 }
        /Function :/ { flush(); kernel = \$3 }
        / (LDL|STL)[. ]/ { l++ } / HMMA/ { h++ } / HGMMA/ { g++ } / FFMA/ { f++ } / LDG[^ ]*\\.128/ { ld++ } / STG[^ ]*\\.128/ { st++ }
        / LDGSTS/ { a++ } / (UBLKCP|UTMALDG|UTMASTG)/ { t++ }
        END { flush() }" > "$3/$(basename "$2" .o).sass"' sh "$dump" {} "$tmp"
    cat "$tmp"/*.sass > "$tmp/all.sass.t" && mv "$tmp/all.sass.t" "$tmp/all.sass"
else
    echo "cuda-report: no cuobjdump (CUOBJDUMP=..): the machine code is not counted"
fi

awk -F '\t' -v OFS='\t' '
BEGIN { print "source", "arch", "registers", "stack", "spilled", "shared", "LDL+STL", "HMMA", "HGMMA", "FFMA", "LDG.128", "STG.128",
              "LDGSTS", "TMA", "kernel" }
FILENAME ~ /\.sass$/ { counts[$1, $2, $3] = $4 OFS $5 OFS $6 OFS $7 OFS $8 OFS $9 OFS $10 OFS $11; next }
FNR == 1 { source = FILENAME; sub(/.*\//, "", source); sub(/\.o\.log$/, "", source) }
/Compiling entry function/ { split($0, q, "\047"); kernel = q[2]; arch = q[4] }
/bytes stack frame/ { split($0, w, " "); stack = w[1]; spilled = w[5] + w[9] }
/Used [0-9]+ registers/ {
    n = split($0, w, " ")
    registers = shared = 0
    for (i = 1; i <= n; i++) {
        if (w[i] == "Used") registers = w[i + 1]
        if (w[i] ~ /^smem/) shared = w[i - 2]
    }
    c = (source, arch, kernel) in counts ? counts[source, arch, kernel] : "-\t-\t-\t-\t-\t-\t-\t-"
    print source, arch, registers, stack, spilled, shared, c, kernel
}' "$tmp/all.sass" "$@" > "$tmp/mangled" || exit 1
c++filt < "$tmp/mangled" | sed 's/\tvoid /\t/; s/>(.*/>/; s/\([A-Za-z0-9_]\)([^<]*)$/\1/' > "$out"

# aligned; the kernel is the last column and stays ragged
awk -F '\t' 'NR == FNR { for (i = 1; i < NF; i++) if (length($i) > wide[i]) wide[i] = length($i); next }
{ for (i = 1; i < NF; i++) printf i < 3 ? "%-*s  " : "%*s  ", wide[i], $i; print $NF }' "$out" "$out"
# ptxas says so when it waits behind each wgmma, or takes setmaxnreg for nothing
if grep -h '(C75[0-9][0-9])' "$@" | sort -u | grep .; then echo "cuda-report: wgmma does not run as written"; exit 1; fi
awk -F '\t' 'NR > 1 { n++; if (!($5 == 0)) { bad++; print "SPILLS " $5 " bytes: " $2 " " $NF } }
$NF ~ /^wgmma_kernel/ && $9 != "-" && ($9 == 0 || $14 == 0) { bad++; print "NO WGMMA OR TMA: " $2 " " $NF }
END { printf "cuda-report: %d kernels, %d spill\n", n, bad; exit bad > 0 || n == 0 }' "$out"
