#include "io/stb.h"

#include <string.h>

#include "tensor/status.h"

// stb's allocator has no argument for the arena, and would end the program with an assertion where malloc fails.
static _Thread_local Arena *memory;

// What was moved is given back at once, or the arena would hold a large array twice.
static void *grow(void *old, size_t old_size, size_t size)
{
    enum { PIECE = 1 << 20 };
    unsigned char *p = arena_alloc(memory, size), *from = old;
    const size_t n = !old ? 0 : old_size < size ? old_size : size;
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = n - at < PIECE ? n - at : PIECE;
        memcpy(p + at, from + at, piece);
        if (piece == PIECE) memory_unused(from + at, piece);
    }
    return p;
}

#define STBIW_MALLOC(n) arena_alloc(memory, n)
#define STBIW_REALLOC(p, n) grow(p, 0, n)
#define STBIW_REALLOC_SIZED(p, old, n) grow(p, (size_t)(old), (size_t)(n))
#define STBIW_FREE(p) ((void)(p))
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic ignored "-Wunused-function"    // of all that is declared, two functions are used
#include <stb/stb_image_write.h>

const unsigned char *stb_zlib(const void *data, size_t n, size_t *size, Arena *a)
{
    int length = 0;
    memory = a;
    const unsigned char *out = stbi_zlib_compress((unsigned char *)(uintptr_t)data, (int)n, &length, 8);
    CHECK(out && n < (size_t)1 << 30, "zlib: %zu bytes", n);
    *size = (size_t)length;
    return out;
}

const unsigned char *stb_png(const uint8_t *rgb, int w, int h, size_t *size, Arena *a)
{
    int length = 0;
    memory = a;
    const unsigned char *out = stbi_write_png_to_mem(rgb, 3 * w, w, h, 3, &length);
    CHECK(out, "png: %d x %d", w, h);
    *size = (size_t)length;
    return out;
}
