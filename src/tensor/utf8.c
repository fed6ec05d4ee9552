#include "tensor/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int utf8_decode(const unsigned char *p, size_t n, uint32_t *cp)
{
    if (n == 0) return 0;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    int len = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (len == 0 || n < (size_t)len) return 0;
    uint32_t c = p[0] & (0x7Fu >> len);
    for (int i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10FFFF)) || (c >= 0xD800 && c < 0xE000)) return 0;
    *cp = c;
    return len;
}

int utf8_encode(unsigned char *p, uint32_t cp)
{
    if (cp < 0x80) {
        p[0] = (unsigned char)cp;
        return 1;
    }
    int len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--, cp >>= 6) p[i] = (unsigned char)(0x80 | (cp & 0x3F));
    p[0] = (unsigned char)((0xF00u >> len & 0xF0) | cp);
    return len;
}

// Controls (C0, DEL, C1), line and paragraph separators, marks of writing direction.
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

size_t text_clean(char *out, size_t cap, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t used = 0;
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c;
        const int len = utf8_decode(s + i, n - i, &c);
        const bool plain = len && !is_unsafe(c);
        step = len ? (size_t)len : 1;
        const size_t room = plain ? step : 4 * step;
        if (used + room >= cap) break;
        if (plain) memcpy(out + used, s + i, step);
        else
            for (size_t k = 0; k < step; k++) snprintf(out + used + 4 * k, 5, "\\x%02X", s[i + k]);
        used += room;
    }
    out[used] = 0;
    return used;
}
