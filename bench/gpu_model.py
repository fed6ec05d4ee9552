"""How long recorded work should take on an H200, from its nodes: launches, instructions, issue rate.  No GPU needed.

    LEAD_AUDIT_NODES=nodes.tsv build/tests/lead-audit train --device cuda --math tf32 --config paper --steps 3 --minutes 0 \\
        --no-final --data traffic.npy --out run        # make test AREA=cuda_launch builds the program
    python3 bench/gpu_model.py nodes.tsv [KEY=VALUE ..]

A node costs its launch.  A product costs besides, for each wave of the blocks on the fullest multiprocessor, steps along
k x instructions of a step (machine code, a warp: copies, products, addresses) x cycles an instruction: one for each warp
that shares a scheduler, but not below `lone`, what a warp alone waits for its own results.  Kernels bound by memory cost
what their kind was estimated to take at LEAD's sizes.  KEY=VALUE changes a number below: what if mma_tf32_64 were 200?
All of this is arithmetic, good to 40 % at best; tests/tools/gpu_day.sh measures what is true.
"""
import re
import sys
from collections import defaultdict

NUMBER = {
    "clock": 1.75e9, "sms": 132, "launch": 1.3e-6, "lone": 2.2, "epilogue": 2500, "copy": 4.3e12,
    # instructions a warp executes for 16 values of k: 128 x 64 tiles and 64 x 64
    "mma_tf32_128": 507, "mma_tf32_64": 601, "mma_bf16_128": 405, "mma_bf16_64": 480,
    "conv_fwd": 692, "conv_dx": 803, "conv_dw": 750, "gemm_fp32": 1415,
    # microseconds beyond the launch
    "column": 3.3, "column2": 1.2, "reduce": 1.3, "map": 1.45, "attention": 6.2, "group_norm": 9.5, "layer_norm": 4.1,
    "skinny": 2.5, "rest": 2.3,
}
KINDS = [("attention", "attention"), ("group_norm", "group_norm"), ("layer_norm", "layer_norm"), ("column_reduce", "column2"),
         ("column", "column"), ("gemm_reduce", "reduce"), ("skinny", "skinny"), ("map_kernel", "map")]


def instructions(name, large):
    """Of one step of a product's kernel."""
    if "Reached" in name:
        return NUMBER["conv_dx"]
    if "UnfoldedILb1" in name:
        return NUMBER["conv_dw"]
    if "Unfolded" in name:
        return NUMBER["conv_fwd"]
    if "mma_kernel" in name:
        return NUMBER[f"mma_{'bf16' if 'mma_kernelILb1E' in name else 'tf32'}_{128 if large else 64}"]
    return NUMBER["gemm_fp32"]


def product(name, blocks, threads, registers, k_each):
    tile = re.search(r"(?:mma|gemm)_kernelI(?:Lb[01]E)?Li(\d)", name)
    at_once = max(1, 65536 // max(1, registers * threads))   # blocks that fit on a multiprocessor
    here = -(-blocks // NUMBER["sms"])
    resident = min(here, at_once)
    warps = -(-resident * threads // 32 // 4)
    work = -(-k_each // 16) * instructions(name, tile and tile.group(1) == "2") + NUMBER["epilogue"]
    return -(-here // resident) * work * max(NUMBER["lone"], warps) / NUMBER["clock"]


def node(name, blocks, threads, nbytes, registers, word):
    """(kind, seconds)"""
    if name == "memset":
        return "memset or copy", NUMBER["launch"] + nbytes / NUMBER["copy"]
    if re.search(r"wgmma_kernelI|mma_bf16_kernelI", name):
        sys.exit(f"gpu_model: want mma_kernel or gemm_kernel, got {name}: not modelled")
    if re.search(r"\d(?:mma|gemm)_kernelI", name):
        conv = "Unfolded" in name or "Reached" in name
        return ("convolution" if conv else "product"), NUMBER["launch"] + product(name, blocks, threads, registers, word[5])
    for key, kind in KINDS:
        if key in name:
            return kind, NUMBER["launch"] + NUMBER[kind] * 1e-6
    return "rest", NUMBER["launch"] + NUMBER["rest"] * 1e-6


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for word in sys.argv[2:]:
        key, _, value = word.partition("=")
        if key not in NUMBER:
            sys.exit(f"gpu_model: want one of {', '.join(NUMBER)}, got {key}")
        NUMBER[key] = float(value)
    graphs = defaultdict(list)
    with open(sys.argv[1]) as f:
        for n, line in enumerate(f, 1):
            column = line.rstrip("\n").split("\t")
            if len(column) != 13:
                sys.exit(f"{sys.argv[1]}:{n}: want 13 columns, got {len(column)}")
            value = [int(v) for v in column[2:]]
            graphs[column[0]].append(node(column[1], value[0], value[1], value[2], value[3], value[5:]))
    for graph, nodes in graphs.items():
        print(f"graph {graph}\tnodes\tms")
        for kind in sorted({k for k, _ in nodes}, key=lambda k: -sum(s for kk, s in nodes if kk == k)):
            times = [s for k, s in nodes if k == kind]
            print(f"{kind}\t{len(times)}\t{1e3 * sum(times):.2f}")
        print(f"total\t{len(nodes)}\t{1e3 * sum(s for _, s in nodes):.2f}\tlaunches alone {1e3 * len(nodes) * NUMBER['launch']:.2f}")


if __name__ == "__main__":
    main()
