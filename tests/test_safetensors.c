// safetensors and file: real files, exact conversions, canonical bytes, every refusal, atomic writing.
#include "io/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/json.h"
#include "io/sha256.h"
#include "tests/test.h"

// ---- Real files ---------------------------------------------------------------------------------------------------

static void real_files(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/gpt2 (real safetensors files)");
        return;
    }
    static const struct { const char *file; int64_t n; } files[] = {
        {"tiny-random-gpt2/model.safetensors", 64}, {"tiny-random-gpt2/golden_f64.safetensors", 24},
        {"gpt2-124M/partial.safetensors", 101}, {"gpt2-124M/explainer_golden.safetensors", 15},
        {"gpt2-basic-463k/model.safetensors", 30}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        SafeFile f;
        Status s = safetensors_open(&f, a, arena_printf(a, "%s/gpt2/%s", log->shared, files[i].file));
        if (!TEST(log, !s.code, "%s", s.msg)) continue;
        TEST(log, f.n_tensor == files[i].n, "%s: want %" PRId64 " tensors, got %" PRId64, f.path, files[i].n,
             f.n_tensor);
        TEST(log, f.n_meta > 0, "%s: no metadata", f.path);
        safetensors_close(&f);
    }

    SafeFile f;
    const SafeTensor *t;
    Status s = safetensors_open(&f, a, arena_printf(a, "%s/gpt2/tiny-random-gpt2/model.safetensors", log->shared));
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    s = safetensors_get(&t, &f, "transformer.wte.weight", 2, (int64_t[]){1000, 32});
    TEST(log, !s.code && t->count == 32000 && t->type == SAFE_F32, "wte: %s", s.msg);
    s = safetensors_get(&t, &f, "transformer.wte.weight", 2, (int64_t[]){-1, 64});
    TEST(log, s.code && strstr(s.msg, "transformer.wte.weight: want [?,64], got [1000,32] in "), "%s", s.msg);
    s = safetensors_get(&t, &f, "nothing", 0, NULL);
    TEST(log, s.code && strstr(s.msg, "nothing: want [], got nothing of that name"), "%s", s.msg);
    safetensors_close(&f);
    TEST(log, !safetensors_find(&f, "transformer.wte.weight"), "a closed file still finds tensors");
}

// Each tensor of the real GPT-2 hashes to the published value.
static void published_hashes(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/gpt2/gpt2-124M (published tensor hashes)");
        return;
    }
    SafeFile f;
    Status s = safetensors_open(&f, a, arena_printf(a, "%s/gpt2/gpt2-124M/partial.safetensors", log->shared));
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    char *text;
    size_t size;
    s = file_read(&text, &size, a, arena_printf(a, "%s/gpt2/gpt2-124M/tensor_sha256.tsv", log->shared), 1 << 20);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    int64_t found = 0;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[100], hash[100];
        if (line[0] == '#' || sscanf(line, "%99s %*s %*s %99s", name, hash) != 2) continue;
        const SafeTensor *t = safetensors_find(&f, name);
        if (!t) continue;
        found++;
        Sha256Hex got = sha256_hex_of(t->data, (size_t)t->count * safetensors_type_size(t->type));
        TEST(log, strcmp(got.s, hash) == 0, "%s: want %s, got %s", name, hash, got.s);
    }
    TEST(log, found == f.n_tensor, "want a published hash for each of %" PRId64 " tensors, got %" PRId64, f.n_tensor,
         found);
    safetensors_close(&f);
}

// ---- Conversions --------------------------------------------------------------------------------------------------

// All 65536 patterns of both half types against an independent derivation with ldexp.
static void half_floats(TestLog *log)
{
    int64_t wrong = 0;
    for (int b = 0; b < 65536; b++) {
        int e = b >> 10 & 31, m = b & 1023, be = b >> 7 & 255, bm = b & 127;
        double sign = b & 0x8000 ? -1 : 1;
        double want = e == 31 ? (m ? (double)NAN : sign * (double)INFINITY)
                      : e ? sign * ldexp(1024 + m, e - 25) : sign * ldexp(m, -24);
        double bwant = be == 255 ? (bm ? (double)NAN : sign * (double)INFINITY)
                       : be ? sign * ldexp(128 + bm, be - 134) : sign * ldexp(bm, -133);
        double got = (double)f16_to_f32((uint16_t)b), bgot = (double)bf16_to_f32((uint16_t)b);
        bool same = isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want);
        bool bsame = isnan(bwant) ? isnan(bgot) : bgot == bwant && signbit(bgot) == signbit(bwant);
        wrong += !same + !bsame;
    }
    TEST(log, wrong == 0, "%" PRId64 " of 131072 half values differ", wrong);
}

// ---- Writing and reading back -------------------------------------------------------------------------------------

enum { N_ALL = 17 };

// One tensor a type plus a scalar and two empty ones, in no order.
static void all_types(SafeTensor t[N_ALL])
{
    static const int64_t three[] = {3}, two_two[] = {2, 2}, none[] = {0}, none2[] = {2, 0, 5};
    static const uint8_t u8[] = {0, 1, 255}, boolean[] = {0, 1, 1};
    static const int8_t i8[] = {-128, 0, 127};
    static const int16_t i16[] = {-32768, 7, 32767};
    static const uint16_t u16[] = {0, 7, 65535}, f16[] = {0x3C00, 0xC000, 0x0001}, bf16[] = {0x3F80, 0xC000, 0x0001};
    static const int32_t i32[] = {INT32_MIN, 7, INT32_MAX};
    static const uint32_t u32[] = {0, 7, UINT32_MAX};
    static const float f32[] = {1, -2.5f, 0x1p-149f, 3.25f};
    static const double f64[] = {1, -2.5, 0x1p-1074};
    static const int64_t i64[] = {INT64_MIN, 7, INT64_MAX};
    static const uint64_t u64[] = {0, 7, INT64_MAX};
    SafeTensor all[N_ALL] = {
        {"b.u8", SAFE_U8, 1, three, 0, u8}, {"bool", SAFE_BOOL, 1, three, 0, boolean},
        {"i8", SAFE_I8, 1, three, 0, i8}, {"i16", SAFE_I16, 1, three, 0, i16}, {"u16", SAFE_U16, 1, three, 0, u16},
        {"f16", SAFE_F16, 1, three, 0, f16}, {"bf16", SAFE_BF16, 1, three, 0, bf16},
        {"i32", SAFE_I32, 1, three, 0, i32}, {"u32", SAFE_U32, 1, three, 0, u32},
        {"weight", SAFE_F32, 2, two_two, 0, f32}, {"f64", SAFE_F64, 1, three, 0, f64},
        {"i64", SAFE_I64, 1, three, 0, i64}, {"u64", SAFE_U64, 1, three, 0, u64},
        {"a.u8", SAFE_U8, 1, three, 0, u8}, {"empty", SAFE_F32, 1, none, 0, NULL},
        {"empty2", SAFE_F64, 3, none2, 0, NULL}, {"scalar \"\xC3\xA9\\", SAFE_F32, 0, NULL, 0, f32}};
    memcpy(t, all, sizeof all);
}

static void round_trip(TestLog *log, Arena *a)
{
    SafeTensor t[N_ALL];
    all_types(t);
    const char *path = arena_printf(a, "%s/all.safetensors", log->tmp);
    SafeMeta meta[] = {{"format", "p\n\001t"}};
    Status s = safetensors_write(path, t, N_ALL, meta, 1, false, a);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    // The hash of the same content written by the reference implementation 0.8.0 (tests/tools/safetensors_golden.py).
    char *bytes;
    size_t size;
    s = file_read(&bytes, &size, a, path, 1 << 20);
    TEST(log, !s.code, "%s", s.msg);
    Sha256Hex hash = sha256_hex_of(bytes, size);
    TEST(log, strcmp(hash.s, "834f0eac593d2d587150d365a00cb97b86ec709bee064b612615e1c5bd79f77d") == 0,
         "the bytes are not those of the reference implementation: %zu bytes, sha256 %s", size, hash.s);

    SafeFile f;
    s = safetensors_open(&f, a, path);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    TEST(log, f.n_tensor == N_ALL && f.n_meta == 1, "%" PRId64 " tensors, %" PRId64 " metadata", f.n_tensor, f.n_meta);
    const char *format = safetensors_meta(&f, "format");
    TEST(log, format && strcmp(format, "p\n\001t") == 0 && !safetensors_meta(&f, "y"), "metadata");
    for (int i = 0; i < N_ALL; i++) {
        const SafeTensor *r;
        s = safetensors_get(&r, &f, t[i].name, t[i].n_dim, t[i].shape);
        if (!TEST(log, !s.code, "%s", s.msg)) continue;
        TEST(log, r->type == t[i].type && (r->count == 0 || memcmp(r->data, t[i].data, (size_t)r->count
             * safetensors_type_size(r->type)) == 0), "%s: other values", t[i].name);
        t[i].count = r->count;
        float x[4];
        double y[4];
        int64_t n[4];
        safetensors_read_f32(x, r);
        safetensors_read_f64(y, r);
        bool floating = r->type == SAFE_F16 || r->type == SAFE_BF16 || r->type == SAFE_F32 || r->type == SAFE_F64;
        s = safetensors_read_i64(n, r);
        TEST(log, (s.code != 0) == floating, "%s: read_i64: %s", r->name, s.code ? s.msg : "no error");
        for (int k = 0; k < r->count; k++) {
            TEST(log, x[k] == (float)y[k], "%s[%d]: f32 %g, f64 %g", r->name, k, (double)x[k], y[k]);
            if (!floating) TEST(log, y[k] == (double)n[k], "%s[%d]: f64 %g, i64 %" PRId64, r->name, k, y[k], n[k]);
        }
    }
    int64_t i64[3];
    double f64[3];
    s = safetensors_read_i64(i64, safetensors_find(&f, "i64"));
    TEST(log, !s.code && i64[0] == INT64_MIN && i64[1] == 7 && i64[2] == INT64_MAX, "i64 values");
    safetensors_read_f64(f64, safetensors_find(&f, "bf16"));
    TEST(log, f64[0] == 1 && f64[1] == -2 && f64[2] == 0x1p-133, "bf16 values %g %g %g", f64[0], f64[1], f64[2]);
    safetensors_close(&f);

    uint64_t big[] = {1, UINT64_MAX};
    SafeTensor u = {"u", SAFE_U64, 1, (int64_t[]){2}, 2, big};
    s = safetensors_read_i64(i64, &u);
    TEST(log, s.code && strstr(s.msg, "18446744073709551615"), "%s", s.msg);
    SafeTensor twice[] = {t[0], t[0]}, bad[] = {t[0]};
    s = safetensors_write(path, twice, 2, NULL, 0, false, a);
    TEST(log, s.code && strstr(s.msg, "two tensors of that name"), "%s", s.msg);
    bad[0].name = "\xFF";
    s = safetensors_write(path, bad, 1, NULL, 0, false, a);
    TEST(log, s.code && strstr(s.msg, "UTF-8"), "%s", s.msg);
    bad[0].name = "__metadata__";
    s = safetensors_write(path, bad, 1, NULL, 0, false, a);
    TEST(log, s.code && strstr(s.msg, "__metadata__"), "%s", s.msg);
    s = safetensors_write(path, NULL, 0, NULL, 0, false, a);
    TEST(log, !s.code, "%s", s.msg);
    s = safetensors_open(&f, a, path);
    TEST(log, !s.code && f.n_tensor == 0 && !safetensors_find(&f, "x"), "no tensors at all: %s", s.msg);
    safetensors_close(&f);
}

// ---- Hostile files ------------------------------------------------------------------------------------------------

// Opens a file of the header length given, the header and `data` zero bytes.
static Status open_bytes(TestLog *log, Arena *a, uint64_t length, const char *header, size_t data)
{
    const char *path = arena_printf(a, "%s/hostile.safetensors", log->tmp);
    size_t n = strlen(header);
    unsigned char *b = arena_zalloc(a, 8 + n + data);
    memcpy(b, &length, 8);
    memcpy(b + 8, header, n);
    SafeFile f;
    Status s = file_write(path, b, 8 + n + data);
    if (!s.code) s = safetensors_open(&f, a, path);
    if (!s.code) safetensors_close(&f);
    return s;
}

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void hostile_files(TestLog *log, Arena *a)
{
    // header, bytes of data, what the message must say; NULL = the file is fine
    static const struct { const char *header; size_t data; const char *says; } cases[] = {
        {"{}", 0, NULL},
        {"{}   ", 0, NULL},
        {"{\"a\":" T("F32", "[2]", "[0,8]") "}", 8, NULL},
        {"{\"a\":" T("F32", "[]", "[0,4]") "}", 4, NULL},
        {"{\"a\":" T("F32", "[0,1152921504606846976]", "[0,0]") "}", 0, NULL},
        {"{\"b\":" T("U8", "[1]", "[1,2]") ",\"a\":" T("U8", "[1]", "[0,1]") "}", 2, NULL},
        {"{\"b\":" T("U8", "[0]", "[1,1]") ",\"a\":" T("U8", "[1]", "[0,1]") "}", 1, NULL},
        {"{\"__metadata__\":{\"a\":\"b\"}}", 0, NULL},
        {"", 0, "begins with '{'"},
        {" {}", 0, "begins with '{'"},
        {"[]", 0, "begins with '{'"},
        {"{}x", 0, "nothing after the value"},
        {"{\"a\":", 0, "want a value, got the end"},
        {"{}", 1, "want 0 bytes of data, got 1"},
        {"{\"a\":3}", 0, "a: want an object with dtype"},
        {"{\"a\":{}}", 0, "a: want a dtype (BOOL"},
        {"{\"a\":" T("F31", "[2]", "[0,8]") "}", 8, "got \"F31\""},
        {"{\"a\":" T("F8_E4M3", "[8]", "[0,8]") "}", 8, "dtype F8_E4M3 is not supported"},
        {"{\"a\":" T("C64", "[1]", "[0,8]") "}", 8, "dtype C64 is not supported"},
        {"{\"a\":" T("F32", "2", "[0,8]") "}", 8, "want an array as shape"},
        {"{\"a\":" T("F32", "[-2]", "[0,8]") "}", 8, "dimension 0, got -2"},
        {"{\"a\":" T("F32", "[2.0]", "[0,8]") "}", 8, "dimension 0, got 2"},
        {"{\"a\":" T("F32", "[99999999999999999999]", "[0,8]") "}", 8, "dimension 0, got 1e+20"},
        {"{\"a\":" T("F32", "[1152921504606846976,16]", "[0,8]") "}", 8, "more than 2^63 bytes"},
        {"{\"a\":" T("F32", "[1152921504606846976,16,0]", "[0,8]") "}", 8, "more than 2^63 bytes"},
        {"{\"a\":" T("F64", "[2305843009213693951]", "[0,8]") "}", 8, "more than 2^63 bytes"},
        {"{\"a\":" T("F32", "[576460752303423488]", "[0,2305843009213693952]") "}", 8, "want data up to byte"},
        {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 8, "want 8 bytes, got data_offsets of 4"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") "}", 7, "want data up to byte 8, got 7 bytes"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") "}", 9, "want 8 bytes of data, got 9"},
        {"{\"a\":" T("F32", "[2]", "[4,12]") "}", 12, "begin at 0"},
        {"{\"a\":" T("F32", "[2]", "[8,0]") "}", 8, "want data_offsets"},
        {"{\"a\":" T("F32", "[2]", "[-8,0]") "}", 8, "want data_offsets"},
        {"{\"a\":" T("F32", "[2]", "[0,8,9]") "}", 8, "want data_offsets"},
        {"{\"a\":" T("F32", "[2]", "[0]") "}", 8, "want data_offsets"},
        {"{\"a\":" T("F32", "[2]", "8") "}", 8, "want data_offsets"},
        {"{\"a\":" T("F32", "[2]", "[\"0\",8]") "}", 8, "want data_offsets"},
        {"{\"a\":" T("F32", "[2]", "[0,18446744073709551615]") "}", 8, "want data_offsets"},
        {"{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":" T("U8", "[2]", "[1,3]") "}", 3, "b: want data_offsets that begin"},
        {"{\"a\":" T("U8", "[1]", "[0,1]") ",\"b\":" T("U8", "[1]", "[2,3]") "}", 3, "b: want data_offsets that begin"},
        {"{\"a\":" T("U8", "[1]", "[0,1]") ",\"a\":" T("U8", "[1]", "[1,2]") "}", 2, "the key \"a\" twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "\"dtype\" twice"},
        {"{\"a\\u0000b\":" T("U8", "[1]", "[0,1]") "}", 1, "holds a NUL"},
        {"{\"__metadata__\":[]}", 0, "want an object of strings"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: a: want a string"},
        {"{\"__metadata__\":{\"a\":\"x\\u0000\"}}", 0, "__metadata__: a: want a string"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t mark = arena_mark(a);
        Status s = open_bytes(log, a, strlen(cases[i].header), cases[i].header, cases[i].data);
        TEST(log, cases[i].says ? s.code && strstr(s.msg, cases[i].says) : !s.code, "%s: want \"%s\", got \"%s\"",
             cases[i].header, cases[i].says ? cases[i].says : "no error", s.code ? s.msg : "no error");
        arena_rewind(a, mark);
    }
    Status s = open_bytes(log, a, 3, "{}", 0);
    TEST(log, s.code && strstr(s.msg, "want 3 bytes of header, got 2"), "%s", s.msg);
    s = open_bytes(log, a, 100000001, "{}", 0);
    TEST(log, s.code && strstr(s.msg, "at most 100000000 bytes, got 100000001"), "%s", s.msg);
    s = open_bytes(log, a, UINT64_MAX, "{}", 0);
    TEST(log, s.code && strstr(s.msg, "got 18446744073709551615"), "%s", s.msg);
}

// A good file cut at every length must be refused, and survive the change of any one byte of its header.
static void damaged_files(TestLog *log, Arena *a)
{
    SafeTensor t[N_ALL];
    all_types(t);
    const char *path = arena_printf(a, "%s/damaged.safetensors", log->tmp);
    char *good;
    size_t size;
    Status s = safetensors_write(path, t, log->quick ? 4 : N_ALL, NULL, 0, false, a);
    if (!s.code) s = file_read(&good, &size, a, path, 1 << 20);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    size_t mark = arena_mark(a), refused = 0, header;
    memcpy(&header, good, sizeof header);
    for (size_t n = 0; n < size + 8 + header; n++) {
        bool cut = n < size;
        size_t at = cut ? 0 : n - size;
        char saved = good[at];
        if (!cut) good[at] = (char)(saved ^ (1 << (n % 7)));
        SafeFile f;
        FILE *out = fopen(path, "wb");   // not file_write: an fsync for each of them takes long
        fwrite(good, 1, cut ? n : size, out);
        fclose(out);
        s = safetensors_open(&f, a, path);
        refused += cut && s.code;
        if (!s.code) {
            double sum[16];
            for (int64_t i = 0; i < f.n_tensor; i++)
                if (f.tensor[i].count <= 16) safetensors_read_f64(sum, &f.tensor[i]);
            safetensors_close(&f);
        }
        good[at] = saved;
        arena_rewind(a, mark);
    }
    TEST(log, refused == size, "%zu of %zu cut files were refused", refused, size);
}

// ---- Files --------------------------------------------------------------------------------------------------------

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static void files(TestLog *log, Arena *a)
{
    char *text;
    size_t size;
    const char *dir = arena_printf(a, "%s/dir", log->tmp), *path = arena_printf(a, "%s/dir/f", log->tmp);
    const char *prev = arena_printf(a, "%s.prev", path), *link = arena_printf(a, "%s/dir/link", log->tmp);
    TEST(log, mkdir(dir, 0700) == 0, "mkdir %s", dir);
    Status s = file_read(&text, &size, a, path, 10);
    TEST(log, s.code && strstr(s.msg, "dir/f: cannot open: No such file"), "%s", s.msg);
    s = file_read(&text, &size, a, dir, 10);
    TEST(log, s.code && strstr(s.msg, "want a regular file, got a directory"), "%s", s.msg);
    s = file_read(&text, &size, a, "/dev/null", 10);
    TEST(log, s.code && strstr(s.msg, "got a device"), "%s", s.msg);
    s = file_write(path, "", 0);
    TEST(log, !s.code && exists(path), "%s", s.msg);
    s = file_read(&text, &size, a, path, 10);
    TEST(log, s.code && strstr(s.msg, "the file is empty"), "%s", s.msg);
    s = file_write(path, "hello", 5);
    TEST(log, !s.code, "%s", s.msg);
    s = file_read(&text, &size, a, path, 4);
    TEST(log, s.code && strstr(s.msg, "want at most 4 bytes, got 5"), "%s", s.msg);
    s = file_read(&text, &size, a, path, 5);
    TEST(log, !s.code && size == 5 && strcmp(text, "hello") == 0, "%s", s.msg);
    chmod(path, 0640);

    FileWriter w;
    s = file_open(&w, path);
    TEST(log, !s.code && exists(w.tmp), "%s", s.msg);
    file_put(&w, "world!", 6);
    s = file_read(&text, &size, a, path, 100);
    TEST(log, !s.code && strcmp(text, "hello") == 0, "the target changed before the commit");
    s = file_commit(&w, true);
    TEST(log, !s.code && !exists(w.tmp), "%s", s.msg);
    s = file_read(&text, &size, a, path, 100);
    TEST(log, !s.code && strcmp(text, "world!") == 0, "%s", s.msg);
    s = file_read(&text, &size, a, prev, 100);
    TEST(log, !s.code && strcmp(text, "hello") == 0, "%s", s.msg);
    struct stat st;
    TEST(log, stat(path, &st) == 0 && (st.st_mode & 0777) == 0640, "access rights %o", (unsigned)st.st_mode & 0777);
    s = file_open(&w, path);
    file_put(&w, "lost", 4);
    file_abort(&w);
    file_abort(&w);
    TEST(log, !s.code && !exists(w.tmp), "%s", s.msg);
    s = file_read(&text, &size, a, path, 100);
    TEST(log, !s.code && strcmp(text, "world!") == 0, "an aborted write changed the target");

    TEST(log, symlink("f", link) == 0, "symlink");
    s = file_write(link, "via link", 8);
    TEST(log, !s.code && lstat(link, &st) == 0 && S_ISLNK(st.st_mode), "the link was replaced");
    s = file_read(&text, &size, a, path, 100);
    TEST(log, !s.code && strcmp(text, "via link") == 0, "%s", s.msg);

    s = file_write(dir, "x", 1);
    TEST(log, s.code && strstr(s.msg, "got a directory"), "%s", s.msg);
    s = file_write(arena_printf(a, "%s/none/f", log->tmp), "x", 1);
    TEST(log, s.code && strstr(s.msg, "none/f: cannot create"), "%s", s.msg);
    s = file_write("", "x", 1);
    TEST(log, s.code && strstr(s.msg, "empty name"), "%s", s.msg);
    s = file_write("/dev/full", "x", 1);
    TEST(log, s.code && strstr(s.msg, "/dev/full: cannot write: No space left"), "%s", s.msg);
    SafeTensor t[N_ALL];
    all_types(t);
    s = safetensors_write("/dev/full", t, N_ALL, NULL, 0, false, a);
    TEST(log, s.code && strstr(s.msg, "/dev/full: cannot write: No space left"), "%s", s.msg);
    TEST(log, stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode) && !exists("/dev/full.prev"), "/dev/full changed");
    s = file_write("/dev/null", "x", 1);
    TEST(log, !s.code && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode), "%s", s.msg);
    s = file_write(arena_printf(a, "%s/f/g", dir), "x", 1);
    TEST(log, s.code && strstr(s.msg, "Not a directory"), "%s", s.msg);
    if (geteuid() == 0) {
        test_skip(log, "skipped: root may write into an unwritable directory");
        return;
    }
    chmod(dir, 0500);
    s = file_write(path, "x", 1);
    chmod(dir, 0700);
    TEST(log, s.code && strstr(s.msg, "cannot create a temporary file"), "%s", s.msg);
}

static void hashes(TestLog *log)
{
    // FIPS 180-4 examples and lengths around the padding boundary (values of coreutils sha256sum).
    static const struct { char c; size_t n; const char *hash; } runs[] = {
        {'a', 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {'a', 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {'a', 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {'a', 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {'a', 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {'a', 65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
        {'a', 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
        {'a', 120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
        {'a', 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
    Sha256Hex h = sha256_hex_of("abc", 3);
    TEST(log, strcmp(h.s, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0, "abc: %s", h.s);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (size_t step = 1; step <= runs[i].n + 1; step = step * 7 + 1) {   // in pieces of any length
            Sha256 s = sha256_new();
            char piece[64];
            memset(piece, runs[i].c, sizeof piece);
            for (size_t done = 0, n; done < runs[i].n; done += n) {
                n = step < sizeof piece ? step : sizeof piece;
                n = n < runs[i].n - done ? n : runs[i].n - done;
                sha256_add(&s, piece, n);
            }
            h = sha256_hex(&s);
            TEST(log, strcmp(h.s, runs[i].hash) == 0, "%zu bytes by %zu: %s", runs[i].n, step, h.s);
        }
}

void test_safetensors(TestLog *log)
{
    Arena *a = arena_new("test_safetensors", (size_t)256 << 20, NULL);
    CHECK(a, "no memory");
    files(log, a);
    hashes(log);
    half_floats(log);
    round_trip(log, a);
    hostile_files(log, a);
    damaged_files(log, a);
    real_files(log, a);
    published_hashes(log, a);
    arena_delete(a);
}
