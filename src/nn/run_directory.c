#include "nn/run_directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static bool exists(const char *dir, const char *name, Arena *scratch)
{
    struct stat sb;
    const size_t mark = arena_mark(scratch);
    const bool there = stat(arena_printf(scratch, "%s/%s", dir, name), &sb) == 0;
    arena_rewind(scratch, mark);
    return there;
}

RunState run_directory_state(const char *dir, Arena *scratch)
{
    if (exists(dir, RUN_CHECKPOINT, scratch)) return RUN_UNFINISHED;
    return exists(dir, RUN_BEST, scratch) || exists(dir, RUN_FINAL, scratch) ? RUN_FINISHED : RUN_NONE;
}

Status run_directory_prepare(const char *dir, bool resume, Arena *scratch)
{
    const RunState state = run_directory_state(dir, scratch);
    if (state == RUN_UNFINISHED && !resume)
        return ERROR("%s: holds a run already; --resume goes on with it, or give another --out", dir);
    if (state == RUN_FINISHED && !resume) return ERROR("%s: holds a finished run; give another --out", dir);
    if (state != RUN_UNFINISHED && resume) return ERROR("%s: want " RUN_CHECKPOINT " to resume from, found none", dir);
    return directory_make(dir);
}

static Status remove_file(const char *dir, const char *name, Arena *scratch)
{
    static const char *const suffix[] = {"", ".prev"};
    const size_t mark = arena_mark(scratch);
    for (int i = 0; i < 2; i++) {
        const char *path = arena_printf(scratch, "%s/%s%s", dir, name, suffix[i]);
        if (unlink(path) && errno != ENOENT && errno != ENOTDIR)
            return ERROR("%s: cannot remove: %s", path, strerror(errno));
    }
    arena_rewind(scratch, mark);
    return OK;
}

Status run_directory_finish(const char *dir, Arena *scratch) { return remove_file(dir, RUN_CHECKPOINT, scratch); }

Status run_directory_remove(const char *dir, Arena *scratch)
{
    static const char *const names[] = {RUN_CHECKPOINT, RUN_BEST, RUN_FINAL, "log.jsonl", "config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) TRY(remove_file(dir, names[i], scratch));
    return OK;
}

Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    *log = (RunLog){fopen(arena_printf(scratch, "%s/log.jsonl", dir), resume ? "a" : "w"), dir};
    arena_rewind(scratch, mark);
    return log->f ? OK : ERROR("%s/log.jsonl: cannot write: %s", dir, strerror(errno));
}

Status run_log_close(RunLog *log)
{
    const bool bad = ferror(log->f) != 0;
    if (fclose(log->f) || bad) return ERROR("%s/log.jsonl: write failed: %s", log->dir, strerror(errno));
    return OK;
}
