#!/usr/bin/env python3
"""Summary of bench.tsv as Markdown: for each op and pass the AVX-512 (else AVX2) variant against each peer.
usage: summary.py bench.tsv THREADS
A cell: median of their time over ours (rows at or above 1 / rows; least).  scaling: median of one thread's time over two
threads', rows of 0.5 ms and more, when the file has both."""
import csv
import statistics
import sys

PEERS = ["openblas", "onednn", "onednn-wino", "onednn3", "torch", "ort"]


def number(row, column):
    return float(row[column]) if row and row[column] not in ("NA", "") else None


def main():
    rows, threads = {}, sys.argv[2]
    with open(sys.argv[1], encoding="utf-8") as f:
        for r in csv.DictReader(f, delimiter="\t"):
            if not r["op"].startswith("ceiling"):
                rows.setdefault((r["op"], r["shape"], r["threads"]), {})[r["variant"]] = r
    table = {}
    for (op, shape, t), variants in rows.items():
        ours = variants.get("avx512") or variants.get("avx2")
        time = number(ours, "time_us")
        if not time:
            continue
        if t == threads:
            entry = table.setdefault(op, {"n": 0, "ceiling": [], "scaling": [], **{p: [] for p in PEERS}})
            entry["n"] += 1
            entry["ceiling"].append(number(ours, "pct_ceiling") or 0)
            for p in PEERS:
                theirs = number(variants.get(p), "time_us")
                if theirs:
                    entry[p].append(theirs / time)
        two = number(rows.get((op, shape, "2"), {}).get(ours["variant"]), "time_us")
        if t == "1" and two and time >= 500:
            table.setdefault(op, {"n": 0, "ceiling": [], "scaling": [], **{p: [] for p in PEERS}})["scaling"].append(time / two)
    print("| op | rows | % of ceiling | " + " | ".join(PEERS) + " | scaling |")
    print("|---|---|---|" + "---|" * (len(PEERS) + 1))
    for op, e in table.items():
        if not e["n"]:
            continue
        cells = [f"{statistics.median(e[p]):.2f} ({sum(x >= 1 for x in e[p])}/{len(e[p])}; {min(e[p]):.2f})" if e[p] else ""
                 for p in PEERS]
        scaling = f"{statistics.median(e['scaling']):.2f}" if e["scaling"] else ""
        print(f"| {op} | {e['n']} | {statistics.median(e['ceiling']):.0f} | " + " | ".join(cells) + f" | {scaling} |")


main()
