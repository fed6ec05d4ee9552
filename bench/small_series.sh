#!/bin/sh
# Forecasts of small networks with little data: makes synthetic traffic of 4 .. 50 nodes and 300 .. 4000 rows, trains
# preset small on each, scores it on the last 15 % of the rows, and prints its mean RMSE and CRPS over all steps as
# ratios to the naive row that is best in that score.  At most 1.010 is wanted.
#   small_series.sh LEAD DIR [options of lead train, e.g. --steps 200]
# DIR receives series, runs and tables; what is there already is not made again.
set -e
lead=$1 dir=$2
shift 2
mkdir -p "$dir"
printf 'nodes rows windows fallback        RMSE best naive          CRPS best naive\n'
for nodes in 4 8 23 50; do
    for days in 3 10 40; do             # 100 rows a day
        name=$dir/$nodes.${days}00
        [ -e "$name.npy" ] && [ -e "$name.times" ] || {
            mkdir -p "$name.data"
            "$lead" data synth --nodes $nodes --days $days --slot-seconds 864 --seed $((nodes + days)) \
                --out "$name.data/traffic.npy" >&2
            mv "$name.data/traffic.npy" "$name.npy"
            mv "$name.data/times.npy" "$name.times"
        }
        [ -e "$name.run/best.safetensors" ] && [ ! -e "$name.run/checkpoint.safetensors" ] ||
            "$lead" train --config small --no-final --seed 1 --data "$name.npy" --times "$name.times" \
                --out "$name.run" "$@" >&2
        [ -e "$name.tsv" ] || "$lead" eval --model "$name.run" --data "$name.npy" --times "$name.times" \
            --out "$name.tsv" >/dev/null
        fallback=$(sed -n 's/.*"fallback": *\([a-z]*\).*/\1/p' "$name.run/log.jsonl" | tail -n 1)
        awk -F '\t' -v nodes=$nodes -v rows=${days}00 -v fallback="$fallback" '
            /^#/ { next }
            $1 == "model" { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { sum["rmse", $1] += $at["rmse"]; sum["crps", $1] += $at["crps"]; name[$1]; windows = $at["windows"] }
            function best(what,    i, least) {
                for (i in name)
                    if (i != "lead" && (!least || sum[what, i] < sum[what, least])) least = i
                return least
            }
            END {
                r = best("rmse"); c = best("crps")
                printf "%5d %4d %7d %-8s %11.3f %-12s %10.3f %s\n", nodes, rows, windows, fallback,
                       sum["rmse", "lead"] / sum["rmse", r], r, sum["crps", "lead"] / sum["crps", c], c
            }' "$name.tsv"
    done
done
