#include "diffusion/unet.h"

// ---- construction

static ResBlock res_new(ParamSet *ps, const char *prefix, int in, int out, int cond_width, int time_width)
{
#define SUB(name) arena_printf(ps->perm, "%s.%s", prefix, name)
    ResBlock r = {.norm1 = groupnorm_new(ps, SUB("norm1"), in),
                  .conv1 = conv_new(ps, SUB("conv1"), 3, in, out, 1, false),
                  .from_g = linear_new(ps, SUB("from_g"), cond_width, 2 * out, true),
                  .from_t = linear_new(ps, SUB("from_t"), time_width, 2 * out, true),
                  .conv2 = conv_new(ps, SUB("conv2"), 3, out, out, 1, true)};
    if (in != out) r.shortcut = linear_new(ps, SUB("shortcut"), in, out, false);
    return r;
}

static AttnBlock attn_new(ParamSet *ps, const char *prefix, int width, int kv_width, int heads)
{
    while (width % heads) heads--;
    return (AttnBlock){.norm = layernorm_new(ps, SUB("norm"), width),
                       .attn = attention_new(ps, prefix, width, kv_width, heads, true)};
}

static UNetStage stage_new(ParamSet *ps, const char *prefix, const UNetConfig *c, int in, int out, bool self)
{
    UNetStage s = {.res = res_new(ps, SUB("res"), in, out, c->cond_width, 4 * c->base),
                   .cross = attn_new(ps, SUB("cross"), out, c->seq_width, c->heads)};
    if (self) s.self = attn_new(ps, SUB("self"), out, out, c->heads);
    return s;
}

UNet unet_new(ParamSet *ps, const char *prefix, UNetConfig c)
{
    CHECK(c.levels >= 1 && c.levels <= UNET_MAX_LEVELS && c.blocks >= 1 && c.blocks <= UNET_MAX_BLOCKS &&
              c.base % 2 == 0,
          "unet: %d levels, %d blocks, base %d", c.levels, c.blocks, c.base);
    UNet u = {.cfg = c};
    u.time1 = linear_new(ps, SUB("time1"), c.base, 4 * c.base, false);
    u.time2 = linear_new(ps, SUB("time2"), 4 * c.base, 4 * c.base, false);
    u.conv_in = conv_new(ps, SUB("conv_in"), 3, c.in_channels, c.base * c.mult[0], 1, false);
    int ch = c.base * c.mult[0];
    for (int l = 0; l < c.levels; l++) {
        for (int b = 0; b < c.blocks; b++) {
            const char *name = arena_printf(ps->perm, "%s.enc.%d.%d", prefix, l, b);
            u.enc[l][b] = stage_new(ps, name, &c, ch, c.base * c.mult[l], l == c.levels - 1);
            ch = c.base * c.mult[l];
        }
        if (l + 1 < c.levels)
            u.down[l] = conv_new(ps, arena_printf(ps->perm, "%s.down.%d", prefix, l), 3, ch, ch, 2, false);
    }
    u.mid[0] = stage_new(ps, SUB("mid.0"), &c, ch, ch, true);
    u.mid[1] = stage_new(ps, SUB("mid.1"), &c, ch, ch, false);
    for (int l = c.levels - 1; l >= 0; l--) {
        const int out = c.base * c.mult[l];
        if (l + 1 < c.levels) {
            u.up[l] = conv_new(ps, arena_printf(ps->perm, "%s.up.%d", prefix, l), 3, ch, out, 1, false);
            ch = out;
        }
        for (int b = 0; b < c.blocks; b++) {
            const char *name = arena_printf(ps->perm, "%s.dec.%d.%d", prefix, l, b);
            u.dec[l][b] = stage_new(ps, name, &c, ch + out, out, l == c.levels - 1);   // + out: the skip connection
            ch = out;
        }
    }
    u.norm_out = groupnorm_new(ps, SUB("norm_out"), ch);
    u.conv_out = conv_new(ps, SUB("conv_out"), 3, ch, c.out_channels, 1, true);
#undef SUB
    return u;
}

// ---- forward

// x's shape with c channels.
static Shape with_channels(const Tensor *x, int64_t c)
{
    Shape s = x->shape;
    s.d[s.n - 1] = c;
    return s;
}

static Tensor *res_apply(Tape *t, const ResBlock *r, Tensor *x, Tensor *g, Tensor *temb)
{
    const TapeScope scope = tape_scope_begin(t, with_channels(x, shape_last(r->conv2.w->shape)));
    Tensor *h = conv_apply(t, &r->conv1, norm_apply(t, &r->norm1, x, true));
    h = tape_adagn(t, h, linear_apply(t, &r->from_g, g), group_count(shape_last(h->shape)), false);
    h = tape_film(t, h, linear_apply(t, &r->from_t, temb), true);
    h = conv_apply(t, &r->conv2, h);
    h = r->shortcut.w ? linear_into(t, &r->shortcut, x, h, 0) : tape_add(t, h, x);
    return tape_scope_end(t, &scope, h);
}

// Pixels are tokens: [B,N,N,C] is [B,N*N,C].  kv NULL: self-attention.
static Tensor *attn_apply(Tape *t, const AttnBlock *a, Tensor *x, Tensor *kv)
{
    const Shape s = x->shape;
    const TapeScope scope = tape_scope_begin(t, s);
    Tensor *tok = tape_reshape(t, x, SHAPE(s.d[0], s.d[1] * s.d[2], s.d[3]));
    Tensor *n = norm_apply(t, &a->norm, tok, false);
    Tensor *y = attention_into(t, &a->attn, n, kv ? kv : n, false, tok, 0);
    return tape_scope_end(t, &scope, tape_reshape(t, y, s));
}

static Tensor *stage_apply(Tape *t, const UNetStage *st, Tensor *x, Tensor *g, Tensor *temb, Tensor *s)
{
    const TapeScope scope = tape_scope_begin(t, with_channels(x, shape_last(st->res.conv2.w->shape)));
    x = res_apply(t, &st->res, x, g, temb);
    if (st->self.norm.gamma) x = attn_apply(t, &st->self, x, NULL);
    return tape_scope_end(t, &scope, attn_apply(t, &st->cross, x, s));
}

Tensor *unet_apply(Tape *t, const UNet *u, Tensor *x, Tensor *time, Tensor *g, Tensor *s)
{
    const UNetConfig *c = &u->cfg;
    Tensor *temb = tape_linear_silu(t, tape_timestep_embed(t, time, c->base), u->time1.w, u->time1.b);
    temb = tape_linear_silu(t, temb, u->time2.w, u->time2.b);
    g = tape_silu(t, g);
    Tensor *skip[UNET_MAX_LEVELS][UNET_MAX_BLOCKS];
    x = conv_apply(t, &u->conv_in, x);
    for (int l = 0; l < c->levels; l++) {
        for (int b = 0; b < c->blocks; b++) x = skip[l][b] = stage_apply(t, &u->enc[l][b], x, g, temb, s);
        if (l + 1 < c->levels) x = conv_apply(t, &u->down[l], x);
    }
    for (int m = 0; m < 2; m++) x = stage_apply(t, &u->mid[m], x, g, temb, s);
    for (int l = c->levels - 1; l >= 0; l--) {
        if (l + 1 < c->levels) {
            const Shape want = skip[l][0]->shape;
            x = tape_upsample2(t, x);
            const int odd_h = (int)(x->shape.d[1] - want.d[1]), odd_w = (int)(x->shape.d[2] - want.d[2]);
            if (odd_h || odd_w) x = tape_crop2d(t, x, 0, odd_h, 0, odd_w);
            x = conv_apply(t, &u->up[l], x);
        }
        for (int b = 0; b < c->blocks; b++) {
            const TapeScope scope = tape_scope_begin(t, skip[l][0]->shape);
            x = tape_concat(t, (Tensor *[]){x, skip[l][c->blocks - 1 - b]}, 2, 3);
            x = tape_scope_end(t, &scope, stage_apply(t, &u->dec[l][b], x, g, temb, s));
        }
    }
    return conv_apply(t, &u->conv_out, norm_apply(t, &u->norm_out, x, true));
}
