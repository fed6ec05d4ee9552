#!/usr/bin/env python3
"""GPT-2 of random weights (made by our engine from a seed) in the engine and in Hugging Face transformers: logits, loss
and the gradient of every parameter, in float64 and float32.  Needs torch and transformers from PyPI; nothing else does.
usage: compare_transformers.py BUILD/tests/gpt2_twin SHAPE [SEED] [TOKENS] [DIR]       prints a Markdown row, exit 1 on a miss
  SHAPE: 124M, 355M, .. or layers,width,heads,positions,vocab      TOKENS: how many [64]"""
import os
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

LOGITS, GRADIENTS = 1e-4, 1e-4    # bounds: absolute; relative to the largest value of that tensor's gradient


def run(dtype, directory, ids):
    model = GPT2LMHeadModel.from_pretrained(directory, torch_dtype=dtype, attn_implementation="eager").eval()
    x = torch.tensor([ids])
    logits = model(x).logits[0]
    loss = torch.nn.functional.cross_entropy(logits[:-1], x[0, 1:])
    loss.backward()
    grads = {name: p.grad.double() for name, p in model.named_parameters()}
    return logits.detach().double(), loss.item(), grads


def worst_gradient(a, b):
    worst, where = 0.0, ""
    for name, g in b.items():
        error = ((a[name] - g).abs().max() / g.abs().max()).item()
        if not error <= worst:
            worst, where = error, name
    return worst, where


def main():
    twin, shape = sys.argv[1], sys.argv[2]
    seed = sys.argv[3] if len(sys.argv) > 3 else "1"
    n = int(sys.argv[4]) if len(sys.argv) > 4 else 64
    directory = sys.argv[5] if len(sys.argv) > 5 else tempfile.mkdtemp()
    vocab = int(shape.split(",")[4]) if "," in shape else 50257
    ids = [(7919 * i * i + 104729 * i + 31) % vocab for i in range(n)]
    subprocess.run([twin, shape, seed, directory, ",".join(map(str, ids))], check=True)
    ours = {k: v.double() for k, v in load_file(os.path.join(directory, "ours.safetensors")).items()}
    our_grads = {k[5:]: v for k, v in ours.items() if k.startswith("grad.")}
    logits, loss, grads = run(torch.float64, directory, ids)
    assert set(grads) == set(our_grads), set(grads) ^ set(our_grads)
    error = (ours["logits"] - logits).abs().max().item()
    worst, where = worst_gradient(our_grads, grads)
    logits32, loss32, grads32 = run(torch.float32, directory, ids)
    error32 = (logits32 - logits).abs().max().item()
    worst32, _ = worst_gradient(grads32, grads)
    print(f"| {shape} | {n} | {error:.1e} | {error32:.1e} | {abs(ours['loss'].item() - loss):.1e} | {worst:.1e} ({where}) | "
          f"{worst32:.1e} |")
    return 0 if error <= LOGITS and worst <= GRADIENTS else 1


sys.exit(main())
