// The three character classes that GPT-2's pre-tokenisation distinguishes, over all of Unicode, without a locale.
#ifndef LEAD_LLM_UNICODE_H
#define LEAD_LLM_UNICODE_H

#include <stdint.h>

typedef enum UnicodeClass {
    UNICODE_OTHER,     // none of those below
    UNICODE_LETTER,    // \p{L}
    UNICODE_NUMBER,    // \p{N}
    UNICODE_SPACE      // \s, the property White_Space
} UnicodeClass;

UnicodeClass unicode_class_beyond_ascii(uint32_t cp);

static inline UnicodeClass unicode_class(uint32_t cp)
{
    if (cp >= 0x80) return unicode_class_beyond_ascii(cp);
    if ((cp | 32) - 'a' < 26) return UNICODE_LETTER;
    if (cp - '0' < 10) return UNICODE_NUMBER;
    return cp == ' ' || cp - '\t' < 5 ? UNICODE_SPACE : UNICODE_OTHER;
}

#endif
