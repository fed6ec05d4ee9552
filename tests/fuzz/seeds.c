#include "tests/fuzz/seeds.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "io/json.h"

void fuzz_put_texts(const char *const *text, size_t n, FuzzSeed *put, void *arg)
{
    for (size_t i = 0; i < n; i++) put(arg, text[i], strlen(text[i]));
}

void seeds_json(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "null",
        "[true,false,null]",
        "{\"a\":1,\"b\":[2,3.5,-1e-7],\"c\":{\"d\":\"e\"}}",
        "\"\\u00e9\\ud83e\\udd99\\n\\\"\"",
        "[9223372036854775807,-9223372036854775808,9223372036854775808,1e308]",
        "[[[[[[]]]]]]",
        "{\"\":{}}",
        "\"\xC3\xA9\xE4\xB8\xAD\xF0\x9F\xA6\x99\"",
        " [ 1 ,\t2 \n] ",
        "{\"a\":0,\"a\":1}",
        "[1,]",
        "\"\\ud800\"",
        "1e999",
    };
    fuzz_put_texts(texts, sizeof texts / sizeof *texts, put, arg);
}

void seeds_config(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "{\"vocab_size\":11,\"n_positions\":4,\"n_embd\":8,\"n_layer\":1,\"n_head\":2}",
        "{\"model_type\":\"gpt2\",\"activation_function\":\"gelu_new\",\"vocab_size\":50257,\"n_ctx\":1024,"
        "\"n_embd\":768,\"n_layer\":12,\"n_head\":12,\"n_inner\":null,\"layer_norm_epsilon\":1e-05,"
        "\"eos_token_id\":50256,"
        "\"tie_word_embeddings\":true,\"scale_attn_weights\":true,\"scale_attn_by_inverse_layer_idx\":false,"
        "\"reorder_and_upcast_attn\":false,\"add_cross_attention\":false}",
        "{\"vocab_size\":11,\"n_positions\":4,\"n_embd\":8,\"n_layer\":1,\"n_head\":3,\"n_inner\":32}",
        "{\"activation_function\":\"mish\"}",
        "{\"vocab_size\":11,\"n_positions\":4,\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
        "\"activation_function\":\"gelu\",\"scale_attn_by_inverse_layer_idx\":true,\"eos_token_id\":[1,2,3],\"x\":1}",
        "{\"scale_attn_weights\":false}",
        "[1]",
        "{\"vocab_size\":9223372036854775807,\"n_positions\":-1,\"n_embd\":1e300,\"n_layer\":0,\"n_head\":2}",
    };
    fuzz_put_texts(texts, sizeof texts / sizeof *texts, put, arg);
}

void seeds_safetensors(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const headers[] = {
        "{}",
        "{\"__metadata__\":{\"format\":\"pt\"}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}        ",
        "{\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[4,10]},\"a\":{\"dtype\":\"I32\",\"shape\":[],"
        "\"data_offsets\":[0,4]},\"c\":{\"dtype\":\"U8\",\"shape\":[0,7],\"data_offsets\":[10,10]}}",
        "{\"f16\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},\"bool\":{\"dtype\":\"BOOL\",\"shape\":[1],"
        "\"data_offsets\":[8,9]},\"f64\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[9,17]},"
        "\"u64\":{\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[17,25]},\"i64\":{\"dtype\":\"I64\",\"shape\":[1],"
        "\"data_offsets\":[25,33]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
        "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
        "\"data_offsets\":[1,3]}}",
    };
    static const size_t data_bytes[] = {0, 0, 24, 10, 33, 0, 4, 1, 3};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        unsigned char file[1024];
        const uint64_t n = strlen(headers[i]);
        memcpy(file, &n, sizeof n);
        memcpy(file + 8, headers[i], (size_t)n);
        for (size_t k = 0; k < data_bytes[i]; k++) file[8 + n + k] = (unsigned char)(37 * k + i);
        put(arg, file, 8 + (size_t)n + data_bytes[i]);
    }
}

// The tokens behind the 256 bytes.
static const char *const vocabulary_tail[FUZZ_VOCABULARIES] = {
    ",\"ab\":256,\"abc\":257,\"bc\":258,\"<|endoftext|>\":259}",
    ",\"bc\":256,\"ab\":257,\"abc\":258,\"abca\":259}",
    ",\"\xC4\xA0t\":256,\"he\":257,\"\xC4\xA0th\":258,\"\xC4\xA0the\":259,\"aa\":260,\"aaaa\":261,"
    "\"\xC4\x80\xC4\x80\":262}",
};

const char *fuzz_vocabulary(Arena *a, int i)
{
    char *text = arena_alloc(a, 256 * 16 + 200), *p = text;
    *p++ = '{';
    int id = 0;
    for (uint32_t c = 0; c < 0x144; c++) {
        if (c < '!' || (c > '~' && c < 0xA1) || c == 0xAD) continue;     // these bytes are written as 0x100 and up
        unsigned char u[4];
        const int n = utf8_encode(u, c);
        p += sprintf(p, "%s\"%s%.*s\":%d", id ? "," : "", c == '"' || c == '\\' ? "\\" : "", n, (char *)u, id);
        id++;
    }
    CHECK(id == 256, "%d bytes", id);
    strcpy(p, vocabulary_tail[i]);
    return text;
}

void seeds_vocab(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    static const char *const texts[] = {
        "{\"a\":0}",
        "{\"a\":0,\"b\":1,\"ab\":2}",
        "{\"a\":0,\"\xC4\xA0\":1,\"<|endoftext|>\":2}",
        "{\"a\":0,\"b\":0}",
        "{}",
        "{\"a\":-1}",
        "{\"a\":1}",
        "{\"a b\":0}",
        "{\"\":0}",
        "{\"\\u0000\":0}",
        "{\"\xE4\xB8\xAD\":0}",
        "[1]",
    };
    fuzz_put_texts(texts, sizeof texts / sizeof *texts, put, arg);
    put(arg, fuzz_vocabulary(w->scratch, 2), strlen(fuzz_vocabulary(w->scratch, 2)));
}

void seeds_merges(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const struct { char vocabulary; const char *merges, *text; } cases[] = {
        {'0', "#version: 0.2\n", "any bytes \xFF"},
        {'0', "#version: 0.2\na b\n", "abab ab'll 12 \xC3\xA9\n\n x"},
        {'0', "a b\nb c\nab c\na bc\n", "abcabc<|endoftext|>abc"},
        {'1', "b c\na b\nab c\nabc a\na bc\n", "abcabcabcabc"},
        {'2', "\xC4\xA0 t\nh e\n\xC4\xA0t h\n\xC4\xA0t he\na a\naa aa", " the the th aaaaaaaaaaaa the"},
        {'0', "a b\na b\n", "ab"},
        {'0', "ab\n", "ab"},
        {'0', "ab c\na b\n", "x"},
        {'2', "\xC4\x80 \xC4\x80\r\n", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[400];
        put(arg, file, (size_t)sprintf(file, "%c%s%c%s", cases[i].vocabulary, cases[i].merges, 0, cases[i].text));
    }
}

void seeds_tokenizer(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    static const char byte_level[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}",
                      mask[] = "{\"id\":262,\"content\":\"<mask>\",\"lstrip\":true,\"rstrip\":true}";
    static const struct { const char *added, *pre, *merges; } parts[] = {
        {"", byte_level, "\"b c\""},
        {"{\"id\":259,\"content\":\"<|endoftext|>\"},{\"id\":300,\"content\":\"<s>\",\"special\":true}", byte_level,
         "\"a b\",[\"b\",\"c\"],[\"ab\",\"c\"]"},
        {mask, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true}]}", ""},
        {"{\"id\":5,\"content\":\"x\"}", byte_level, ""},
        {"{\"id\":262,\"content\":\"\"}", byte_level, ""},
        {"", "{\"type\":\"Metaspace\"}", ""},
        {"", byte_level, "[\"a\"],[\"a b\",\"c\"]"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *text = arena_printf(w->scratch,
                                        "{\"added_tokens\":[%s],\"normalizer\":null,\"pre_tokenizer\":%s,\"model\":"
                                        "{\"type\":\"BPE\",\"vocab\":%s,\"merges\":[%s]}}",
                                        parts[i].added, parts[i].pre, fuzz_vocabulary(w->scratch, 0), parts[i].merges);
        put(arg, text, strlen(text));
    }
}

void seeds_llmc(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    static const int32_t headers[][8] = {
        {20240326, 3, 2, 3, 1, 1, 2, 4},  {20240326, 5, 2, 3, 2, 2, 2, 3}, {20240326, 3, 1, 1, 1, 1, 1, 1},
        {20240326, 1, 2, 3, 1, 1, 2, 0},  {20240326, 3, 2, 3, 1, 3, 2, 3}, {20240326, 3, 2, 3, 1, 1, 2, 2},
        {20240326, 3, 2147483647, 2147483647, 2147483647, 1, 2147483647, 2147483647}, {20240327, 3, 2, 3, 1, 1, 2, 4},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const int32_t *h = headers[i];
        const int64_t D = h[6], values = ((int64_t)h[7] + h[2]) * D + h[4] * (12 * D * D + 13 * D) + 2 * D;
        const size_t data = i < 3 ? (size_t)values * (h[1] == 5 ? 2 : 4) : 64;
        unsigned char *file = arena_zalloc(w->scratch, 1024 + data);
        memcpy(file, h, sizeof headers[i]);
        for (size_t k = 0; k < data; k++) file[1024 + k] = (unsigned char)(37 * k);
        put(arg, file, 1024 + data);
    }
}
