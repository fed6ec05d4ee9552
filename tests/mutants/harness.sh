#!/bin/sh
# Mutants of the harness itself (harness.txt) and of nothing else: with each, test_harness must fail; without, pass.
# Then the runner: an area that runs no check, crashes, exits early or fails must fail the run.
#   tests/mutants/harness.sh BUILD
build=$1 here=$(dirname "$0")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
flags="-std=c11 -O1 -w -ffp-contract=off -fopenmp -D_GNU_SOURCE -Isrc -I. -I$tmp"
bad=0 count=0
fail() { echo "harness mutants: $*"; bad=1; }

echo 'AREA(harness)' > "$tmp/test_list.h"
${CC:-cc} $flags -c tests/main.c -o "$tmp/main.o" && ${CC:-cc} $flags -c tests/test_harness.c -o "$tmp/harness.o" || exit 1
# build_with MUTANT: links the tests of the harness, the mutated object in front of the library
build_with() {
    ${CC:-cc} $flags "$tmp/main.o" "$tmp/harness.o" $1 "$build/liblead.a" $LDEXTRA -lm -o "$tmp/run"
}
build_with '' && "$tmp/run" > "$tmp/log" || { cat "$tmp/log"; echo "harness mutants: the unchanged harness fails"; exit 1; }

tab=$(printf '\t')
while IFS= read -r row; do
    case $row in '#'* | '') continue ;; esac
    file=${row%%"$tab"*} rest=${row#*"$tab"}
    old=${rest%%"$tab"*} new=${rest#*"$tab"}
    count=$((count + 1))
    OLD=$old NEW=$new awk 'BEGIN { old = ENVIRON["OLD"]; new = ENVIRON["NEW"] }
        !done && (at = index($0, old)) { $0 = substr($0, 1, at - 1) new substr($0, at + length(old)); done = 1 }
        { print }
        END { exit !done }' "$file" > "$tmp/mutant.c" || { fail "$file has no line with: $old"; continue; }
    if ! { ${CC:-cc} $flags -c "$tmp/mutant.c" -o "$tmp/mutant.o" && build_with "$tmp/mutant.o"; } 2> "$tmp/log"; then
        fail "does not compile: $file: $new"
    elif (ulimit -t 60; exec "$tmp/run") > "$tmp/log" 2>&1; then
        fail "SURVIVED $file: '$old' -> '$new'"
    fi
done < "$here/harness.txt"
[ "$count" -gt 0 ] || fail "no mutant was made"

for area in passes empty fails crashes leaves; do
    echo "AREA($area)" > "$tmp/test_list.h"
    ${CC:-cc} $flags tests/main.c "$here/areas.c" "$build/liblead.a" $LDEXTRA -lm -o "$tmp/run" || { fail "runner with area $area does not build"; continue; }
    "$tmp/run" > "$tmp/log" 2>&1
    status=$?
    if [ $area = passes ]; then
        [ $status = 0 ] && [ "$(tail -n 1 "$tmp/log")" = "1 passed, 0 failed, 1 skipped" ] || fail "the runner fails a good area"
    else
        [ $status = 1 ] || fail "the runner passes an area that $area (exit $status)"
    fi
    "$tmp/run" nosuch > "$tmp/log" 2>&1
    [ $? = 2 ] || fail "the runner accepts an unknown area"
done
[ $bad = 0 ] && echo "harness mutants: $count killed; runner: 5 areas"
exit $bad
