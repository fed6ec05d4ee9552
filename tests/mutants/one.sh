#!/bin/sh
# one.sh N...: compiles and checks mutants N... of $tmp/list (see run.sh); prints "N killed|survived|invalid".
for n; do
    row=$(sed -n "${n}p" "$tmp/list")
    IFS='	' read -r _ name users line _ <<END
$row
END
    dir=$tmp/$n
    mkdir -p "$dir/tensor/ref"
    # the mutated line is taken from the list as it is, without any escapes
    awk -v n="$n" -v at="$line" 'FILENAME ~ /\/list$/ { if (FNR == n) { sub(/^([^\t]*\t)([^\t]*\t)([^\t]*\t)([^\t]*\t)([^\t]*\t)/, ""); text = $0 } next }
        { print FNR == at ? text : $0 }' "$tmp/list" "$ref/$name" > "$dir/tensor/ref/$name"
    result=survived
    for op in $users; do
        source=$ref/$op.inl
        [ "$name" = "$op.inl" ] && source=$dir/tensor/ref/$name
        if ! ${CC:-cc} $MUTANT_FLAGS -I"$dir" -Isrc -x c "$source" -o "$dir/m.so" 2>"$dir/log"; then
            result=invalid
            break
        fi
        (ulimit -t 20; exec "$checker" --quick --kernels "$dir/m.so" "$op") >"$dir/log" 2>&1   # seconds of CPU: a hang ends
        status=$?
        if [ $status = 0 ]; then   # the large cases too: they run on several threads
            (ulimit -t 120; exec "$checker" --kernels "$dir/m.so" "$op") >"$dir/log" 2>&1
            status=$?
        fi
        [ $status = 2 ] || [ $status = 127 ] && result=broken && break   # the checker did not run: no result
        [ $status != 0 ] && result=killed && break
    done
    echo "$n $result"
    rm -rf "$dir"
done 2>/dev/null
