#!/usr/bin/env python3
"""Time of a training step over many GPUs, by arithmetic: the table of docs/parallel.md.  Nothing here is measured.

bench/parallel.py            prints the table; each assumption is a line of it
bench/parallel.py --check    the formulas against numbers worked out by hand

A step on R GPUs, batch fixed (strong scaling):
    compute = flops / (R peak share)
    sum     = 2 (R-1)/R bytes / bandwidth + 2 (R-1) latency      gradients out, sums (or parameters: ZeRO-1) back
    adding  = (R+1)/R bytes / memory bandwidth                    R parts of a gradient's R-th are read, one is written
    host    = 2 x 2 bytes / PCIe bandwidth                        as built today: through the host's memory, both ways
Communication is not hidden behind backward, which is how the program works today.
"""
import sys

PEAK = 989e12            # H100 SXM, bf16 on tensor cores, dense: NVIDIA's data sheet, 2023
SHARE = 0.4              # of it that a step reaches: what published trainings of GPT-2 report (0.3 .. 0.5); ours: unknown
NVLINK = 450e9           # bytes/s and direction of a GPU within a machine of 8: data sheet
NETWORK = 50e9           # bytes/s and direction of a GPU between machines: one 400 Gbit/s port each
REACHED = 0.8            # of both, for long messages
LATENCY = 10e-6          # s for a message, both networks
MEMORY = 3.35e12         # bytes/s of HBM3: data sheet
PCIE = 50e9              # bytes/s and direction of PCIe 5.0 x16 as usually reached
WORD = 4                 # bytes: gradients and parameters are f32
MACHINE = 8              # GPUs in a machine


def gpt2_parameters(V, P, D, L):
    """wte, wpe; of a layer c_attn, c_proj, c_fc, mlp.c_proj with biases, two norms; the last norm."""
    return (V + P) * D + L * (12 * D * D + 13 * D) + 2 * D


def gpt2_flops(V, D, L, T, windows):
    """Forward 2 flops a weight of a product and token, the head among them, and the triangle of the scores; x 3."""
    token = 2 * (12 * L * D * D + V * D) + 2 * L * T * D
    return 3 * token * T * windows


def bandwidth(R):
    return REACHED * (NVLINK if R <= MACHINE else NETWORK)


def sum_seconds(R, bytes_):
    if R == 1:
        return 0.0
    return 2 * (R - 1) / R * bytes_ / bandwidth(R) + 2 * (R - 1) * LATENCY + (R + 1) / R * bytes_ / MEMORY


def step(R, flops, parameters, batch_share):
    """compute, sum, host in s; batch_share: rows of a GPU as a share of the batch that flops counts."""
    bytes_ = WORD * parameters
    return flops * batch_share / (PEAK * SHARE), sum_seconds(R, bytes_), 0.0 if R == 1 else 4 * bytes_ / PCIE


MODELS = [
    # what `lead train --config paper` trains at 12 nodes; the flops of a step as --profile counts them (op_work)
    ("`paper`, batch 32", 92768957, 1.161e12, 32),
    ("GPT-2 1558M, 512 windows of 1024", gpt2_parameters(50257, 1024, 1600, 48),
     gpt2_flops(50257, 1600, 48, 1024, 512), 512),
]


def table():
    for name, value, why in (("peak", PEAK, "flops/s, bf16, H100 SXM"), ("share of it", SHARE, "guess"),
                             ("NVLink", NVLINK, "bytes/s"), ("network", NETWORK, "bytes/s"),
                             ("reached of both", REACHED, "guess"), ("latency", LATENCY, "s, guess"),
                             ("memory", MEMORY, "bytes/s"), ("PCIe", PCIE, "bytes/s")):
        print(f"# {name}: {value:g} {why}")
    print("| model | GPUs | computing, ms | sums, ms | efficiency | through the host, ms | efficiency | "
          "efficiency, batch R times as large |")
    print("|---|---|---|---|---|---|---|---|")
    for name, parameters, flops, rows in MODELS:
        for R in (1, 2, 4, 8, 16, 32, 64):
            if R > rows:
                continue
            one = step(1, flops, parameters, 1)[0]
            c, s, h = step(R, flops, parameters, 1 / R)
            print(f"| {name} | {R} | {1e3 * c:.1f} | {1e3 * s:.1f} | {100 * c / (c + s):.0f} % | {1e3 * (s + h):.1f} | "
                  f"{100 * c / (c + s + h):.0f} % | {100 * one / (one + s):.0f} % |")


def check():
    assert gpt2_parameters(50257, 1024, 768, 12) == 124439808        # as published
    assert gpt2_parameters(50257, 1024, 1600, 48) == 1557611200
    assert sum_seconds(1, 1e9) == 0
    two = sum_seconds(2, 3.6e9)     # 3.6 GB over 360 GB/s: 10 ms; 20 us; 5.4 GB of memory: 1.6119 ms
    assert abs(two - (0.010 + 20e-6 + 5.4e9 / 3.35e12)) < 1e-9, two
    one_layer = gpt2_flops(1, 10, 1, 4, 1)
    assert one_layer == 3 * 4 * (2 * (1200 + 10) + 80), one_layer


if __name__ == "__main__":
    check() if "--check" in sys.argv[1:] else table()
