#!/usr/bin/env python3
"""bf16 weights: logits of `lead gpt2 logits --llm-weights bf16` and of transformers in bf16, both against transformers in
float64 on the same f32 checkpoint.  Bound: our error is at most theirs (they also round every activation to bf16).
usage: compare_bf16.py BUILD/lead DIR [TOKENS]      DIR: config.json, model.safetensors      prints a Markdown row
Needs torch and transformers from PyPI; nothing else does."""
import subprocess
import sys

import torch
from transformers import GPT2LMHeadModel


def reference(dtype, directory, ids):
    model = GPT2LMHeadModel.from_pretrained(directory, torch_dtype=dtype, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double()


def main():
    lead, directory = sys.argv[1], sys.argv[2]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 16
    truth_model = GPT2LMHeadModel.from_pretrained(directory)
    ids = [(7919 * i * i + 104729 * i + 31) % truth_model.config.vocab_size for i in range(n)]
    truth = reference(torch.float64, directory, ids)
    theirs = reference(torch.bfloat16, directory, ids)
    out = subprocess.run([lead, "gpt2", "logits", "--llm", directory, "--tokens", ",".join(map(str, ids)), "--top", "0",
                          "--llm-weights", "bf16"], check=True, stdout=subprocess.PIPE, text=True).stdout
    ours, seen = torch.full_like(truth, float("nan")), 0
    for line in out.splitlines():
        field = line.split("\t")
        if field[0].isdigit():
            ours[int(field[0]), int(field[1])] = float(field[2])
            seen += 1
    assert seen == truth.numel(), (seen, truth.numel())
    scale = truth.pow(2).mean().sqrt()
    mine, bf16 = ((x - truth).pow(2).mean().sqrt().div(scale).item() for x in (ours, theirs))
    print(f"| {directory.split('/')[-1]} | {n} | {mine:.1e} | {bf16:.1e} |")
    return 0 if mine <= bf16 else 1


sys.exit(main())
