// UTF-8, and text that is safe to show.
#ifndef LEAD_TENSOR_UTF8_H
#define LEAD_TENSOR_UTF8_H

#include <stddef.h>
#include <stdint.h>

// Length (1..4) of the UTF-8 sequence at p, of which n > 0 bytes are left, and its code point in *cp; 0 when it is
// invalid (overlong, surrogate, beyond U+10FFFF, truncated).
int utf8_decode(const unsigned char *p, size_t n, uint32_t *cp);
// Writes the sequence of cp to p[0..3] and returns its length.
int utf8_encode(unsigned char *p, uint32_t cp);

// Copies at most n bytes of text to out[cap] (cap > 4; always NUL-terminated, cut at a whole character) so that a
// terminal shows it and obeys nothing in it: control characters (escape sequences), bytes that are no UTF-8, and
// characters that hide or turn text around become \xNN.  Returns the length.
size_t text_clean(char *out, size_t cap, const char *text, size_t n);

#endif
