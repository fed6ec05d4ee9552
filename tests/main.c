// The test runner.  `build/tests/run [area...] [--quick]` runs tests/test_<area>.c of each named area, or all of them.
// Each area runs in a process of its own, two at a time, so that a CHECK that aborts one area fails that area and not
// the run; what it printed is shown when it ends.
// Fails (exit 1) when a check failed, when an area ran no check at all, and when an area's name is unknown (exit 2).
//   TMPDIR       where the scratch directory is made (default /tmp); it is removed at the end
//   LEAD_SHARED  the shared data (default ../shared); tests that need it are skipped where it is missing
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/clock.h"
#include "tests/test.h"

#define AREA(name) void test_##name(TestLog *log);
#include "test_list.h"
#undef AREA

typedef struct Area {
    const char *name;
    void (*run)(TestLog *log);
} Area;

static const Area areas[] = {
#define AREA(name) {#name, test_##name},
#include "test_list.h"
#undef AREA
};
enum { N_AREAS = sizeof areas / sizeof *areas, AREA_SECONDS_MAX = 900 };

bool test_check(TestLog *log, bool ok, const char *file, int line, const char *cond, const char *fmt, ...)
{
    if (ok) {
        log->passed++;
        return true;
    }
    log->failed++;
    printf("%s:%d: %s: FAILED (%s): ", file, line, log->area, cond);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    return false;
}

void test_skip(TestLog *log, const char *fmt, ...)
{
    log->skipped++;
    printf("%s: ", log->area);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    if (nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "cannot remove %s: %s\n", dir, strerror(errno));
}

// An area at work: a child that writes what it prints to a file and its three counts to a pipe.
typedef struct Job { const Area *area; pid_t pid; int counts; double start; char out[PATH_MAX + 64]; } Job;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void job_start(Job *j, const Area *area, const TestLog *total)
{
    int fd[2];
    *j = (Job){.area = area, .start = clock_seconds()};
    snprintf(j->out, sizeof j->out, "%s/%s.out", total->tmp, area->name);
    fflush(stdout);
    if (pipe(fd) != 0) die("pipe");
    j->pid = fork();
    if (j->pid < 0) die("fork");
    if (j->pid == 0) {
        close(fd[0]);
        const int out = open(j->out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) die(j->out);
        signal(SIGINT, SIG_DFL);
        alarm(AREA_SECONDS_MAX);
        TestLog log = *total;
        log.area = area->name;
        log.passed = log.failed = log.skipped = 0;
        char tmp[PATH_MAX + 64];   // a scratch directory of its own: two areas may choose the same name
        snprintf(tmp, sizeof tmp, "%s/%s", total->tmp, area->name);
        if (mkdir(tmp, 0777) != 0) die(tmp);
        log.tmp = tmp;
        area->run(&log);
        const long count[3] = {log.passed, log.failed, log.skipped};
        fflush(stdout);
        exit(write(fd[1], count, sizeof count) == sizeof count ? 0 : 1);
    }
    close(fd[1]);
    j->counts = fd[0];
}

static void print_file(const char *path)
{
    char buf[4096];
    FILE *f = fopen(path, "r");
    if (!f) die(path);
    for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;) fwrite(buf, 1, n, stdout);
    fclose(f);
}

// Prints what a job that ended with `status` printed and adds its counts to *total.  False: it was interrupted.
static bool job_end(const Job *j, int status, TestLog *total)
{
    const char *name = j->area->name;
    long count[3] = {0, 0, 0};
    const bool reported = read(j->counts, count, sizeof count) == sizeof count;
    close(j->counts);
    print_file(j->out);
    if (WIFSIGNALED(status)) {
        printf("%s: FAILED: killed by signal %d (%s)\n", name, WTERMSIG(status), strsignal(WTERMSIG(status)));
        count[1]++;
    } else if (!reported || WEXITSTATUS(status) != 0) {
        printf("%s: FAILED: exited with status %d%s\n", name, WEXITSTATUS(status),
               reported ? "" : " before its checks were done");
        count[1]++;
    } else if (count[0] + count[1] + count[2] == 0) {
        printf("%s: FAILED: no check was run\n", name);
        count[1]++;
    }
    printf("%-16s %6ld passed %4ld failed %4ld skipped  %6.1f s\n", name, count[0], count[1], count[2],
           clock_seconds() - j->start);
    total->passed += count[0];
    total->failed += count[1];
    total->skipped += count[2];
    return !(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

// Runs the areas, as many at a time as there are cores (two at most: some want the memory of a whole model).
static void run_areas(const Area *const *area, int n, TestLog *log)
{
    enum { JOBS = 2 };
    Job job[JOBS];
    const int jobs = sysconf(_SC_NPROCESSORS_ONLN) < JOBS ? 1 : JOBS;
    int next = 0, live = 0;
    bool interrupted = false;
    while (live || (next < n && !interrupted)) {
        while (live < jobs && next < n && !interrupted) job_start(&job[live++], area[next++], log);
        int status = 0, at = 0;
        const pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) die("waitpid");
        while (at < live && job[at].pid != pid) at++;
        if (at == live) continue;
        if (!job_end(&job[at], status, log)) interrupted = true;
        job[at] = job[--live];
    }
    if (interrupted) printf("interrupted\n");
}

static const Area *area_find(const char *name)
{
    for (int i = 0; i < N_AREAS; i++)
        if (strcmp(areas[i].name, name) == 0) return &areas[i];
    return NULL;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int main(int argc, char **argv)
{
    // Threads that wait must sleep: after a check on 7 threads, 6 that spin would slow down all that follows.  OpenMP
    // reads this before main, hence the second start.
    if (!getenv("OMP_WAIT_POLICY")) {
        setenv("OMP_WAIT_POLICY", "passive", 1);
        execv("/proc/self/exe", argv);   // returns where there is no /proc: then slowly
    }
    const Area *chosen[64];
    int n = 0;
    TestLog log = {0};
    for (int i = 1; i < argc; i++) {
        const Area *a = area_find(argv[i]);
        if (strcmp(argv[i], "--quick") == 0) log.quick = true;
        else if (a && n < 64) chosen[n++] = a;
        else {
            fprintf(stderr, "want [area...] [--quick], got '%s'; areas:", argv[i]);
            for (int j = 0; j < N_AREAS; j++) fprintf(stderr, " %s", areas[j].name);
            fputc('\n', stderr);
            return 2;
        }
    }
    char lead[PATH_MAX + 16], tmp[PATH_MAX];
    const char *slash = strrchr(argv[0], '/'), *base = getenv("TMPDIR"), *shared = getenv("LEAD_SHARED");
    snprintf(lead, sizeof lead, "%.*s../lead", slash ? (int)(slash + 1 - argv[0]) : 0, argv[0]);
    log.lead = realpath(lead, tmp) ? strcpy(lead, tmp) : lead;
    if (!shared) shared = "../shared";
    log.shared = is_dir(shared) ? shared : NULL;
    snprintf(tmp, sizeof tmp, "%s/lead-test.XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(tmp)) {
        perror(tmp);
        return 1;
    }
    log.tmp = tmp;
    signal(SIGINT, SIG_IGN);   // Ctrl-C ends the running area; the scratch directory is removed all the same
    const Area *all[N_AREAS];
    for (int i = 0; i < N_AREAS; i++) all[i] = &areas[i];
    run_areas(n ? chosen : all, n ? n : N_AREAS, &log);
    remove_tree(tmp);
    if (log.passed == 0 && log.failed == 0) log.failed = 1;   // nothing was proved
    printf("%ld passed, %ld failed, %ld skipped\n", log.passed, log.failed, log.skipped);
    return log.failed != 0;
}
