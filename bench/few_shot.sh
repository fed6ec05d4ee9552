#!/bin/sh
# Forecasts of a network that has been measured for 1 day, 3 days, 1 week, 4 weeks: without training, fine-tuned from the
# weights that come with the program, trained from nothing, and ridge.
#   few_shot.sh LEAD DATA.npy ROWS_A_DAY DIR "END .." [STEPS [TUNE_STEPS]] [-- options of data, e.g. --calendar-shift S]
# For each history H and each END, the rows before row END of DATA are cut out (cut_rows.py), so many that the first 70 %
# of them are H: what lead train trains on.  The last 15 % are scored, at most 48 windows.  Choose ENDs for which these
# lie in the validation rows of DATA.  STEPS 0: nothing is trained, but the rest is scored.
# DIR receives series, runs and tables; what is there already is not made again.  Prints RMSE and CRPS of all steps over
# those of ridge on the same windows, mean over the ENDs.  Wants python3 with numpy.
set -e
lead=$1 data=$2 day=$3 dir=$4 ends=$5
shift 5
steps=300 tune=100
[ $# -gt 0 ] && [ "$1" != -- ] && { steps=$1 tune=$(($1 / 3)); shift; }
[ $# -gt 0 ] && [ "$1" != -- ] && { tune=$1; shift; }
[ $# -gt 0 ] && shift
here=$(dirname "$0")
common="--config small --no-final --minutes 0 --drop-suspicious"

# score TABLE MODEL: unless it is there
score() {
    [ -e "$1" ] || "$lead" eval --drop-suspicious --model "$2" --data "$cut" --stride "$stride" --out "$1" $options \
        >/dev/null 2>"$1.log" || { cat "$1.log" >&2; exit 1; }
}

# run DIR options ..: trained unless it is there
run() {
    out=$1
    shift
    # shellcheck disable=SC2086
    [ -e "$out/best.safetensors" ] && [ ! -e "$out/checkpoint.safetensors" ] ||
        "$lead" train $common --data "$cut" --out "$out" $options "$@" >/dev/null 2>"$out.log" ||
        { cat "$out.log" >&2; exit 1; }
}

options=$*
for days in 1 3 7 28; do
    for end in $ends; do
        rows=$((days * day * 10 / 7)) at=$dir/$days.$end
        mkdir -p "$at"
        cut=$at/traffic.npy
        [ -e "$cut" ] || "$here/cut_rows.py" "$data" "$cut" $((end - rows)) "$end"
        stride=$((rows * 15 / 100 / 48 + 1))
        score "$at/zero.tsv" pretrained
        [ "$steps" -gt 0 ] || continue
        run "$at/tuned.$tune" --from pretrained --steps "$tune"
        score "$at/tuned.$tune.tsv" "$at/tuned.$tune"
        run "$at/small.$steps" --from nothing --steps "$steps"
        score "$at/small.$steps.tsv" "$at/small.$steps"
    done
done
echo "history, days	forecast	RMSE / ridge	CRPS / ridge	(mean over rows $ends)"
for days in 1 3 7 28; do
    for what in zero "tuned.$tune" "small.$steps"; do
        set -- "$dir/$days".*/"$what.tsv"
        [ -e "$1" ] || continue
        awk -F '\t' -v days="$days" -v what="$what" '
            /^#/ { next }
            $1 == "model" { for (i = 1; i <= NF; i++) at[$i] = i; files++; next }
            $1 ~ /^(lead|ridge)$/ { square[files, $1] += $at["rmse"] ^ 2; crps[files, $1] += $at["crps"] }
            END {
                for (i = 1; i <= files; i++) {
                    r += sqrt(square[i, "lead"] / square[i, "ridge"]) / files
                    c += crps[i, "lead"] / crps[i, "ridge"] / files
                }
                printf "%s\t%s\t%.3f\t%.3f\n", days, what, r, c
            }' "$@"
    done
done
