// oneDNN 2.x through its C API.  Inputs are brought into the layout that the primitive asks for before any clock
// starts: its best case.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peer.h"

#if __has_include(<dnnl.h>)
#include <dnnl.h>
#endif

#if defined(DNNL_VERSION_MAJOR) && DNNL_VERSION_MAJOR == 2

#define FUNCTIONS(F)                                                                                                  \
    F(engine_create) F(stream_create) F(stream_wait) F(memory_desc_init_by_tag) F(memory_create) F(memory_destroy)     \
    F(memory_desc_equal) F(reorder_primitive_desc_create) F(primitive_desc_create) F(primitive_desc_destroy)           \
    F(primitive_desc_query_md) F(primitive_create) F(primitive_destroy) F(primitive_execute) F(matmul_desc_init)       \
    F(convolution_forward_desc_init) F(convolution_backward_data_desc_init)                                            \
    F(convolution_backward_weights_desc_init) F(softmax_forward_desc_init) F(layer_normalization_forward_desc_init)    \
    F(eltwise_forward_desc_init) F(version)

enum { MAX_ARGS = 5 };
typedef struct Arg {
    int id;
    dnnl_memory_desc_t user;   // our layout
    void *data;
    bool out;
    dnnl_memory_t mem;         // in the layout that the primitive wants
} Arg;

typedef struct OneDnn {
#define MEMBER(f) __typeof__(&dnnl_##f) f;
    FUNCTIONS(MEMBER)
#undef MEMBER
    bool winograd;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t prim;
    Arg arg[MAX_ARGS];
    int n_args;
} OneDnn;

// ---- memory

// A plain array of ours, dims permuted by the tag.
static dnnl_memory_desc_t plain(OneDnn *d, int n, const int64_t *dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    memset(&md, 0, sizeof md);
    dnnl_dims_t at;
    for (int i = 0; i < n; i++) at[i] = dims[i];
    CHECK(d->memory_desc_init_by_tag(&md, n, at, dnnl_f32, tag) == dnnl_success, "onednn: memory descriptor");
    return md;
}

static dnnl_memory_desc_t any_layout(OneDnn *d, const dnnl_memory_desc_t *user)
{
    return plain(d, user->ndims, user->dims, dnnl_format_tag_any);
}

static void reorder(OneDnn *d, const dnnl_memory_desc_t *from_md, dnnl_memory_t from, const dnnl_memory_desc_t *to_md,
                    dnnl_memory_t to)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t prim;
    CHECK(d->reorder_primitive_desc_create(&pd, from_md, d->engine, to_md, d->engine, NULL) == dnnl_success &&
              d->primitive_create(&prim, pd) == dnnl_success, "onednn: reorder");
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    CHECK(d->primitive_execute(prim, d->stream, 2, args) == dnnl_success, "onednn: reorder");
    d->stream_wait(d->stream);
    d->primitive_destroy(prim);
    d->primitive_desc_destroy(pd);
}

static void move(OneDnn *d, Arg *a, const dnnl_memory_desc_t *md, bool in)
{
    dnnl_memory_t user;
    CHECK(d->memory_create(&user, &a->user, d->engine, a->data) == dnnl_success, "onednn: memory");
    if (in) reorder(d, &a->user, user, md, a->mem);
    else reorder(d, md, a->mem, &a->user, user);
    d->memory_destroy(user);
}

static void add_arg(OneDnn *d, int id, dnnl_memory_desc_t user, void *data, bool out)
{
    d->arg[d->n_args++] = (Arg){.id = id, .user = user, .data = data, .out = out};
}

static void execute(OneDnn *d)
{
    dnnl_exec_arg_t args[MAX_ARGS];
    for (int i = 0; i < d->n_args; i++) args[i] = (dnnl_exec_arg_t){d->arg[i].id, d->arg[i].mem};
    CHECK(d->primitive_execute(d->prim, d->stream, d->n_args, args) == dnnl_success, "onednn: execute");
    d->stream_wait(d->stream);
}

static void unload(OneDnn *d)
{
    for (int i = 0; i < d->n_args; i++)
        if (d->arg[i].mem) d->memory_destroy(d->arg[i].mem);
    if (d->prim) d->primitive_destroy(d->prim);
    d->prim = NULL;
    d->n_args = 0;
}

// Makes the primitive, its memories and runs it once; the result goes back to our array.
static bool finish(OneDnn *d, const void *desc)
{
    dnnl_primitive_desc_t pd;
    if (d->primitive_desc_create(&pd, desc, NULL, d->engine, NULL) != dnnl_success) return unload(d), false;
    CHECK(d->primitive_create(&d->prim, pd) == dnnl_success, "onednn: primitive");
    const dnnl_memory_desc_t *md[MAX_ARGS];
    for (int i = 0; i < d->n_args; i++) {
        Arg *a = &d->arg[i];
        md[i] = d->primitive_desc_query_md(pd, dnnl_query_exec_arg_md, a->id);
        CHECK(d->memory_create(&a->mem, md[i], d->engine, DNNL_MEMORY_ALLOCATE) == dnnl_success, "onednn: memory");
        if (!a->out) move(d, a, md[i], true);
    }
    execute(d);
    for (int i = 0; i < d->n_args; i++)
        if (d->arg[i].out) move(d, &d->arg[i], md[i], false);
    d->primitive_desc_destroy(pd);
    return true;
}

// ---- primitives

// c [m,n] = a b; a is k x m when trans_a, b is n x k when trans_b.  b is prepacked.
static bool matmul(void *peer, int64_t m, int64_t k, int64_t n, float *a, bool trans_a, float *b, bool trans_b,
                   float *c)
{
    OneDnn *d = peer;
    const dnnl_memory_desc_t am = plain(d, 2, (int64_t[]){m, k}, trans_a ? dnnl_ba : dnnl_ab),
                             bm = plain(d, 2, (int64_t[]){k, n}, trans_b ? dnnl_ba : dnnl_ab),
                             cm = plain(d, 2, (int64_t[]){m, n}, dnnl_ab), packed = any_layout(d, &bm);
    dnnl_matmul_desc_t desc;
    if (d->matmul_desc_init(&desc, &am, &packed, NULL, &cm) != dnnl_success) return false;
    add_arg(d, DNNL_ARG_SRC, am, a, false);
    add_arg(d, DNNL_ARG_WEIGHTS, bm, b, false);
    add_arg(d, DNNL_ARG_DST, cm, c, true);
    return finish(d, &desc);
}

static bool convolution(OneDnn *d, Problem *p, Pass pass)
{
    const Conv2dParams *c = p->call.p;
    const int64_t *x = p->call.in[0]->shape.d, *w = p->call.in[1]->shape.d, *y = p->call.out[0]->shape.d;
    const dnnl_memory_desc_t xm = plain(d, 4, (int64_t[]){x[0], x[3], x[1], x[2]}, dnnl_nhwc),
                             wm = plain(d, 4, (int64_t[]){w[3], w[2], w[0], w[1]}, dnnl_hwio),
                             ym = plain(d, 4, (int64_t[]){y[0], y[3], y[1], y[2]}, dnnl_nhwc);
    const dnnl_memory_desc_t xa = any_layout(d, &xm), wa = any_layout(d, &wm), ya = any_layout(d, &ym);
    const dnnl_dims_t stride = {c->stride, c->stride}, pad = {c->pad, c->pad};
    // pixels that the stride leaves over: the right pad may be smaller
    const dnnl_dims_t right = {(y[1] - 1) * c->stride + w[0] - x[1] - c->pad,
                               (y[2] - 1) * c->stride + w[1] - x[2] - c->pad};
    const dnnl_alg_kind_t alg = d->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_convolution_desc_t desc;
    Tensor *tx = p->call.in[0], *tw = p->call.in[1], *ty = p->call.out[0];
    dnnl_status_t st;
    if (pass == FWD) {
        st = d->convolution_forward_desc_init(&desc, dnnl_forward_training, alg, &xa, &wa, NULL, &ya, stride, pad,
                                              right);
        add_arg(d, DNNL_ARG_SRC, xm, tx->x, false);
        add_arg(d, DNNL_ARG_WEIGHTS, wm, tw->x, false);
        add_arg(d, DNNL_ARG_DST, ym, ty->x, true);
        return st == dnnl_success ? finish(d, &desc) : (unload(d), false);
    }
    // a gradient needs the forward descriptor as a hint only for its workspace: none here
    st = pass == DX ? d->convolution_backward_data_desc_init(&desc, alg, &xa, &wa, &ya, stride, pad, right)
                    : d->convolution_backward_weights_desc_init(&desc, alg, &xa, &wa, NULL, &ya, stride, pad, right);
    if (pass == DX) add_arg(d, DNNL_ARG_WEIGHTS, wm, tw->x, false);
    else add_arg(d, DNNL_ARG_SRC, xm, tx->x, false);
    add_arg(d, DNNL_ARG_DIFF_DST, ym, ty->g, false);
    if (pass == DX) add_arg(d, DNNL_ARG_DIFF_SRC, xm, p->grad[0], true);
    else add_arg(d, DNNL_ARG_DIFF_WEIGHTS, wm, p->grad[1], true);
    return st == dnnl_success ? finish(d, &desc) : (unload(d), false);
}

static bool rowwise(OneDnn *d, Problem *p)
{
    const Tensor *x = p->call.in[0];
    const dnnl_memory_desc_t md = plain(d, 2, (int64_t[]){shape_rows(x->shape), shape_last(x->shape)}, dnnl_ab);
    union { dnnl_softmax_desc_t softmax; dnnl_layer_normalization_desc_t norm; dnnl_eltwise_desc_t eltwise; } desc;
    dnnl_alg_kind_t alg = dnnl_alg_kind_undef;
    dnnl_status_t st = dnnl_success;
    add_arg(d, DNNL_ARG_SRC, md, x->x, false);
    add_arg(d, DNNL_ARG_DST, md, p->call.out[0]->x, true);
    switch (p->row->op) {
    case OP_softmax: st = d->softmax_forward_desc_init(&desc.softmax, dnnl_forward_inference, &md, 1); break;
    case OP_layer_norm: {
        const dnnl_memory_desc_t stat = plain(d, 1, &md.dims[0], dnnl_a), affine = plain(d, 1, &md.dims[1], dnnl_a);
        add_arg(d, DNNL_ARG_SCALE, affine, p->call.in[1]->x, false);
        add_arg(d, DNNL_ARG_SHIFT, affine, p->call.in[2]->x, false);
        st = d->layer_normalization_forward_desc_init(&desc.norm, dnnl_forward_inference, &md, &stat, 1e-5f,
                                                      dnnl_use_scale | dnnl_use_shift);
        break;
    }
    case OP_gelu_tanh: alg = dnnl_eltwise_gelu_tanh; break;
    case OP_gelu_erf: alg = dnnl_eltwise_gelu_erf; break;
    case OP_silu: alg = dnnl_eltwise_swish; break;
    case OP_sigmoid: alg = dnnl_eltwise_logistic; break;
    case OP_tanh: alg = dnnl_eltwise_tanh; break;
    case OP_relu: alg = dnnl_eltwise_relu; break;
    default: return unload(d), false;
    }
    if (alg != dnnl_alg_kind_undef)
        st = d->eltwise_forward_desc_init(&desc.eltwise, dnnl_forward_inference, alg, &md, alg == dnnl_eltwise_swish,
                                          0);
    return st == dnnl_success ? finish(d, &desc) : (unload(d), false);
}

// ---- peer

static bool load(Peer *peer, Problem *p, Pass pass, int threads)
{
    (void)threads;   // those of OpenMP, which it shares with us
    OneDnn *d = peer->state;
    unload(d);
    const OpId op = p->row->op;
    if (op == OP_conv2d) return convolution(d, p, pass);
    if (d->winograd || pass == BWD || !p->call.in[0]) return false;
    return op == OP_linear || op == OP_matmul ? peer_product(d, p, pass, matmul) : rowwise(d, p);
}

static double run(Peer *peer, Problem *p, Pass pass, int n, int threads)
{
    (void)p, (void)pass;
    const double start = bench_seconds(threads);
    for (int i = 0; i < n; i++) execute(peer->state);
    return bench_seconds(threads) - start;
}

Peer peer_onednn(bool winograd, Isa isa, Arena *a)
{
    Peer p = {.name = winograd ? "onednn-wino" : "onednn", .load = load, .run = run};
    setenv("DNNL_MAX_CPU_ISA", isa == ISA_AVX512 ? "AVX512_CORE" : isa == ISA_AVX2 ? "AVX2" : "SSE41", 1);
    OneDnn *d = p.state = arena_zalloc(a, sizeof *d);
    void *lib = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        snprintf(p.about, sizeof p.about, "libdnnl.so.2 not found (Debian: libdnnl-dev)");
        p.missing = true;
        return p;
    }
#define LOAD(f) peer_symbol(lib, "dnnl_" #f, &d->f); CHECK(d->f, "libdnnl.so.2 has no dnnl_" #f);
    FUNCTIONS(LOAD)
#undef LOAD
    d->winograd = winograd;
    CHECK(d->engine_create(&d->engine, dnnl_cpu, 0) == dnnl_success &&
              d->stream_create(&d->stream, d->engine, dnnl_stream_default_flags) == dnnl_success, "onednn: engine");
    const dnnl_version_t *v = d->version();
    snprintf(p.about, sizeof p.about, "oneDNN %d.%d.%d, %s, ISA up to %s", v->major, v->minor, v->patch,
             winograd ? "Winograd" : "direct", getenv("DNNL_MAX_CPU_ISA"));
    return p;
}

#else

Peer peer_onednn(bool winograd, Isa isa, Arena *a)
{
    (void)isa, (void)a;
    Peer p = {.name = winograd ? "onednn-wino" : "onednn", .missing = true};
    snprintf(p.about, sizeof p.about, "built without dnnl.h of oneDNN 2.x (Debian: libdnnl-dev)");
    return p;
}

#endif
