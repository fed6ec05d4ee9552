"""PyTorch eager and onnxruntime, one op at a time, for bench_ops: a line in, a line out (bench/python.c).

Timed is what a user of the library would call, with operands in the layout that suits it: images NCHW in PyTorch's
channels_last, weights [out,in], onnxruntime's weights as constants (it packs them once).  Backward: autograd alone, into new memory (ours adds
to gradients: it reads them too); a gradient that is a mere view of dy is copied, since ours makes one.
"""
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

try:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper
except ImportError as missing:
    onnxruntime = None
    MISSING = str(missing)

torch.manual_seed(1)


def rand(*shape):
    return torch.rand(*shape) * 2 - 1


def image(s):
    return rand(s[0], s[3], s[1], s[2]).contiguous(memory_format=torch.channels_last)


def group_norm(x, w, b, groups, silu):
    y = F.group_norm(x, groups, w, b)
    return F.silu(y) if silu else y


def split_heads(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attention(q, k, v, heads, causal):
    y = F.scaled_dot_product_attention(split_heads(q, heads), split_heads(k, heads), split_heads(v, heads),
                                       is_causal=bool(causal))
    return y.transpose(1, 2).reshape(q.shape)


def modulate(x, s, groups, silu):
    gamma, beta = s[:, :, None, None].chunk(2, 1)
    y = (1 + gamma) * (F.group_norm(x, groups) if groups else x) + beta
    return F.silu(y) if silu else y


def wmse(a, b, w):
    return (w * (a - b).square().flatten(1).mean(1)).mean()


def selective_scan(x, delta, a, b, c, d):   # Mamba's reference: a step of the recurrence at a time
    keep, put = torch.exp(delta[..., None] * a), (delta * x)[..., None] * b[:, :, None]
    h, y = torch.zeros_like(put[:, 0]), []
    for t in range(x.shape[1]):
        h = keep[:, t] * h + put[:, t]
        y.append((h * c[:, t, None]).sum(-1))
    return torch.stack(y, 1) + x * d


def v_target(x0, eps, ab):
    ab = ab[:, None, None, None]
    return ab.sqrt() * eps - (1 - ab).sqrt() * x0


def q_sample(x0, eps, ab):
    ab = ab[:, None, None, None]
    return ab.sqrt() * x0 + (1 - ab).sqrt() * eps


UNARY = {"relu": F.relu, "silu": F.silu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "gelu_erf": F.gelu,
         "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": F.softplus, "clamp": lambda x: x.clamp(-6, 6),
         "scale": lambda x: 1 - x,
         "softmax": lambda x: torch.softmax(x, -1), "sum": torch.sum, "mean": torch.mean}


def adamw(shape):
    p = rand(*shape).requires_grad_()
    p.grad = rand(*shape)
    opt = torch.optim.AdamW([p], lr=1e-4, fused=True)
    return opt.step


def make_torch(op, i, d, s):
    """-> (function of no arguments that runs forward, inputs that take gradients in our order)"""
    if op in UNARY:
        x = (image(s[0]) if len(s[0]) == 4 else rand(*s[0])).requires_grad_()
        return lambda: UNARY[op](x), [x]
    if op in ("linear", "linear_gelu", "linear_silu", "linear_add"):
        x, w = rand(*s[0]).requires_grad_(), rand(s[1][1], s[1][0]).requires_grad_()
        if op == "linear":
            return lambda: F.linear(x, w), [x, w]
        b = rand(s[1][1]).requires_grad_()
        if op == "linear_silu":
            return lambda: F.silu(F.linear(x, w, b)), [x, w, b]
        if op == "linear_add":
            r = rand(*s[3]).requires_grad_()
            return lambda: F.linear(x, w, b) + r, [x, w, b, r]
        return lambda: F.gelu(F.linear(x, w, b), approximate="tanh"), [x, w, b]
    if op == "matmul":
        x, w = rand(*s[0]).requires_grad_(), rand(*s[1]).requires_grad_()
        return lambda: torch.matmul(x, w.mT if i[1] else w), [x, w]
    if op == "conv2d":
        x, k = image(s[0]).requires_grad_(), s[1]
        w = rand(k[3], k[2], k[0], k[1]).contiguous(memory_format=torch.channels_last).requires_grad_()
        return lambda: F.conv2d(x, w, stride=i[0], padding=i[1]), [x, w]
    if op == "conv2d_multi":
        x = image(s[0]).requires_grad_()
        w = [rand(k[3], k[2], k[0], k[1]).contiguous(memory_format=torch.channels_last).requires_grad_() for k in s[1:]]
        return lambda: torch.cat([F.conv2d(x, v, padding=v.shape[2] // 2) for v in w], 1), [x] + w
    if op == "dwconv1d":
        x, w = rand(s[0][0], s[0][2], s[0][1]).requires_grad_(), rand(s[1][1], 1, s[1][0]).requires_grad_()
        b = rand(s[2][0]).requires_grad_()
        return lambda: F.conv1d(x, w, b, padding=s[1][0] // 2, groups=s[1][1]), [x, w, b]
    if op in ("upsample2", "avgpool2", "global_avgpool", "global_maxpool", "pad2d", "crop2d"):
        x = image(s[0]).requires_grad_()
        fn = {"upsample2": lambda: F.interpolate(x, scale_factor=2), "avgpool2": lambda: F.avg_pool2d(x, 2),
              "global_avgpool": lambda: x.mean((2, 3)), "global_maxpool": lambda: x.amax((2, 3)),
              "pad2d": lambda: F.pad(x, (0, 1, 0, 1)),
              "crop2d": lambda: x[:, :, :-1, :-1].contiguous(memory_format=torch.channels_last)}
        return fn[op], [x]
    if op in ("add", "mul"):
        x = rand(*s[0]).requires_grad_()
        y = rand(*(s[1] if len(s) > 1 else s[0][-1:])).requires_grad_()
        return (lambda: x + y) if op == "add" else (lambda: x * y), [x, y]
    if op == "mul_rows":
        x, y = image(s[0]).requires_grad_(), rand(s[1][0], 1, *s[1][1:]).requires_grad_()
        return lambda: x * y, [x, y]
    if op == "dropout":
        x = rand(*s[0]).requires_grad_()
        return lambda: F.dropout(x, d), [x]
    if op == "layer_norm":
        x, w, b = (rand(*t).requires_grad_() for t in s)
        return lambda: F.layer_norm(x, s[1], w, b), [x, w, b]
    if op == "group_norm":
        x, w, b = image(s[0]).requires_grad_(), rand(*s[1]).requires_grad_(), rand(*s[2]).requires_grad_()
        return lambda: group_norm(x, w, b, i[0], i[1]), [x, w, b]
    if op in ("adagn", "film"):
        x, y = image(s[0]).requires_grad_(), rand(*s[1]).requires_grad_()
        return lambda: modulate(x, y, i[0], i[1]), [x, y]
    if op == "attention":
        q, k, v = (rand(*t).requires_grad_() for t in s)
        causal = i[1] and not i[2]   # one query against the whole cache sees all of it
        return lambda: attention(q, k, v, i[0], causal), [q, k, v]
    if op == "selective_scan":
        x, delta, a, b, c, d = (rand(*t).requires_grad_() for t in s)
        return lambda: selective_scan(x, delta, a, b, c, d), [x, delta, a, b, c, d]
    if op == "embedding":
        table, at = rand(*s[0]).requires_grad_(), torch.randint(0, s[0][0], s[1])
        return lambda: F.embedding(at, table), [table]
    if op == "concat":
        x, y = image(s[0]).requires_grad_(), image(s[1]).requires_grad_()
        return lambda: torch.cat([x, y], 1), [x, y]
    if op == "slice":
        x = rand(*s[0]).requires_grad_()
        return lambda: x[:, :, i[1]:i[1] + i[2]].contiguous(), [x]
    if op == "permute":
        x = rand(*s[0]).requires_grad_()
        return lambda: x.permute(*i).contiguous(), [x]
    if op in ("mse", "huber"):
        x, y = rand(*s[0]).requires_grad_(), rand(*s[1]).requires_grad_()
        return lambda: (F.mse_loss if op == "mse" else F.huber_loss)(x, y), [x, y]
    if op == "wmse":
        x, y, w = (rand(*t).requires_grad_() for t in s)
        return lambda: wmse(x, y, w), [x, y, w]
    if op == "cross_entropy":
        x, y = rand(*s[0]).requires_grad_(), torch.randint(0, s[0][1], s[1])
        return lambda: F.cross_entropy(x, y), [x]
    if op in ("q_sample", "convert"):
        x, y, ab = rand(*s[0]).requires_grad_(), rand(*s[1]).requires_grad_(), torch.rand(s[2]) * 0.9 + 0.05
        fn = q_sample if op == "q_sample" else v_target
        return lambda: fn(x, y, ab), [x, y]
    if op == "sampler_step":
        x, y, z = (rand(*t) for t in s)
        return lambda: 0.5 * x + 0.5 * y + 0.1 * z, []
    if op == "randn":
        return lambda: torch.randn(*s[0]), []
    if op == "adamw":
        return adamw(s[0]), []
    if op == "sumsq":
        x = rand(*s[0])
        return lambda: torch.dot(x.view(-1), x.view(-1)), []
    return None, []


def shares_memory(a, b):
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


class Torch:
    def load(self, op, which, threads, i, d, s):
        torch.set_num_threads(threads)
        self.grad = which != "fwd"
        fn, inputs = make_torch(op, i, d, s)
        if fn is None:
            return False
        if not self.grad:
            for x in inputs:
                x.requires_grad_(False)
            self.call = fn
            return True
        wanted = inputs if which == "bwd" else inputs[:1] if which == "dx" else inputs[1:]
        y = fn()
        dy = torch.rand_like(y)
        self.call = lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)
        last = dy.dim() == 4 and dy.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        copies = [torch.empty_like(g, memory_format=layout) if shares_memory(g, dy) else None for g in self.call()]
        if any(c is not None for c in copies):   # of add, concat, permute, sum: nothing was computed yet
            def call():
                for to, g in zip(copies, torch.autograd.grad(y, wanted, dy, retain_graph=True)):
                    if to is not None:
                        to.copy_(g)
            self.call = call
        return True

    def run(self, n, threads):
        clock = time.thread_time if threads == 1 else time.perf_counter
        start = clock()
        for _ in range(n):
            self.call()
        return clock() - start

    def about(self):
        return f"version {torch.__version__}, ISA {torch.backends.cpu.get_cpu_capability()}"


class Ort:
    """Forward only; weights are constants of the graph."""

    OPSET = 20
    SIMPLE = {"softmax": ("Softmax", {}), "gelu_tanh": ("Gelu", {"approximate": "tanh"}), "gelu_erf": ("Gelu", {}),
              "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}), "relu": ("Relu", {})}

    def graph(self, op, i, s):
        """-> (node, feeds, constants) or None"""
        def f32(shape):
            return np.random.rand(*shape).astype(np.float32) - 0.5

        if op in self.SIMPLE:
            kind, attr = self.SIMPLE[op]
            return [helper.make_node(kind, ["x"], ["y"], **attr)], {"x": f32(s[0])}, {}
        if op == "linear" or (op == "matmul" and len(s[0]) == 2):
            w = f32(s[1])
            return [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": f32(s[0])}, {"w": np.ascontiguousarray(
                w.T) if op == "matmul" and i[1] else w}
        if op == "conv2d":
            n, h, w, c = s[0]
            k = s[1]
            node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[i[0]] * 2, pads=[i[1]] * 4)
            return [node], {"x": f32((n, c, h, w))}, {"w": f32((k[3], k[2], k[0], k[1]))}
        if op == "layer_norm":
            node = helper.make_node("LayerNormalization", ["x", "w", "b"], ["y"], axis=-1, epsilon=1e-5)
            return [node], {"x": f32(s[0])}, {"w": f32(s[1]), "b": f32(s[2])}
        if op == "attention" and not i[2]:
            node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["y"], domain="com.microsoft",
                                    num_heads=i[0], unidirectional=i[1])
            return [node], {"q": f32(s[0]), "k": f32(s[1]), "v": f32(s[2])}, {}
        return None

    def load(self, op, which, threads, i, d, s):
        made = self.graph(op, i, s) if which == "fwd" else None
        if made is None:
            return False
        nodes, feeds, constants = made
        graph = helper.make_graph(
            nodes, "bench", [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in feeds.items()],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.OPSET),
                                                        helper.make_opsetid("com.microsoft", 1)], ir_version=9)
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = threads
        o.add_session_config_entry("session.force_spinning_stop", "1")
        if threads > 1:   # threads 1 .. n-1; the caller is thread 0
            places = ";".join(str(t + 1) for t in range(1, threads))
            o.add_session_config_entry("session.intra_op_thread_affinities", places)
        o.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"])
        self.feeds = feeds
        self.session.run(None, feeds)
        return True

    def run(self, n, threads):
        clock = time.thread_time if threads == 1 else time.perf_counter
        start = clock()
        for _ in range(n):
            self.session.run(None, self.feeds)
        return clock() - start

    def about(self):
        return f"version {onnxruntime.__version__}" if onnxruntime else f"missing: {MISSING}"


def serve():
    answers = os.fdopen(os.dup(1), "w", buffering=1)   # libraries may print: to stderr with it
    os.dup2(2, 1)
    engines = {"torch": Torch(), "ort": Ort()}
    threads = 1
    for line in sys.stdin:
        word = line.split()
        engine = engines[word[1]]
        if word[0] == "about":
            answers.write(engine.about() + "\n")
        elif word[0] == "load":
            threads = int(word[4])
            i = [int(v) for v in word[5].split(",")]
            shapes = [tuple(int(v) for v in t.split(",")) for t in word[7:]]
            try:
                answers.write("ok\n" if engine.load(word[2], word[3], threads, i, float(word[6]), shapes) else "no\n")
            except Exception as e:
                print(f"{word[1]} {word[2]} {word[3]}: {e}", file=sys.stderr)
                answers.write("no\n")
        else:
            answers.write(f"{engine.run(int(word[2]), threads):.9g}\n")


if __name__ == "__main__":
    serve()
