#!/bin/sh
# sh tests/tools/verbs.sh LEAD THREADS: one short command of each kind, for programs that watch another (ThreadSanitizer,
# valgrind).  LEAD may be several words.  Ends with the first command that fails; prints each.
set -eu
lead=$1 threads=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
run() {
    echo "lead $*"
    OMP_WAIT_POLICY=passive $lead "$@" --threads "$threads" > "$dir/out" 2> "$dir/err" ||
        { [ $? -eq 3 ] || { cat "$dir/err"; exit 1; }; }
}
printf 'node_a,node_b,capacity_mbps\n0,1,900\n1,2,400\n2,3,900\n3,0,300\n' > "$dir/net.csv"
run data synth --nodes 4 --days 40 --slot-seconds 10800 --out "$dir/x.npy"
run data info "$dir/x.npy"
run data import "$dir/x.npy" --invalid 50-60 --out "$dir/x.npz"
run data render "$dir/x.npy" --out "$dir/x.png"
run gpt2 corpus --documents 2 --out "$dir/t.txt"
run gpt2 bpe-train --data "$dir/t.txt" --vocab 270 --out "$dir/tok"
run gpt2 train --data "$dir/t.txt" --layers 1 --width 8 --heads 1 --positions 16 --batch 2 --steps 2 \
    --tokenizer "$dir/tok" --out "$dir/llm"
run gpt2 generate --llm "$dir/llm" --text a --n 4
run gpt2 eval "$dir/net.csv" --llm "$dir/llm"
run train --config tiny --llm "$dir/llm" --steps 2 --data "$dir/x.npy" --out "$dir/run"
run forecast --model "$dir/run" --data "$dir/x.npy" --samples 2 --out "$dir/f.csv" --png "$dir/png"
run forecast --model ridge --data "$dir/x.npy" --samples 4 --horizon 2 --paths "$dir/p.npy"
run eval --model "$dir/run" --data "$dir/x.npy" --stride 31
run loads --topology "$dir/net.csv" --paths "$dir/p.npy"
run whatif --topology "$dir/net.csv" --paths "$dir/p.npy"
run estimate --topology "$dir/net.csv" --data "$dir/x.npy" --stride 31
run alarm --model ridge --data "$dir/x.npy" --rows 3 --learn-rows 30
run impute --data "$dir/x.npz" --out "$dir/y.npz" --hidden 2 --rounds 2
run report --model ridge --data "$dir/x.npy" --windows 2 --alarm-rows 0 --out "$dir/r.html"
run check --op softmax
echo "no finding"
