// The libFuzzer program of one target: -DTARGET=fuzz_json.  With -DSEEDS='"json"': writes the seeds of that target to
// the directory argv[1] instead.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/targets.h"

#ifdef TARGET
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static FuzzWorld w;    // made once: two mappings an input would be most of the time
    if (!w.a) w = fuzz_world();
    const size_t a = arena_mark(w.a), scratch = arena_mark(w.scratch);
    TARGET(&w, data, size);    // libFuzzer hands over a copy of exactly this size
    arena_rewind(w.a, a);
    arena_rewind(w.scratch, scratch);
    return 0;
}
#else
typedef struct Out { const char *dir, *name; int n; } Out;

static void put(void *arg, const void *data, size_t size)
{
    Out *o = arg;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%02d", o->dir, o->name, o->n++);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    FuzzWorld w = fuzz_world();
    for (int i = 0; i < FUZZ_KINDS; i++)
        if (!strcmp(fuzz_kinds()[i].name, argv[1])) fuzz_kinds()[i].seeds(&w, put, &(Out){argv[2], argv[1], 0});
    return 0;
}
#endif
