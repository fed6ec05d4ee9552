#!/usr/bin/env python3
"""GPT-2 as people have it, in lead and in Hugging Face's libraries: logits of small random checkpoints of each kind, and
token ids of odd texts.  Nothing but this comparison needs those libraries.

    python tests/tools/gpt2_variants.py build/lead        (torch, transformers, tokenizers, peft; exit 1 on a difference)
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Tokenizer,
                          PreTrainedTokenizerFast)

LEAD, IDS, BOUND = sys.argv[1], [3, 1, 4, 1, 5, 9, 2, 6], 2e-5    # of the largest logit
failed = 0


def lead(*args, data=None):
    r = subprocess.run([LEAD, "gpt2", *map(str, args)], input=data, capture_output=True)
    return r.returncode, r.stdout, r.stderr.decode(errors="replace").strip()


def say(ok, what, more=""):
    global failed
    failed += not ok
    print(f"{'ok  ' if ok else 'FAIL'}  {what}  {more}", flush=True)


def logits(*where):
    code, out, err = lead("logits", "--tokens", ",".join(map(str, IDS)), "--top", 0, *where)
    if code:
        return err
    rows = out.decode().splitlines()[1:]
    return torch.tensor([float(r.split("\t")[2]) for r in rows], dtype=torch.float64).view(len(IDS), -1)


def compare(what, theirs, *where):
    ours = logits(*where)
    if isinstance(ours, str):
        return say(False, what, ours)
    theirs = theirs.double()
    e = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    say(e <= BOUND, what, f"{e:.1e} of the largest logit")


def refused(what, words, *where):
    got = logits(*where)
    say(isinstance(got, str) and words in got, what, got if isinstance(got, str) else "was computed")


def run(m):
    with torch.no_grad():
        return m.eval()(torch.tensor([IDS])).logits[0]


def config(**k):
    return GPT2Config(**{**dict(vocab_size=40, n_positions=16, n_embd=16, n_layer=3, n_head=2, bos_token_id=39,
                                eos_token_id=39), **k})


def model(d, cls=GPT2LMHeadModel, **k):
    torch.manual_seed(1)
    m = cls(config(**k))
    for p in m.parameters():
        torch.nn.init.normal_(p, std=0.3)
    m.save_pretrained(d)
    return m


def edit(path, **k):
    with open(path) as f:
        c = json.load(f)
    c.update(k)
    with open(path, "w") as f:
        json.dump(c, f)


def variants(d):
    for name, k in {
            "plain": {}, "inner 40": dict(n_inner=40), "untied": dict(tie_word_embeddings=False),
            "by layer": dict(scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True),
            "plain scores": dict(scale_attn_weights=False),
            "plain scores by layer": dict(scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True),
            "eps": dict(layer_norm_epsilon=1e-3),
            **{a: dict(activation_function=a) for a in (
                "gelu", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "tanh", "sigmoid",
                "linear")}}.items():
        p = f"{d}/{name}"
        compare(name, run(model(p, **k)), "--llm", p)
        code, _, err = lead("convert", p, p + "-again")
        compare(name + ", converted", run(GPT2LMHeadModel.from_pretrained(p)), "--llm", p + "-again")
    for a in ("mish", "relu6", "gelu_10", "laplace"):
        model(f"{d}/{a}", activation_function=a)
        refused(a, "activation_function", "--llm", f"{d}/{a}")
    m = model(d + "/sharded")
    os.remove(d + "/sharded/model.safetensors")
    m.save_pretrained(d + "/sharded", max_shard_size="4KB")
    assert os.path.exists(d + "/sharded/model.safetensors.index.json")
    compare("sharded", run(m), "--llm", d + "/sharded")
    for dtype in (torch.float16, torch.bfloat16):
        h = model(f"{d}/{dtype}").to(dtype)
        h.save_pretrained(f"{d}/{dtype}")
        compare(str(dtype), run(h.float()), "--llm", f"{d}/{dtype}")
    model(d + "/heads", cls=GPT2ForSequenceClassification, pad_token_id=0)
    compare("a classifier", run(GPT2LMHeadModel.from_pretrained(d + "/heads")), "--llm", d + "/heads")
    t = load_file(d + "/plain/model.safetensors")
    os.makedirs(d + "/bare")
    shutil.copy(d + "/plain/config.json", d + "/bare")
    t = {k.removeprefix("transformer."): v for k, v in t.items()}
    t["h.0.attn.bias"], t["h.0.attn.masked_bias"] = torch.ones(1, 1, 16, 16).tril().bool(), torch.tensor(-1e4)
    save_file(t, d + "/bare/model.safetensors", metadata={"format": "pt"})
    compare("no prefix, mask buffers", run(GPT2LMHeadModel.from_pretrained(d + "/bare")), "--llm", d + "/bare")
    os.makedirs(d + "/bin")
    shutil.copy(d + "/plain/config.json", d + "/bin")
    torch.save(GPT2LMHeadModel.from_pretrained(d + "/plain").state_dict(), d + "/bin/pytorch_model.bin")
    refused("pytorch_model.bin", "save_pretrained", "--llm", d + "/bin")


def endings(d):
    m = model(d + "/ends")
    with torch.no_grad():
        m.transformer.wpe.weight *= 3     # or a greedy text of a random model is one token again and again
    m.save_pretrained(d + "/ends")
    free = m.generate(torch.tensor([IDS[:3]]), max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0)
    text = free[0].tolist()[3:]
    unseen = next(i for i in range(40) if i not in text)
    later = next((t for t in text if t != text[0]), text[0])
    for where, ends in (("config.json", [unseen, later]), ("generation_config.json", [text[0]])):
        edit(f"{d}/ends/{where}", eos_token_id=ends)
        first = min(text.index(e) for e in ends if e in text)
        if where == "config.json":
            os.remove(d + "/ends/generation_config.json")
        code, out, err = lead("generate", "--llm", d + "/ends", "--tokens", ",".join(map(str, IDS[:3])), "--n", 12)
        got = [int(x) for x in out.split()]
        say(got == text[:first], f"the ends {ends} of {where}", f"{got} of {text}")
        if where == "config.json":
            json.dump({}, open(d + "/ends/generation_config.json", "w"))


def adapters(d):
    base = d + "/plain"
    for i, (ok, k) in enumerate((
            (True, dict(init_lora_weights=False)), (True, dict(use_rslora=True)),
            (True, dict(layers_to_transform=[0, 2])), (True, dict(layers_to_transform=1, target_modules=["c_fc"])),
            (True, dict(rank_pattern={"c_fc": 5}, target_modules=["c_attn", "c_fc"])),
            (True, dict(rank_pattern={"h.1.attn.c_attn": 1}, alpha_pattern={"c_fc": 32, "h.0.attn.c_attn": 3},
                        target_modules=["c_attn", "c_fc", "c_proj"], use_rslora=True)),
            (True, dict(target_modules=["h.1.attn.c_attn", "h.2.mlp.c_proj"])),
            (True, dict(target_modules=r".*h\.[02]\.attn\.c_attn")),
            (True, dict(exclude_modules=["h.1.attn.c_attn"])),
            (True, dict(init_lora_weights="gaussian")), (True, dict(init_lora_weights="orthogonal")),
            (False, dict(init_lora_weights="pissa")), (False, dict(init_lora_weights="pissa_niter_4")),
            (False, dict(use_dora=True)), (False, dict(modules_to_save=["wte"])), (False, dict(bias="all")),
            (False, dict(layer_replication=[[0, 2], [1, 3]])), (False, dict(rank_pattern={r"h\.[01]\..*": 2})),
            (False, dict(target_modules=["wte", "c_attn"])))):
        out = f"{d}/adapter{i}"
        torch.manual_seed(i)
        try:
            m = get_peft_model(GPT2LMHeadModel.from_pretrained(base), LoraConfig(**{**dict(
                r=2, lora_alpha=6, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM"), **k}))
        except Exception as e:
            print("----  PEFT cannot:", k, str(e)[:80])
            continue
        for n, p in m.named_parameters():
            if "lora_" in n:
                p.data += 0.2 * torch.randn_like(p)
        m.save_pretrained(out)
        if ok:
            again = PeftModel.from_pretrained(GPT2LMHeadModel.from_pretrained(base), out)
            compare(f"LoRA {k}", run(again), "--llm", base, "--adapter", out)
            lead("merge", "--llm", base, "--adapter", out, "--out", out + "-merged")
            compare(f"LoRA {k}, merged", run(again), "--llm", out + "-merged")
        else:
            refused(f"LoRA {k}", "adapter", "--llm", base, "--adapter", out)


TEXTS = ["", "the low", " the", "\r\nthe\r\n\r\nlow \t x", "déjà vu 中文 \U0001F600 a\u0301", "don't WE'LL it's", "12 345x6",
         "a  b   c    ", "<s>the<|user|>low", "<|user|><|user|>", " <mask> x", "x <mask>  y", "<|endoftext|>",
         "a<|endoftext|>b", "<|user", "\u00a0\u3000x", "e\u0301\u200d", "<pad><pad", "<longer><long>", "x\u0085y\u2028z", "\x00\x01\x7f",
         "ſK İ ǅ ² ½ ٣", "   leading", "trailing   ", "\n\n\n", "'s 'S ''ll"]


def odd_texts(n):
    r = random.Random(7)
    alphabet = list("the low's 12.,!?\n\t\r <>|_é中\u00a0\u200b\u0301😀") + ["<|user|>", "<s>", "<mask>", "<|endoftext|>"]
    return TEXTS + ["".join(r.choice(alphabet) for _ in range(r.randrange(60))) for _ in range(n)]


def tokens(what, encode, where, texts):
    wrong = 0
    for text in texts:
        code, out, err = lead("encode", "--tokenizer", where, data=text.encode())
        want = encode(text)
        got = [int(x) for x in out.split()] if code == 0 else err
        if got != want:
            wrong += 1
            if wrong < 4:
                print("     ", repr(text), "want", want, "got", got)
    say(wrong == 0, f"tokens, {what}", f"{len(texts)} texts, {wrong} differ")


def corpus():
    return ["the low lower lowest newer newest don't we'll déjà vu 中文 12 345 \n\n  the the low"] * 30


def trained(**k):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=k.pop("prefix", False))
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"]))
    return t


def tokenizers(d):
    texts = odd_texts(60)
    for name, prefix in (("tokenizer.json", False), ("add_prefix_space", True)):
        p = f"{d}/{name}"
        os.makedirs(p)
        t = trained(prefix=prefix)
        t.add_special_tokens(["<s>", AddedToken("<mask>", lstrip=True), "<|user|>"])
        t.add_tokens([AddedToken("<long>"), AddedToken("<longer>"), AddedToken("<pad>", rstrip=True), "low "])
        t.save(p + "/tokenizer.json")
        tokens(name, lambda s: t.encode(s).ids, p, texts)
        fast = PreTrainedTokenizerFast(tokenizer_file=p + "/tokenizer.json")
        fast.save_pretrained(p + "-saved")
        tokens(name + ", saved by transformers", lambda s: fast(s)["input_ids"], p + "-saved", texts)
        again = json.load(open(p + "/tokenizer.json"))
        again["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in again["model"]["merges"]]
        os.makedirs(p + "-old")
        json.dump(again, open(p + "-old/tokenizer.json", "w"))
        tokens(name + ", merges as strings", lambda s: t.encode(s).ids, p + "-old", texts)
    p = d + "/pair"
    os.makedirs(p)
    trained().model.save(p)
    with open(p + "/merges.txt") as f:
        merges = f.read()
    vocab = json.load(open(p + "/vocab.json"))
    vocab["<s>"] = len(vocab)
    json.dump(vocab, open(p + "/vocab.json", "w"))
    json.dump({"<|user|>": len(vocab)}, open(p + "/added_tokens.json", "w"))
    json.dump({"bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
              open(p + "/special_tokens_map.json", "w"))
    slow = GPT2Tokenizer.from_pretrained(p)
    tokens("vocab.json, merges.txt, added_tokens.json", lambda s: slow(s)["input_ids"], p, texts)
    slow.save_pretrained(p + "-saved")
    tokens("the same, saved by transformers", lambda s: slow(s)["input_ids"], p + "-saved", texts)
    with open(p + "/merges.txt", "w", newline="") as f:
        f.write(merges.replace("\n", "\r\n"))
    tokens("merges with CRLF", lambda s: slow(s)["input_ids"], p, texts)


with tempfile.TemporaryDirectory() as top:
    variants(top)
    endings(top)
    adapters(top)
    tokenizers(top)
print(f"{failed} failed")
sys.exit(failed > 0)
