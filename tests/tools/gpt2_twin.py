#!/usr/bin/env python3
"""Ten training steps of GPT-2 by PyTorch, from the weights and tokens that tests/test_gpt2_train.c makes from a seed.

    python tests/tools/gpt2_twin.py build/lead mini small 124M > tests/gpt2_twin.tsv    (torch, transformers)

The initial weights are lead's own (`lead gpt2 train --steps 0`, Philox, seed 1), read by transformers from the saved
model; the tokens are Philox draws.  AdamW as llm.c's test_gpt2.c, no decay on norms, biases and embeddings (lead's
rule); mini and small in float64, 124M in float32.  One line a step: shape, step, loss, gradient norm.
"""
import struct
import subprocess
import sys
import tempfile

import torch
from transformers import GPT2LMHeadModel

SHAPES = {  # layers, width, heads, positions, vocabulary, batch, context, learning rate, type
    "mini": (2, 32, 2, 16, 101, 4, 16, 1e-3, torch.float64),
    "small": (4, 256, 4, 64, 1000, 4, 64, 1e-3, torch.float64),
    "124M": (12, 768, 12, 1024, 50257, 4, 64, 1e-4, torch.float32),
}


def philox_u32(seed, subsequence, offset):
    """One draw of Philox4x32-10, as src/tensor/philox.h."""
    quad, mask = offset // 4, 0xFFFFFFFF
    c = [quad & mask, quad >> 32, subsequence & mask, subsequence >> 32]
    k0, k1 = seed & mask, seed >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & mask, (p0 >> 32) ^ c[3] ^ k1, p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c[offset % 4]


def tokens(vocab, n):
    return [philox_u32(1, 10 << 32 | 77, i) * vocab >> 32 for i in range(n)]


def initial_model(lead, layers, width, heads, positions, vocab, ids):
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/tokens.bin", "wb") as f:
            f.write(struct.pack("<256i", 20240520, 1, len(ids), *[0] * 253) + struct.pack(f"<{len(ids)}H", *ids))
        subprocess.run([lead, "gpt2", "train", "--data", d + "/tokens.bin", "--val-share", "0", "--steps", "0", "--seed",
                        "1", "--layers", str(layers), "--width", str(width), "--heads", str(heads), "--positions",
                        str(positions), "--vocab", str(vocab), "--context", "16", "--out", d + "/m"], check=True)
        return GPT2LMHeadModel.from_pretrained(d + "/m", attn_implementation="eager", attn_pdrop=0.0, embd_pdrop=0.0,
                                               resid_pdrop=0.0)


def twin(lead, name):
    layers, width, heads, positions, vocab, batch, context, lr, kind = SHAPES[name]
    ids = tokens(vocab, batch * context + 1)
    m = initial_model(lead, layers, width, heads, positions, vocab, ids).to(kind).train()
    x = torch.tensor(ids[:-1]).view(batch, context)
    y = torch.tensor(ids[1:]).view(batch, context)
    matrices = [p for n, p in m.named_parameters() if p.dim() == 2 and "wte" not in n and "wpe" not in n]
    others = [p for p in m.parameters() if not any(p is q for q in matrices)]
    adam = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
                             lr=lr, betas=(0.9, 0.999), eps=1e-8)
    for step in range(10):
        loss = torch.nn.functional.cross_entropy(m(x).logits.view(-1, vocab), y.view(-1))
        adam.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in m.parameters()))
        adam.step()
        print(f"{name}\t{step}\t{loss.item():.15g}\t{norm.item():.15g}", flush=True)


if __name__ == "__main__":
    print("# tests/tools/gpt2_twin.py, torch " + torch.__version__.split("+")[0] + ": shape, step, loss, gradient norm")
    for shape in sys.argv[2:]:
        twin(sys.argv[1], shape)
