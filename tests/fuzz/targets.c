#include "tests/fuzz/targets.h"

#include <stdio.h>
#include <string.h>

#include "llm/gpt2_llmc.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "tests/fuzz/seeds.h"

// ---- json: what was read is written and read again: the same tree

static void write_again(JsonWriter *w, const char *key, const Json *v)
{
    if (v->type == JSON_NULL) json_null(w, key);
    else if (v->type == JSON_BOOL) json_bool(w, key, v->boolean);
    else if (v->type == JSON_STRING) json_string_n(w, key, v->string, (size_t)v->n);
    else if (v->type == JSON_NUMBER && v->is_int) json_int(w, key, v->n);
    else if (v->type == JSON_NUMBER) json_double(w, key, v->number);
    else {
        if (v->type == JSON_ARRAY) json_array(w, key);
        else json_object(w, key);
        for (const Json *c = v->child; c; c = c->next) write_again(w, c->key, c);
        json_end(w);
    }
}

static bool keys_without_nul(const Json *v)    // the writer takes keys as strings
{
    if (v->key && strlen(v->key) != v->key_len) return false;
    if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
        for (const Json *c = v->child; c; c = c->next)
            if (!keys_without_nul(c)) return false;
    return true;
}

static bool same_tree(const Json *a, const Json *b)
{
    if (a->type != b->type || a->key_len != b->key_len || (a->key_len && memcmp(a->key, b->key, a->key_len)))
        return false;
    if (a->type == JSON_NULL) return true;
    if (a->type == JSON_BOOL) return a->boolean == b->boolean;
    if (a->type == JSON_NUMBER) return a->number == b->number;
    if (a->n != b->n) return false;
    if (a->type == JSON_STRING) return !memcmp(a->string, b->string, (size_t)a->n);
    const Json *x = a->child, *y = b->child;
    for (; x && y; x = x->next, y = y->next)
        if (!same_tree(x, y)) return false;
    return x == y;
}

void fuzz_json(FuzzWorld *w, const unsigned char *data, size_t size)
{
    const Json *root, *again;
    if (json_parse(&root, w->a, (const char *)data, size, "fuzz").code || !keys_without_nul(root)) return;
    JsonWriter out = json_writer(w->a, data[0] & 2);
    write_again(&out, NULL, root);
    size_t len;
    const char *text = json_text(&out, &len);
    const Status s = json_parse(&again, w->a, text, len, "again");
    CHECK(!s.code && same_tree(root, again), "written and read again: %s", s.code ? s.msg : "another tree");
}

// ---- safetensors

void fuzz_safetensors(FuzzWorld *w, const unsigned char *data, size_t size)
{
    SafeFile f;
    if (safetensors_parse(&f, w->a, data, size, "fuzz").code) return;
    for (int64_t i = 0; i < f.n_tensor; i++) {
        const SafeTensor *t = &f.tensor[i];
        const size_t mark = arena_mark(w->a);
        CHECK(safetensors_find(&f, t->name) == t, "%s is not found", t->name);
        CHECK(t->count >= 0 && (size_t)t->count <= size, "%s: %lld values", t->name, (long long)t->count);
        safetensors_read_f64(arena_alloc(w->a, (size_t)t->count * sizeof(double)), t);
        safetensors_read_f32(arena_alloc(w->a, (size_t)t->count * sizeof(float)), t);
        (void)safetensors_read_i64(arena_alloc(w->a, (size_t)t->count * sizeof(int64_t)), t);
        arena_rewind(w->a, mark);
    }
    for (int64_t i = 0; i < f.n_meta; i++) CHECK(safetensors_meta(&f, f.meta[i].key), "metadata %s", f.meta[i].key);
    safetensors_close(&f);
}

// ---- BPE

// Every token can be decoded, but for ids that none has.
static void check_tokens(FuzzWorld *w, const Bpe *b)
{
    for (int32_t id = 0; id < b->n_vocab; id++) {
        const size_t mark = arena_mark(w->a);
        char *text;
        size_t len;
        const bool fine = !bpe_decode(&text, &len, b, w->a, &id, 1).code;
        CHECK(fine == (b->start[id] < b->start[id + 1]) && (!fine || len == b->start[id + 1] - b->start[id]),
              "token %d is not decoded", id);
        arena_rewind(w->a, mark);
    }
}

void fuzz_vocab(FuzzWorld *w, const unsigned char *data, size_t size)
{
    Bpe b;
    if (bpe_parse_vocab(&b, w->a, w->scratch, (BpeText){(const char *)data, size, "fuzz"}).code) return;
    for (int i = 0; i < 256; i++) CHECK(bpe_find(&b, &(char){(char)i}, 1) == b.byte_id[i], "byte %d is not found", i);
    check_tokens(w, &b);
}

void fuzz_tokenizer(FuzzWorld *w, const unsigned char *data, size_t size)
{
    static const char text[] = "a <s>b <|endoftext|>  c\n<mask> \xC3\xA9";
    Bpe b;
    if (bpe_parse_tokenizer(&b, w->a, w->scratch, (BpeText){(const char *)data, size, "fuzz"}).code) return;
    check_tokens(w, &b);
    int32_t *ids;
    int64_t n;
    char *back;
    size_t len;
    CHECK(!bpe_encode(&ids, &n, &b, w->a, text, sizeof text - 1, true).code, "encode");
    CHECK(!bpe_decode(&back, &len, &b, w->a, ids, n).code, "decode");
}

// A byte that chooses the vocabulary, merges, a zero byte, a text that must come back.
void fuzz_merges(FuzzWorld *w, const unsigned char *data, size_t size)
{
    const unsigned char *cut = memchr(data, 0, size);
    if (size < 2 || !cut || cut == data) return;
    Bpe b = w->vocabulary[data[0] % FUZZ_VOCABULARIES];
    const BpeText merges = {(const char *)data + 1, (size_t)(cut - data - 1), "fuzz"};
    if (bpe_parse_merges(&b, w->a, w->scratch, merges).code) return;
    const char *text = (const char *)cut + 1;
    const size_t n = size - (size_t)(cut + 1 - data);
    int32_t *ids;
    int64_t n_ids;
    char *back;
    size_t len;
    CHECK(!bpe_encode(&ids, &n_ids, &b, w->a, text, n, true).code, "encode");
    CHECK(!bpe_decode(&back, &len, &b, w->a, ids, n_ids).code && len == n && !memcmp(back, text, n), "decode");
}

// ---- config.json

void fuzz_config(FuzzWorld *w, const unsigned char *data, size_t size)
{
    Gpt2Config c;
    if (gpt2_config_parse(&c, (const char *)data, size, "fuzz", w->scratch).code) return;
    const Status s = gpt2_config_check(&c, "fuzz");
    CHECK(!s.code && c.width % c.heads == 0 && c.end_token >= -1, "accepted, but %s", s.msg);
}

// ---- llm.c

void fuzz_llmc(FuzzWorld *w, const unsigned char *data, size_t size)
{
    LlmcFile f;
    if (llmc_parse(&f, data, size, "fuzz").code) return;
    CHECK(f.c.layers <= (int64_t)size && f.c.vocab * f.c.width <= (int64_t)size, "accepted more than the file holds");
    const Device dev = {.name = "memory", .real_size = sizeof(float)};
    ParamSet ps;
    paramset_init(&ps, w->a, &dev, 1, true);
    llmc_read(gpt2_new(&ps, "", &f.c, GPT2_FROZEN | GPT2_BLANK), &f, w->scratch);
}

const FuzzKind *fuzz_kinds(void)
{
    static const FuzzKind kinds[FUZZ_KINDS] = {{"safetensors", fuzz_safetensors, seeds_safetensors},
                                               {"json", fuzz_json, seeds_json},
                                               {"vocab", fuzz_vocab, seeds_vocab},
                                               {"merges", fuzz_merges, seeds_merges},
                                               {"tokenizer", fuzz_tokenizer, seeds_tokenizer},
                                               {"config", fuzz_config, seeds_config},
                                               {"llmc", fuzz_llmc, seeds_llmc},
                                               {"xml", fuzz_xml, seeds_xml},
                                               {"gzip", fuzz_gzip, seeds_gzip},
                                               {"npy", fuzz_npy, seeds_npy},
                                               {"npz", fuzz_npz, seeds_npz},
                                               {"table", fuzz_table, seeds_table},
                                               {"map", fuzz_map, seeds_map},
                                               {"topology", fuzz_topology, seeds_topology},
                                               {"sndlib", fuzz_sndlib, seeds_sndlib},
                                               {"totem", fuzz_totem, seeds_totem},
                                               {"matrix_text", fuzz_matrix_text, seeds_matrix_text},
                                               {"repetita", fuzz_repetita, seeds_repetita},
                                               {"paragon", fuzz_paragon, seeds_paragon},
                                               {"record", fuzz_record, seeds_record}};
    return kinds;
}

FuzzWorld fuzz_world(void)
{
    FuzzWorld w = {.a = arena_new("fuzz", (size_t)1 << 30, NULL),
                   .scratch = arena_new("fuzz scratch", (size_t)1 << 30, NULL)};
    CHECK(w.a && w.scratch, "no address space");
    for (int i = 0; i < FUZZ_VOCABULARIES; i++) {
        const char *text = fuzz_vocabulary(w.scratch, i);
        const Status s = bpe_parse_vocab(&w.vocabulary[i], w.a, w.scratch, (BpeText){text, strlen(text), "vocabulary"});
        CHECK(!s.code, "%s", s.msg);
    }
    return w;
}
