#!/bin/sh
# Wrong sources of a list, each compiled alone and put in place of the right one: the checks that its row names must fail
# (a crash, a hang and what the emulator aborts on count as noticed).  First the unchanged sources pass.
#   tests/mutants/listed.sh cuda|simd CHECKER [EVERY [WORD]]   EVERY = n: each n-th mutant; WORD: those of rows that contain it
#   tests/mutants/listed.sh model BUILD/tests/run [EVERY [WORD]]
# cuda: cuda.txt, compiled for the emulator.  simd: simd.txt, the AVX2 kernels, or those that a row names.
# model: model.txt, files of src, linked into a copy of tests/run and of the program; a row names areas, of which one
# must fail.  A header's row is compiled with the .c file of its name.
# Fails when one survives, does not compile, or its text is no longer in the source.
kind=$1 checker=$2 every=${3:-1} word=$4 here=$(dirname "$0")
case $kind in cuda) sources=cuda ;; simd) sources=cpu_simd ;; model) sources=src ;;
    *) echo "listed.sh: want cuda, simd or model, got '$kind'"; exit 2 ;; esac
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
ln -s "$PWD/data" "$tmp/data"   # what comes with a program lies beside it
jobs=$(nproc 2>/dev/null || echo 1)
version=$(sed -n 's/^VERSION := //p' Makefile)
build=$(dirname "$checker")/..
export version kind sources checker build tmp here OMP_WAIT_POLICY=passive GOLDEN=first

# copy DIR: the sources
cat > "$tmp/copy" <<'END'
[ $kind = model ] && exec mkdir -p "$1/$sources/$(dirname "$2")" "$1/tests"
mkdir -p "$1/$sources" && cp "$sources"/* "$1/$sources"
END
# build DIR FILE..: tests/run and the program with objects of DIR's FILEs, or of the unchanged ones where it has none
cat > "$tmp/build" <<'END'
dir=$1 library= cli=$(echo "$build"/src/cli/*.o)
shift
for file; do
    file=${file%.[ch]}
    source=$dir/src/$file.c object=$dir/$(echo "$file" | tr / -).o
    [ -f "$source" ] || source=src/$file.c
    ${CC:-gcc} -std=c11 -O1 -w -D_GNU_SOURCE -ffp-contract=off -fno-math-errno -fopenmp -I"$dir/src" -Isrc -I. \
        -DLEAD_VERSION="\"$version\"" -DLEAD_COMMIT='"mutant"' -DLEAD_SOURCES="\"$(printf %064d 0)\"" -DLEAD_FLAGS='""' \
        -c "$source" -o "$object" || exit 1
    case $file in
    cli/*) cli=$(echo "$cli" | tr ' ' '\n' | grep -vxF "$build/src/$file.o") && cli="$cli $object" ;;
    *) library="$library $object" ;;
    esac
done
if [ -n "$library" ]; then ${CC:-gcc} -s -fopenmp $(cat "$checker.objects") $library "$build/liblead.a" -lm -o "$dir/tests/run" || exit 1
else ln -s "$(realpath "$checker")" "$dir/tests/run"
fi
${CC:-gcc} -s -fopenmp $cli $library "$build/liblead.a" -lm -o "$dir/lead"
END
# compile DIR OP[:..]: the sources of OP (attention.cu, attention_mma.cu, ..) as DIR/m.so, with the headers of DIR
cat > "$tmp/compile" <<'END'
[ $kind = model ] && exec sh "$tmp/build" "$1" "$file"
op=${2%%:*}
if [ $kind = simd ]; then
    case $2 in *:avx512) isa="-mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512" ;;
               *) isa="-mavx2 -mfma -mf16c" ;; esac
    source=$(grep -lF "KERNEL($op, fwd)" "$1"/cpu_simd/*.inl | head -n 1)
    [ -n "$source" ] || { echo "no kernel of $op"; exit 1; }
    exec ${CC:-gcc} -std=c11 -O1 -w -shared -fPIC $isa -D_GNU_SOURCE -ffp-contract=off -fno-math-errno -fopenmp -I"$1" -Isrc \
        -I. -x c "$source" -o "$1/m.so"
fi
set -- "$1/cuda" "$op" "$1"
source=$(grep -lE "^(CUDA_KERNEL|ACTIVATION)\\($2," "$1"/*.cu | grep -v _sm90 | head -n 1)
[ -n "$source" ] || { echo "no kernel of $2"; exit 1; }
source=$(ls "${source%.cu}.cu" "${source%.cu}"_*.cu 2>/dev/null)
case $source in */linear.cu*) source="$source $(ls "$1"/gemm_*.cu 2>/dev/null)" ;; esac   # which it calls
${CXX:-g++} -std=c++17 -O0 -w -shared -fPIC -DLEAD_CUDA_EMULATE -fno-exceptions -fno-rtti -fno-threadsafe-statics \
    -ffp-contract=off -fno-math-errno -fopenmp -Isrc -Itests/emulate -x c++ $source -o "$3/m.so"
END
# check DIR OP[:MATH[:TILE]] [--quick]: 0: all checks pass.  simd: OP[:ISA].  model: AREA ..
cat > "$tmp/check" <<'END'
if [ $kind = model ]; then
    mkdir -p "$1/tmp"
    for area in $2; do
        (ulimit -t 300; ulimit -c 0; TMPDIR=$1/tmp exec "$1/tests/run" $area) || exit
    done
    exit 0
fi
if [ $kind = simd ]; then
    case $2 in *:*) isa=${2#*:} ;; *) isa=avx2 ;; esac
    (ulimit -t 120; ulimit -c 0; exec "$checker" --isa "$isa" $3 --kernels "$1/m.so" --simd "${2%%:*}")
    exit
fi
IFS=: read -r op math LEAD_WGMMA <<-OF
	$2
OF
[ -z "$LEAD_WGMMA" ] || export LEAD_WGMMA
: "${math:=fp32}"
(ulimit -t 120; ulimit -c 0; exec "$checker" --cuda --math $math $3 --kernels "$1/m.so" "$op")
END
# one ROW: prints "ROW killed|survived|text|invalid|broken"
cat > "$tmp/one" <<'END'
row=$(sed -n "$1p" "$tmp/list") dir=$tmp/$1 tab=$(printf '\t')
file=${row%%"$tab"*} rest=${row#*"$tab"}
op=${rest%%"$tab"*} rest=${rest#*"$tab"}
export file
sh "$tmp/copy" "$dir" "$file"
OLD=${rest%%"$tab"*} NEW=${rest#*"$tab"} awk '
{ text = text $0 "\n" }
END {   # A >>> B: the first B behind the first A
    n = split(ENVIRON["OLD"], part, " >>> ")
    for (i = 1; i <= n; i++) {
        at = index(substr(text, done + 1), part[i])
        if (!at) exit 1
        begin = done + at
        done = begin + length(part[i]) - 1
    }
    printf "%s%s%s", substr(text, 1, begin - 1), ENVIRON["NEW"], substr(text, done + 1)
}' "$sources/$file" > "$dir/$sources/$file" || { echo "$1 text"; rm -rf "$dir"; exit; }
if ! sh "$tmp/compile" "$dir" "$op" > "$dir/log" 2>&1; then result=invalid
else
    sh "$tmp/check" "$dir" "$op" --quick > "$dir/log" 2>&1
    status=$?
    [ $status = 0 ] && [ $kind != model ] && { sh "$tmp/check" "$dir" "$op" > "$dir/log" 2>&1; status=$?; }
    case $status in 0) result=survived ;; 2 | 127) result=broken ;; *) result=killed ;; esac
fi
echo "$1 $result"
rm -rf "$dir"
END

grep -v '^#' "$here/$kind.txt" | grep . | grep -F "${word:-	}" | awk -v n="$every" '(NR - 1) % n == 0' > "$tmp/list"
[ -s "$tmp/list" ] || { echo "$kind mutants: none is meant by '$word'"; exit 1; }
cat > "$tmp/control" <<'END'
sh "$tmp/copy" "$tmp/same.$1"
sh "$tmp/compile" "$tmp/same.$1" "$1" > "$tmp/$1.log" 2>&1 && sh "$tmp/check" "$tmp/same.$1" "$1" --quick >> "$tmp/$1.log" 2>&1 &&
    exit 0
cat "$tmp/$1.log"
echo "$kind mutants: the unchanged kernels of $1 do not pass"
exit 1
END
if [ $kind = model ]; then   # all files of the list in one program, every area that is named
    sh "$tmp/copy" "$tmp/same" .
    sh "$tmp/build" "$tmp/same" $(cut -f 1 "$tmp/list" | sed 's/\.[ch]$//' | sort -u) > "$tmp/log" 2>&1 &&
        sh "$tmp/check" "$tmp/same" "$(cut -f 2 "$tmp/list" | tr ' ' '\n' | sort -u | tr '\n' ' ')" > "$tmp/log" 2>&1 ||
        { cat "$tmp/log"; echo "model mutants: the unchanged sources do not pass"; exit 1; }
    rm -rf "$tmp/same"
else
awk -F '\t' '!seen[$1]++ { print $2 }' "$tmp/list" | sort -u | xargs -P "$jobs" -n 1 sh "$tmp/control" || exit 1
fi
seq "$(wc -l < "$tmp/list")" | xargs -P "$jobs" -n 1 sh "$tmp/one" 2>/dev/null > "$tmp/result"

awk -F '\t' -v kind=$kind '
NR == FNR { row[FNR] = $0; total++; next }
{
    split($0, r, " ")
    count[r[2]]++
    if (r[2] != "killed") print toupper(r[2]) " " row[r[1]]
}
END {
    printf "%s mutants: %d of %d killed\n", kind, count["killed"], total
    exit count["killed"] != total
}' "$tmp/list" "$tmp/result"
