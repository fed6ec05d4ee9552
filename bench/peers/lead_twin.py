"""LEAD a second time, in PyTorch eager, from the equations E3..E7 of docs/math.md: an oracle of the whole model, and
the yardstick of its training step.

    build/bench/dump_step --out step.safetensors --f64 --noise 0.05 batch=4
    python3 bench/peers/lead_twin.py step.safetensors [--verbose]

reads parameters, batch and noise of some training steps, computes times, dropped conditions and dropout masks itself,
and compares: the loss of every step, every gradient of the first, the parameters and their moving average after the
last.  Exit 1 when a bound is passed.
"""
import argparse
import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open

import philox

EPS = 1e-5


class Source:
    """The arrays and metadata of a dump."""

    def __init__(self, path):
        with safe_open(path, "np") as f:
            self.meta = dict(f.metadata())
            self.array = {k: f.get_tensor(k) for k in f.keys()}
        self.config = json.loads(self.meta["config"])
        double = any(v.dtype == np.float64 for k, v in self.array.items() if k.startswith("param."))
        self.dtype = torch.float64 if double else torch.float32

    def group(self, prefix):
        return {k[len(prefix):]: v for k, v in self.array.items() if k.startswith(prefix)}

    def get(self, name):
        v = self.array.get(name)
        return None if v is None else torch.from_numpy(v)


def is_linear(name, v):
    return v.ndim == 2 and name.endswith(".weight") and ".dw" not in name and "wte" not in name and "wpe" not in name


def to_torch(name, v):
    """Our layout -> PyTorch's: [in,out] -> [out,in]; [KH,KW,I,O] -> [O,I,KH,KW]; depthwise [K,C] -> [C,1,K]."""
    if v.ndim == 4:
        return np.ascontiguousarray(v.transpose(3, 2, 0, 1))
    if ".dw" in name and v.ndim == 2:
        return np.ascontiguousarray(v.T[:, None, :])
    return np.ascontiguousarray(v.T) if is_linear(name, v) else v


def from_torch(name, v, shape):
    v = v.detach().numpy()
    if v.ndim == 4 and name.endswith(".weight"):
        return v.transpose(2, 3, 1, 0)
    if v.ndim == 3 and ".dw" in name:
        return v[:, 0, :].T
    if len(shape) == 2 and is_linear(name, v):
        return v.T
    return v


def group_count(channels):
    """The largest number up to 32 that divides the channels and leaves two a group."""
    return next((g for g in range(32, 1, -1) if channels % g == 0 and channels // g > 1), 1)


class Twin:
    def __init__(self, params, frozen, config, meta, dtype, trainable=True):
        self.c = config
        self.eps_llm = float(meta["llm_eps"])
        self.llm_heads = int(meta["llm_heads"])
        self.p = {}
        for name, v in frozen.items():
            self.p[name] = torch.from_numpy(to_torch(name, v).copy()).to(dtype)
        self.train = {}
        for name, v in params.items():
            t = torch.from_numpy(to_torch(name, v).copy()).to(dtype).requires_grad_(trainable)
            self.p[name] = self.train[name] = t
        self.llm_layers = 1 + max((int(n.split(".")[2]) for n in frozen if n.startswith("llm.h.")), default=-1)
        self.dropout_calls = 0
        self.step = 0
        self.training = True

    # ---- small parts

    def lin(self, name, x):
        return F.linear(x, self.p[name + ".weight"], self.p[name + ".bias"])

    def conv(self, name, x, stride=1):
        w = self.p[name + ".weight"]
        return F.conv2d(x, w, self.p[name + ".bias"], stride=stride, padding=w.shape[2] // 2)

    def ln(self, name, x, eps=EPS):
        return F.layer_norm(x, x.shape[-1:], self.p[name + ".weight"], self.p[name + ".bias"], eps)

    def gn(self, name, x):
        return F.group_norm(x, group_count(x.shape[1]), self.p[name + ".weight"], self.p[name + ".bias"], EPS)

    def attend(self, q, k, v, heads, causal=False):
        def split(x):
            return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

        y = F.scaled_dot_product_attention(split(q), split(k), split(v), is_causal=causal)
        return y.transpose(1, 2).reshape(q.shape[0], q.shape[1], -1)

    def attention(self, name, x, kv, heads, causal=False):
        q, k, v = self.lin(name + ".q", x), self.lin(name + ".k", kv), self.lin(name + ".v", kv)
        return self.lin(name + ".o", self.attend(q, k, v, heads, causal))

    def drop(self, x):
        p = self.c["dropout"]
        if not self.training or p == 0:
            return x
        d = philox.draws(self.c["seed"], philox.SITE_DROPOUT, self.step, self.dropout_calls << 40, x.numel())
        self.dropout_calls += 1
        keep = (philox.unit(d) >= p) / (1 - p)
        return x * torch.from_numpy(keep).to(x.dtype).view(x.shape)

    # ---- E3: every frame alone

    def vision(self, frames):
        stems = 4 if frames.shape[-1] >= 16 else 3
        if self.c["vision"] == "none":
            return frames.new_zeros(frames.shape[0], self.c["enc_width"])
        if self.c["vision"] == "linear":   # pixels in the engine's order: rows, columns, channels
            return self.lin("vision.fc1", frames.permute(0, 2, 3, 1).flatten(1))
        if self.c["vision"] == "single":
            stems = 1
        h = torch.cat([self.conv(f"vision.stem.{i}", frames) for i in range(stems)], 1)
        h = F.gelu(self.pixels("vision.fuse", h), approximate="tanh")
        for i in range(self.c["enc_stages"]):
            n = f"vision.stage.{i}"
            stride = 2 if i else 1
            r = F.gelu(self.gn(n + ".norm1", self.conv(n + ".conv1", h, stride)), approximate="tanh")
            r = self.gn(n + ".norm2", self.conv(n + ".conv2", r))
            short = self.conv(n + ".shortcut", h, stride) if n + ".shortcut.weight" in self.p else h
            h = F.gelu(r + short, approximate="tanh")
            a = torch.sigmoid(self.pixels(n + ".att2", F.relu(self.pixels(n + ".att1", h))))
            h = a * h
        pooled = torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1)
        return self.lin("vision.fc2", F.gelu(self.lin("vision.fc1", pooled), approximate="tanh"))

    def pixels(self, name, x):
        """A linear layer over the channels of every pixel: a 1x1 convolution."""
        return F.conv2d(x, self.p[name + ".weight"][:, :, None, None], self.p[name + ".bias"])

    # ---- E4

    def agg_layer(self, name, x, kv):
        n = self.ln(name + ".norm", x)
        a = self.attention(name + ".attn", n, n if kv is None else kv, self.c["agg_heads"], causal=kv is None)
        x = x + self.drop(a)
        m = self.lin(name + ".mlp.fc", self.ln(name + ".mlp.ln", x))
        return x + self.drop(self.lin(name + ".mlp.proj", F.gelu(m, approximate="tanh")))

    def aggregate(self, f, slot, dow):
        f = f + self.p["agg.time"] + self.p["agg.slot_of_day"][slot] + self.p["agg.day_of_week"][dow]
        for i in range(self.c["agg_layers"]):
            f = self.agg_layer(f"agg.layer.{i}", f, None)
        f = self.ln("agg.norm_kv", f)
        x = self.p["agg.queries"].expand(f.shape[0], -1, -1)
        for i in range(2):
            x = self.agg_layer(f"agg.cross.{i}", x, f)
        return x

    # ---- E5

    def llm_project(self, layer, name, x):
        full = f"llm.h.{layer}.{name}"
        y = self.lin(full, x)
        low = f"lora.h.{layer}.{name}"
        if low + ".lora_A.weight" in self.p:
            a, b = self.p[low + ".lora_A.weight"], self.p[low + ".lora_B.weight"]
            y = y + (self.c["lora_alpha"] / self.c["lora_rank"]) * F.linear(F.linear(x, a), b)
        return y

    def adapter(self, layer, h):
        n = f"adapter.{layer}"
        x = self.ln(n + ".ln_in", self.lin(n + ".down", h))
        time = x.transpose(1, 2)
        scales = []
        for k in (3, 5):
            w = self.p[f"{n}.dw{k}.weight"]
            y = F.conv1d(time, w, self.p[f"{n}.dw{k}.bias"], padding=k // 2, groups=w.shape[0])
            scales.append(self.lin(f"{n}.point{k}", y.transpose(1, 2)))
        c = self.lin(n + ".fuse", torch.cat(scales, 2))
        g = torch.sigmoid(self.lin(n + ".gate", x))
        x = F.gelu(g * c + (1 - g) * x, approximate="tanh")
        return h + self.p[n + ".scale"] * self.lin(n + ".up", self.ln(n + ".ln_out", x))

    def llm(self, x):
        h = x + self.p["llm.wpe.weight"][: x.shape[1]]
        for i in range(self.llm_layers):
            q, k, v = self.llm_project(i, "attn.c_attn", self.ln(f"llm.h.{i}.ln_1", h, self.eps_llm)).chunk(3, 2)
            h = h + self.llm_project(i, "attn.c_proj", self.attend(q, k, v, self.llm_heads, causal=True))
            m = self.llm_project(i, "mlp.c_fc", self.ln(f"llm.h.{i}.ln_2", h, self.eps_llm))
            h = h + self.llm_project(i, "mlp.c_proj", F.gelu(m, approximate="tanh"))
            if self.c["adapter_width"]:
                h = self.adapter(i, h)
        return self.ln("llm.ln_f", h, self.eps_llm)

    # ---- E6

    def condition(self, b):
        B, H = b["frames"].shape[:2]
        f = self.vision(b["frames"].flatten(0, 1)).view(B, H, -1)
        tok = self.aggregate(f, b["slot"], b["dow"])
        tok = F.gelu(self.lin("to_llm.1", self.ln("to_llm.norm", tok)), approximate="tanh")
        z = self.ln("to_llm.norm_out", self.lin("to_llm.2", tok))
        if self.c["llm_kind"] == "attention":
            n = self.ln("instead.norm", z)
            z = z + self.attention("instead.attn", n, n, self.llm_heads, causal=True)
        elif self.c["llm_kind"] != "none":
            z = self.llm(z)
        g = s = None
        if self.c["conditions"] in ("dual", "global"):
            p = torch.softmax(self.lin("cond.pool", z), 1)
            g = self.lin("cond.g2", F.gelu(self.lin("cond.g1", (p * z).sum(1)), approximate="tanh"))
        if self.c["conditions"] in ("dual", "sequence"):
            s = self.lin("cond.s", self.ln("cond.s_norm", z))
        return g, s

    # ---- networks over flows

    def trunk(self, name, x):
        if name + ".pair" in self.p:   # flow_identity = pair; else the statistics of a flow are planes of the context
            x = torch.cat([x, self.p[name + ".pair"].expand(x.shape[0], -1, -1)], 2)
        h = F.silu(self.lin(name + ".in", x))
        for i in range(2):
            h = h + F.silu(self.lin(f"{name}.{i}", h))
        return h

    def heads(self, context):
        """context [B,F,C] -> location and log scale [B,F,K], or None."""
        if not (self.c["mean_head"] or self.c["scale_head"]):
            return None, None
        h = self.trunk("heads", context)
        return (self.lin("heads.location", h) if self.c["mean_head"] else None,
                self.lin("heads.log_scale", h) if self.c["scale_head"] else None)

    def flow_denoise(self, x, time, context, moments, g):
        """x [B,F,K]; time [B] or [B,F]; g [B,W] or None."""
        q = self.lin("flow.condition", self.trunk("flow", torch.cat([context] + moments, 2)))
        w = torch.exp(-math.log(10000) * torch.arange(32, dtype=torch.float64) / 32)
        angle = time.double()[..., None] * w
        t = F.silu(self.lin("flow.time", torch.cat([torch.sin(angle), torch.cos(angle)], -1).to(x.dtype)))
        gamma, beta = self.lin("flow.from_t", t).chunk(2, -1)
        if time.ndim == 1:
            gamma, beta = gamma[:, None], beta[:, None]
        h = (1 + gamma) * (self.lin("flow.x", x) + q) + beta
        if g is not None:
            gamma, beta = self.lin("flow.from_g", F.silu(g))[:, None].chunk(2, -1)
            h = (1 + gamma) * h + beta
        h = F.silu(h)
        for i in range(3):
            h = h + F.silu(self.lin(f"flow.layer.{i}", h))
        return self.lin("flow.out", h)

    def res_block(self, n, x, g, t):
        h = self.conv(n + ".conv1", F.silu(self.gn(n + ".norm1", x)))
        gamma, beta = self.lin(n + ".from_g", g)[:, :, None, None].chunk(2, 1)
        h = (1 + gamma) * F.group_norm(h, group_count(h.shape[1]), eps=EPS) + beta
        gamma, beta = self.lin(n + ".from_t", t)[:, :, None, None].chunk(2, 1)
        h = self.conv(n + ".conv2", F.silu((1 + gamma) * h + beta))
        return h + (self.pixels(n + ".shortcut", x) if n + ".shortcut.weight" in self.p else x)

    def pixel_attention(self, n, x, s):
        B, C, H, W = x.shape
        heads = self.c["unet_heads"]
        while C % heads:
            heads -= 1
        y = x.flatten(2).transpose(1, 2)
        norm = self.ln(n + ".norm", y)
        y = y + self.attention(n, norm, norm if s is None else s, heads)
        return y.transpose(1, 2).reshape(B, C, H, W)

    def stage(self, n, x, g, t, s):
        x = self.res_block(n + ".res", x, g, t)
        if n + ".self.q.weight" in self.p:
            x = self.pixel_attention(n + ".self", x, None)
        return self.pixel_attention(n + ".cross", x, s)

    def unet(self, x, time, g, s):
        c = self.c
        half = c["unet_base"] // 2
        w = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float64) / half)
        angle = time.double()[:, None] * w
        emb = torch.cat([torch.sin(angle), torch.cos(angle)], 1).to(x.dtype)
        t = F.silu(self.lin("unet.time2", F.silu(self.lin("unet.time1", emb))))
        g = F.silu(g)
        levels, blocks = c["unet_levels"], c["unet_blocks"]
        skips = []
        x = self.conv("unet.conv_in", x)
        for l in range(levels):
            for b in range(blocks):
                x = self.stage(f"unet.enc.{l}.{b}", x, g, t, s)
                skips.append(x)
            if l + 1 < levels:
                x = self.conv(f"unet.down.{l}", x, stride=2)
        x = self.stage("unet.mid.0", x, g, t, s)
        x = self.stage("unet.mid.1", x, g, t, s)
        for l in reversed(range(levels)):
            if l + 1 < levels:
                n = skips[-1].shape[2]
                x = self.conv(f"unet.up.{l}", F.interpolate(x, scale_factor=2, mode="nearest")[:, :, :n, :n])
            for b in range(blocks):
                x = self.stage(f"unet.dec.{l}.{b}", torch.cat([x, skips.pop()], 1), g, t, s)
        return self.conv("unet.conv_out", F.silu(self.gn("unet.norm_out", x)))

    # ---- E7

    def alpha_bar(self):
        T, kind = self.c["diffusion_steps"], self.c["schedule"]
        t = np.arange(T + 1)
        if kind == "cosine":
            f = np.cos((t / T + 0.008) / 1.008 * np.pi / 2) ** 2
            beta = np.minimum(0.999, 1 - f[1:] / f[:-1])
        elif kind == "linear":
            beta = 1000 / T * np.linspace(1e-4, 0.02, T)
        else:
            beta = 1000 / T * np.linspace(math.sqrt(0.00085), math.sqrt(0.012), T) ** 2
        return np.concatenate([[1.0], np.cumprod(1 - np.minimum(beta, 0.999))])

    def draw(self, B, parts):
        """Times, alpha_bar, loss weights and kept conditions of the step."""
        seed, T = self.c["seed"], self.c["diffusion_steps"]
        u = philox.unit(philox.draws(seed, philox.SITE_TIMESTEP, self.step, 0, B))
        time = np.minimum(T, 1 + np.floor((np.arange(B) % parts + u) / parts * T).astype(np.int64))
        ab = self.alpha_bar()[time]
        keep = philox.unit(philox.draws(seed, philox.SITE_COND_DROP, self.step, 0, B)) >= self.c["cond_drop"]
        weight = np.ones(B)
        if self.c["min_snr_gamma"] > 0:
            snr = ab / (1 - ab)
            m = np.minimum(snr, self.c["min_snr_gamma"])
            weight = {"x0": m, "epsilon": m / snr, "v": m / (snr + 1)}[self.c["prediction"]]
        # the engine keeps these in float
        return [torch.from_numpy(v.astype(np.float32)) for v in (time, ab, weight, keep)]

    def residual(self, b):
        """Location and log scale as the diffusion sees them, its target, and the loss of the heads."""
        c = self.c
        N = b["target"].shape[-1]
        location, log_scale = self.heads(b["planes"])
        if location is None and log_scale is None:
            return [], b["target"], 0
        H = c["history"]
        now, after = b["window"][:, H:H + 1], b["window"][:, H + 1:H + 1 + c["horizon"]]
        z = ((after - (now if b["base"] is None else b["base"])) / b["sigma"]).transpose(1, 2)   # [B,F,K]
        zero = torch.zeros_like(z)
        where = zero if location is None else location.detach().clamp(-30, 30) * b["trust"]
        size = zero if log_scale is None else log_scale.detach().clamp(-3, 3) * b["trust"]
        loss = 0
        if location is not None:
            loss = loss + F.huber_loss(location, z.clamp(-30, 30), delta=4.0)
        if log_scale is not None:
            loss = loss + 0.5 * F.mse_loss(log_scale, torch.log((z - where).abs() + 0.1))
        x0 = torch.asinh((z - where) * torch.exp(-size)) / b["gamma"].T
        moments = [m for m, there in ((where, location), (size, log_scale)) if there is not None]
        return moments, x0.transpose(1, 2).unflatten(2, (N, N)), loss

    def loss(self, b, step):
        c = self.c
        self.step, self.dropout_calls = step, 0
        B, K, N = b["target"].shape[0], b["target"].shape[1], b["target"].shape[-1]
        dt, flows = b["target"].dtype, c["denoiser"] == "flow"
        b["planes"] = None if b["context"] is None else b["context"].flatten(2).transpose(1, 2)
        moments, x0, total = self.residual(b)
        count = B * N * N if flows else B
        time, ab, weight, keep = (v.to(dt) for v in self.draw(count, 1 if flows else B))
        g = s = None
        if c["conditions"] != "none":
            g, s = self.condition(b)
        keep = keep.view(B, -1)[:, 0]
        if c["cond_drop"] > 0:
            if g is not None:
                g = keep[:, None] * g + (1 - keep)[:, None] * self.p["cond.null_g"]
            if s is not None:
                s = keep[:, None, None] * s + (1 - keep)[:, None, None] * self.p["cond.null_s"]
        if flows:   # one time for each flow: [B,1,N,N] like an image
            grid = lambda v: v.view(B, 1, N, N)
            eps = b["eps"].view(B, N, N, K).permute(0, 3, 1, 2)
        else:
            grid = lambda v: v[:, None, None, None]
            eps = b["eps"]
        time_rows, ab_rows, weight_rows = time.view(B, N * N) if flows else time, ab, weight
        ab = grid(ab)
        xt = ab.sqrt() * x0 + (1 - ab).sqrt() * eps
        out = 0
        if not flows:
            planes = [xt] + ([b["context"]] if b["context"] is not None else [])
            planes += [m.transpose(1, 2).unflatten(2, (N, N)) for m in moments]
            planes.append(self.p["pixel"].permute(2, 0, 1).expand(B, -1, -1, -1))
            out = self.unet(torch.cat(planes, 1), time,
                            self.p["cond.null_g"].expand(B, -1) if g is None else g,
                            self.p["cond.null_s"].expand(B, -1, -1) if s is None else s)
        if c["denoiser"] != "unet":
            v = self.flow_denoise(xt.flatten(2).transpose(1, 2), time_rows, b["planes"], moments, g)
            out = out + v.transpose(1, 2).unflatten(2, (N, N))
        v = ab.sqrt() * eps - (1 - ab).sqrt() * x0
        want = {"v": v, "epsilon": eps, "x0": x0}[c["prediction"]]

        def rows(error, w):   # w: of each image, or of each flow
            return (w.view(B, 1, N, N) if flows else w[:, None, None, None]).mul(error.square()).mean()

        total = total + rows(out - want, weight_rows)
        if max(c["loss_traffic"], c["loss_pool"], c["loss_sobel"]) <= 0:
            return total
        est = {"v": ab.sqrt() * xt - (1 - ab).sqrt() * out, "epsilon": (xt - (1 - ab).sqrt() * out) / ab.sqrt(),
               "x0": out}[c["prediction"]]
        ab = ab_rows

        def rows(error, w):
            if flows:
                return w.view(B, 1, N, N).mul(error.square()).mean()
            return (w * error.square().flatten(1).mean(1)).mean()

        if c["loss_traffic"] > 0:
            total = total + c["loss_traffic"] * rows((est - x0) * b["weight"], ab)
        if c["loss_pool"] > 0:
            even = est.shape[2] // 2 * 2
            total = total + c["loss_pool"] * rows(F.avg_pool2d((est - x0)[:, :, :even, :even], 2), ab)
        if c["loss_sobel"] > 0:
            dx = torch.tensor([[-1., 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=dt)
            both = torch.stack([dx, dx.T])[:, None].repeat(est.shape[1], 1, 1, 1)
            total = total + c["loss_sobel"] * rows(F.conv2d(est - x0, both, padding=1, groups=est.shape[1]), ab)
        return total


class AdamW:
    """Decoupled weight decay, clipping by the global norm, rate and moving average of docs/math.md."""

    def __init__(self, twin, names_2d):
        self.c, self.p, self.n = twin.c, twin.train, 0
        plain = [v for k, v in self.p.items() if k in names_2d]
        rest = [v for k, v in self.p.items() if k not in names_2d]
        self.opt = torch.optim.AdamW([{"params": plain, "weight_decay": self.c["decay"]},
                                      {"params": rest, "weight_decay": 0.0}], lr=self.c["lr"], eps=1e-8)
        self.ema = {k: v.detach().clone() for k, v in self.p.items()}

    def step(self):
        c = self.c
        norm = torch.nn.utils.get_total_norm([v.grad for v in self.p.values()]).item()
        if 0 < c["clip"] < norm:
            torch._foreach_mul_([v.grad for v in self.p.values()], c["clip"] / norm)
        if self.n < c["warmup"]:
            lr = c["lr"] * (self.n + 1) / c["warmup"]
        else:
            u = (self.n - c["warmup"]) / max(1, c["steps"] - c["warmup"])
            lr = c["lr"] * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(u, 1))))
        for g in self.opt.param_groups:
            g["lr"] = lr
        self.opt.step()
        decay = min(c["ema"], (1 + self.n) / (10 + self.n))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.values()), list(self.p.values()), 1 - decay)
        self.n += 1
        return norm


def has_decay(name, v):
    """Matrices and kernels of layers decay; biases, norms, embeddings, queries and scalars do not."""
    return name.endswith(".weight") and v.ndim >= 2 and "wte" not in name and "wpe" not in name


def read_batch(src, step, dtype):
    b = {}
    for name in ("frames", "context", "target", "weight", "eps"):
        t = src.get(f"{step}.{name}")
        if t is not None:
            t = t.to(dtype)
            if t.ndim > 2:   # [..,H,W,C] -> [..,C,H,W]
                t = t.movedim(-1, -3).contiguous()
        b[name] = t
    for name in ("window", "base"):
        t = src.get(f"{step}.{name}")
        b[name] = None if t is None else t.to(dtype)
    for name in ("sigma", "gamma", "trust"):
        t = src.get(name)
        b[name] = None if t is None else t.to(dtype)
    b["slot"], b["dow"] = src.get(f"{step}.slot").long(), src.get(f"{step}.dow").long()
    return b


def difference(got, want):
    """Largest difference over the largest value."""
    top = max(np.abs(want).max(initial=0), 1e-30)
    d = np.abs(got - want).max(initial=0) / top
    return d if np.isfinite(d) else np.inf


def compare(args):
    src = Source(args.file)
    dt = src.dtype
    f64 = src.dtype == torch.float64
    bound_loss, bound_grad = (1e-12, 1e-10) if f64 else (1e-5, 1e-3)
    params = src.group("param.")
    if args.spoil:
        params[args.spoil] = params[args.spoil] * (1 + (1e-8 if f64 else 1e-2))
    twin = Twin(params, src.group("frozen."), src.config, src.meta, dt)
    opt = AdamW(twin, {k for k, v in params.items() if has_decay(k, v)})
    steps = len(src.array["loss"])
    failed = 0

    def report(what, error, bound):
        nonlocal failed
        bad = not error <= bound
        failed += bad
        print(f"{what:<44} {error:.2e}  (bound {bound:.0e}){'  FAILED' if bad else ''}")

    for step in range(steps):
        b = read_batch(src, step, dt)
        z = philox.normals(src.config["seed"], philox.SITE_NOISE, step, b["eps"].shape[0], b["eps"][0].numel())
        z = z.reshape(src.array[f"{step}.eps"].shape)
        report(f"step {step}: noise (largest difference)", np.abs(z - src.array[f"{step}.eps"]).max(), 1e-5)
        for p in twin.train.values():
            p.grad = None
        loss = twin.loss(b, step)
        loss.backward()
        want = src.array["loss"][step]
        report(f"step {step}: loss {want:.9f}", abs(loss.item() - want) / abs(want), bound_loss)
        for name, p in twin.train.items():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        if step == 0:
            gradients(src, twin, bound_grad, args.verbose, report)
        norm = opt.step()
        report(f"step {step}: gradient norm", abs(norm - src.array["norm"][step]) / src.array["norm"][step],
               bound_loss * 10)
    # Adam divides by the root of the second moment: where a gradient is rounding error, so is the update's sign.
    # Hence the change of each parameter, all together.
    for what, state in (("parameters", twin.train), ("moving average", opt.ema)):
        key = "after." if what == "parameters" else "ema."
        diff = total = 0.0
        for name, first in params.items():
            want = src.array[key + name].astype(np.float64)
            got = from_torch(name, state[name], first.shape).astype(np.float64)
            diff += np.square(got - want).sum()
            total += np.square(want - first).sum()
        report(f"{what} after {steps} steps (rms of change)", math.sqrt(diff / max(total, 1e-60)),
               1e-8 if f64 else 2e-2)
    print(f"{len(params)} parameters, {sum(v.size for v in params.values())} values; "
          f"{'agrees' if not failed else f'{failed} bounds passed'}")
    return 1 if failed else 0


def gradients(src, twin, bound, verbose, report):
    """Every parameter's gradient of the first step, signed, relative to its largest element."""
    rows = []
    largest = max(np.abs(g).max(initial=0) for g in src.group("grad.").values())
    for name, want in src.group("grad.").items():
        got = from_torch(name, twin.train[name].grad, want.shape)
        top = np.abs(want).max(initial=0)
        # a bias in front of a norm has gradient 0, but for rounding: measured against the largest of all
        rows.append((difference(got, want) if top > 1e-7 * largest else np.abs(got - want).max() / largest, top, name))
    rows.sort(reverse=True)
    for error, top, name in rows if verbose else rows[:5]:
        print(f"    gradient {name:<44} largest {top:.2e}  difference {error:.2e}")
    report(f"gradients of {len(rows)} parameters", rows[0][0], bound)
    zero = sum(top == 0 for _, top, _ in rows)
    print(f"    median difference {rows[len(rows) // 2][0]:.2e}; {zero} gradients are 0 by construction")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("file")
    ap.add_argument("--verbose", action="store_true")
    ap.add_argument("--spoil", metavar="NAME", help="change this parameter a little: the comparison must fail")
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    sys.exit(compare(args))


if __name__ == "__main__":
    main()
