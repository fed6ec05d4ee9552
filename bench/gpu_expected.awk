# What a bench on the GPU gave beside what was expected of it.
#   awk -v math=bf16 -v wgmma=1 -f gpu_expected.awk gpu_expected.tsv RESULT.tsv
# RESULT.tsv: of `gpu bench` or `gpu models`.  One line for each row of which something is expected, also for one that
# is missing beside others of its op, and how many are outside; nothing where no row is known.
BEGIN { FS = OFS = "\t" }
function is(want, got) { return want == "*" || want == got "" }
FNR == NR {
    if (/^#/ || $1 == "math") next
    n++
    for (i = 1; i <= 8; i++) e[n, i] = $i
    next
}
/^#/ { next }
# the header says which column is which
$1 == "op" || $1 == "model" { for (i = 1; i <= NF; i++) column[$i] = i; pass = column["pass"]; next }
{
    ran[$1] = 1
    for (k = 1; k <= n; k++) {
        c = column[e[k, 6]]
        if (!c || !is(e[k, 1], math) || !is(e[k, 2], wgmma) || e[k, 3] != $1 || !is(e[k, 4], $2)) continue
        if (pass && !is(e[k, 5], $pass)) continue
        got = $c + 0
        word = got < e[k, 7] ? "BELOW" : got > e[k, 8] ? "ABOVE" : "as expected"
        out += word != "as expected"
        seen++
        hit[k] = 1
        print "expected", $1, $2, pass ? $pass : "-", e[k, 6], got, e[k, 7] " .. " e[k, 8], word
        break
    }
}
END {
    for (k = 1; k <= n; k++)
        if (!hit[k] && ran[e[k, 3]] && column[e[k, 6]] && is(e[k, 1], math) && is(e[k, 2], wgmma)) {
            print "expected", e[k, 3], e[k, 4], e[k, 5], e[k, 6], "-", e[k, 7] " .. " e[k, 8], "MISSING"
            seen++
            out++
        }
    if (seen) print "expected: " seen " rows known, " out " outside"
}
