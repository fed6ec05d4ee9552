// tests/layers.sh itself can fail: an upward include, an unknown module and an empty tree are all noticed.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/test.h"

static int layers(TestLog *log, const char *root)
{
    char cmd[4096];
    snprintf(cmd, sizeof cmd, "sh tests/layers.sh '%s' > '%s/layers.out' 2>&1", root, log->tmp);
    return system(cmd);
}

// A tree of one file src/<module>/x.c that holds `line`.
static int layers_of(TestLog *log, int id, const char *module, const char *line)
{
    char root[2048], path[4096];
    snprintf(root, sizeof root, "%s/layers%d", log->tmp, id);
    mkdir(root, 0777);
    snprintf(path, sizeof path, "%s/src", root);
    mkdir(path, 0777);
    if (module) {
        snprintf(path, sizeof path, "%s/src/%s", root, module);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/src/%s/x.c", root, module);
        FILE *f = fopen(path, "w");
        if (!f) return -1;
        fprintf(f, "%s\n", line);
        fclose(f);
    }
    return layers(log, root);
}

void test_layers(TestLog *log)
{
    TEST(log, layers(log, ".") == 0, "the tree has an include that points upwards: make layers");
    TEST(log, layers_of(log, 1, "nn", "#include \"tensor/tensor.h\"") == 0, "nn may include tensor");
    TEST(log, layers_of(log, 2, "tensor", "#include \"autograd/tape.h\"") != 0, "tensor -> autograd passed");
    TEST(log, layers_of(log, 3, "llm", "#include \"diffusion/unet.h\"") != 0, "llm -> diffusion passed");
    TEST(log, layers_of(log, 4, "lead", "  #  include <tests/test.h>") != 0, "lead -> tests passed");
    TEST(log, layers_of(log, 5, "traffic", "#include \"nn/params.h\"") != 0, "traffic -> nn passed");
    TEST(log, layers_of(log, 6, "news", "#include <stdio.h>") != 0, "an unknown module passed");
    TEST(log, layers_of(log, 7, "tensor", "#include \"../nn/params.h\"") != 0, "a relative path upwards passed");
    TEST(log, layers_of(log, 8, "tensor", "int x;") != 0, "zero includes passed");
    TEST(log, layers_of(log, 9, NULL, NULL) != 0, "an empty tree passed");
}
