#!/bin/sh
# Mutants of the reference kernels: every source of src/tensor/ref is changed in each way of mutate.awk, one change at a
# time, compiled alone and put in place of the f64 kernels; the op's checks must fail (a crash and a hang count as noticed).
#   tests/mutants/run.sh CHECKER [EVERY [op...]]     EVERY = 1: all mutants; n: each n-th of them
# tests/mutants/equivalent.txt lists the mutants that compute the same thing, with the reason.  Fails when any other mutant
# survives, when none was killed, and (with all mutants) when a listed one was killed or no longer exists.
checker=$1 every=${2:-1}
[ $# -gt 2 ] && shift 2 && ops=" $* " || ops=
here=$(dirname "$0") ref=src/tensor/ref
for op in $ops; do
    [ -f "$ref/$op.inl" ] || { echo "mutants: no op $op"; exit 1; }
done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
jobs=$(nproc 2>/dev/null || echo 1)
[ "$jobs" -gt 8 ] && jobs=8

# The control: unchanged kernels pass, so that what fails below fails because of its change.
control() {
    ${CC:-cc} $MUTANT_FLAGS -Isrc -x c "$ref/$1.inl" -o "$tmp/control.so" && "$checker" --quick --kernels "$tmp/control.so" "$1" && return
    echo "mutants: the unchanged kernels of $1 do not pass"
    exit 1
}
export MUTANT_FLAGS="-std=c11 -O1 -w -shared -fPIC -fopenmp -ffp-contract=off -D_GNU_SOURCE -DREF_F64
    -fsanitize=bounds -fsanitize-undefined-trap-on-error"

# number, source, op, line, kind, text: a header's mutant runs for each op that includes it
for source in "$ref"/*.inl "$ref"/*.h; do
    name=$(basename "$source")
    case $name in
    *.inl) users=${name%.inl} ;;
    *.h) users=$(grep -l "#include \"tensor/ref/$name\"" "$ref"/*.inl | sed 's|.*/||; s|\.inl$||' | tr '\n' ' ') ;;
    esac
    if [ -n "$ops" ]; then
        chosen=
        for u in $users; do case $ops in *" $u "*) chosen=yes ;; esac; done
        [ -n "$chosen" ] || continue
    fi
    awk -f "$here/mutate.awk" "$source" | sed "s|^|$name	$users	|"
done | awk -v n="$every" '(NR - 1) % n == 0 { print ++count "\t" $0 }' > "$tmp/list"

for op in $(cut -f 3 "$tmp/list" | tr ' ' '\n' | sort -u); do control "$op" > "$tmp/log" || { cat "$tmp/log"; exit 1; }; done

export checker tmp ref here OMP_WAIT_POLICY=passive
cut -f 1 "$tmp/list" | xargs -P "$jobs" -n 8 sh "$here/one.sh" > "$tmp/result"

# equivalent.txt: source <TAB> kind <TAB> mutated text, blanks squeezed; lines of # give the reason above them
awk -F '\t' -v all="$([ "$every" = 1 ] && [ -z "$ops" ] && echo 1)" '
function squeeze(s) { gsub(/[ \t]+/, " ", s); sub(/^ /, "", s); return s }
FILENAME ~ /equivalent.txt$/ { if ($0 !~ /^#/ && NF == 3) listed[$1 "\t" $2 "\t" squeeze($3)] = 1; next }
FILENAME ~ /list$/ { text[$1] = $6; where[$1] = $2 ":" $4; kind[$1] = $5; key[$1] = $2 "\t" $5 "\t" squeeze($6); total++; next }
{
    split($0, r, " ")
    count[r[2]]++
    if (r[2] == "survived") {
        if (key[r[1]] in listed) { equivalent++; seen[key[r[1]]] = 1 }
        else { printf "SURVIVED %s %s: %s\n", where[r[1]], kind[r[1]], squeeze(text[r[1]]); bad++ }
    }
}
END {
    if (all) for (k in listed) if (!(k in seen)) { print "equivalent.txt lists what is killed or gone: " k; bad++ }
    done = count["killed"] + count["survived"] + count["invalid"]
    printf "mutants: %d made, %d killed, %d equivalent, %d survived, %d do not compile\n", total, count["killed"], equivalent,
           count["survived"] - equivalent, count["invalid"]
    if (done != total) { print "mutants: " total - done " gave no result"; bad++ }
    exit bad > 0 || count["killed"] == 0
}' "$here/equivalent.txt" "$tmp/list" "$tmp/result"
