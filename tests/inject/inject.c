// Faults in a program that does not know of them: a shared object for LD_PRELOAD (x86-64, Linux).  From main on it
// counts what the process asks of the system, kind by kind, and lets the k-th call of one kind fail.
//   LEAD_FAULT=read:7:5       the 7th read fails with errno 5; without it nothing fails
//   LEAD_FAULT_COUNTS=FILE    FAULT_KINDS + 1 numbers of 8 bytes: the calls of each kind, and whether the fault came
// System calls are trapped (seccomp, SIGSYS), so those that the C library makes for itself count as well.  Allocations
// and threads are functions that take the place of the library's.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/inject/kinds.h"

static const char *const kind_name[FAULT_KINDS] = FAULT_NAMES;

// seccomp looks at one number at a time: the list is the filter's and the handler's.
static const struct { int call, kind; } list[] = {
    {SYS_open, FAULT_OPEN}, {SYS_openat, FAULT_OPEN}, {SYS_creat, FAULT_OPEN},
    {SYS_read, FAULT_READ}, {SYS_pread64, FAULT_READ}, {SYS_readv, FAULT_READ},
    {SYS_write, FAULT_WRITE}, {SYS_pwrite64, FAULT_WRITE}, {SYS_writev, FAULT_WRITE},
    {SYS_fsync, FAULT_FSYNC}, {SYS_fdatasync, FAULT_FSYNC},
    {SYS_rename, FAULT_RENAME}, {SYS_renameat, FAULT_RENAME}, {SYS_renameat2, FAULT_RENAME},
    {SYS_close, FAULT_CLOSE},
    {SYS_stat, FAULT_STAT}, {SYS_lstat, FAULT_STAT}, {SYS_fstat, FAULT_STAT}, {SYS_newfstatat, FAULT_STAT},
    {SYS_statx, FAULT_STAT}, {SYS_access, FAULT_STAT}, {SYS_faccessat, FAULT_STAT}, {SYS_faccessat2, FAULT_STAT},
    {SYS_readlink, FAULT_STAT}, {SYS_readlinkat, FAULT_STAT},
    {SYS_mmap, FAULT_MAP}, {SYS_brk, FAULT_MAP},
    {SYS_link, FAULT_NAME}, {SYS_linkat, FAULT_NAME}, {SYS_unlink, FAULT_NAME}, {SYS_unlinkat, FAULT_NAME},
    {SYS_mkdir, FAULT_NAME}, {SYS_mkdirat, FAULT_NAME}, {SYS_rmdir, FAULT_NAME}, {SYS_ftruncate, FAULT_NAME},
    {SYS_truncate, FAULT_NAME}, {SYS_flock, FAULT_NAME}, {SYS_getdents64, FAULT_NAME}, {SYS_lseek, FAULT_NAME},
    {SYS_getcwd, FAULT_NAME},
};
enum { N_LIST = sizeof list / sizeof *list };

static long *counts;             // NULL before main
static long nowhere[FAULT_KINDS + 1];
static int kind = -1, error;
static long at;

// The one system call that is let through, whatever its number.
long fault_raw(long call, long a, long b, long c, long d, long e, long f);
extern char fault_after[];
__asm__(".globl fault_raw\n.type fault_raw,@function\nfault_raw:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\n"
        "syscall\n.globl fault_after\nfault_after:\nret\n");

// Whether this call of kind k is the one.
static int is_now(int k)
{
    if (!counts || k == FAULT_SHORT) return 0;
    const long n = __atomic_add_fetch(&counts[k], 1, __ATOMIC_RELAXED);
    const int now = k == kind && n == at;
    if (now) counts[FAULT_KINDS] = 1;
    return now;
}

// A read or a write that ends half-way, as the system may end any.
static int is_short(int k, size_t bytes)
{
    if (!counts || (k != FAULT_READ && k != FAULT_WRITE) || bytes < 2) return 0;
    const long n = __atomic_add_fetch(&counts[FAULT_SHORT], 1, __ATOMIC_RELAXED);
    const int now = kind == FAULT_SHORT && n == at;
    if (now) counts[FAULT_KINDS] = 1;
    return now;
}

static int kind_of(long call)
{
    for (int i = 0; i < N_LIST; i++)
        if (list[i].call == call) return list[i].kind;
    return -1;
}

static void on_call(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const int saved = errno, k = kind_of(info->si_syscall);
    long third = r[REG_RDX];
    (void)sig;
    const int vector = info->si_syscall == SYS_readv || info->si_syscall == SYS_writev;
    if (!vector && is_short(k, (size_t)third)) third = (third + 1) / 2;
    const int now = is_now(k);
    // a file is closed even where close says that it failed
    if (!now || k == FAULT_CLOSE)
        r[REG_RAX] = fault_raw(info->si_syscall, r[REG_RDI], r[REG_RSI], third, r[REG_R10], r[REG_R8], r[REG_R9]);
    if (now) r[REG_RAX] = info->si_syscall == SYS_brk ? fault_raw(SYS_brk, 0, 0, 0, 0, 0, 0) : -error;
    errno = saved;
}

static void trap(void)
{
    struct sigaction sa = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sock_filter code[8 + N_LIST];
    const uint64_t after = (uint64_t)(uintptr_t)fault_after;
    unsigned short n = 0;
#define LOAD(field, more) code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
                                                                   offsetof(struct seccomp_data, field) + more)
#define IF(value, yes, no) code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(what) code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what)
    LOAD(instruction_pointer, 0);
    IF((uint32_t)after, 0, 3);
    LOAD(instruction_pointer, 4);
    IF((uint32_t)(after >> 32), 0, 1);
    RETURN(SECCOMP_RET_ALLOW);
    LOAD(nr, 0);
    for (int i = 0; i < N_LIST; i++) IF((uint32_t)list[i].call, (unsigned char)(N_LIST - i), 0);
    RETURN(SECCOMP_RET_ALLOW);
    RETURN(SECCOMP_RET_TRAP);
    const struct sock_fprog program = {n, code};
    if (sigaction(SIGSYS, &sa, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(FAULT_IMPOSSIBLE);
}

static long *counts_file(const char *path)
{
    const int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0666) : -1;
    if (fd < 0 || ftruncate(fd, sizeof nowhere)) return nowhere;
    void *p = mmap(NULL, sizeof nowhere, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? nowhere : p;
}

static int (*real_main)(int, char **, char **);

static int counted_main(int argc, char **argv, char **env)
{
    const char *fault = getenv("LEAD_FAULT");
    char *end;
    for (int k = 0; fault && k < FAULT_KINDS; k++) {
        const size_t len = strlen(kind_name[k]);
        if (strncmp(fault, kind_name[k], len) || fault[len] != ':') continue;
        kind = k;
        at = strtol(fault + len + 1, &end, 10);
        error = *end == ':' ? atoi(end + 1) : EIO;
    }
    long *c = counts_file(getenv("LEAD_FAULT_COUNTS"));
    unsetenv("LD_PRELOAD");
    trap();
    counts = c;
    return real_main(argc, argv, env);
}

typedef int StartMain(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                      void *);

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    StartMain *start = (StartMain *)(uintptr_t)dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = main;
    return start(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

// ---- allocations and threads

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static int no_memory(void)
{
    if (!is_now(FAULT_ALLOC)) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t n) { return no_memory() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t each) { return no_memory() ? NULL : __libc_calloc(n, each); }
void *realloc(void *p, size_t n) { return no_memory() ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t align, size_t n) { return no_memory() ? NULL : __libc_memalign(align, n); }
void *memalign(size_t align, size_t n) { return no_memory() ? NULL : __libc_memalign(align, n); }

int posix_memalign(void **p, size_t align, size_t n)
{
    if (no_memory()) return ENOMEM;
    *p = __libc_memalign(align, n);
    return *p ? 0 : ENOMEM;
}

typedef int Create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    static Create *create;
    if (is_now(FAULT_THREAD)) return EAGAIN;
    if (!create) create = (Create *)(uintptr_t)dlsym(RTLD_NEXT, "pthread_create");
    return create(t, attr, run, arg);
}
