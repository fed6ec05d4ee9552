# Mutants of one C source: prints "line <TAB> kind <TAB> the mutated line", one mutant a line.
#   sign      x += e  ->  x -= e          set       x += e  ->  x = e          (no accumulation)
#   scale     x = e   ->  x = 1.001 * (e)  drop      x = e   ->  x = 0 * (e)    (reals; the last assignment of a line)
#   minus     a + b   ->  a - b            noterm    a + b   ->  a + 0 * b      plus   a - b -> a + b
#   sum       a * b   ->  a + b            times     a / b   ->  a * b
#   bound     i < n   ->  i <= n           first     i = 0   ->  i = 1          (loops)
# Comments, preprocessor lines, CHECK lines and declarations of integers alone are left alone.
function put(kind, text) { printf "%d\t%s\t%s\n", FNR, kind, text }

# Replaces each occurrence of `old` by `new`, one mutant each.
function each(kind, old, new,    at, done, rest) {
    done = ""
    rest = $0
    while ((at = index(rest, old)) > 0) {
        put(kind, done substr(rest, 1, at - 1) new substr(rest, at + length(old)))
        done = done substr(rest, 1, at + length(old) - 1)
        rest = substr(rest, at + length(old))
    }
}

# Position after the last " = " or " += " of the line that starts a real expression; 0: none.
function last_assignment(    at, i, left) {
    at = 0
    for (i = 1; i <= length($0) - 3; i++)
        if (substr($0, i, 3) == " = " || substr($0, i, 3) == "+= " || substr($0, i, 3) == "-= ") at = i + 3
    if (!at) return 0
    left = substr($0, 1, at - 4)
    sub(/.*[;{]/, "", left)                                 # of a line with several statements: the last one
    if (left ~ /(^|[^a-z_])(int|int64_t|int32_t|uint64_t|uint32_t|size_t|bool|Dims|Philox4)( |$)/) {
        sub(/.*for \(.*\)/, "", left)
        if (left ~ /int|size_t|bool|Dims|Philox4/) return 0
    }
    if (left ~ /\*[a-z_0-9]+$/ || substr($0, at) ~ /^(\(|in_|out_|\{)?(in_x|in_g|out_x|out_g|\{|&)/) return 0   # pointers, structs
    return at
}

{
    sub(/[ \t]*\/\/.*$/, "")
}
/^[a-zA-Z]/ { real_function = $0 ~ /^(static |inline )*(real|float|double) [a-z_0-9]+\(/ }
/flops/ { next }    # decides only whether threads are woken
/^[ \t]*$/ || /^[ \t]*#/ || /^KERNEL/ || /CHECK\(/ || /^[ \t]*static .*[^;}]$/ || /^[ \t]*typedef/ || /\\$/ { next }
{
    if (index($0, "+=")) {
        each("sign", "+=", "-=")
        each("set", "+=", "=")
    }
    at = last_assignment()
    if (at && match(substr($0, at), /^[^;]*;/)) {
        right = substr($0, at, RLENGTH - 1)
        if (right != "0") put("scale", substr($0, 1, at - 1) "1.001 * (" right ")" substr($0, at + RLENGTH - 1))
        if (right != "0") put("drop", substr($0, 1, at - 1) "0 * (" right ")" substr($0, at + RLENGTH - 1))
        else put("drop", substr($0, 1, at - 1) "0.001" substr($0, at + RLENGTH - 1))
    }
    if (real_function && match($0, /return [^;]*;/)) {
        right = substr($0, RSTART + 7, RLENGTH - 8)
        put("scale", substr($0, 1, RSTART - 1) "return 1.001 * (" right ")" substr($0, RSTART + RLENGTH - 1))
    }
    each("minus", " + ", " - ")
    each("noterm", " + ", " + 0 * ")
    each("plus", " - ", " + ")
    each("sum", " * ", " + ")
    each("times", " / ", " * ")
    if (index($0, "for (")) {
        each("bound", " < ", " <= ")
        each("first", " = 0; ", " = 1; ")
    }
}
