#!/bin/sh
# Runs the `lead` commands of the documents' ``` blocks as they stand, one document after the other, each in a directory
# of its own with tiny data: each must exit with 0.
#   tests/docs/run.sh LEAD DIRECTORY FILE.md..
# Only sizes are changed, by options behind those that are written (the last counts).  What takes minutes (demo, check)
# or wants OpenAI's weights (verify) is left out.
lead=$(realpath "$1") dir=$2 root=$(pwd) ran=0 failed=0
shift 2

# In the present directory: what the documents' reader has there.
furnish() {
    mkdir build t shifted holes && ln -s "$lead" build/lead && ln -s "$root/data" data && cp -r data/gpt2-small gpt2 &&
        mkdir tok && cp gpt2/vocab.json gpt2/merges.txt tok && build/lead data synth --nodes 4 --days 15 --slot-seconds 1800 --out traffic.npy &&
        cp traffic.npy abilene.npy && cp traffic.npy geant.npy &&
        cp traffic.npy shifted/abilene.npy && cp times.npy shifted &&
        cp traffic.npy holes/abilene.npy && cp times.npy holes &&
        sed -n '/^    source,destination/,/^$/s/^    //p' "$root/docs/links.md" > net.csv &&
        mkdir flows && build/lead data export traffic.npy --format long --out all.csv && mv all.csv flows &&
        build/lead gpt2 corpus --documents 500 --out book.txt
}

for file; do
    here=$dir/$(echo "$file" | tr / -)
    mkdir "$here" && awk '
    /^ *```/ { fence = !fence; held = ""; next }
    fence {
        line = held $0
        held = ""
        if (line ~ /\\$/) { held = substr(line, 1, length(line) - 1); next }
        sub(/  +#.*/, "", line)
        if (line ~ /(^|\| )(build\/)?lead [a-z]/) print line
    }' "$file" | grep -vE 'lead (demo|check( --(golden|report).*)?|gpt2 verify .*)$' > "$here/commands"
    [ -s "$here/commands" ] || continue
    cd "$here" && furnish > out 2> err || { echo "docs: no world for $file"; cat err; exit 1; }
    PATH=$here/build:$PATH
    while IFS= read -r line; do
        case $line in
        *'lead train --update '*) more='--steps 2' ;;
        *'lead train '*) more='--config tiny --horizon 20 --minutes 0 --steps 2 --warmup 1' ;;
        *'lead eval --model '*) more='--stride 400 --samples 4' ;;
        *'lead distill --model pretrained '*) more='--steps 1 --to 8' ;;
        *'gpt2 train '*) more='--steps 2 --batch 2 --context 16 --val-every 0' ;;
        *'gpt2 corpus '*) more='--documents 500' ;;
        *'data synth '*) more='--nodes 4 --days 15 --slot-seconds 1800' ;;
        *) more= ;;
        esac
        ran=$((ran + 1))
        sh -c "$line $more" > out 2> err < /dev/null && continue
        echo "docs: $file: exit $? of: $line $more"
        tail -n 3 err
        failed=$((failed + 1))
    done < commands
    cd "$root" || exit 1
done
echo "docs: $ran commands run, $failed failed"
[ "$failed" = 0 ] && [ "$ran" -gt 0 ]
