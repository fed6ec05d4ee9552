#!/bin/sh
# Who may include whom (docs/design.md): reads every #include line of the product and prints each that points upwards.
# Exit 1 on a violation, on a file outside the known modules, and when no file or no include was read.
#   tests/layers.sh [root]     root defaults to the current directory
cd "${1:-.}" || exit 1
find src cuda cpu_simd bench docs tests -type f \( -name '*.[ch]' -o -name '*.inl' -o -name '*.def' -o -name '*.cu' -o -name '*.cuh' \) \
    2>/dev/null | sort | xargs awk '
BEGIN {
    # module -> modules it may include besides itself
    base = "tensor"
    may["tensor"] = ""
    may["cuda"] = may["cpu_simd"] = may["autograd"] = may["io"] = base
    may["plot"] = may["traffic"] = "io " base
    may["nn"] = "autograd io " base
    may["llm"] = may["diffusion"] = "nn autograd io " base
    may["check"] = "autograd " base
    may["lead"] = "llm diffusion traffic nn autograd io " base
    may["cli"] = may["docs"] = "lead check llm diffusion traffic plot nn autograd io " base
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
}'
