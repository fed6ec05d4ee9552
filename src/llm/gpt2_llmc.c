#include "llm/gpt2_llmc.h"

#include <string.h>

#include "io/safetensors.h"
#include "io/file.h"

enum { MAGIC = 20240326, VERSION_F32 = 3, VERSION_BF16 = 5, HEADER = 256, HEADER_BYTES = 4 * HEADER, KINDS = 16 };
enum { OPENAI_VOCAB = 50257 };

// Kinds 2 to 13 come once a layer.
static int copies(const Gpt2Config *c, int kind) { return kind >= 2 && kind < 14 ? (int)c->layers : 1; }

// The parameter of a kind and layer, in the order of the file.
static Tensor *parameter(const Gpt2 *m, int kind, int layer)
{
    const Gpt2Block *b = &m->block[layer];
    Tensor *const list[KINDS] = {m->wte,      m->wpe,      b->ln_1_w,   b->ln_1_b,   b->c_attn.w,   b->c_attn.b,
                                 b->c_proj.w, b->c_proj.b, b->ln_2_w,   b->ln_2_b,   b->mlp_fc.w,   b->mlp_fc.b,
                                 b->mlp_proj.w, b->mlp_proj.b, m->ln_f_w, m->ln_f_b};
    return list[kind];
}

static bool transposed(int kind) { return kind == 4 || kind == 6 || kind == 10 || kind == 12; }

static int64_t value_count(const Gpt2Config *c, int64_t padded)
{
    const int64_t D = c->width;
    return (padded + c->positions) * D + c->layers * (12 * D * D + 13 * D) + 2 * D;
}

// ---- reading --------------------------------------------------------------------------------------------------------

Status llmc_parse(LlmcFile *f, const void *bytes, size_t size, const char *name)
{
    int32_t h[HEADER];
    if (size > 2 && (!memcmp(bytes, "PK\3", 3) || !memcmp(bytes, "\x80\2", 2)))
        return ERROR("%s: want a checkpoint of llm.c, got pickled weights of PyTorch: save them as safetensors", name);
    if (size < HEADER_BYTES) return ERROR("%s: want a header of %d bytes, got %zu", name, HEADER_BYTES, size);
    memcpy(h, bytes, sizeof h);
    if (h[0] != MAGIC) return ERROR("%s: want an llm.c checkpoint, magic number %d, got %d", name, MAGIC, h[0]);
    if (h[1] != VERSION_F32 && h[1] != VERSION_BF16)
        return ERROR("%s: version: want %d (fp32) or %d (bf16), got %d", name, VERSION_F32, VERSION_BF16, h[1]);
    *f = (LlmcFile){.name = name, .padded_vocab = h[7], .bf16 = h[1] == VERSION_BF16,
                    .values = (const unsigned char *)bytes + HEADER_BYTES,
                    .c = {.positions = h[2], .vocab = h[3], .layers = h[4], .heads = h[5], .width = h[6],
                          .inner = 4 * (int64_t)h[6], .eps = 1e-5, .tied = true,
                          .end_token = h[3] == OPENAI_VOCAB ? OPENAI_VOCAB - 1 : -1}};
    TRY(gpt2_config_check(&f->c, name));
    if (f->padded_vocab < f->c.vocab || f->padded_vocab > GPT2_MAX_VOCAB)
        return ERROR("%s: padded vocabulary: want %lld..%d, got %lld", name, (long long)f->c.vocab, GPT2_MAX_VOCAB,
                     (long long)f->padded_vocab);
    const int64_t want = HEADER_BYTES + value_count(&f->c, f->padded_vocab) * (f->bf16 ? 2 : 4);
    if (size != (size_t)want)
        return ERROR("%s: want %lld bytes for this header, got %zu", name, (long long)want, size);
    return OK;
}

static void read_values(float *out, const unsigned char *from, int64_t n, bool bf16)
{
    if (!bf16) memcpy(out, from, (size_t)n * sizeof *out);
    else
        for (int64_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, from + 2 * i, sizeof h);
            out[i] = bf16_to_f32(h);
        }
}

// y [cols,rows] = x [rows,cols] transposed
static void transpose(float *y, const float *x, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) y[c * rows + r] = x[r * cols + c];
}

void llmc_read(Gpt2 *m, const LlmcFile *f, Arena *scratch)
{
    const unsigned char *at = f->values;
    const int64_t value = f->bf16 ? 2 : 4;
    for (int kind = 0; kind < KINDS; kind++)
        for (int l = 0; l < copies(&f->c, kind); l++) {
            Tensor *t = parameter(m, kind, l);
            const size_t mark = arena_mark(scratch);
            const int64_t n = numel(t);
            float *x = arena_alloc(scratch, (size_t)n * sizeof *x), *y = x;
            read_values(x, at, n, f->bf16);
            if (transposed(kind)) {
                y = arena_alloc(scratch, (size_t)n * sizeof *y);
                transpose(y, x, t->shape.d[1], t->shape.d[0]);
            }
            tensor_set_f32(t, y, n);
            at += value * (kind == 0 ? f->padded_vocab * f->c.width : n);
            arena_rewind(scratch, mark);
        }
}

Status gpt2_load_llmc(Gpt2 **m, ParamSet *ps, const char *prefix, const char *path, Gpt2Flags flags, Arena *scratch)
{
    FileMap map;
    LlmcFile f;
    TRY(file_map(&map, path));
    const Status s = llmc_parse(&f, map.data, map.size, path);
    if (!s.code) {
        *m = gpt2_new(ps, prefix, &f.c, flags | GPT2_BLANK);
        llmc_read(*m, &f, scratch);
    }
    file_unmap(&map);
    return s;
}

// ---- writing --------------------------------------------------------------------------------------------------------

static Status check_sayable(const Gpt2Config *c, const char *path)
{
    if (!c->tied || c->head_bias)
        return ERROR("%s: llm.c's format wants a tied head without bias, got %s", path,
                     c->tied ? "a head bias" : "a head of its own");
    if (c->inner != 4 * c->width)
        return ERROR("%s: llm.c's format wants a hidden width of %lld, got %lld", path, (long long)(4 * c->width),
                     (long long)c->inner);
    if (c->activation != GPT2_GELU_TANH || c->plain_scores || c->scores_by_layer)
        return ERROR("%s: llm.c's format wants gelu_new and scores divided by the root of a head's width, got %s", path,
                     c->activation != GPT2_GELU_TANH ? "another activation_function" : "another scaling of scores");
    if ((float)c->eps != 1e-5f) return ERROR("%s: llm.c's format wants layer_norm_epsilon 1e-5, got %g", path, c->eps);
    return OK;
}

static void put_values(FileWriter *w, const float *x, int64_t n, bool bf16, Arena *scratch)
{
    if (!bf16) {
        file_put(w, x, (size_t)n * sizeof *x);
        return;
    }
    uint16_t *h = arena_alloc(scratch, (size_t)n * sizeof *h);
    for (int64_t i = 0; i < n; i++) h[i] = f32_to_bf16(x[i]);
    file_put(w, h, (size_t)n * sizeof *h);
}

Status gpt2_save_llmc(const Gpt2 *m, const char *path, bool bf16, Arena *scratch)
{
    const Gpt2Config *c = &m->c;
    TRY(check_sayable(c, path));
    const int64_t padded = (c->vocab + LLMC_PADDING - 1) / LLMC_PADDING * LLMC_PADDING;
    const int32_t h[HEADER] = {MAGIC, bf16 ? VERSION_BF16 : VERSION_F32, (int32_t)c->positions, (int32_t)c->vocab,
                               (int32_t)c->layers, (int32_t)c->heads, (int32_t)c->width, (int32_t)padded};
    FileWriter w;
    TRY(file_open(&w, path));
    file_put(&w, h, sizeof h);
    for (int kind = 0; kind < KINDS; kind++)
        for (int l = 0; l < copies(c, kind); l++) {
            const Tensor *t = parameter(m, kind, l);
            const size_t mark = arena_mark(scratch);
            const int64_t n = numel(t), all = kind == 0 ? padded * c->width : n;
            float *x = arena_zalloc(scratch, (size_t)all * sizeof *x), *y = x;
            tensor_get_f32(t, x, n);
            if (transposed(kind)) {
                y = arena_alloc(scratch, (size_t)n * sizeof *y);
                transpose(y, x, t->shape.d[0], t->shape.d[1]);
            }
            put_values(&w, y, all, bf16, scratch);
            arena_rewind(scratch, mark);
        }
    return file_commit(&w, false);
}
