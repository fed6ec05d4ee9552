#include "llm/gpt2_published.h"

#include <string.h>

static const struct { const char *name, *hash; bool again; const char *transposed; } rows[] = {
#include "llm/gpt2_hashes.inl"
};
enum { ROWS = (int)(sizeof rows / sizeof *rows) };

const char *gpt2_published_name(int i) { return i < ROWS ? rows[i].name : NULL; }

Published gpt2_published(const SafeTensor *t, Sha256Hex *hash, bool *again)
{
    static const char prefix[] = "transformer.";
    const char *name = strncmp(t->name, prefix, sizeof prefix - 1) ? t->name : t->name + sizeof prefix - 1;
    *hash = sha256_hex_of(t->data, (size_t)t->count * safetensors_type_size(t->type));
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name)) continue;
        if (again) *again = rows[i].again;
        if (!strcmp(rows[i].hash, hash->s)) return PUBLISHED_SAME;
        return rows[i].transposed && !strcmp(rows[i].transposed, hash->s) ? PUBLISHED_TRANSPOSED : PUBLISHED_OTHER;
    }
    return PUBLISHED_UNKNOWN;
}
