// Fuzzing of the readers of foreign files with libFuzzer.  The first byte chooses the reader.
//   clang -g -O1 -std=c11 -D_GNU_SOURCE -Isrc -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_files.c \
//     src/nn/file.c src/nn/json.c src/nn/safetensors.c src/llm/bpe.c src/llm/unicode.c src/tensor/status.c \
//     src/tensor/arena.c -lm -o build/fuzz_files
//   build/fuzz_files -max_total_time=60 -rss_limit_mb=2000 CORPUS_DIRECTORY
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "llm/bpe.h"
#include "nn/json.h"
#include "nn/safetensors.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

// The name of an unlinked file that holds the bytes.
static const char *file_of(Arena *a, int *fd, const unsigned char *data, size_t size)
{
    *fd = memfd_create("fuzz", 0);
    CHECK(*fd >= 0 && write(*fd, data, size) == (ssize_t)size, "memfd of %zu bytes", size);
    return arena_printf(a, "/proc/self/fd/%d", *fd);
}

static void fuzz_safetensors(Arena *a, const unsigned char *data, size_t size)
{
    int fd;
    SafeFile f;
    Status s = safetensors_open(&f, a, file_of(a, &fd, data, size));
    close(fd);
    if (s.code) return;
    for (int64_t i = 0; i < f.n_tensor; i++) {
        const SafeTensor *t = &f.tensor[i];
        CHECK(safetensors_find(&f, t->name) == t, "%s is not found", t->name);
        safetensors_read_f64(arena_alloc(a, (size_t)t->count * sizeof(double)), t);
        safetensors_read_f32(arena_alloc(a, (size_t)t->count * sizeof(float)), t);
        (void)safetensors_read_i64(arena_alloc(a, (size_t)t->count * sizeof(int64_t)), t);
    }
    safetensors_close(&f);
}

// Vocabulary and merges are separated by a zero byte; each half is read on its own and together with the other.
static void fuzz_vocabulary(Arena *a, Arena *scratch, const unsigned char *data, size_t size)
{
    const unsigned char *cut = memchr(data, 0, size);
    if (!cut) return;
    int v, m;
    const char *vocab = file_of(a, &v, data, (size_t)(cut - data));
    const char *merges = file_of(a, &m, cut + 1, size - (size_t)(cut - data) - 1);
    Bpe b;
    Status s = bpe_load(&b, a, scratch, vocab, merges);
    close(v);
    close(m);
    int32_t *ids;
    int64_t n;
    if (!s.code) CHECK(!bpe_encode(&ids, &n, &b, a, (const char *)data, size, true).code, "encode");
}

// What was learned from a text encodes it, and the ids give it back.
static void fuzz_learning(Arena *a, Arena *scratch, const unsigned char *data, size_t size)
{
    Bpe b;
    int32_t *ids;
    int64_t n;
    char *back;
    size_t len;
    CHECK(!bpe_train(&b, a, scratch, (const char *)data, size, 300).code, "train");
    CHECK(!bpe_encode(&ids, &n, &b, a, (const char *)data, size, false).code, "encode");
    CHECK(!bpe_decode(&back, &len, &b, a, ids, n).code && len == size && memcmp(back, data, size) == 0, "decode");
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0) return 0;
    Arena *a = arena_new("fuzz", (size_t)1 << 30, NULL), *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(a && scratch, "no memory");
    // A copy of exactly this size, so that the address sanitizer sees each byte read beyond it.
    unsigned char *exact = malloc(size);
    memcpy(exact, data + 1, --size);
    const Json *root;
    switch (data[0] % 4) {
    case 0: (void)json_parse(&root, a, (char *)exact, size, "fuzz"); break;
    case 1: fuzz_safetensors(a, exact, size); break;
    case 2: fuzz_vocabulary(a, scratch, exact, size); break;
    default: fuzz_learning(a, scratch, exact, size);
    }
    free(exact);
    arena_delete(a);
    arena_delete(scratch);
    return 0;
}
