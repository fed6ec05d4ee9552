#include "check/replay.h"

#include <stdio.h>
#include <string.h>

enum { CANARY_BYTES = 128 };

// The canary of one word: a signalling NaN whose payload says which buffer and where.
static void canary_word(const Guard *g, const unsigned char *at, int number, unsigned char word[8])
{
    const uint32_t payload = (uint32_t)(number + 1) << 16 | ((uint32_t)((uintptr_t)(at - g->low) / g->word) & 0xFFFF);
    const uint64_t wide = 0x7FF0000000000000u | payload;
    const uint32_t narrow = 0x7F800000u | (payload & 0x3FFFFF);
    if (g->word == sizeof wide) memcpy(word, &wide, sizeof wide);
    else memcpy(word, &narrow, sizeof narrow);
}

static void canary_write(const Guard *g, unsigned char *from, const unsigned char *to, int number)
{
    unsigned char word[8];
    for (; from < to; from += g->word) {
        canary_word(g, from, number, word);
        memcpy(from, word, g->word);
    }
}

static bool canary_intact(const Guard *g, const unsigned char *from, const unsigned char *to, int number)
{
    unsigned char word[8];
    for (; from < to; from += g->word) {
        canary_word(g, from, number, word);
        if (memcmp(from, word, g->word) != 0) return false;
    }
    return true;
}

static size_t value_size(const Tensor *t) { return t->dtype == I32 ? sizeof(int32_t) : t->dev->real_size; }

static unsigned char *guard_new(Replay *r, Arena *mem, const char *what, int index, int role, size_t bytes,
                                size_t word, int offset)
{
    CHECK(r->n_guards < REPLAY_GUARDS, "replay: too many buffers");
    Guard *g = &r->guard[r->n_guards++];
    *g = (Guard){.what = what, .index = index, .role = role, .word = word};
    const size_t shift = word * (size_t)offset;
    g->low = arena_alloc(mem, 2 * CANARY_BYTES + bytes + shift);
    g->data = g->low + CANARY_BYTES + shift;
    g->high = g->data + bytes;
    g->end = g->high + CANARY_BYTES;
    g->saved = arena_alloc(mem, bytes);
    canary_write(g, g->low, g->end, r->n_guards);   // the data too: NaN until it is written
    return g->data;
}

// A copy of t (on the f64 device) on r->dev; values converted.
static Tensor copy_tensor(Replay *r, Arena *mem, const Tensor *t, const char *what, int index, int role, int offset)
{
    Tensor y = {.shape = t->shape, .dev = &r->host, .dtype = t->dtype, .needs_grad = t->needs_grad, .name = t->name};
    y.x = guard_new(r, mem, what, index, role, tensor_bytes(&y), value_size(&y), offset);
    if (t->dtype == I32) memcpy(y.x, t->x, tensor_bytes(t));
    else tensor_set_f64(&y, t->x, numel(t));
    return y;
}

Replay *replay_new(Arena *mem, const Device *dev, const OpCall *c, const double *cotangent, int offset)
{
    Replay *r = arena_zalloc(mem, sizeof *r);
    const size_t word = dev->real_size;
    r->dev = dev;
    r->host = *dev;
    r->host.memory = NULL;
    r->call = (OpCall){.op = c->op, .n_in = c->n_in, .n_out = c->n_out, .p = c->p, .scratch = c->scratch};
    for (int i = 0; i < c->n_in; i++) {
        if (!c->in[i]) continue;
        r->in[i] = copy_tensor(r, mem, c->in[i], "input", i, READ_ALWAYS, offset);
        r->call.in[i] = &r->in[i];
        if (cotangent && c->in[i]->needs_grad)
            r->in[i].g = guard_new(r, mem, "gradient of input", i, WRITTEN_BACKWARD, tensor_bytes(&r->in[i]), word,
                                   offset);
    }
    for (int j = 0; j < c->n_out; j++) {
        int alias = -1;   // an op in place (adamw, ema) writes one of its inputs
        for (int i = 0; i < c->n_in; i++)
            if (c->in[i] && c->in[i]->x == c->out[j]->x) alias = i;
        if (alias >= 0) {
            for (int g = 0; g < r->n_guards; g++)
                if (r->guard[g].data == r->in[alias].x) r->guard[g].role = WRITTEN_FORWARD;
            r->call.out[j] = &r->in[alias];
            continue;
        }
        r->out[j] = (Tensor){.shape = c->out[j]->shape, .dev = &r->host, .dtype = c->out[j]->dtype,
                             .name = c->out[j]->name};
        r->out[j].x = guard_new(r, mem, "output", j, WRITTEN_FORWARD, tensor_bytes(&r->out[j]), value_size(&r->out[j]),
                                offset);
        r->call.out[j] = &r->out[j];
    }
    if (cotangent) {
        Tensor dy = r->out[0];
        dy.x = guard_new(r, mem, "cotangent", 0, READ_ALWAYS, tensor_bytes(&dy), word, offset);
        tensor_set_f64(&dy, cotangent, numel(&dy));
        r->out[0].g = dy.x;
        replay_zero_grad(r);
    }
    return r;
}

void replay_zero_grad(Replay *r)
{
    for (int g = 0; g < r->n_guards; g++)
        if (r->guard[g].role == WRITTEN_BACKWARD)
            memset(r->guard[g].data, 0, (size_t)(r->guard[g].high - r->guard[g].data));
}

static Kernel *kernel_of(const Replay *r, bool backward)
{
    return backward ? r->dev->bwd[r->call.op] : r->dev->fwd[r->call.op];
}

// Where p, inside one of the guarded buffers, is on the device.
static void *device_address(const Replay *r, unsigned char *const *base, const void *p)
{
    for (int g = 0; p && g < r->n_guards; g++) {
        const size_t at = (size_t)((const unsigned char *)p - r->guard[g].low);
        if ((const unsigned char *)p >= r->guard[g].low && p < (void *)r->guard[g].end) return base[g] + at;
    }
    return NULL;
}

// The kernel of a device with memory of its own: buffers go there with their canaries, and come back.
static void call_on_device(Replay *r, bool backward)
{
    const Device *d = r->dev;
    OpCall c = r->call;
    unsigned char *base[REPLAY_GUARDS];
    Tensor in[OP_MAX_IN], out[OP_MAX_OUT];
    for (int i = 0; i < r->n_guards; i++) {
        const Guard *g = &r->guard[i];
        base[i] = device_alloc(d, c.scratch, (size_t)(g->end - g->low));
        device_put(d, base[i], g->low, (size_t)(g->end - g->low));
    }
    for (int i = 0; i < c.n_in + c.n_out; i++) {
        Tensor **t = i < c.n_in ? &c.in[i] : &c.out[i - c.n_in], *moved = i < c.n_in ? &in[i] : &out[i - c.n_in];
        if (!*t) continue;
        *moved = **t;
        moved->dev = d;
        moved->x = device_address(r, base, moved->x);
        moved->g = device_address(r, base, moved->g);
        *t = moved;
    }
    kernel_of(r, backward)(&c);
    for (int i = 0; i < r->n_guards; i++)
        device_get(d, r->guard[i].low, base[i], (size_t)(r->guard[i].end - r->guard[i].low));
}

void replay_call(Replay *r, bool backward)
{
    const size_t mark = arena_mark(r->call.scratch);
    if (r->dev->memory) call_on_device(r, backward);
    else kernel_of(r, backward)(&r->call);
    arena_rewind(r->call.scratch, mark);
}

static bool read_only(const Guard *g, bool backward)
{
    return g->role == READ_ALWAYS || g->role == (backward ? WRITTEN_FORWARD : WRITTEN_BACKWARD);
}

static void fault(Replay *r, const Guard *g, bool backward, const char *how)
{
    if (!r->fault[0])
        snprintf(r->fault, sizeof r->fault, "%s %s %s %d", backward ? "backward" : "forward", how, g->what, g->index);
}

// The call with scratch memory of NaN (0xFF bytes), which a kernel must not take for zeros, and whose ends it must not
// pass: bytes before what it allocates, and after when it needs less than SCRATCH_FILLED.
static void call_in_guarded_scratch(Replay *r, bool backward)
{
    enum { SCRATCH_LOW = 16 << 10, SCRATCH_FILLED = 256 << 10 };
    if (r->dev->memory) {   // its scratch memory is not the host's: compute-sanitizer watches it
        replay_call(r, backward);
        return;
    }
    Arena *scratch = r->call.scratch;
    const size_t mark = arena_mark(scratch);
    unsigned char *low = arena_alloc(scratch, SCRATCH_LOW);
    const size_t start = arena_mark(scratch);
    unsigned char *data = arena_alloc(scratch, SCRATCH_FILLED);
    memset(low, 0xA5, SCRATCH_LOW);
    memset(data, 0xFF, SCRATCH_FILLED);
    arena_rewind(scratch, start);
    arena_reset_peak(scratch);
    kernel_of(r, backward)(&r->call);
    const size_t used = arena_peak(scratch) - start;   // a kernel may rewind what it took
    bool intact = true;
    arena_rewind(scratch, start);
    data = arena_alloc(scratch, SCRATCH_FILLED);       // the same bytes again, which the arena's own guard lets us read
    for (size_t i = 0; i < SCRATCH_LOW; i++) intact &= low[i] == 0xA5;
    for (size_t i = used; i < SCRATCH_FILLED; i++) intact &= data[i] == 0xFF;
    if (!intact && !r->fault[0])
        snprintf(r->fault, sizeof r->fault, "%s wrote outside its scratch memory", backward ? "backward" : "forward");
    arena_rewind(scratch, mark);
}

static void guarded_call(Replay *r, bool backward)
{
    for (int i = 0; i < r->n_guards; i++) {
        const Guard *g = &r->guard[i];
        if (read_only(g, backward)) memcpy(g->saved, g->data, (size_t)(g->high - g->data));
    }
    call_in_guarded_scratch(r, backward);
    for (int i = 0; i < r->n_guards; i++) {
        const Guard *g = &r->guard[i];
        if (!canary_intact(g, g->low, g->data, i + 1)) fault(r, g, backward, "wrote before");
        if (!canary_intact(g, g->high, g->end, i + 1)) fault(r, g, backward, "wrote behind");
        if (read_only(g, backward) && memcmp(g->saved, g->data, (size_t)(g->high - g->data)) != 0)
            fault(r, g, backward, "changed");
    }
}

void replay_forward(Replay *r) { guarded_call(r, false); }
void replay_backward(Replay *r) { guarded_call(r, true); }

Results replay_results(Arena *mem, const Replay *r)
{
    Results s = {.n_out = r->call.n_out};
    for (int j = 0; j < r->call.n_out; j++) {
        s.n[j] = numel(r->call.out[j]);
        s.v[j] = arena_alloc(mem, (size_t)s.n[j] * sizeof(double));
        const Tensor *y = r->call.out[j];
        if (y->dtype == REAL) tensor_get_f64(y, s.v[j], s.n[j]);
        for (int64_t i = 0; y->dtype == I32 && i < s.n[j]; i++) s.v[j][i] = ((const int32_t *)y->x)[i];
    }
    for (int i = 0; i < r->call.n_in; i++) {
        if (!r->call.in[i] || !r->call.in[i]->g) continue;
        const int k = s.n_out + i;
        s.n[k] = numel(r->call.in[i]);
        s.v[k] = arena_alloc(mem, (size_t)s.n[k] * sizeof(double));
        tensor_get_grad_f64(r->call.in[i], s.v[k], s.n[k]);
    }
    return s;
}

const char *results_name(const Results *s, int k, char buf[32])
{
    if (k < s->n_out) snprintf(buf, 32, "out %d", k);
    else snprintf(buf, 32, "grad %d", k - s->n_out);
    return buf;
}
