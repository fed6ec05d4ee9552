#!/bin/sh
# How long a night takes, from the collector's files to the page: 12 nodes, 5-minute slots, 4 weeks.
#   end_to_end.sh LEAD SERIES.npy DIR [-- options of lead train, e.g. --minutes 0.3]
# The first 28 days of SERIES (8064 rows, Abilene's) are written as one long table a day, which are not measured, nor is
# the first training, on 27 of them (DIR/run is made once).  Measured: import, update, forecast, loads, report.
# Prints TSV: step, seconds, seconds of processor; run it on an idle machine, and say on which.
set -eu
lead=$1 series=$2 dir=$3
shift 3
[ $# -gt 0 ] && [ "$1" = -- ] && shift
days=28 slots=288
mkdir -p "$dir/flows"
{
    echo node_a,node_b,capacity_mbps
    for pair in 0,1 1,4 1,5 1,11 2,5 2,8 3,6 3,9 3,10 4,6 4,7 5,6 7,9 8,11 9,10; do echo $pair,9920; done
} >"$dir/net.csv"                                  # Abilene's fifteen links
for day in $(seq 0 $((days - 1))); do
    file=$dir/flows/$(printf '%02d' "$day").csv
    [ -e "$file" ] || "$lead" data export "$series" --row $((day * slots)) --count $slots --format long --out "$file" \
        2>/dev/null
done
if [ ! -e "$dir/run/best.safetensors" ]; then
    mkdir -p "$dir/before"
    for day in $(seq 0 $((days - 2))); do cp "$dir/flows/$(printf '%02d' "$day").csv" "$dir/before"; done
    "$lead" data import "$dir/before" --out "$dir/before.npz" 2>/dev/null
    "$lead" train --data "$dir/before.npz" --config small "$@" --out "$dir/run" >/dev/null 2>&1
fi
rm -rf "$dir/run.next"

printf 'step\tseconds\tprocessor\n'
measure()
{
    name=$1
    shift
    begin=$(date +%s.%N)
    ( "$@" >"$dir/$name.log" 2>&1 || { echo "$name failed: $(tail -n 1 "$dir/$name.log")" >&2; exit 1; }
      times >"$dir/$name.times" )
    end=$(date +%s.%N)
    # the second line of times: the children's user and system time, as 1m2.5s 0m0.5s
    sed -n 2p "$dir/$name.times" | tr ms '  ' | awk -v name="$name" -v wall="$(echo "$end $begin" | awk '{print $1 - $2}')" \
        '{printf "%s\t%.1f\t%.1f\n", name, wall, 60 * $1 + $2 + 60 * $3 + $4}'
}
all()
{
    measure import "$lead" data import "$dir/flows" --out "$dir/series.npz"
    measure update "$lead" train --update "$dir/run" --data "$dir/series.npz" "$@" --out "$dir/run.next"
    measure forecast "$lead" forecast --model "$dir/run.next" --data "$dir/series.npz" --paths "$dir/paths.npy" \
        --out "$dir/forecast.csv"
    measure loads "$lead" loads --topology "$dir/net.csv" --paths "$dir/paths.npy" --data "$dir/series.npz" \
        --out "$dir/loads.tsv"
    measure report "$lead" report --model "$dir/run.next" --data "$dir/series.npz" --topology "$dir/net.csv" \
        --windows 8 --out "$dir/report.html"
}
all "$@" >"$dir/steps.tsv"
cat "$dir/steps.tsv"
awk -F '\t' '{wall += $2; processor += $3} END {printf "together\t%.1f\t%.1f\n", wall, processor}' "$dir/steps.tsv"
