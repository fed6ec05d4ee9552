#!/bin/sh
# The rivals beside LEAD and the naive forecasts: trains every model on every target with every seed in the same time,
# scores all on the same windows, prints one table.  docs/rivals.md says what the models are.
#   rivals.sh LEAD DATA.npy DIR [SPLIT [STRIDE [PROTOCOL]]]
# DIR receives runs and scores; what is there already is not made again, and a run that was stopped goes on, so the
# command may be repeated.  SPLIT: val, for choosing [val]; test, for the record.  From the environment:
#   MODELS "lead dlinear .."  TARGETS "residual levels"  SEEDS "1 2 3"  MINUTES 15  TRAIN "--threads 2 .."
#   QUICK=1: one seed, target residual, 60 steps; to see that everything runs, not to compare.
# The distribution of a rival is that of its errors on the validation rows: with SPLIT val its CRPS and coverage are of
# the rows that they were fitted on, and too good.  Columns are the means over all steps (rows `all` of lead eval
# --details, space scaled: flow / its maximum); ratio: geometric mean over live flows of RMSE / that of ridge; gain: CRPS
# below that of ridge-scale, %, with its 95 % interval over days.
set -e
lead=$1 data=$2 dir=$3 split=${4:-val} stride=${5:-1} protocol=${6:-clean}
[ -n "$dir" ] || { sed -n '2,13s/^# //p' "$0" >&2; exit 2; }
all=$("$lead" train --help | sed -n 's/^  --model .*: \(lead|[^ ]*\).*/\1/p' | tr '|' ' ')
[ -n "$all" ] || { echo "rivals.sh: $lead train --help names no models" >&2; exit 1; }
limit="--minutes ${MINUTES:-15} --steps 100000"
if [ -n "$QUICK" ]; then
    SEEDS=${SEEDS:-1} TARGETS=${TARGETS:-residual} limit="--minutes 0 --steps 60"
fi
mkdir -p "$dir"
if [ -n "$QUICK" ] && [ ! -e "$data" ]; then
    echo "no $data: synthetic traffic of 6 nodes" >&2
    data=$dir/synthetic.npy
    [ -e "$data" ] || "$lead" data synth --nodes 6 --days 14 --out "$data" >&2
fi

seconds() { date +%s.%N; }

# run NAME OPTION..: trains, or goes on training, then scores and times a forecast
run() {
    run=$dir/$1 table=$dir/$1.$protocol.$split.$stride.tsv
    shift
    if [ -e "$run/checkpoint.safetensors" ]; then
        "$lead" train --out "$run" --resume $TRAIN >&2
    elif [ ! -e "$run/best.safetensors" ]; then
        "$lead" train --no-final --drop-suspicious $limit --data "$data" --out "$run" "$@" $TRAIN >&2
    fi
    [ -e "$run/checkpoint.safetensors" ] && { echo "$run: stopped; the same command goes on" >&2; exit 130; }
    [ -e "$table" ] || "$lead" eval --drop-suspicious --model "$run" --data "$data" --split "$split" --stride "$stride" \
        --protocol "$protocol" --details --out "$table" >&2
    [ -e "$run.seconds" ] && return
    begin=$(seconds)
    "$lead" forecast --model "$run" --data "$data" --out "$run.csv" >/dev/null 2>"$run.err" || {
        code=$?
        cat "$run.err" >&2
        exit $code
    }
    rm -f "$run.err"
    echo "$begin $(seconds)" | awk '{ printf "%.2f\n", $2 - $1 }' >"$run.seconds"
}

for model in ${MODELS:-$all}; do
    for seed in ${SEEDS:-1 2 3}; do
        if [ "$model" = lead ]; then run "lead.$seed" --config small --seed "$seed"; continue; fi
        for target in ${TARGETS:-residual levels}; do
            run "$model.$target.$seed" --config small --model "$model" --rival-target "$target" --seed "$seed"
        done
    done
done

# One line a run: name, target, its scores; the naive forecasts from the first table.
first=yes
for model in ${MODELS:-$all}; do
    for target in ${TARGETS:-residual levels}; do
        for seed in ${SEEDS:-1 2 3}; do
            name=$model.$target.$seed
            [ "$model" = lead ] && name=lead.$seed
            table=$dir/$name.$protocol.$split.$stride.tsv
            [ "$model" = lead ] && [ "$target" != residual ] && continue
            [ -e "$table" ] || continue
            parameters=$("$lead" info "$dir/$name" | awk '$1 == "model" { for (i = 2; i < NF; i++)
                if ($(i + 1) ~ /^parameters/) print $i }')
            trained=$(sed -n 's/.*"seconds":\([0-9.]*\).*/\1/p' "$dir/$name/log.jsonl" | tail -n 1)
            awk -F '\t' -v want="$model" -v target="$target" -v naive="$first" -v more="$parameters	$trained	$(
                cat "$dir/$name.seconds")" '
                /^#/ { next }
                $1 == "model" { for (i = 1; i <= NF; i++) at[$i] = i; next }
                $at["space"] != "scaled" || $at["horizon"] != "all" { next }
                function row(kind, end) {
                    printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", $1, kind, $at["rmse"], $at["mae"],
                        $at["crps"], $at["cover90_live"], $at["ratio_ridge"], $at["crps_gain"], $at["crps_gain_low"],
                        $at["crps_gain_high"], end
                }
                $1 == want { row(target, more) }
                naive != "" && $1 ~ /^(ridge|ridge-scale|persistence)$/ { row("-", "-\t-\t-") }
            ' "$table"
            first=
        done
    done
done >"$dir/rows.$protocol.$split.tsv"

echo "$data, protocol $protocol, split $split, every $stride. window; means over the seeds"
awk -F '\t' '
    { key = $1 "\t" $2; if (!n[key]++) order[++rows] = key; for (i = 3; i <= NF; i++) sum[key, i] += $i }
    END {
        print "| model | target | seeds | RMSE | MAE | CRPS | 90 % band | ratio | gain, % | parameters | training, s | forecast, s |"
        print "|---|---|---|---|---|---|---|---|---|---|---|---|"
        for (r = 1; r <= rows; r++) {
            key = order[r]; c = n[key]; split(key, name, "\t")
            for (i = 3; i <= 13; i++) m[i] = sum[key, i] / c
            fit = name[2] == "-" ? "- | - | -" : sprintf("%d | %.0f | %.1f", m[11], m[12], m[13])
            printf "| %s | %s | %d | %.5f | %.5f | %.5f | %.1f | %.3f | %.1f (%.1f .. %.1f) | %s |\n", name[1], name[2],
                c, m[3], m[4], m[5], 100 * m[6], m[7], m[8], m[9], m[10], fit
        }
    }
' "$dir/rows.$protocol.$split.tsv" | tee "$dir/table.$protocol.$split.md"
