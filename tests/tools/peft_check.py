#!/usr/bin/env python3
"""LoRA files, both ways between lead and PEFT: logits of a small random GPT-2 with an adapter that the other one wrote.

    python tests/tools/peft_check.py build/lead        (torch, transformers, peft; exit 1 when they differ)
"""
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2LMHeadModel

IDS = [72, 101, 108, 108, 111, 256]
BOUND = 2e-5  # of the largest logit


def lead(*args):
    return subprocess.run([sys.argv[1], "gpt2", *map(str, args)], check=True, capture_output=True, text=True).stdout


def lead_logits(llm, *more):
    rows = lead("logits", "--llm", llm, "--tokens", ",".join(map(str, IDS)), "--top", 0, *more).splitlines()[1:]
    return torch.tensor([float(r.split("\t")[2]) for r in rows]).view(len(IDS), -1)


def torch_logits(m):
    with torch.no_grad():
        return m.eval()(torch.tensor([IDS])).logits[0]


def worst(what, a, b, base):
    e, moved = ((a - b).abs().max() / a.abs().max()).item(), ((a - base).abs().max() / a.abs().max()).item()
    print(f"{what}: apart {e:.1e} of the largest logit, bound {BOUND:.0e}; LoRA moved them by {moved:.1e}")
    return e <= BOUND and moved > 1e-3


with tempfile.TemporaryDirectory() as d:
    with open(d + "/text", "w") as f:
        f.write("Traffic follows the day. " * 200)
    train = ["train", "--data", d + "/text", "--context", 16, "--lr", 1e-2]
    lead(*train, "--layers", 2, "--width", 32, "--heads", 2, "--positions", 32, "--steps", 20, "--out", d + "/base")
    plain = lead_logits(d + "/base")
    ok = True
    for targets in ("c_attn", "c_proj,mlp.c_fc", "all"):
        out = d + "/ours-" + targets
        lead(*train, "--llm", d + "/base", "--lora", 4, "--lora-targets", targets, "--steps", 10, "--out", out)
        theirs = torch_logits(PeftModel.from_pretrained(GPT2LMHeadModel.from_pretrained(d + "/base"), out))
        ok &= worst("lead wrote, PEFT reads, " + targets, theirs, lead_logits(d + "/base", "--adapter", out), plain)
    for targets in (["c_attn"], ["c_attn", "c_proj", "c_fc"]):
        out = d + "/theirs-" + "-".join(targets)
        m = get_peft_model(GPT2LMHeadModel.from_pretrained(d + "/base"), LoraConfig(
            r=3, lora_alpha=7, target_modules=targets, fan_in_fan_out=True, init_lora_weights=False,
            use_rslora=len(targets) > 1, task_type="CAUSAL_LM"))
        m.save_pretrained(out)
        ok &= worst("PEFT wrote, lead reads, " + ",".join(targets), torch_logits(m),
                    lead_logits(d + "/base", "--adapter", out), plain)
sys.exit(0 if ok else 1)
