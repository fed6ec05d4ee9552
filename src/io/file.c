#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/ranks.h"

static const char *kind_name(mode_t mode)
{
    return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

bool file_absent(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

const char *file_bundled(const char *path, Arena *a)
{
    static const char *const places[] = {"../data/", "../../data/", "data/", "../share/lead/"};
    const char *name = strncmp(path, "data/", 5) ? path : path + 5;
    char program[PATH_MAX];
    if (!file_absent(path)) return path;
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program);
    if (n <= 0 || n == (ssize_t)sizeof program) return path;
    const char *slash = memrchr(program, '/', (size_t)n);
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        const char *at = arena_printf(a, "%.*s/%s%s", (int)(slash - program), program, places[i], name);
        if (!file_absent(at)) return at;
    }
    return path;
}

// Opens a regular, non-empty file of at most max_bytes.  O_NONBLOCK: opening a pipe must not wait for its writer.
static Status open_regular(int *fd, size_t *size, const char *path, size_t max_bytes)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return ERROR("%s: cannot open: %s", path, strerror(errno));
    struct stat st;
    Status s = OK;
    if (fstat(*fd, &st) != 0)
        s = ERROR("%s: cannot stat: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = ERROR("%s: want a regular file, got %s", path, kind_name(st.st_mode));
    else if (st.st_size == 0)
        s = ERROR("%s: the file is empty", path);
    else if ((size_t)st.st_size > max_bytes)
        s = ERROR("%s: want at most %zu bytes, got %zu", path, max_bytes, (size_t)st.st_size);
    if (s.code)
        close(*fd);
    else
        *size = (size_t)st.st_size;
    return s;
}

Status file_read(char **text, size_t *size, Arena *a, const char *path, size_t max_bytes)
{
    int fd;
    TRY(open_regular(&fd, size, path, max_bytes));
    char *p = arena_alloc(a, *size + 1);
    size_t got = 0;
    while (got < *size) {
        ssize_t n = read(fd, p + got, *size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            int err = errno;
            close(fd);
            if (n == 0) return ERROR("%s: want %zu bytes, got %zu: shortened while it was read", path, *size, got);
            return ERROR("%s: cannot read: %s", path, strerror(err));
        }
        got += (size_t)n;
    }
    close(fd);
    p[got] = 0;
    *text = p;
    return OK;
}

Status file_map(FileMap *m, const char *path)
{
    int fd;
    size_t size;
    *m = (FileMap){0};
    TRY(open_regular(&fd, &size, path, (size_t)PTRDIFF_MAX));
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    int err = errno;
    close(fd);
    if (p == MAP_FAILED) return ERROR("%s: cannot map %zu bytes: %s", path, size, strerror(err));
    *m = (FileMap){.data = p, .size = size};
    return OK;
}

void file_unmap(FileMap *m)
{
    if (m->data) munmap(m->data, m->size);
    *m = (FileMap){0};
}

// Files that are not whole yet.  A program that ends in the middle (out of memory) leaves none of them: exit runs
// functions without an argument, so this is one of the few things that are global.
static struct { pid_t of; char path[PATH_MAX + 32]; } unfinished[8];
enum { N_UNFINISHED = (int)(sizeof unfinished / sizeof *unfinished) };

static void remove_unfinished(void)
{
    for (int i = 0; i < N_UNFINISHED; i++)
        if (unfinished[i].of == getpid()) unlink(unfinished[i].path);
}

static void note_unfinished(const char *path)
{
    static bool registered;
    if (!registered) registered = atexit(remove_unfinished) == 0;
    for (int i = 0; i < N_UNFINISHED; i++) {
        if (unfinished[i].of == getpid()) continue;
        unfinished[i].of = getpid();
        memcpy(unfinished[i].path, path, strlen(path) + 1);
        return;
    }
}

static void forget_unfinished(const char *path)
{
    for (int i = 0; i < N_UNFINISHED; i++)
        if (unfinished[i].of && strcmp(unfinished[i].path, path) == 0) unfinished[i].of = 0;
}

// A new file beside the target, which no other process uses.
static Status open_temporary(FileWriter *w, mode_t mode)
{
    int fd = -1;
    for (int i = 0; fd < 0 && i < 1000; i++) {
        snprintf(w->tmp, sizeof w->tmp, "%s.tmp%ld.%d", w->path, (long)getpid(), i);
        fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (fd < 0) return ERROR("%s: cannot create a temporary file beside it: %s", w->path, strerror(errno));
    w->f = fdopen(fd, "wb");
    if (w->f) {
        note_unfinished(w->tmp);
        return OK;
    }
    Status s = ERROR("%s: cannot open: %s", w->path, strerror(errno));
    close(fd);
    unlink(w->tmp);
    return s;
}

static Status open_stdout(FileWriter *w)
{
    fflush(stdout);
    const int fd = dup(1);
    w->direct = true;
    memcpy(w->path, "-", 2);
    w->f = fd < 0 ? NULL : fdopen(fd, "wb");
    return w->f ? OK : ERROR("stdout: cannot write: %s", strerror(errno));
}

Status file_open(FileWriter *w, const char *path)
{
    w->f = NULL;
    w->saved_errno = 0;
    w->direct = false;
    if (!ranks_first()) path = "/dev/null";
    size_t len = strlen(path);
    if (len == 0) return ERROR("want the name of an output file, got an empty name");
    if (len >= sizeof w->path) return ERROR("%.100s...: the name has %zu bytes, at most %d are possible", path, len,
                                            PATH_MAX - 1);
    if (strcmp(path, "-") == 0) return open_stdout(w);
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT) return ERROR("%s: cannot write: %s", path, strerror(errno));
        memcpy(w->path, path, len + 1);
        return open_temporary(w, 0666);
    }
    if (S_ISDIR(st.st_mode)) return ERROR("%s: want an output file, got a directory", path);
    if (access(path, W_OK) != 0) return ERROR("%s: cannot write: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) {
        memcpy(w->path, path, len + 1);
        w->direct = true;
        w->f = fopen(path, "wbe");
        return w->f ? OK : ERROR("%s: cannot open: %s", path, strerror(errno));
    }
    if (!realpath(path, w->path)) return ERROR("%s: cannot resolve: %s", path, strerror(errno));
    TRY(open_temporary(w, 0600));
    (void)fchmod(fileno(w->f), st.st_mode & 0777);   // keep the access rights of the file that is replaced
    return OK;
}

void file_put(FileWriter *w, const void *data, size_t bytes)
{
    if (bytes == 0 || w->saved_errno) return;
    errno = 0;
    if (fwrite(data, 1, bytes, w->f) != bytes) w->saved_errno = errno ? errno : EIO;
}

void file_abort(FileWriter *w)
{
    if (!w->f) return;
    fclose(w->f);
    w->f = NULL;
    if (w->direct) return;
    unlink(w->tmp);
    forget_unfinished(w->tmp);
}

static Status copy_file(const char *to, const char *from)
{
    FileMap m;
    TRY(file_map(&m, from));
    const Status s = file_write(to, m.data, m.size);
    file_unmap(&m);
    return s;
}

// At no moment is there no file of either name: a second name that is moved, or a copy on a file system without links.
static Status keep_previous_version(const char *path)
{
    char prev[PATH_MAX + 8], aside[PATH_MAX + 48];
    bool there;
    TRY(file_exists(path, &there));
    if (!there) return OK;
    snprintf(prev, sizeof prev, "%s.prev", path);
    snprintf(aside, sizeof aside, "%s.tmp%ld.0", prev, (long)getpid());
    (void)unlink(aside);   // of an earlier process of this number
    if (link(path, aside) != 0) return copy_file(prev, path);
    const int err = rename(aside, prev) ? errno : 0;
    (void)unlink(aside);   // is there still where both were one file already
    return err ? ERROR("%s: cannot keep the previous version: %s", prev, strerror(err)) : OK;
}

static Status sync_directory(char *path)
{
    char copy[PATH_MAX];
    memcpy(copy, path, strlen(path) + 1);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return OK;   // a directory that may be written but not read: the rename itself succeeded
    int rc = fsync(fd), err = errno;
    close(fd);
    if (rc != 0 && err != EINVAL) return ERROR("%s: cannot sync its directory: %s", path, strerror(err));
    return OK;
}

Status file_sync(FileWriter *w)
{
    CHECK(w->f, "file_sync: the writer is closed");
    int err = w->saved_errno;
    errno = 0;
    if (!err && fflush(w->f) != 0) err = errno;
    if (!err && ferror(w->f)) err = EIO;             // an fprintf of the caller failed
    if (!err && fsync(fileno(w->f)) != 0 && !(w->direct && errno != EIO && errno != ENOSPC)) err = errno;
    if (!err) return OK;
    file_abort(w);
    return ERROR("%s: cannot write: %s", w->path, strerror(err));
}

Status file_commit(FileWriter *w, bool keep_previous)
{
    TRY(file_sync(w));
    int err = fclose(w->f) != 0 ? errno : 0;
    w->f = NULL;
    if (w->direct) return err ? ERROR("%s: cannot write: %s", w->path, strerror(err)) : OK;
    Status s = err ? ERROR("%s: cannot write: %s", w->path, strerror(err)) : OK;
    if (!s.code && keep_previous) s = keep_previous_version(w->path);
    if (!s.code && rename(w->tmp, w->path) != 0)
        s = ERROR("%s: cannot rename the finished file to it: %s", w->path, strerror(errno));
    if (s.code) unlink(w->tmp);
    forget_unfinished(w->tmp);
    return s.code ? s : sync_directory(w->path);
}

Status file_try(const char *path)
{
    struct stat st;   // opening a pipe may wait for its reader
    if (!ranks_first()) return OK;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return access(path, W_OK) ? ERROR("%s: cannot write: %s", path, strerror(errno)) : OK;
    FileWriter w;
    TRY(file_open(&w, path));
    file_abort(&w);
    return OK;
}

Status file_write(const char *path, const void *data, size_t bytes)
{
    FileWriter w;
    TRY(file_open(&w, path));
    file_put(&w, data, bytes);
    return file_commit(&w, false);
}

// ---- texts

// The C library has no memory: the owner of the arena says so, as if it were full.
static void give_up(Arena *a) { (void)arena_alloc(a, SIZE_MAX); }

void text_open(TextWriter *t, Arena *a)
{
    *t = (TextWriter){.a = a};
    t->f = open_memstream(&t->text, &t->n);
    if (!t->f) give_up(a);
}

const char *text_close(TextWriter *t)
{
    const bool lost = ferror(t->f);
    if (fclose(t->f) || lost || !t->text) give_up(t->a);
    char *kept = arena_alloc(t->a, t->n + 1);
    memcpy(kept, t->text, t->n + 1);
    free(t->text);
    t->f = NULL;
    return t->text = kept;
}

Status file_exists(const char *path, bool *there)
{
    struct stat sb;
    *there = stat(path, &sb) == 0;
    return *there || errno == ENOENT || errno == ENOTDIR ? OK : ERROR("%s: cannot look: %s", path, strerror(errno));
}

// ---- directories

Status directory_make(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return OK;
    return ERROR("%s: cannot make the directory: %s", path, strerror(errno));
}

Status directory_make_all(const char *path)
{
    char part[PATH_MAX];
    if (strlen(path) >= sizeof part) return ERROR("%.60s..: want a path of less than %d bytes", path, PATH_MAX);
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = 0;
        TRY(directory_make(part));
    }
    return directory_make(path);
}
