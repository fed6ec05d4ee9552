#!/bin/sh
# A night's work, from the collector's files to link loads; docs/operations.md explains it.
#   nightly.sh DIR
# DIR holds flows/, the collector's files, and net.csv, the network.  There come series.npz, run/ (the night before's:
# run.previous/), forecast.csv, loads.tsv, limits.json and alarms.jsonl.  More options of lead data import and
# lead train stand in the variables IMPORT and TRAIN; ROWS: how many new rows alarms are looked for in [288].
# FLOWS names other files than flows.
# Exit: 0 done, 3 done and alarms were raised, 1 a step failed and its result is still that of the night before,
# 75 another nightly.sh is at work in DIR.
set -u
cd "${1:?want a directory}" || exit 1
exec 9> nightly.lock
flock -n 9 || exit 75
[ -d run ] || [ ! -d run.previous ] || mv run.previous run     # a night was cut off between the two moves below
alarm=0
say() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) nightly: $*"; }
give_up() { say "$* failed"; exit 1; }

say "import"
lead data import ${FLOWS-flows} --out series.npz ${IMPORT-} || give_up "lead data import"

if [ -d run ]; then      # before the training, so that the new matrices are judged by forecasts that knew none of them
    say "alarm"
    lead alarm --model run --data series.npz --rows "${ROWS-288}" --limits limits.json >> alarms.jsonl
    case $? in 0) ;; 3) alarm=3 ;; *) say "lead alarm failed; going on" ;; esac
fi

rm -rf run.next          # of a night that was cut off
if [ ! -d run ]; then
    rm -f limits.json    # of a run that is no more
    say "first training"
    lead train --data series.npz --out run.next ${TRAIN-} || give_up "lead train"
else
    say "update"
    lead train --update run --data series.npz --out run.next ${TRAIN-} || {
        say "no update of this run: training anew"
        rm -rf run.next
        lead train --data series.npz --out run.next ${TRAIN-} || give_up "lead train"
        rm -f limits.json        # they belonged to the run before
    }
fi
[ ! -e run.next/checkpoint.safetensors ] || give_up "lead train, which was stopped,"
rm -rf run.previous
[ ! -d run ] || mv run run.previous
mv run.next run

say "forecast"
lead forecast --model run --data series.npz --paths paths.npy --out forecast.csv || give_up "lead forecast"
say "loads"
lead loads --topology net.csv --paths paths.npy --data series.npz --out loads.tsv || give_up "lead loads"
say "done"
exit $alarm
