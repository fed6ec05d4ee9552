// oneDNN 3.x through its C API.  Inputs are brought into the layout that the primitive asks for before any clock
// starts: its best case.  Attention goes through its Graph API as one partition,
//   softmax(q k^T / sqrt(Dh) [+ mask]) v,   mask [B,1,Tq,Tk] of 0 and -inf where the row is causal,
// which a build with OpenMP compiles to its fused kernel (a head at a time, scores in cache: sdp_decomp_kernel_t of its
// graph backend, as ONEDNN_VERBOSE=all shows).  Builds on another threading runtime (PyPI `onednn`: SYCL over TBB) have
// no such kernel, and threads that are not ours: refused.
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peer.h"

#if __has_include(<oneapi/dnnl/dnnl_graph.h>)
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_graph.h>
#endif

#if defined(DNNL_VERSION_MAJOR) && DNNL_VERSION_MAJOR == 3

#define FUNCTIONS(F)                                                                                                  \
    F(engine_create) F(stream_create) F(stream_wait) F(version) F(memory_desc_create_with_tag) F(memory_desc_destroy)  \
    F(memory_create) F(memory_destroy) F(reorder_primitive_desc_create) F(primitive_desc_destroy)                      \
    F(primitive_desc_query_md) F(primitive_create) F(primitive_destroy) F(primitive_execute)                           \
    F(matmul_primitive_desc_create) F(convolution_forward_primitive_desc_create)                                       \
    F(convolution_backward_data_primitive_desc_create) F(convolution_backward_weights_primitive_desc_create)           \
    F(softmax_forward_primitive_desc_create) F(layer_normalization_forward_primitive_desc_create)                      \
    F(eltwise_forward_primitive_desc_create) F(graph_logical_tensor_init_with_strides) F(graph_tensor_create)          \
    F(graph_tensor_destroy) F(graph_op_create) F(graph_op_destroy) F(graph_op_add_input) F(graph_op_add_output)        \
    F(graph_op_set_attr_bool) F(graph_op_set_attr_s64) F(graph_graph_create) F(graph_graph_destroy) F(graph_add_op)    \
    F(graph_graph_finalize) F(graph_graph_filter) F(graph_graph_get_partition_num) F(graph_graph_get_partitions)       \
    F(graph_partition_destroy) F(graph_partition_is_supported) F(graph_partition_get_input_ports_num)                  \
    F(graph_partition_get_input_ports) F(graph_partition_compile) F(graph_compiled_partition_create)                   \
    F(graph_compiled_partition_execute) F(graph_compiled_partition_destroy)

typedef dnnl_memory_desc_t Desc;
typedef dnnl_graph_logical_tensor_t Logical;

enum { MAX_ARGS = 5, MAX_DESCS = 8 };
typedef struct Arg {
    int id;
    Desc user;            // our layout
    void *data;
    bool out;
    dnnl_memory_t mem;    // in the layout that the primitive wants
} Arg;

typedef struct OneDnn {
#define MEMBER(f) __typeof__(&dnnl_##f) f;
    FUNCTIONS(MEMBER)
#undef MEMBER
    Arena *arena;         // rewound by the benchmark after each row
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    Desc desc[MAX_DESCS];
    int n_descs;
    dnnl_primitive_desc_t pd;                    // until the primitive is made
    dnnl_primitive_t prim;
    Arg arg[MAX_ARGS];
    int n_args;
    dnnl_graph_compiled_partition_t attention;   // instead of prim
    dnnl_graph_tensor_t tensor[MAX_ARGS + 1];    // its inputs, then its output
    int n_tensors;
} OneDnn;

#define MUST(call, what) CHECK((call) == dnnl_success, "onednn3: " what)

// ---- memory

// A plain array of ours, dims permuted by the tag.
static Desc plain(OneDnn *d, int n, const int64_t *dims, dnnl_format_tag_t tag)
{
    dnnl_dims_t at;
    for (int i = 0; i < n; i++) at[i] = dims[i];
    CHECK(d->n_descs < MAX_DESCS, "onednn3: descriptors");
    Desc *md = &d->desc[d->n_descs++];
    MUST(d->memory_desc_create_with_tag(md, n, at, dnnl_f32, tag), "memory descriptor");
    return *md;
}

static void reorder(OneDnn *d, const_dnnl_memory_desc_t from_md, dnnl_memory_t from, const_dnnl_memory_desc_t to_md,
                    dnnl_memory_t to)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t prim;
    MUST(d->reorder_primitive_desc_create(&pd, from_md, d->engine, to_md, d->engine, NULL), "reorder");
    MUST(d->primitive_create(&prim, pd), "reorder");
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    MUST(d->primitive_execute(prim, d->stream, 2, args), "reorder");
    d->stream_wait(d->stream);
    d->primitive_destroy(prim);
    d->primitive_desc_destroy(pd);
}

static void move(OneDnn *d, Arg *a, const_dnnl_memory_desc_t md, bool in)
{
    dnnl_memory_t user;
    MUST(d->memory_create(&user, a->user, d->engine, a->data), "memory");
    if (in) reorder(d, a->user, user, md, a->mem);
    else reorder(d, md, a->mem, a->user, user);
    d->memory_destroy(user);
}

static void add_arg(OneDnn *d, int id, Desc user, void *data, bool out)
{
    CHECK(d->n_args < MAX_ARGS, "onednn3: arguments");
    d->arg[d->n_args++] = (Arg){.id = id, .user = user, .data = data, .out = out};
}

static void execute(OneDnn *d)
{
    if (d->attention) {
        const_dnnl_graph_tensor_t tensor[MAX_ARGS + 1];
        for (int i = 0; i < d->n_tensors; i++) tensor[i] = d->tensor[i];
        const size_t n_in = (size_t)d->n_tensors - 1;
        MUST(d->graph_compiled_partition_execute(d->attention, d->stream, n_in, tensor, 1, tensor + n_in), "execute");
    } else {
        dnnl_exec_arg_t args[MAX_ARGS];
        for (int i = 0; i < d->n_args; i++) args[i] = (dnnl_exec_arg_t){d->arg[i].id, d->arg[i].mem};
        MUST(d->primitive_execute(d->prim, d->stream, d->n_args, args), "execute");
    }
    d->stream_wait(d->stream);
}

static void unload(OneDnn *d)
{
    for (int i = 0; i < d->n_args; i++)
        if (d->arg[i].mem) d->memory_destroy(d->arg[i].mem);
    for (int i = 0; i < d->n_descs; i++) d->memory_desc_destroy(d->desc[i]);
    for (int i = 0; i < d->n_tensors; i++) d->graph_tensor_destroy(d->tensor[i]);
    if (d->prim) d->primitive_destroy(d->prim);
    if (d->attention) d->graph_compiled_partition_destroy(d->attention);
    d->prim = NULL;
    d->attention = NULL;
    d->n_args = d->n_descs = d->n_tensors = 0;
}

// made: whether there is such a primitive, described by d->pd.  Makes it and its memories and runs it once; the result
// goes back to our array.
static bool finish(OneDnn *d, dnnl_status_t made)
{
    if (made != dnnl_success) return unload(d), false;
    MUST(d->primitive_create(&d->prim, d->pd), "primitive");
    const_dnnl_memory_desc_t md[MAX_ARGS];
    for (int i = 0; i < d->n_args; i++) {
        Arg *a = &d->arg[i];
        md[i] = d->primitive_desc_query_md(d->pd, dnnl_query_exec_arg_md, a->id);
        MUST(d->memory_create(&a->mem, md[i], d->engine, DNNL_MEMORY_ALLOCATE), "memory");
        if (!a->out) move(d, a, md[i], true);
    }
    execute(d);
    for (int i = 0; i < d->n_args; i++)
        if (d->arg[i].out) move(d, &d->arg[i], md[i], false);
    d->primitive_desc_destroy(d->pd);
    return true;
}

// ---- primitives

// c [m,n] = a b; a is k x m when trans_a, b is n x k when trans_b.  b is prepacked.
static bool matmul(void *peer, int64_t m, int64_t k, int64_t n, float *a, bool trans_a, float *b, bool trans_b,
                   float *c)
{
    OneDnn *d = peer;
    const int64_t bd[] = {k, n};
    const Desc am = plain(d, 2, (int64_t[]){m, k}, trans_a ? dnnl_ba : dnnl_ab),
               bm = plain(d, 2, bd, trans_b ? dnnl_ba : dnnl_ab), packed = plain(d, 2, bd, dnnl_format_tag_any),
               cm = plain(d, 2, (int64_t[]){m, n}, dnnl_ab);
    add_arg(d, DNNL_ARG_SRC, am, a, false);
    add_arg(d, DNNL_ARG_WEIGHTS, bm, b, false);
    add_arg(d, DNNL_ARG_DST, cm, c, true);
    return finish(d, d->matmul_primitive_desc_create(&d->pd, d->engine, am, packed, NULL, cm, NULL));
}

static bool convolution(OneDnn *d, Problem *p, Pass pass)
{
    const Conv2dParams *c = p->call.p;
    Tensor *tx = p->call.in[0], *tw = p->call.in[1], *ty = p->call.out[0];
    const int64_t *x = tx->shape.d, *w = tw->shape.d, *y = ty->shape.d;
    const int64_t xd[] = {x[0], x[3], x[1], x[2]}, wd[] = {w[3], w[2], w[0], w[1]}, yd[] = {y[0], y[3], y[1], y[2]};
    const Desc xm = plain(d, 4, xd, dnnl_nhwc), xa = plain(d, 4, xd, dnnl_format_tag_any),
               wm = plain(d, 4, wd, dnnl_hwio), wa = plain(d, 4, wd, dnnl_format_tag_any),
               ym = plain(d, 4, yd, dnnl_nhwc), ya = plain(d, 4, yd, dnnl_format_tag_any);
    const dnnl_dims_t stride = {c->stride, c->stride}, dilate = {0, 0}, pad = {c->pad, c->pad};
    // pixels that the stride leaves over: the right pad may be smaller
    const dnnl_dims_t right = {(y[1] - 1) * c->stride + w[0] - x[1] - c->pad,
                               (y[2] - 1) * c->stride + w[1] - x[2] - c->pad};
    const dnnl_alg_kind_t alg = dnnl_convolution_auto;
    dnnl_status_t st = d->convolution_forward_primitive_desc_create(
        &d->pd, d->engine, dnnl_forward_training, alg, xa, wa, NULL, ya, stride, dilate, pad, right, NULL);
    if (st != dnnl_success || pass == FWD) {
        add_arg(d, DNNL_ARG_SRC, xm, tx->x, false);
        add_arg(d, DNNL_ARG_WEIGHTS, wm, tw->x, false);
        add_arg(d, DNNL_ARG_DST, ym, ty->x, true);
        return finish(d, st);
    }
    const dnnl_primitive_desc_t forward = d->pd;
    add_arg(d, DNNL_ARG_DIFF_DST, ym, ty->g, false);
    if (pass == DX) {
        add_arg(d, DNNL_ARG_WEIGHTS, wm, tw->x, false);
        add_arg(d, DNNL_ARG_DIFF_SRC, xm, p->grad[0], true);
        st = d->convolution_backward_data_primitive_desc_create(&d->pd, d->engine, alg, xa, wa, ya, stride, dilate, pad,
                                                                right, forward, NULL);
    } else {
        add_arg(d, DNNL_ARG_SRC, xm, tx->x, false);
        add_arg(d, DNNL_ARG_DIFF_WEIGHTS, wm, p->grad[1], true);
        st = d->convolution_backward_weights_primitive_desc_create(&d->pd, d->engine, alg, xa, wa, NULL, ya, stride,
                                                                   dilate, pad, right, forward, NULL);
    }
    d->primitive_desc_destroy(forward);
    return finish(d, st);
}

static bool rowwise(OneDnn *d, Problem *p)
{
    const Tensor *x = p->call.in[0];
    const int64_t rows = shape_rows(x->shape), width = shape_last(x->shape);
    const Desc md = plain(d, 2, (int64_t[]){rows, width}, dnnl_ab);
    const dnnl_prop_kind_t how = dnnl_forward_inference;
    dnnl_alg_kind_t alg;
    dnnl_status_t st;
    add_arg(d, DNNL_ARG_SRC, md, x->x, false);
    add_arg(d, DNNL_ARG_DST, md, p->call.out[0]->x, true);
    switch (p->row->op) {
    case OP_softmax:
        st = d->softmax_forward_primitive_desc_create(&d->pd, d->engine, how, dnnl_softmax_accurate, md, md, 1, NULL);
        return finish(d, st);
    case OP_layer_norm: {
        const Desc stat = plain(d, 1, &rows, dnnl_a), affine = plain(d, 1, &width, dnnl_a);
        add_arg(d, DNNL_ARG_SCALE, affine, p->call.in[1]->x, false);
        add_arg(d, DNNL_ARG_SHIFT, affine, p->call.in[2]->x, false);
        st = d->layer_normalization_forward_primitive_desc_create(&d->pd, d->engine, how, md, md, stat, 1e-5f,
                                                                  dnnl_use_scale | dnnl_use_shift, NULL);
        return finish(d, st);
    }
    case OP_gelu_tanh: alg = dnnl_eltwise_gelu_tanh; break;
    case OP_gelu_erf: alg = dnnl_eltwise_gelu_erf; break;
    case OP_silu: alg = dnnl_eltwise_swish; break;
    case OP_sigmoid: alg = dnnl_eltwise_logistic; break;
    case OP_tanh: alg = dnnl_eltwise_tanh; break;
    case OP_relu: alg = dnnl_eltwise_relu; break;
    default: return unload(d), false;
    }
    st = d->eltwise_forward_primitive_desc_create(&d->pd, d->engine, how, alg, md, md, alg == dnnl_eltwise_swish, 0,
                                                  NULL);
    return finish(d, st);
}

// ---- attention

// Edges of the graph.
typedef enum Edge { Q, K, SCORES, FACTOR, SCALED, MASK, MASKED, WEIGHTS, V, RESULT, EDGES } Edge;

typedef struct Graph {
    OneDnn *d;
    dnnl_graph_graph_t graph;
    Logical edge[EDGES];
    void *data[EDGES];    // NULL: inside the partition
    size_t n_ops;
} Graph;

// dims [B,H,rows,cols], dense.
static void edge(Graph *g, Edge e, const int64_t *dims, void *data)
{
    const dnnl_dims_t dim = {dims[0], dims[1], dims[2], dims[3]},
                      stride = {dim[1] * dim[2] * dim[3], dim[2] * dim[3], dim[3], 1};
    MUST(g->d->graph_logical_tensor_init_with_strides(&g->edge[e], (size_t)e, dnnl_f32, 4, dim, stride,
                                                      dnnl_graph_tensor_property_variable), "logical tensor");
    g->data[e] = data;
}

// out = kind(a, b); b may be EDGES: none.
static void node(Graph *g, dnnl_graph_op_kind_t kind, Edge a, Edge b, Edge out)
{
    OneDnn *d = g->d;
    dnnl_graph_op_t op;
    MUST(d->graph_op_create(&op, g->n_ops++, kind, "attention"), "graph");
    MUST(d->graph_op_add_input(op, &g->edge[a]), "graph");
    if (b != EDGES) MUST(d->graph_op_add_input(op, &g->edge[b]), "graph");
    MUST(d->graph_op_add_output(op, &g->edge[out]), "graph");
    if (b == K) MUST(d->graph_op_set_attr_bool(op, dnnl_graph_op_attr_transpose_b, &(uint8_t){true}, 1), "graph");
    if (kind == dnnl_graph_op_softmax)
        MUST(d->graph_op_set_attr_s64(op, dnnl_graph_op_attr_axis, &(int64_t){-1}, 1), "graph");
    MUST(d->graph_add_op(g->graph, op), "graph");
    MUST(d->graph_op_destroy(op), "graph");
}

// The whole graph as one partition, compiled; false: the library would cut it in pieces.
static bool compile(Graph *g)
{
    OneDnn *d = g->d;
    size_t n = 0, n_in = 0;
    uint8_t supported = 0;
    dnnl_graph_partition_t part;
    MUST(d->graph_graph_finalize(g->graph), "graph");
    MUST(d->graph_graph_filter(g->graph, dnnl_graph_partition_policy_fusion), "graph");
    MUST(d->graph_graph_get_partition_num(g->graph, &n), "graph");
    if (n != 1) return false;
    MUST(d->graph_graph_get_partitions(g->graph, 1, &part), "graph");
    MUST(d->graph_partition_is_supported(part, &supported), "graph");
    MUST(d->graph_partition_get_input_ports_num(part, &n_in), "graph");
    if (supported && n_in <= MAX_ARGS) {
        Logical ports[MAX_ARGS];
        const Logical *in[MAX_ARGS], *out = &g->edge[RESULT];
        MUST(d->graph_partition_get_input_ports(part, n_in, ports), "graph");
        for (size_t i = 0; i < n_in; i++) in[i] = &g->edge[ports[i].id];
        MUST(d->graph_compiled_partition_create(&d->attention, part), "graph");
        MUST(d->graph_partition_compile(part, d->attention, n_in, in, 1, &out, d->engine), "compilation of attention");
        for (size_t i = 0; i <= n_in; i++) {
            const Logical *l = i < n_in ? in[i] : out;
            MUST(d->graph_tensor_create(&d->tensor[d->n_tensors++], l, d->engine, g->data[l->id]), "graph");
        }
    }
    d->graph_partition_destroy(part);
    return d->attention;
}

// The first T rows of each batch of ours, [B,rows,H Dh], to heads, dense [B,H,T,Dh]; back: the other way.
static float *heads(float *ours, int64_t rows, const int64_t *dims, float *theirs, bool back)
{
    const int64_t H = dims[1], T = dims[2], Dh = dims[3];
    for (int64_t r = 0; r < dims[0] * H * T; r++) {
        const int64_t b = r / (H * T), h = r / T % H, t = r % T;
        float *a = ours + ((b * rows + t) * H + h) * Dh, *c = theirs + r * Dh;
        memcpy(back ? a : c, back ? c : a, (size_t)Dh * sizeof *a);
    }
    return theirs;
}

static float *make_mask(float *mask, int64_t batches, int64_t Tq, int64_t Tk)   // the last query sees all keys
{
    for (int64_t i = 0; i < batches * Tq; i++)
        for (int64_t j = 0; j < Tk; j++) mask[i * Tk + j] = j <= i % Tq + Tk - Tq ? 0 : -INFINITY;
    return mask;
}

static bool attention(OneDnn *d, Problem *p)
{
    const AttentionParams *c = p->call.p;
    const Tensor *q = p->call.in[0], *k = p->call.in[1], *v = p->call.in[2], *y = p->call.out[0];
    const int64_t B = q->shape.d[0], Tq = q->shape.d[1], H = c->heads, Dh = q->shape.d[2] / H, rows = k->shape.d[1],
                  Tk = c->keys ? c->keys : rows;
    const int64_t q_dims[] = {B, H, Tq, Dh}, k_dims[] = {B, H, Tk, Dh}, s_dims[] = {B, H, Tq, Tk}, one[] = {1, 1, 1, 1};
    const int64_t m_dims[] = {B, 1, Tq, Tk};   // 3.6.2 reads past a mask that the batches share
    const bool masked = c->causal && Tq > 1;
    float *factor = arena_alloc(d->arena, sizeof *factor), *result = arena_alloc(d->arena, tensor_bytes(y));
    *factor = 1 / sqrtf((float)Dh);
    Graph g = {.d = d};
    MUST(d->graph_graph_create(&g.graph, dnnl_cpu), "graph");
    edge(&g, Q, q_dims, heads(q->x, Tq, q_dims, arena_alloc(d->arena, tensor_bytes(q)), false));
    edge(&g, K, k_dims, heads(k->x, rows, k_dims, arena_alloc(d->arena, tensor_bytes(k)), false));
    edge(&g, V, k_dims, heads(v->x, rows, k_dims, arena_alloc(d->arena, tensor_bytes(v)), false));
    edge(&g, RESULT, q_dims, result);
    edge(&g, FACTOR, one, factor);
    const Edge inner[] = {SCORES, SCALED, MASKED, WEIGHTS};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) edge(&g, inner[i], s_dims, NULL);
    node(&g, dnnl_graph_op_matmul, Q, K, SCORES);
    node(&g, dnnl_graph_op_multiply, SCORES, FACTOR, SCALED);
    if (masked) {
        float *mask = arena_alloc(d->arena, (size_t)(B * Tq * Tk) * sizeof *mask);
        edge(&g, MASK, m_dims, make_mask(mask, B, Tq, Tk));
        node(&g, dnnl_graph_op_add, SCALED, MASK, MASKED);
    }
    node(&g, dnnl_graph_op_softmax, masked ? MASKED : SCALED, EDGES, WEIGHTS);
    node(&g, dnnl_graph_op_matmul, WEIGHTS, V, RESULT);
    const bool whole = compile(&g);
    d->graph_graph_destroy(g.graph);
    if (!whole) return false;
    execute(d);
    heads(y->x, Tq, q_dims, result, true);
    return true;
}

// ---- peer

static bool load(Peer *peer, Problem *p, Pass pass, int threads)
{
    (void)threads;   // those of OpenMP, which it shares with us
    OneDnn *d = peer->state;
    unload(d);
    const OpId op = p->row->op;
    if (op == OP_conv2d) return convolution(d, p, pass);
    if (pass == BWD || !p->call.in[0]) return false;
    if (op == OP_attention) return attention(d, p);
    return op == OP_linear || op == OP_matmul ? peer_product(d, p, pass, matmul) : rowwise(d, p);
}

static double run(Peer *peer, Problem *p, Pass pass, int n, int threads)
{
    (void)p, (void)pass;
    const double start = bench_seconds(threads);
    for (int i = 0; i < n; i++) execute(peer->state);
    return bench_seconds(threads) - start;
}

Peer peer_onednn3(Isa isa, Arena *a)
{
    Peer p = {.name = "onednn3", .load = load, .run = run, .missing = true};
    setenv("ONEDNN_MAX_CPU_ISA", isa == ISA_AVX512 ? "AVX512_CORE" : isa == ISA_AVX2 ? "AVX2" : "SSE41", 1);
    OneDnn *d = p.state = arena_zalloc(a, sizeof *d);
    d->arena = a;
    const char *given = getenv("ONEDNN3");
    void *lib = dlopen(given && *given ? given : "libdnnl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        snprintf(p.about, sizeof p.about, "libdnnl.so.3 not found (PyPI paddlepaddle brings one: ONEDNN3=its path)");
        return p;
    }
#define LOAD(f) peer_symbol(lib, "dnnl_" #f, &d->f); CHECK(d->f, "libdnnl.so.3 has no dnnl_" #f);
    FUNCTIONS(LOAD)
#undef LOAD
    const dnnl_version_t *v = d->version();
    if (v->cpu_runtime != DNNL_RUNTIME_OMP) {
        snprintf(p.about, sizeof p.about, "oneDNN %d.%d.%d is not built for OpenMP: its threads are not ours to count",
                 v->major, v->minor, v->patch);
        return p;
    }
    MUST(d->engine_create(&d->engine, dnnl_cpu, 0), "engine");
    MUST(d->stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "stream");
    snprintf(p.about, sizeof p.about, "oneDNN %d.%d.%d, ISA up to %s", v->major, v->minor, v->patch,
             getenv("ONEDNN_MAX_CPU_ISA"));
    p.missing = false;
    return p;
}

#else

Peer peer_onednn3(Isa isa, Arena *a)
{
    (void)isa, (void)a;
    Peer p = {.name = "onednn3", .missing = true};
    snprintf(p.about, sizeof p.about, "built without oneapi/dnnl/dnnl_graph.h of oneDNN 3.x (PyPI: onednn-devel)");
    return p;
}

#endif
