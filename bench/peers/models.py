"""Whole models in PyTorch eager and onnxruntime for bench_models: a line in, a line out (bench/python.c).

    models.py --memory ROW LABEL      runs the row twice in PyTorch and prints the peak of resident memory

GPT-2 has the shapes of 124M and random weights; LEAD is the twin (lead_twin.py) with the parameters and the batch that
dump_step writes ($DUMP_STEP, by default build/bench/dump_step).
"""
import math
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

import lead_twin

try:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    onnxruntime = None
    MISSING = str(missing)

VOCAB, WIDTH, LAYERS, HEADS, POSITIONS = 50257, 768, 12, 12, 1024
DECODE_TOKENS = 16


def gpt2_weights():
    """Names and shapes of the release, linear weights [out,in]."""
    w = {"wte.weight": (VOCAB, WIDTH), "wpe.weight": (POSITIONS, WIDTH), "ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,)}
    for i in range(LAYERS):
        for name, n, k in (("attn.c_attn", 3, 1), ("attn.c_proj", 1, 1), ("mlp.c_fc", 4, 1), ("mlp.c_proj", 1, 4)):
            w[f"h.{i}.{name}.weight"] = (n * WIDTH, k * WIDTH)
            w[f"h.{i}.{name}.bias"] = (n * WIDTH,)
        for name in ("ln_1", "ln_2"):
            w[f"h.{i}.{name}.weight"] = w[f"h.{i}.{name}.bias"] = (WIDTH,)
    gen = torch.Generator().manual_seed(1)
    return {k: torch.randn(s, generator=gen) * 0.02 + (1.0 if ".ln_" in "." + k and k.endswith("weight") else 0.0)
            for k, s in w.items()}


class Gpt2:
    def __init__(self, trainable):
        self.w = gpt2_weights()
        for v in self.w.values():
            v.requires_grad_(trainable)

    def lin(self, name, x):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def ln(self, name, x):
        return F.layer_norm(x, (WIDTH,), self.w[name + ".weight"], self.w[name + ".bias"], 1e-5)

    def hidden(self, x, cache=None, adapter=None):
        B, T, _ = x.shape
        past = cache[0][0].shape[2] if cache and cache[0] is not None else 0
        h = x + self.w["wpe.weight"][past:past + T]
        for i in range(LAYERS):
            qkv = self.lin(f"h.{i}.attn.c_attn", self.ln(f"h.{i}.ln_1", h))
            q, k, v = (t.view(B, T, HEADS, -1).transpose(1, 2) for t in qkv.chunk(3, 2))
            if cache is not None:
                if cache[i] is not None:
                    k, v = torch.cat([cache[i][0], k], 2), torch.cat([cache[i][1], v], 2)
                cache[i] = (k, v)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
            h = h + self.lin(f"h.{i}.attn.c_proj", y.transpose(1, 2).reshape(B, T, WIDTH))
            m = F.gelu(self.lin(f"h.{i}.mlp.c_fc", self.ln(f"h.{i}.ln_2", h)), approximate="tanh")
            h = h + self.lin(f"h.{i}.mlp.c_proj", m)
            if adapter:
                h = adapter(i, h)
        return self.ln("ln_f", h)

    def logits(self, token, cache=None):
        return F.linear(self.hidden(self.w["wte.weight"][token], cache), self.w["wte.weight"])


def adapters():
    """The twin's adapters, bottleneck 128, with random weights."""
    C, shapes = 128, {}
    for i in range(LAYERS):
        n = f"adapter.{i}"
        for name, k, m in (("down", WIDTH, C), ("fuse", 2 * C, C), ("gate", C, C), ("point3", C, C), ("point5", C, C),
                           ("up", C, WIDTH)):
            shapes[f"{n}.{name}.weight"], shapes[f"{n}.{name}.bias"] = (k, m), (m,)
        for name in ("ln_in", "ln_out"):
            shapes[f"{n}.{name}.weight"] = shapes[f"{n}.{name}.bias"] = (C,)
        for k in (3, 5):
            shapes[f"{n}.dw{k}.weight"], shapes[f"{n}.dw{k}.bias"] = (k, C), (C,)
        shapes[n + ".scale"] = ()
    params = {k: np.asarray(np.random.randn(*s) * 0.02, np.float32) for k, s in shapes.items()}
    meta = {"llm_eps": "1e-5", "llm_heads": "12"}
    return lead_twin.Twin(params, {"llm.h.0.x": np.zeros(1, np.float32)}, {}, meta, torch.float32)


def dump(config):
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as f:
        subprocess.run([os.environ.get("DUMP_STEP", "build/bench/dump_step"), "--out", f.name, "--config", config,
                        "--bare"], check=True, stdout=subprocess.DEVNULL)
        return lead_twin.Source(f.name)


class FastTwin(lead_twin.Twin):
    """Random numbers by PyTorch's own generator, as a user would draw them."""

    def drop(self, x):
        return F.dropout(x, self.c["dropout"], self.training)

    def sample(self, b, S, steps):
        """DPM-Solver++(2M) of docs/math.md, prediction v."""
        ab, T = self.alpha_bar(), self.c["diffusion_steps"]
        g, s = (c.expand(S, *c.shape[1:]) for c in self.condition(b))
        pixel = self.p["pixel"].permute(2, 0, 1)
        static = torch.cat([p.expand(S, -1, -1, -1) for p in (b["context"], pixel)], 1)
        x = torch.randn(S, *b["target"].shape[1:])
        times = [T - i * T // steps for i in range(steps)] + [0]
        lam = [0.5 * math.log(ab[t] / (1 - ab[t])) for t in times[:-1]]
        previous = None
        for i, t in enumerate(times[:-1]):
            out = self.unet(torch.cat([x, static], 1), torch.full((S,), float(t)), g, s)
            x0 = (math.sqrt(ab[t]) * x - math.sqrt(1 - ab[t]) * out).clamp(-6, 6)
            if i + 1 == steps:
                return x0
            h = lam[i + 1] - lam[i]
            d = x0
            if previous is not None:
                r = (lam[i] - lam[i - 1]) / h
                d = (1 + 1 / (2 * r)) * x0 - previous / (2 * r)
            to = ab[times[i + 1]]
            x = math.sqrt((1 - to) / (1 - ab[t])) * x - math.sqrt(to) * math.expm1(-h) * d
            previous = x0


def sizes(label):
    at = dict((w[0], int(w[1:])) for w in label.split() if w[0] in "BT" and w[1:].isdigit())
    return at["B"], at["T"]


# ---- rows: each returns a function that runs one round

def gpt2_forward(label):
    m, token = Gpt2(False), torch.randint(0, VOCAB, sizes(label))
    return torch.no_grad()(lambda: m.logits(token))


def gpt2_decode(label):
    m = Gpt2(False)

    @torch.no_grad()
    def run():
        cache = [None] * LAYERS
        for i in range(DECODE_TOKENS):
            m.logits(torch.tensor([[i]]), cache)
    return run


def gpt2_train(label):
    m = Gpt2(True)
    B, T = sizes(label)
    token = torch.randint(0, VOCAB, (B, T + 1))
    opt = torch.optim.AdamW(m.w.values(), lr=1e-4, fused=True)

    def run():
        opt.zero_grad()
        F.cross_entropy(m.logits(token[:, :-1]).view(-1, VOCAB), token[:, 1:].reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(list(m.w.values()), 1.0)
        opt.step()
    return run


def gpt2_adapters(label):
    m, a = Gpt2(False), adapters()
    token = torch.randint(0, VOCAB, sizes(label))
    opt = torch.optim.AdamW(a.train.values(), lr=1e-4, fused=True)

    def run():
        opt.zero_grad()
        x = m.w["wte.weight"][token].requires_grad_()
        m.hidden(x, adapter=a.adapter).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(list(a.train.values()), 1.0)
        opt.step()
    return run


def gpt2_load(label):
    import atexit
    from safetensors.torch import load_file, save_file
    path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    save_file(gpt2_weights(), path)
    atexit.register(lambda: (os.remove(path), os.rmdir(os.path.dirname(path))))

    def run():
        # every page is asked for: a file that is only mapped is not loaded yet
        return sum(float(v.view(-1)[::1024].sum()) for v in load_file(path).values())
    return run


def twin_of(label):
    src = dump(label.split()[0])
    twin = FastTwin(src.group("param."), src.group("frozen."), src.config, src.meta, torch.float32)
    return src, twin


def unet(label):
    src, twin = twin_of(label)
    B, c = src.config["batch"], src.config
    planes = src.array["param.unet.conv_in.weight"].shape[2]
    x = torch.randn(B, planes, 12, 12).contiguous(memory_format=torch.channels_last)
    g = torch.zeros(B, c["cond_width"], requires_grad=True)
    s = torch.zeros(B, c["tokens"], c["cond_width"], requires_grad=True)
    mine = [v for k, v in twin.train.items() if k.startswith("unet.")]

    def run():
        for v in mine + [g, s]:
            v.grad = None
        twin.unet(x, torch.full((B,), 500.0), g, s).square().mean().backward()
    return run


def lead_step(label):
    src, twin = twin_of(label)
    b = lead_twin.read_batch(src, 0, torch.float32)
    opt = lead_twin.AdamW(twin, {k for k, v in src.group("param.").items() if lead_twin.has_decay(k, v)})
    step = [0]

    def run():
        for p in twin.train.values():
            p.grad = None
        b["eps"] = torch.randn_like(b["target"])
        twin.loss(b, step[0]).backward()
        for p in twin.train.values():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        opt.step()
        step[0] += 1
    return run


def lead_forecast(label):
    src, twin = twin_of(label)
    b = {k: v if v is None else v[:1] for k, v in lead_twin.read_batch(src, 0, torch.float32).items()}
    twin.training = False
    return torch.no_grad()(lambda: twin.sample(b, 32, 20))


TORCH = {f.__name__: f for f in (gpt2_forward, gpt2_decode, gpt2_train, gpt2_adapters, gpt2_load, unet, lead_step,
                                 lead_forecast)}


# ---- onnxruntime: GPT-2 forward from nodes (LayerNormalization, com.microsoft.Attention, FastGelu, MatMul)

def gpt2_graph(B, T):
    w = {k: v.numpy() for k, v in gpt2_weights().items()}
    nodes, constants = [], {}

    def constant(name, v):
        constants[name] = np.ascontiguousarray(v)
        return name

    def node(kind, inputs, domain="", **attr):
        out = f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attr))
        return out

    def ln(name, x):
        return node("LayerNormalization", [x, constant(name + ".w", w[name + ".weight"]),
                                           constant(name + ".b", w[name + ".bias"])], axis=-1, epsilon=1e-5)

    def weight(name):
        return constant(name + ".w", w[name + ".weight"].T), constant(name + ".b", w[name + ".bias"])

    def lin(name, x):
        m, b = weight(name)
        return node("Add", [node("MatMul", [x, m]), b])

    h = node("Add", [node("Gather", [constant("wte", w["wte.weight"]), "token"]), constant("wpe", w["wpe.weight"][:T])])
    for i in range(LAYERS):
        m, b = weight(f"h.{i}.attn.c_attn")
        y = node("Attention", [ln(f"h.{i}.ln_1", h), m, b], domain="com.microsoft", num_heads=HEADS, unidirectional=1)
        h = node("Add", [h, lin(f"h.{i}.attn.c_proj", y)])
        m, b = weight(f"h.{i}.mlp.c_fc")
        y = node("FastGelu", [node("MatMul", [ln(f"h.{i}.ln_2", h), m]), b], domain="com.microsoft")
        h = node("Add", [h, lin(f"h.{i}.mlp.c_proj", y)])
    nodes.append(helper.make_node("MatMul", [ln("ln_f", h), constant("head", w["wte.weight"].T)], ["logits"]))
    graph = helper.make_graph(nodes, "gpt2", [helper.make_tensor_value_info("token", TensorProto.INT64, [B, T])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(v, k) for k, v in constants.items()])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20),
                                                                 helper.make_opsetid("com.microsoft", 1)])


def ort_row(name, label, threads):
    if name != "gpt2_forward":
        return None
    B, T = sizes(label)
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads = threads
    o.log_severity_level = 3
    o.add_session_config_entry("session.force_spinning_stop", "1")
    if threads > 1:
        places = ";".join(str(t + 1) for t in range(1, threads))
        o.add_session_config_entry("session.intra_op_thread_affinities", places)
    s = onnxruntime.InferenceSession(gpt2_graph(B, T).SerializeToString(), o, providers=["CPUExecutionProvider"])
    token = np.random.randint(0, VOCAB, (B, T))
    return lambda: s.run(None, {"token": token})


def load(engine, name, threads, label):
    if engine == "ort":
        return ort_row(name, label, threads)
    torch.set_num_threads(threads)
    return TORCH[name](label)


def about(engine):
    if engine == "torch":
        return f"version {torch.__version__}, ISA {torch.backends.cpu.get_cpu_capability()}"
    return f"version {onnxruntime.__version__}" if onnxruntime else f"missing: {MISSING}"


def serve():
    answers = os.fdopen(os.dup(1), "w", buffering=1)   # libraries may print: to stderr with it
    os.dup2(2, 1)
    rows, threads = {}, 1
    for line in sys.stdin:
        word = line.split()
        if word[0] == "about":
            answers.write(about(word[1]) + "\n")
        elif word[0] == "load":
            threads = int(word[3])
            rows.pop(word[1], None)   # its memory, first
            try:
                rows[word[1]] = load(word[1], word[2], threads, " ".join(word[4:]))
                if rows[word[1]]:
                    rows[word[1]]()
            except Exception as e:
                print(f"{word[1]} {word[2]}: {e}", file=sys.stderr)
                rows[word[1]] = None
            answers.write("ok\n" if rows[word[1]] else "no\n")
        else:
            clock = time.thread_time if threads == 1 else time.perf_counter
            start = clock()
            rows[word[1]]()
            answers.write(f"{clock() - start:.9g}\n")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--memory":
        run = TORCH[sys.argv[2]](sys.argv[3])
        run()
        run()
        print(f"peak_mib {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")
    else:
        serve()
