// System calls that fail on demand: a function is run in a child process in which each of the named calls fails at once
// with its error, whoever makes it (seccomp, by the number of the call).
#ifndef LEAD_TESTS_FAULTS_H
#define LEAD_TESTS_FAULTS_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Fault { long call; int error; } Fault;   // {SYS_flock, ENOLCK}

enum { FAULTS_MOST = 16, FAULT_SKIP = 77 };

// From here on these calls of this process fail.  false: the kernel has no such filters.
static inline bool fault_install(const Fault *f, int n)
{
    struct sock_filter code[2 + 2 * FAULTS_MOST];
    unsigned short at = 0;
    if (n > FAULTS_MOST) return false;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < n; i++) {
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)f[i].call, 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)f[i].error);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {at, code};
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// What run(arg) returns in a child in which the calls fail (0 .. 76); 128 + signal; FAULT_SKIP: no filters here.
static inline int fault_run(const Fault *f, int n, int (*run)(void *), void *arg)
{
    int status;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) _exit(n && !fault_install(f, n) ? FAULT_SKIP : run(arg));
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 97;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
