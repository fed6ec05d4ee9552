#!/bin/sh
# How good the forecasts of preset small are: trains it with three seeds, scores each, prints RMSE and CRPS as ratios to
# the ridge row of the same windows, mean and range over the seeds, and coverage over live flows.
#   accuracy.sh LEAD DATA.npy DIR SPLIT [STRIDE [PROTOCOL]] [-- options of lead train, e.g. --calendar-shift 10681200]
# DIR receives the runs and tables; what is there already is not made again.  SPLIT: val, for choosing; test, for the
# record.
# PROTOCOL rolling: base ridge-online, walk-forward; the ratios are to the frozen ridge row.
set -e
lead=$1 data=$2 dir=$3 split=$4
shift 4
stride=1 protocol=clean
[ $# -gt 0 ] && [ "$1" != -- ] && { stride=$1; shift; }
[ $# -gt 0 ] && [ "$1" != -- ] && { protocol=$1; shift; }
[ $# -gt 0 ] && shift
data_options=
for word in "$@"; do
    case $word in --calendar-shift) next=1 ;; *) [ -n "$next" ] && data_options="--calendar-shift $word"; next= ;; esac
done
base=ridge
[ "$protocol" = rolling ] && base=ridge-online
mkdir -p "$dir"
for seed in 1 2 3; do
    run=$dir/$base.$seed
    [ -e "$run/best.safetensors" ] && [ ! -e "$run/checkpoint.safetensors" ] ||
        "$lead" train --drop-suspicious --config small --no-final --base "$base" --seed "$seed" --data "$data" \
            --out "$run" "$@" >&2
    table=$run.$protocol.$split.$stride.tsv
    # shellcheck disable=SC2086
    [ -e "$table" ] || "$lead" eval --drop-suspicious --model "$run" --data "$data" --split "$split" \
        --stride "$stride" --protocol "$protocol" --out "$table" $data_options >/dev/null
done
echo "$data, protocol $protocol, split $split, every $stride. window, 3 seeds: mean (least .. most)"
awk -F '\t' '
    /^#/ { next }
    $1 == "model" { for (i = 1; i <= NF; i++) at[$i] = i; files++; next }
    { score["RMSE", files, $1, $2] = $at["rmse"]; score["CRPS", files, $1, $2] = $at["crps"]
      live[files, $1, $2] = $at["cover90_live"] }
    function value(what, file, k) {
        if (what == "cover") return live[file, "lead", k]
        return score[what, file, "lead", k] / score[what, file, "ridge", k]
    }
    function row(what, k,    i, x, sum, low, high) {
        for (i = 1; i <= files; i++) {
            x = value(what, i, k)
            sum += x
            if (i == 1 || x < low) low = x
            if (i == 1 || x > high) high = x
        }
        return sprintf("%.3f (%.3f .. %.3f)", sum / files, low, high)
    }
    END {
        n = split("1 5 10 20", step, " ")
        for (i = 1; i <= n; i++)
            printf "step %2d   RMSE %s   CRPS %s   90 %% band, live flows %s\n", step[i], row("RMSE", step[i]),
                   row("CRPS", step[i]), row("cover", step[i])
    }
' "$dir/$base".[123]."$protocol.$split.$stride.tsv"
