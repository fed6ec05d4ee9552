#!/bin/sh
# gpu_pack.sh: builds what tests/tools/gpu_day.sh runs, for one H200, and packs it into .gpu/programs.tgz, a folder that
# git then ignores: lead-cuda, gpu, dump_step, stripped; libgomp.so.1; ABOUT: commit, compiler, date.  To be run here,
# before the day: on the borrowed machine a second of a build is a second less of measuring.  BUILD=build/gpu MAKE=make NVCC=nvcc
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=.gpu build=${BUILD:-build/gpu} most=$((64 << 20)) w=$(mktemp -d) || exit 1
trap 'rm -rf "$w"' EXIT
${MAKE:-make} -j"$(nproc)" BUILD="$build" CUDA_ARCH=90 NVCC="${NVCC:-nvcc}" cuda "$build/bench/gpu" "$build/bench/dump_step" ||
    { echo "gpu_pack: the build failed"; exit 1; }
mkdir -p "$dir" || exit 1
for program in lead-cuda bench/gpu bench/dump_step; do
    strip -o "$w/$(basename $program)" "$build/$program" || exit 1
done
cp -L "$(${CC:-gcc} -print-file-name=libgomp.so.1)" "$w/" || exit 1
{ git describe --always --dirty --abbrev=12; ${NVCC:-nvcc} --version | tail -n 2; date -u +%Y-%m-%dT%H:%MZ; } > "$w/ABOUT"
tar czf "$dir/programs.tgz" -C "$w" . || exit 1
exclude=$(git rev-parse --git-path info/exclude)
grep -qxF "/$dir/" "$exclude" 2>/dev/null || echo "/$dir/" >> "$exclude"
bytes=$({ git ls-files -z --cached --others --exclude-standard | xargs -0 cat; cat $dir/programs.tgz; } 2>/dev/null | wc -c)
echo "gpu_pack: $dir at $(head -n 1 "$w/ABOUT"); $((bytes >> 20)) of 64 MiB travel with the tree"
[ "$bytes" -le "$most" ] || { echo "gpu_pack: more than 64 MiB"; exit 1; }
echo "Then, with that folder carried along:   bash tests/tools/gpu_day.sh 1      (420 s)"
echo "and, while the machine is still warm:   bash tests/tools/gpu_day.sh 2      (300 s)"
