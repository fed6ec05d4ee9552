#include "nn/run_directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"

Status run_directory_prepare(const char *dir, bool resume, Arena *scratch)
{
    struct stat sb;
    const size_t mark = arena_mark(scratch);
    const bool there = stat(arena_printf(scratch, "%s/" RUN_CHECKPOINT, dir), &sb) == 0;
    arena_rewind(scratch, mark);
    if (there && !resume)
        return ERROR("%s: holds a run already; --resume goes on with it, or give another --out", dir);
    if (!there && resume) return ERROR("%s: want " RUN_CHECKPOINT " to resume from, found none", dir);
    return directory_make(dir);
}

Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *a)
{
    log->path = arena_printf(a, "%s/log.jsonl", dir);
    log->f = fopen(log->path, resume ? "a" : "w");
    return log->f ? OK : ERROR("%s: cannot write: %s", log->path, strerror(errno));
}

Status run_log_close(RunLog *log)
{
    const bool bad = ferror(log->f) != 0;
    if (fclose(log->f) || bad) return ERROR("%s: write failed: %s", log->path, strerror(errno));
    return OK;
}
