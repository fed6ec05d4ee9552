#!/bin/sh
# The checks of every op, or of those named, and two training steps, as CPUs without AVX-512 and without AVX would run
# them: an instruction that such a CPU lacks ends the program with a signal.  Slow (minutes an emulated CPU).
#   tests/tools/old_cpus.sh [OP ..]          needs qemu-user-static (Debian), LEAD (default build/lead)
set -e
lead=${LEAD:-build/lead}
qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64) || { echo "old_cpus.sh: no qemu-x86_64 (Debian: qemu-user-static)" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export OMP_NUM_THREADS=1
"$lead" data synth --nodes 4 --days 8 --out "$out/traffic.npy" 2> /dev/null
for cpu in Haswell Nehalem core2duo; do
    echo "== $cpu"
    if [ $# -eq 0 ]; then "$qemu" -cpu $cpu "$lead" check | tail -1
    else for op in "$@"; do "$qemu" -cpu $cpu "$lead" check --op "$op" | grep "^$op "; done
    fi
    "$qemu" -cpu $cpu "$lead" train --config tiny --steps 2 --data "$out/traffic.npy" --out "$out/$cpu" 2> /dev/null
    echo "two training steps of $cpu: done"
done
