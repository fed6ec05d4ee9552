"""PyTorch on a GPU at the shapes of `build/bench/gpu` (bench/shapes.c, models.c), to be joined by op, shape and pass.

    python3 bench/peers/gpu_peers.py OUT.tsv [--math bf16 tf32] [--rows lead_step linear ..] [--quick] [--device cuda]

Rows: scaled_dot_product_attention, conv2d, linear, norms, softmax (CUDA-graph replays, so that launch gaps do not count),
then the twin's training step (lead_twin.py on the batch that dump_step writes, where .gpu/dump_step or
$DUMP_STEP is), eager and, last because it compiles for long, under torch.compile; GPT-2 124M forward and training.
Each row is written as soon as it is known; an error is a row too.  --device cpu --quick tries the program itself.
"""
import argparse
import os
import statistics
import sys
import time

import numpy as np
import torch

import lead_twin
import models
import ops

LINEAR = "{}x{}->{} {}"
CONV = "{0}x{1}x{1} C{2} k{3} O{4} s{5} {6}"
ATTENTION = "{}x{}x{} D{} heads {} {}"


def rows():
    """(op, label, i, shapes), the labels of shapes.c."""
    for m, k, n, why in ((16384, 768, 2304, "GPT-2 B16 T1024"), (16384, 768, 3072, "GPT-2 B16 T1024"),
                         (16384, 3072, 768, "GPT-2 B16 T1024"), (512, 768, 3072, "GPT-2"), (512, 3072, 768, "GPT-2"),
                         (4608, 128, 128, "pixels"), (1152, 256, 256, "pixels")):
        yield "linear", LINEAR.format(m, k, n, why), [0], [(m, k), (k, n)]
    for n, t, u, d, h, causal, why in ((16, 1024, 1024, 768, 12, 1, "GPT-2"), (1, 4096, 4096, 768, 12, 1, "GPT-2"),
                                       (4, 64, 64, 768, 12, 1, "GPT-2"), (32, 64, 64, 512, 8, 0, "tokens"),
                                       (32, 144, 64, 128, 8, 0, "pixels"), (8, 529, 64, 128, 8, 0, "pixels")):
        yield "attention", ATTENTION.format(n, t, u, d, h, why), [h, causal, 0], [(n, t, d), (n, u, d), (n, u, d)]
    for n, h, c, k, o, s, p, why in ((32, 12, 128, 3, 128, 1, 1, "U-Net"), (32, 12, 256, 3, 128, 1, 1, "U-Net"),
                                     (32, 6, 256, 3, 256, 1, 1, "U-Net"), (32, 3, 512, 3, 512, 1, 1, "U-Net"),
                                     (32, 23, 128, 3, 128, 1, 1, "U-Net"), (32, 12, 512, 3, 512, 1, 1, "U-Net"),
                                     (512, 12, 3, 5, 16, 1, 2, "stem"), (32, 12, 128, 3, 256, 2, 1, "down")):
        yield "conv2d", CONV.format(n, h, c, k, o, s, why), [s, p], [(n, h, h, c), (k, k, c, o)]
    yield "layer_norm", "32768x768 101 MB", [], [(32768, 768), (768,), (768,)]
    yield "softmax", "24576x1024 101 MB", [], [(24576, 1024)]
    yield "gelu_tanh", "16384x3072 201 MB", [], [(16384, 3072)]
    yield "add", "32x128x128 C128 268 MB", [], [(32, 128, 128, 128), (32, 128, 128, 128)]


class Timer:
    def __init__(self, device, seconds):
        self.cuda, self.seconds = device == "cuda", seconds

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def __call__(self, call, record):
        """Median seconds of a call; record: replayed from a CUDA graph where that can be had."""
        for _ in range(3):
            call()
        self.wait()
        n, run = 1, call
        if self.cuda and record:
            try:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    for _ in range(8):
                        call()
                n, run = 8, graph.replay
            except Exception:
                torch.cuda.synchronize()
        taken, start = [], time.perf_counter()
        while len(taken) < 5 or time.perf_counter() - start < self.seconds:
            begin = time.perf_counter()
            run()
            self.wait()
            taken.append((time.perf_counter() - begin) / n)
        return statistics.median(taken)


def passes(op):
    return ("fwd", "dx", "dw") if op in ("linear", "conv2d") else ("fwd", "bwd")


def op_call(op, which, i, shapes):
    torch_ops = ops.Torch()
    if not torch_ops.load(op, which, torch.get_num_threads(), i, 0, shapes):
        raise ValueError("no such op")
    return torch_ops.call


class DeviceTwin(models.FastTwin):
    """The twin with everything on the device, times and dropped conditions by PyTorch's generator: torch.compile can
    take its loss whole."""

    def __init__(self, src, device):
        super().__init__(src.group("param."), src.group("frozen."), src.config, src.meta, torch.float32)
        for name, t in self.p.items():
            t = t.detach().to(device)
            if name in self.train:
                self.train[name] = t.requires_grad_()
            self.p[name] = t
        self.table = torch.tensor(self.alpha_bar(), dtype=torch.float32, device=device)

    def draw(self, B):
        T = self.c["diffusion_steps"]
        at = (torch.arange(B) + torch.rand(B)) / B * T
        time_of = (1 + at.floor()).clamp(max=T)
        ab = self.table[time_of.long()]
        weight = torch.ones(B)
        if self.c["min_snr_gamma"] > 0:
            snr = ab / (1 - ab)
            m = snr.clamp(max=self.c["min_snr_gamma"])
            weight = {"x0": m, "epsilon": m / snr, "v": m / (snr + 1)}[self.c["prediction"]]
        return [time_of, ab, weight, (torch.rand(B) >= self.c["cond_drop"]).float()]


def lead_step(config, device, compiled):
    src = models.dump(config)
    twin = DeviceTwin(src, device)
    b = {k: v if v is None else v.to(device) for k, v in lead_twin.read_batch(src, 0, torch.float32).items()}
    opt = torch.optim.AdamW(twin.train.values(), lr=1e-4, fused=device == "cuda")
    ema = [v.detach().clone() for v in twin.train.values()]

    def loss(eps):
        return twin.loss(dict(b, eps=eps), 0)
    if compiled:
        loss = torch.compile(loss)

    def run():
        opt.zero_grad()
        loss(torch.randn_like(b["target"])).backward()
        for p in twin.train.values():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        torch.nn.utils.clip_grad_norm_(list(twin.train.values()), 1.0)
        opt.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(twin.train.values()), 0.001)
    return run


def gpt2(label, train, device):
    m = models.Gpt2(train)
    m.w = {k: v.detach().to(device).requires_grad_(train) for k, v in m.w.items()}
    B, T = models.sizes(label)
    token = torch.randint(0, models.VOCAB, (B, T + 1))
    opt = torch.optim.AdamW(m.w.values(), lr=1e-4, fused=device == "cuda") if train else None

    def forward():
        with torch.no_grad():
            m.logits(token[:, :-1])

    def step():
        opt.zero_grad()
        logits = m.logits(token[:, :-1]).view(-1, models.VOCAB)
        torch.nn.functional.cross_entropy(logits.float(), token[:, 1:].reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(list(m.w.values()), 1.0)
        opt.step()
    return step if train else forward


def set_math(math):
    """bf16: operands as bf16 for the ops, autocast for the models."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = math == "tf32"
    torch.set_default_dtype(torch.bfloat16 if math == "bf16" else torch.float32)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("--math", nargs="+", default=["bf16", "tf32"], choices=["fp32", "tf32", "bf16"])
    ap.add_argument("--rows", nargs="+", help="only these ops and models")
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--quick", action="store_true", help="the two smallest rows of an op, the preset tiny, no GPT-2")
    args = ap.parse_args()
    os.environ.setdefault("DUMP_STEP", next((p for p in (".gpu/dump_step", "build/bench/dump_step")
                                             if os.path.exists(p)), "build/bench/dump_step"))
    torch.set_default_device(args.device)
    torch.backends.cudnn.benchmark = True
    timer = Timer(args.device, 0.02 if args.quick else 0.05)
    device = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    failed = 0
    with open(args.out, "w") as out:
        def row(math, op, label, which, make, record=True, rate=0):
            nonlocal failed
            if args.rows and op not in args.rows:
                return
            try:
                s = timer(make(), record)
                text = f"{s * 1e6:.3f}\t" + (f"{rate / s:.1f}" if rate else "-")
            except Exception as e:
                failed += 1
                text = "-\t" + f"{type(e).__name__}: {e}".split("\n")[0][:120]
            line = f"{op}\t{label}\t{which}\t{math}\t{text}"
            print(line, flush=True)
            print(line, file=out, flush=True)

        print(f"# PyTorch {torch.__version__}, {device}", file=out)
        print("op\tshape\tpass\tmath\tmicroseconds\ta second", file=out)
        for math in args.math:
            set_math(math)
            for op, label, i, shapes in rows():
                if args.quick and sum(np.prod(s) for s in shapes) > 3e5:
                    continue
                for which in passes(op):
                    row(math, op, label, which, lambda: op_call(op, which, i, shapes))
        set_math("tf32")
        presets = ("tiny",) if args.quick else ("image", "paper")
        if not args.quick:
            for name, label, train, tokens in (("gpt2_forward", "124M B4 T1024", False, 4096),
                                               ("gpt2_train", "124M B16 T1024 AdamW", True, 16384)):
                row("tf32", name, label, "step" if train else "fwd", lambda: gpt2(label, train, args.device), False, tokens)
        for compiled in (False, True):
            for preset in presets:
                row("tf32", "lead_step", f"{preset} batch 32", "compiled" if compiled else "eager",
                    lambda: lead_step(preset, args.device, compiled), False, 32)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
