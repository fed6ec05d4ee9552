// Directories of a model's files, made by a test.
#ifndef LEAD_TESTS_MODEL_FILES_H
#define LEAD_TESTS_MODEL_FILES_H

#include <sys/stat.h>

#include "io/file.h"
#include "llm_world.h"
#include "tests/test.h"

// Makes the directory `name` of a model.
static inline const char *model_directory(TestLog *log, World *w, const char *name)
{
    const char *dir = arena_printf(w->perm, "%s/model-%s", log->tmp, name);
    mkdir(dir, 0777);
    return dir;
}

static inline void model_put(World *w, const char *dir, const char *name, const char *text)
{
    const Status s = file_write(arena_printf(w->perm, "%s/%s", dir, name), text, strlen(text));
    CHECK(!s.code, "%s", s.msg);
}

#endif
