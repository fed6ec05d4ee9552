#!/bin/sh
# Who may include whom (docs/design.md): reads every #include line of the product and prints each that points upwards.
# Then one name a family: what ops.def calls an op's family names the files that define its call, oracle and kernels.
# Lines have at most 120 columns.
# Exit 1 on a violation, on a file outside the known modules, and when no file or no include was read.
#   tests/layers.sh [root]     root defaults to the current directory
cd "${1:-.}" || exit 1
find src cuda cpu_simd mpi bench docs tests -type f \( -name '*.[ch]' -o -name '*.inl' -o -name '*.def' -o -name '*.cu' \
    -o -name '*.cuh' -o -name '*.cc' \) 2>/dev/null | sort | xargs awk '
BEGIN {
    # module -> modules it may include besides itself
    base = "tensor"
    may["tensor"] = ""
    may["cuda"] = may["cpu_simd"] = may["mpi"] = may["autograd"] = may["io"] = base
    may["plot"] = may["traffic"] = "io " base
    may["nn"] = "autograd io " base
    may["llm"] = may["diffusion"] = "nn autograd io " base
    may["check"] = "autograd " base
    may["links"] = "traffic io " base
    may["report"] = "links traffic plot io " base
    may["rivals"] = "llm nn autograd io " base
    may["lead"] = "rivals llm diffusion traffic nn autograd io " base
    may["cli"] = may["docs"] = "report links lead rivals check llm diffusion traffic plot nn autograd io " base
    may["bench"] = may["cli"] " cpu_simd"     # the rungs of bench/ladder are kernels over vec.h
    may["tests"] = may["bench"] " bench"      # tests reach the vector functions of vec.h, and the rungs, themselves
    for (m in may) {
        n = split(may[m], list, " ")
        ok[m, m] = 1
        for (i = 1; i <= n; i++) ok[m, list[i]] = 1
    }
}
function module(path,    part) {
    split(path, part, "/")
    return part[1] == "src" ? part[2] : part[1]
}
function bad(why) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0
    failed++
}
FNR == 1 {
    files++
    from = module(FILENAME)
    if (!(from in may)) bad("module " from " is not in the table of tests/layers.sh")
}
length($0) > 120 { bad(length($0) " columns, want at most 120") }
/^[ \t]*#[ \t]*include/ {
    includes++
    target = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
    quoted = substr(target, 1, 1) == "\""
    gsub(/["<>]/, "", target)
    sub(/[ \t].*$/, "", target)
    sub(/^src\//, "", target)
    if (target ~ /\.\.\//) bad("relative path upwards")
    if (from != "cuda" && from != "bench" && from != "tests" && target ~ /^(cuda|cublas|cudnn|curand)/ && !quoted)
        bad(from " must not include CUDA")
    to = target
    if (!sub(/\/.*$/, "", to)) next               # no slash: a file beside this one, or libc
    if (!quoted && !(to in may)) next             # <sys/stat.h>
    if (!(to in may)) bad("unknown module " to)
    else if (!((from, to) in ok)) bad(from " must not include " to)
}
END {
    if (!files || !includes) {
        print "layers: no file or no #include line was read"
        exit 1
    }
    printf "layers: %d files, %d #include lines, %d violations\n", files, includes, failed
    exit failed > 0
}' || exit 1

# ---- families; a tree without the table has none
[ -f src/tensor/ops.def ] || exit 0
find src/autograd src/check/oracle cpu_simd cuda -type f \( -name '*.c' -o -name '*.inl' -o -name '*.cu' \) 2>/dev/null | sort |
    xargs awk '
function bad(why) { print "families: " why; failed++ }
FILENAME == "src/tensor/ops.def" {
    if ($0 !~ /^OP\(/) next
    row = $0
    sub(/^OP\(/, "", row)
    split(row, column, /[ ,]+/)   # name, family, diff, simd_fwd, simd_bwd, cuda_fwd, cuda_bwd, ..
    if (column[2] !~ /^[a-z][a-z0-9]+$/) bad("ops.def: " column[1] " has no family")
    family[column[1]] = column[2]
    wants["src/check/oracle", column[1], "fwd"] = "Y"
    wants["cpu_simd", column[1], "fwd"] = column[4]
    wants["cpu_simd", column[1], "bwd"] = column[5]
    wants["cuda", column[1], "fwd"] = column[6]
    wants["cuda", column[1], "bwd"] = column[7]
    ops++
    next
}
# name: of an op, or of a call that is one of several of an op (tape_randn_rows: randn)
function op_of(name) {
    while (!(name in family) && sub(/_[a-z0-9]+$/, "", name)) continue
    return name in family ? name : ""
}
function defines(op, pass,    folder, file) {
    folder = file = FILENAME
    sub(/\/[^\/]*$/, "", folder)
    sub(/^.*\//, "", file)
    sub(/\..*$/, "", file)
    has[folder, op, pass] = 1
    if (file != family[op] && index(file, family[op] "_") != 1)
        bad(FILENAME ":" FNR ": " op " is of the family " family[op])
}
/^[A-Za-z].*[ *]tape_[a-z0-9_]+\(/ && !/;$/ {
    name = $0
    sub(/\(.*$/, "", name)
    sub(/^.*[ *]tape_/, "", name)
    if (op_of(name) != "") defines(op_of(name), "call")
}
/^void [a-z0-9_]+_oracle\(/ {
    name = $2
    sub(/_oracle\(.*$/, "", name)
    if (name in family) defines(name, "fwd")
}
# FORWARD, ACTIVATION: macros that define kernels (linear_bf16.inl; both passes, elementwise.cu)
/^(KERNEL|CUDA_KERNEL|FORWARD|ACTIVATION)\(/ {
    split($0, part, /[(), ]+/)
    if (!(part[2] in family)) next
    if (part[1] == "ACTIVATION") defines(part[2], "bwd")
    defines(part[2], part[1] ~ /KERNEL/ ? part[3] : "fwd")
}
END {
    for (want in wants)
        if (wants[want] == "Y" && !(want in has)) {
            split(want, part, SUBSEP)
            bad(part[1] ": no file defines " part[2] ", " part[3])
        }
    if (!ops) bad("ops.def: no row was read")
    printf "families: %d ops, %d violations\n", ops, failed
    exit failed > 0
}' src/tensor/ops.def || exit 1
