// Texts that tests of readers share.
#ifndef LEAD_TESTS_TEXTS_H
#define LEAD_TESTS_TEXTS_H

#include <string.h>

#include "tensor/arena.h"

// head, n times unit, tail.
static inline char *repeated(Arena *a, const char *head, const char *unit, int n, const char *tail)
{
    const size_t h = strlen(head), u = strlen(unit);
    char *text = arena_zalloc(a, h + u * (size_t)n + strlen(tail) + 1);
    memcpy(text, head, h);
    for (int i = 0; i < n; i++) memcpy(text + h + (size_t)i * u, unit, u);
    memcpy(text + h + u * (size_t)n, tail, strlen(tail));
    return text;
}

#endif
