#include "tensor/graph.h"

#include <stdio.h>
#include <string.h>

static const char *const isa_names[ISA_COUNT] = {"scalar", "avx2", "avx512"};

const char *isa_name(Isa isa) { return isa_names[isa]; }

Status isa_parse(const char *text, Isa *isa)
{
    for (int i = 0; i < ISA_COUNT; i++)
        if (strcmp(text, isa_names[i]) == 0) {
            *isa = (Isa)i;
            return OK;
        }
    return USAGE_ERROR("instruction set: want scalar, avx2 or avx512, got '%s'", text);
}

Status math_parse(const char *text, Math *math)
{
    static const char *const names[] = {"fp32", "tf32", "bf16"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *math = (Math)i;
            return OK;
        }
    return USAGE_ERROR("--math: want fp32, tf32 or bf16, got '%s'", text);
}

Isa isa_detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return ISA_SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return ISA_AVX512;
    return ISA_AVX2;
#else
    return ISA_SCALAR;
#endif
}

#if defined(__x86_64__)
#define SLOT_Y(dev, dir, name, set, isaval)                                                                            \
    ((dev)->dir[OP_##name] = name##_##dir##_##set, (dev)->dir##_isa[OP_##name] = (isaval));
#else
#define SLOT_Y(dev, dir, name, set, isaval)
#endif
#define SLOT_N(dev, dir, name, set, isaval)

Device device_cpu_f32(Isa cap)
{
    const Isa have = isa_detect(), isa = cap < have ? cap : have;
    static const char *const names[ISA_COUNT] = {"cpu-f32 (scalar)", "cpu-f32 (avx2)", "cpu-f32 (avx512)"};
    Device d = {.name = names[isa], .real_size = sizeof(float), .isa = isa};
#define REF_Y(name) d.bwd[OP_##name] = name##_bwd_f32;
#define REF_N(name)
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) d.fwd[OP_##name] = name##_fwd_f32; REF_##diff(name)
#include "tensor/ops.def"
#undef OP
#undef REF_Y
    if (isa >= ISA_AVX2) {
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) \
    SLOT_##sf(&d, fwd, name, avx2, ISA_AVX2) SLOT_##sb(&d, bwd, name, avx2, ISA_AVX2)
#include "tensor/ops.def"
#undef OP
    }
    if (isa >= ISA_AVX512) {
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) \
    SLOT_##sf(&d, fwd, name, avx512, ISA_AVX512) SLOT_##sb(&d, bwd, name, avx512, ISA_AVX512)
#include "tensor/ops.def"
#undef OP
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx512bf16")) {
            d.fwd[OP_linear] = linear_fwd_avx512bf16;
            d.fwd[OP_linear_gelu] = linear_gelu_fwd_avx512bf16;
            d.fwd[OP_linear_silu] = linear_silu_fwd_avx512bf16;
            d.fwd[OP_linear_add] = linear_add_fwd_avx512bf16;
        }
#endif
    }
    return d;
}

Device device_cpu_f64(void)
{
    Device d = {.name = "cpu-f64", .real_size = sizeof(double), .isa = ISA_SCALAR};
#define REF_Y(name) d.bwd[OP_##name] = name##_bwd_f64;
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) d.fwd[OP_##name] = name##_fwd_f64; REF_##diff(name)
#include "tensor/ops.def"
#undef OP
    return d;
}

// ---- values

void *device_alloc(const Device *d, Arena *a, size_t bytes)
{
    return d->memory ? arena_device_alloc(a, bytes) : arena_alloc(a, bytes);
}

void *device_zalloc(const Device *d, Arena *a, size_t bytes)
{
    void *p = device_alloc(d, a, bytes);
    device_zero(d, p, bytes);
    return p;
}

void device_put(const Device *d, void *to, const void *host, size_t bytes)
{
    if (d->memory) d->memory->put(d, to, host, bytes);
    else memcpy(to, host, bytes);
}

void device_get(const Device *d, void *host, const void *from, size_t bytes)
{
    if (d->memory) d->memory->get(d, host, from, bytes);
    else memcpy(host, from, bytes);
}

void device_copy(const Device *d, void *to, const void *from, size_t bytes)
{
    if (d->memory) d->memory->copy(d, to, from, bytes);
    else memcpy(to, from, bytes);
}

void device_zero(const Device *d, void *to, size_t bytes)
{
    if (d->memory) d->memory->zero(d, to, bytes);
    else memset(to, 0, bytes);
}

void device_wait(const Device *d)
{
    if (d->memory) d->memory->wait(d);
}

bool device_graphs(const Device *d) { return d->memory && d->memory->record && !d->no_graph; }
void device_graph_begin(const Device *d) { d->memory->record(d); }
void *device_graph_end(const Device *d) { return d->memory->recorded(d); }
void device_graph_run(const Device *d, void *graph) { d->memory->replay(d, graph); }
void device_graph_free(const Device *d, void *graph) { d->memory->forget(d, graph); }
int64_t device_graph_nodes(const Device *d, void *graph) { return d->memory->nodes(d, graph); }

void device_repeat(const Device *d, Repeated *r, RepeatedWork *work, void *ctx)
{
    if (!device_graphs(d) || !r->warm) {
        work(ctx);
        r->warm = true;
        return;
    }
    if (!r->graph) {
        device_graph_begin(d);
        work(ctx);
        r->graph = device_graph_end(d);
    }
    device_graph_run(d, r->graph);
}

void device_repeat_end(const Device *d, Repeated *r)
{
    if (r->graph) device_graph_free(d, r->graph);
    *r = (Repeated){0};
}

const void *device_view(const Device *d, Arena *a, const void *x, size_t bytes)
{
    if (!d->memory) return x;
    void *copy = arena_alloc(a, bytes);
    d->memory->get(d, copy, x, bytes);
    return copy;
}

Status device_attach(const Device *d, Arena *a, size_t bytes)
{
    if (!d->memory) return OK;
    void *block = d->memory->take(d, bytes);
    if (!block) return ERROR("%s: want %zu bytes of memory, got none", d->name, bytes);
    arena_attach(a, block, bytes);
    return OK;
}

void device_detach(const Device *d, Arena *a)
{
    size_t bytes;
    if (!d->memory) return;
    void *block = arena_device_block(a, &bytes);
    arena_attach(a, NULL, 0);
    if (block) d->memory->give(d, block, bytes);
}

Kernel *device_kernel(const Device *d, OpId op, bool backward)
{
    Kernel *k = backward ? d->bwd[op] : d->fwd[op];
    if (k) return k;
    char line[200];
    snprintf(line, sizeof line, "op %s: this run calls its %s kernel, which %s does not have; --device cpu does",
             op_info(op)->name, backward ? "backward" : "forward", d->name);
    if (d->fail) d->fail(line);
    CHECK(k, "%s", line);
    return k;
}
