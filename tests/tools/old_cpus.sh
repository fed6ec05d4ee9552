#!/bin/sh
# The checks of every op, or of those named, and two training steps, as CPUs without AVX-512 and without AVX would run
# them: an instruction that such a CPU lacks ends the program with a signal.  Slow (ten minutes an emulated CPU).
#   tests/tools/old_cpus.sh [OP ..]      from the root of the tree; qemu-user-static (Debian); LEAD (default build/lead)
set -e
lead=${LEAD:-build/lead}
qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64) ||
    { echo "old_cpus.sh: no qemu-x86_64 (Debian: qemu-user-static)" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export OMP_NUM_THREADS=1
"$lead" data synth --nodes 4 --days 8 --out "$out/traffic.npy" > /dev/null 2>&1

run()
{
    "$qemu" -cpu "$cpu" "$lead" "$@" > "$out/text" 2> "$out/err" || { cat "$out/text" "$out/err" >&2; exit 1; }
}

for cpu in Haswell Nehalem; do
    if [ $# -eq 0 ]; then
        run check
        echo "$cpu: $(tail -1 "$out/text")"
    fi
    for op in "$@"; do
        run check --op "$op"
        echo "$cpu: $(grep "^$op " "$out/text")"
    done
    run train --config tiny --steps 2 --data "$out/traffic.npy" --out "$out/$cpu"
    echo "$cpu: two training steps"
done
