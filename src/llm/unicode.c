#include "llm/unicode.h"

#include <stddef.h>

enum { L = UNICODE_LETTER, N = UNICODE_NUMBER, S = UNICODE_SPACE };

static const struct { uint32_t first, last; uint8_t class; } ranges[] = {
#include "llm/unicode_table.inl"
};

UnicodeClass unicode_class_beyond_ascii(uint32_t cp)
{
    size_t lo = 0, hi = sizeof ranges / sizeof *ranges;   // the first range that does not end before cp
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (ranges[mid].last < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == sizeof ranges / sizeof *ranges || cp < ranges[lo].first) return UNICODE_OTHER;
    return (UnicodeClass)ranges[lo].class;
}
