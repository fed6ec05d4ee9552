#include "nn/run_directory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "tensor/ranks.h"

#define LOCK "lock"
#define LOG "log.jsonl"

static const char *const suffix[] = {".prev", ""};   // in the order of removal: what is newest stays longest
enum { N_SUFFIX = 2 };
// What a run writes.
static const char *const own[] = {RUN_CHECKPOINT, RUN_BEST, RUN_FINAL, RUN_START, RUN_START_FINAL, LOG, "config.json"};
enum { N_OWN = (int)(sizeof own / sizeof *own) };
// Weights that lead gpt2 or others wrote.
static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors",
                                      "bottleneck.safetensors", "pytorch_model.bin"};
enum { N_WEIGHTS = (int)(sizeof weights / sizeof *weights) };

// ---- what is there

Status run_directory_holds(const char *dir, const char *name, bool *there, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    *there = false;
    for (int i = 0; i < N_SUFFIX && !*there; i++)
        TRY(file_exists(arena_printf(scratch, "%s/%s%s", dir, name, suffix[i]), there));
    arena_rewind(scratch, mark);
    return OK;
}

Status run_directory_state(const char *dir, RunState *state, Arena *scratch)
{
    bool checkpoint, best, final;
    TRY(run_directory_holds(dir, RUN_CHECKPOINT, &checkpoint, scratch));
    TRY(run_directory_holds(dir, RUN_BEST, &best, scratch));
    TRY(run_directory_holds(dir, RUN_FINAL, &final, scratch));
    *state = checkpoint ? RUN_UNFINISHED : best || final ? RUN_FINISHED : RUN_NONE;
    return OK;
}

Status run_directory_read(SafeFile *f, Arena *a, const char *dir, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        bool there;
        TRY(run_directory_holds(dir, names[i], &there, a));
        if (there) return checkpoint_open(f, a, arena_printf(a, "%s/%s", dir, names[i]));
    }
    return ERROR("%s: want a run, %s%s%s, found none", dir, names[0], n > 1 ? " or " : "", n > 1 ? names[n - 1] : "");
}

static Status check_state(const char *dir, bool resume, Arena *scratch)
{
    RunState state;
    TRY(run_directory_state(dir, &state, scratch));
    if (state == RUN_UNFINISHED && !resume)
        return ERROR("%s: holds a run already; --resume goes on with it, or give another --out", dir);
    if (state == RUN_FINISHED && !resume) return ERROR("%s: holds a finished run; give another --out", dir);
    if (state != RUN_UNFINISHED && resume) return ERROR("%s: want " RUN_CHECKPOINT " to resume from, found none", dir);
    for (int i = 0; i < N_WEIGHTS && !resume; i++) {
        bool there;
        TRY(run_directory_holds(dir, weights[i], &there, scratch));
        if (there) return ERROR("%s: holds weights, %s; give another --out", dir, weights[i]);
    }
    return OK;
}

// A link would have the run write elsewhere.
static Status refuse_links(const char *dir, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    struct stat sb;
    for (int i = 0; i < N_OWN; i++)
        for (int k = 0; k < N_SUFFIX; k++) {
            const char *path = arena_printf(scratch, "%s/%s%s", dir, own[i], suffix[k]);
            if (lstat(path, &sb) == 0 && S_ISLNK(sb.st_mode))
                return ERROR("%s: want a file of the run, got a symbolic link", path);
        }
    arena_rewind(scratch, mark);
    return OK;
}

// ---- temporary files of processes that are no more

// The process in "NAME.tmpPID.I", where NAME is a file of a run or its weights; 0: it is no such name.
static long temporary_of(const char *name)
{
    const char *tmp = strstr(name, ".tmp"), *p = tmp ? tmp + 4 : NULL;
    if (!tmp || !isdigit((unsigned char)*p)) return 0;
    char *end;
    const long pid = strtol(p, &end, 10);
    if (*end != '.' || !end[1] || strspn(end + 1, "0123456789") != strlen(end + 1)) return 0;
    for (int i = 0; i < N_OWN + N_WEIGHTS; i++) {
        const char *of = i < N_OWN ? own[i] : weights[i - N_OWN];
        const size_t n = strlen(of);
        if (strncmp(name, of, n) == 0 && (name + n == tmp || (name + n + 5 == tmp && !strncmp(name + n, ".prev", 5))))
            return pid;
    }
    return 0;
}

// This process has none yet: one of its number is from an earlier life of the machine or container.
static bool is_gone(long pid) { return pid == (long)getpid() || (kill((pid_t)pid, 0) && errno == ESRCH); }

static void remove_temporaries(const char *dir, Arena *scratch)
{
    DIR *d = opendir(dir);
    if (!d) return;   // a directory that may be written but not read
    const size_t mark = arena_mark(scratch);
    for (const struct dirent *e; (e = readdir(d));) {
        const long pid = temporary_of(e->d_name);
        if (pid > 0 && is_gone(pid)) (void)unlink(arena_printf(scratch, "%s/%s", dir, e->d_name));
    }
    arena_rewind(scratch, mark);
    closedir(d);
}

// ---- the lock

static Status held_by(int fd, const char *dir)
{
    char text[300] = "", host[256];
    long pid;
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    if (n > 0 && sscanf(text, "%ld %255s", &pid, host) == 2)
        return ERROR("%s: process %ld on %s is training in it; want it to end first, or another --out", dir, pid, host);
    return ERROR("%s: another process is training in it; want it to end first, or another --out", dir);
}

// Whether the file that was locked is still the one of that name: its last holder may have removed it.
static bool still_there(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static Status lock(RunDirectory *d, Arena *a)
{
    const char *path = arena_printf(a, "%s/" LOCK, d->path);
    for (;;) {
        d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (d->lock < 0) return ERROR("%s: cannot write: %s", path, strerror(errno));
        if (flock(d->lock, LOCK_EX | LOCK_NB)) {
            const int err = errno, fd = d->lock;
            if (err == EWOULDBLOCK) {
                d->lock = -1;
                return held_by(fd, d->path);
            }
            if (err != EINTR) {
                d->note = arena_printf(a, "%s: no lock to be had there (%s): nothing keeps a second process from "
                                       "training in it", d->path, strerror(err));
                break;
            }
        } else if (still_there(d->lock, path)) break;
        close(d->lock);
    }
    char host[256] = "?", text[300];
    (void)gethostname(host, sizeof host - 1);
    const int n = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), host);
    if (ftruncate(d->lock, 0) || pwrite(d->lock, text, (size_t)n, 0) != n) {}   // it holds without a name too
    return OK;
}

void run_directory_close(RunDirectory *d)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" LOCK, d->path);
    if (d->lock >= 0) {
        (void)unlink(path);
        close(d->lock);
        d->lock = -1;
    }
    if (d->made) (void)rmdir(d->path);   // only one that is still empty goes
}

static Status take(RunDirectory *d, const char *dir, bool resume, Arena *a)
{
    bool there;
    if (strlen(dir) + 64 >= PATH_MAX)
        return ERROR("%.100s..: want a path of less than %d bytes, got %zu", dir, PATH_MAX - 64, strlen(dir));
    TRY(file_exists(dir, &there));
    d->made = !there;
    if (resume) TRY(check_state(dir, true, a));   // before anything is made
    TRY(directory_make(dir));
    Status s = lock(d, a);
    if (!s.code) s = check_state(dir, resume, a);
    if (!s.code) s = refuse_links(dir, a);
    if (!s.code) remove_temporaries(dir, a);
    else run_directory_close(d);
    return s;
}

Status run_directory_open(RunDirectory *d, const char *dir, bool resume, Arena *a)
{
    *d = (RunDirectory){.path = dir, .lock = -1};
    return ranks_agree(ranks_first() ? take(d, dir, resume, a) : OK);
}

// ---- removing

static Status remove_file(const char *dir, const char *name, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    for (int i = 0; i < N_SUFFIX; i++) {
        const char *path = arena_printf(scratch, "%s/%s%s", dir, name, suffix[i]);
        if (unlink(path) && errno != ENOENT && errno != ENOTDIR)
            return ERROR("%s: cannot remove: %s", path, strerror(errno));
    }
    arena_rewind(scratch, mark);
    return OK;
}

static Status finish(const char *dir, Arena *scratch)
{
    TRY(remove_file(dir, RUN_START, scratch));
    TRY(remove_file(dir, RUN_START_FINAL, scratch));
    TRY(remove_file(dir, RUN_CHECKPOINT, scratch));
    bool final;
    TRY(file_exists(arena_printf(scratch, "%s/" RUN_FINAL, dir), &final));
    const char *prev = arena_printf(scratch, "%s/" RUN_BEST ".prev", dir);
    return !final || !unlink(prev) || errno == ENOENT ? OK : ERROR("%s: cannot remove: %s", prev, strerror(errno));
}

Status run_directory_finish(const char *dir, Arena *scratch)
{
    return ranks_agree(ranks_first() ? finish(dir, scratch) : OK);
}

Status run_directory_remove(const char *dir, Arena *scratch)
{
    bool there;
    RunDirectory d = {.path = dir, .lock = -1};
    TRY(file_exists(dir, &there));
    if (!there) return OK;
    TRY(lock(&d, scratch));
    Status s = OK;
    for (int i = 0; i < N_OWN && !s.code; i++) s = remove_file(dir, own[i], scratch);
    run_directory_close(&d);
    return s;
}

// ---- the log

// Cuts what follows the last newline: a process was killed while it wrote.
static Status cut_last_line(int fd, const char *dir)
{
    off_t end = lseek(fd, 0, SEEK_END);
    char c = '\n';
    for (off_t at = end; at > 0 && pread(fd, &c, 1, at - 1) == 1 && c != '\n';) end = --at;
    return end < 0 || ftruncate(fd, end) ? ERROR("%s/" LOG ": cannot write: %s", dir, strerror(errno)) : OK;
}

static Status open_log(RunLog *log, const char *dir, bool resume, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const char *path = arena_printf(scratch, "%s/" LOG, dir);
    const int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (resume ? 0 : O_TRUNC), 0666);
    arena_rewind(scratch, mark);
    if (fd < 0) return ERROR("%s/" LOG ": cannot write: %s", dir, strerror(errno));
    const Status s = cut_last_line(fd, dir);
    if (s.code) close(fd);
    else *log = (RunLog){fd, dir};
    return s;
}

Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *scratch)
{
    const Status s = ranks_agree(ranks_first() ? open_log(log, dir, resume, scratch) : OK);
    if (!s.code && !ranks_first()) *log = (RunLog){-1, dir};
    return s;
}

static Status add_line(const RunLog *log, const char *text)
{
    const size_t n = strlen(text);
    size_t done = 0;
    const off_t before = lseek(log->fd, 0, SEEK_END);
    while (done < n) {
        const ssize_t wrote = write(log->fd, text + done, n - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) break;
        done += (size_t)wrote;
    }
    if (done == n) return OK;
    const int err = errno;
    if (before >= 0 && done && ftruncate(log->fd, before)) {}   // what cannot be cut stays
    return ERROR("%s/" LOG ": cannot write: %s", log->dir, strerror(err));
}

Status run_log_line(RunLog *log, const char *text)
{
    return ranks_agree(ranks_first() ? add_line(log, text) : OK);
}

Status run_log_close(RunLog *log)
{
    const int fd = log->fd;
    log->fd = 0;
    if (fd > 0 && close(fd)) return ERROR("%s/" LOG ": write failed: %s", log->dir, strerror(errno));
    return OK;
}
