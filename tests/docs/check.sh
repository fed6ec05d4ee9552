#!/bin/sh
# What the documents name exists: commands, make targets and variables, test areas, verbs, options, ops, files, and
# each word in `backticks` is one of the code.
#   tests/docs/check.sh LEAD FILE.md..            also compares the tables of docs/math.md (ops) and docs/cli.md (verbs)
#   tests/docs/check.sh --make-commands FILE..    prints the distinct make commands of the files, one a line
# allowed.txt lists what is meant although it is not there, with the reason.  Prints each error; exit 1 on one, on a
# file that is missing and when nothing was read.
here=$(dirname "$0")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/docs.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
mk="Makefile tests/tests.mk tests/with.mk docs/tour/tour.mk cuda/cuda.mk bench/bench.mk packaging/install.mk packaging/mpi.mk"
[ "$1" = --make-commands ] && list=1 || list= lead=$1
shift
for f; do [ -f "$f" ] || { echo "docs: no file $f"; exit 1; }; done

{   # kind TAB what [TAB more]
    sed -n 's/^\([a-z][a-z0-9-]*\):\([^=].*\|\)$/target	\1/p' $mk
    sed -n 's/^\([A-Z][A-Z0-9_]*\) *[?:]=.*/variable	\1/p' $mk
    grep -oh 'given,[A-Z]*' $mk | sed 's/given,/variable	/'
    sed -n 's/^FUZZ_TARGETS := //p' tests/tests.mk | tr ' ' '\n' | sed 's/^/fuzz	/'
    for t in tests/test_*.c; do t=${t#tests/test_}; echo "area	${t%.c}"; done
    sed -n 's/^OP(\([a-z0-9_]*\), *\([a-z0-9]*\), *\([YN]\),.*/op	\1	\3	\2/p' src/tensor/ops.def
    find Makefile *.md LICENSE .ci src cuda cpu_simd mpi bench tests docs data packaging 2>/dev/null | sed 's/^/file	/'
    # words of the code, its scripts and data; not of this test, whose errors are made up
    find Makefile src cuda cpu_simd mpi bench tests data docs packaging .ci -type f ! -path 'tests/docs/*' ! -name test_docs.c \
        ! -name '*.md' ! -name '*.safetensors' | xargs grep -ohaE '[A-Za-z_][A-Za-z0-9_]*' | sort -u | sed 's/^/word	/'
    # options of the programs beside lead
    grep -ohE -- '--[a-z][a-z0-9-]*' bench/*.c bench/peers/* tests/main.c tests/mutants/*.c tests/tools/* | sort -u |
        sed 's/^/option		/'
    grep -v '^#' "$here/allowed.txt" | grep . | sed 's/  *#.*//; s/^/allowed	/'
    if [ -n "$lead" ]; then
        "$lead" --help | sed -n 's/^  \([a-z][a-z0-9 -]*[a-z0-9]\)   *[A-Z].*/\1/p' > "$tmp/verbs"
        while read -r verb; do
            echo "verb	$verb"
            "$lead" $verb --help | sed -n 's/^  \(--[a-z][a-z0-9-]*\).*/\1/p' | sed "s/^/option	$verb	/"
        done < "$tmp/verbs"
    fi
} > "$tmp/table"

awk -F '\t' -v list=$list '
function bad(what, why) {
    if (!list) printf "%s:%d: `%s`: %s\n", FILENAME, FNR, what, why
    errors++
}
function missing(where, why) {
    print where ": " why
    errors++
}
function allowed(s) {
    if (!(("allowed", s) in have)) return 0
    return used[s] = 1
}
function placeholder(w) { return w ~ /^[\[(]?[A-Z_]+[\])]?$/ || w ~ /^\.+$/ || w ~ /[<>]/ || w ~ /^\[/ || w ~ /\]$/ }
# The areas, ops of AREA="a b", OP="a b".
function words(value, kind,    n, i, w) {
    gsub(/"/, "", value)
    n = split(value, w, " ")
    for (i = 1; i <= n; i++)
        if (!placeholder(w[i]) && !((kind, w[i]) in have)) bad(value, "no " kind " " w[i])
}
function assignment(w,    name, value) {
    name = value = w
    sub(/=.*/, "", name); sub(/^[^=]*=/, "", value)
    sub(/^\[/, "", name); sub(/\]$/, "", value)
    if (name == "AREA") words(value, "area")
    else if (name == "OP") words(value, "op")
    else if (name == "TARGET") words(value, "fuzz")
    return name
}
# Splits s at blanks outside quotes; returns their number.
function split_words(s, w,    n, i, c, quoted, at) {
    for (i in w) delete w[i]
    n = 0; at = ""
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c == "\"") quoted = !quoted
        if (c == " " && !quoted) { if (at != "") w[++n] = at; at = "" } else at = at c
    }
    if (at != "") w[++n] = at
    return n
}
function option_known(verb, o,    v) {
    sub(/=.*/, "", o)
    sub(/[,.]$/, "", o)
    gsub(/_/, "-", o)
    if (verb != "" && (("option", verb, o) in have)) return 1
    if (verb != "") return allowed(o)
    if (("option", "", o) in have) return 1
    for (v in verbs) if (("option", v, o) in have) return 1
    return allowed(o)
}
function make_command(s, n, w, at,    i, name, plain) {
    plain = "make"
    for (i = at + 1; i <= n; i++) {
        if (w[i] ~ /^\[.*\]$/) {
            w[i] = substr(w[i], 2, length(w[i]) - 2)
            name = assignment(w[i])
            if (!(("variable", name) in have)) bad(s, "no variable of the Makefile: " name)
            continue
        }
        if (w[i] ~ /^-/) continue
        if (w[i] ~ /^[A-Z][A-Z0-9_]*=/) {
            name = assignment(w[i])
            if (!(("variable", name) in have)) bad(s, "no variable of the Makefile: " name)
            if (w[i] !~ /[<.]/ || w[i] !~ /AREA=/) plain = plain " " w[i]
        } else if (w[i] ~ /^[a-z]/) {
            if (!(("target", w[i]) in have) && w[i] !~ /^build\//) bad(s, "no target " w[i])
            plain = plain " " w[i]
        } else bad(s, "what is " w[i])
    }
    if (list && !(plain in printed)) { printed[plain] = 1; print plain }
}
function lead_command(s, n, w, at,    i, k, m, verb, first, alt) {
    first = w[at + 1]
    sub(/[:,.]+$/, "", first)
    if (at == n || first == "" || first ~ /^--(help|version)/ || first == "help" || placeholder(first)) return
    if (at + 1 == n && first in groups) return
    m = split(first in groups ? w[at + 2] : first, alt, "|")      # gpt2 generate|logits|eval
    for (k = 1; k <= m; k++) {
        verb = first in groups ? first " " alt[k] : alt[k]
        if (!(verb in verbs)) { bad(s, "no verb " verb); continue }
        for (i = at + 1; i <= n; i++) {
            if (w[i] ~ /^\[--/) gsub(/[\[\]]/, "", w[i])
            if (w[i] ~ /^--[a-z]/ && !option_known(verb, w[i])) bad(s, "lead " verb " has no option " w[i])
            if (w[i] == "--op") words(w[i + 1], "op")
        }
    }
    commands++
}
function path_known(p,    glob, f, from) {
    sub(/#.*/, "", p)
    sub(/\/$/, "", p)
    from = dir
    while (p ~ /^\.\.\// && sub(/[a-z0-9_-]+\/$/, "", from)) {     # beside or above the document
        p = substr(p, 4)
        if (("file", from p) in have) return 1
    }
    if (("file", p) in have || ("file", "src/" p) in have || ("file", dir p) in have) return 1
    if (p !~ /\// && p in base) return 1
    if (("/" p) in tail) return 1
    if (p !~ /[*<]/) return 0
    glob = p
    gsub(/\./, "\\.", glob); gsub(/\*|<[a-z]+>/, "[^/]*", glob)
    for (f in files) if (f ~ ("(^|/)" glob "$")) return 1
    return 0
}
function path(p) {
    if (path_known(p)) paths++
    else bad(p, "no such file")
}
# A command; 0: s is none.
function command(s,    n, w, at, i) {
    n = split_words(s, w)
    for (at = 1; at <= n && w[at] ~ /^[A-Z][A-Z0-9_]*=/; at++) environment(w[at])
    if (at > n) return n > 0 && at > 1
    if (w[at] == "make") { make_command(s, n, w, at); commands++; return 1 }
    if (w[at] == "lead:") return 1
    if (w[at] ~ /^(build\/)?(tests\/)?lead(-cuda|-emulated)?$/) { lead_command(s, n, w, at); return 1 }
    if (w[at] ~ /^(build\/tests\/checker|build\/bench\/[a-z_-]+|bench_models|bench_ops)$/) {
        for (i = at + 1; i <= n; i++) {
            gsub(/[\[\]]/, "", w[i])
            if (w[i] ~ /^--/ && !option_known("", w[i])) bad(s, "no option " w[i])
            else if (w[at] ~ /checker$/ && w[i] ~ /^[a-z]/ && w[i - 1] !~ /^--(math|isa)$/) words(w[i], "op")
        }
        commands++
        return 1
    }
    if (w[at] == "sh" || w[at] == "python3") at++
    if (w[at] ~ /^(tests|bench|\.ci)\/.*/ && w[at] ~ /\.(sh|py)$|^\.ci\/run$/) {
        if (!path_known(w[at])) bad(s, "no file " w[at])
        commands++
        return 1
    }
    return 0
}
function environment(w,    name) {
    name = assignment(w)
    if (!(("variable", name) in have) && !(("word", name) in have)) bad(w, "nothing reads " name)
}
# Commands joined by && and pipes.
function sequence(s,    n, part, i, any) {
    gsub(/ \| | && |; /, "\001", s)
    n = split(s, part, "\001")
    for (i = 1; i <= n; i++) any += command(part[i]) > 0
    return any
}
function all_words(s, whole,    w) {
    gsub(/<[a-z0-9_ .|]+>/, " ", s)
    while (match(s, /[A-Za-z_][A-Za-z0-9_]*/)) {
        w = substr(s, RSTART, RLENGTH)
        s = substr(s, RSTART + RLENGTH)
        if (length(w) < 3 || ("word", w) in have || allowed(w)) { names++; continue }
        bad(whole, "nowhere in the code: " w)
    }
}
function is_path(s) {
    return s ~ /^[A-Za-z0-9_.*<>\/-]+$/ && (s ~ /\.(c|h|inl|def|sh|py|awk|cu|cc|md|mk)$/ || s ~ /\/.*\.tsv$/ ||
        s ~ /^\.?(src|tests|docs|cuda|cpu_simd|bench|data|ci)\/./)
}
function span(s,    n, w, i) {
    if (allowed(s)) return
    if (s ~ /^--?[a-z]/ && s ~ /^--/) {
        n = split_words(s, w)
        if (!option_known("", w[1])) bad(s, "no verb has the option " w[1])
        names++
        return
    }
    if (s ~ /^[A-Z][A-Z0-9_]*=[^=]/) { environment(s); names++; return }
    if (sequence(s)) return
    n = split(s, w, " ")
    if (n > 1 && (w[1] " " w[2]) in verbs || n > 1 && (w[1] in verbs) && w[2] ~ /^--/) {      # `eval --out F`
        lead_command(s, split_words("lead " s, w), w, 1)
        return
    }
    if (s ~ /^(build|\.\.)\//) return                       # what is built, and other data
    if (is_path(s)) path(s)
    else all_words(s, s)
}
FILENAME ~ /\/table$/ {
    have[$1, $2] = 1
    if ($1 == "option") have[$1, $2, $3] = 1
    if ($1 == "verb") verbs[$2] = 1
    if ($1 == "verb" && (n = index($2, " "))) groups[substr($2, 1, n - 1)] = 1
    if ($1 == "allowed") exempt[$2] = 1
    if ($1 == "op") diff[$2] = $3
    if ($1 == "op") family[$2] = $4
    if ($1 == "file") {
        files[$2] = 1
        part = $2
        while (match(part, /\//)) { part = substr(part, RSTART + 1); tail["/" part] = 1 }
        base[part] = 1
    }
    next
}
FNR == 1 {
    read++
    fence = held = carried = ""
    dir = FILENAME
    if (!sub(/[^\/]*$/, "", dir)) dir = ""
    if (dir == "./") dir = ""
    section = ""
    if (FILENAME ~ /RESULTS\.md$/) results = 1
}
/^ *```/ {
    if (fence == "") { fence = $0; sub(/^ *```/, "", fence); fence = "F" fence } else fence = ""
    held = ""
    next
}
fence != "" || /^    [a-zA-Z]/ {
    line = held $0
    held = ""
    if (line ~ /\\$/) { held = substr(line, 1, length(line) - 1); next }
    sub(/^ +/, "", line)
    if (fence == "Fc") { sub(/\/\/.*/, "", line); gsub(/"[^"]*"/, "", line); all_words(line, line); next }
    sub(/  +#.*/, "", line)
    if (fence == "" && line !~ /^(make|lead|build\/|tests\/|[A-Z_]+=[^ ]* (make|build\/))/) next
    if (!sequence(line) && fence != "") {
        n = split(line, w, " ")
        for (i = 1; i <= n; i++)
            if (w[i] ~ /^(src|tests|docs|cuda|cpu_simd|bench|data)\/[a-z_\/.]*$/) path(w[i])
    }
    next
}
/^## / { section = $0 }
FILENAME ~ /docs\/math\.md$/ && section == "## Ops" && /^\| [a-z]/ {
    split($0, column, /\|/)
    n = split(column[3], w, /[ ;]+/)
    y = "Y"
    for (i = 1; i <= n; i++) {
        if (w[i] == "" || w[i] == "without" || column[2] ~ /family/) continue
        if (w[i] == "backward:") { y = "N"; continue }
        if (!(w[i] in diff)) bad(w[i], "no op of ops.def")
        else if (diff[w[i]] != y) bad(w[i], "ops.def says diff = " diff[w[i]])
        else if (column[2] != " " family[w[i]] " ") bad(w[i], "ops.def says family " family[w[i]])
        if (w[i] in listed) bad(w[i], "stands twice in the table of ops")
        listed[w[i]] = 1
    }
    table_of_ops = 1
    next
}
{
    text = $0
    while (match(text, /\]\([^)]*\)/)) {      # [a link](to/a/file)
        to = substr(text, RSTART + 2, RLENGTH - 3)
        text = substr(text, 1, RSTART) substr(text, RSTART + RLENGTH)
        if (to !~ /^(https?:|#)/ && to ~ /[.\/]/) path(to)
    }
    if (carried != "" && $0 == "") bad(carried, "a backtick without its partner")
    text = $0 == "" ? "" : carried $0
    carried = ""
    n = split(text, piece, "`")
    if (n && n % 2 == 0) { carried = text " "; next }    # a span that goes on in the next line
    for (i = 2; i <= n; i += 2) {
        span(piece[i])
        if (FILENAME ~ /docs\/cli\.md$/ && /^\|/) documented[piece[i]] = 1
    }
}
END {
    if (list) exit 0
    if (table_of_ops && results)
        for (o in exempt) if (!(o in used)) missing("allowed.txt", "no document says " o)
    if (table_of_ops)
        for (o in diff) if (!(o in listed)) missing("docs/math.md", "the table of ops lacks " o)
    for (d in documented) cli = 1
    if (cli) for (v in verbs) {
        for (d in documented)
            if (d == v || index(d, v " ") == 1) break
        if (!(d == v || index(d, v " ") == 1)) missing("docs/cli.md", "the table of verbs lacks " v)
    }
    n = 0
    for (v in verbs) n++
    if (!n) missing("docs", "no verb was read from lead --help")
    printf "docs: %d files, %d commands, %d paths, %d names, %d errors\n", read, commands, paths, names, errors
    exit errors > 0 || !read || commands + paths + names == 0
}' "$tmp/table" "$@"
