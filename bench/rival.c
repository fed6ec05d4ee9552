#include "bench/rival.h"

#include <dirent.h>
#include <dlfcn.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ISO C does not convert between object and function pointers; POSIX promises that they are alike.
static void find(void *lib, const char *name, void *fn_ptr)
{
    void *p = dlsym(lib, name);
    memcpy(fn_ptr, &p, sizeof p);
}

enum { MAX_TASKS = 256 };

static int list_tasks(int *tid)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (const struct dirent *e; d && (e = readdir(d)) && n < MAX_TASKS;)
        if (e->d_name[0] != '.') tid[n++] = atoi(e->d_name);
    if (d) closedir(d);
    return n;
}

// Threads born since `before` go to the places of our own threads 1, 2, ... (OMP_PROC_BIND is set: the main thread is
// on place 0, and what it creates would stay there).
static void pin_new(const int *before, int n_before)
{
    int now[MAX_TASKS], place = 0;
    const int n = list_tasks(now), places = omp_get_num_places();
    for (int i = 0; i < n && places > 0; i++) {
        bool old = false;
        for (int j = 0; j < n_before; j++) old |= before[j] == now[i];
        if (old) continue;
        place = (place + 1) % places;
        int procs[MAX_TASKS];
        if (omp_get_place_num_procs(place) > MAX_TASKS) continue;
        omp_get_place_proc_ids(place, procs);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET((size_t)procs[0], &one);
        sched_setaffinity(now[i], sizeof one, &one);
    }
}

Rival rival_load(bool avx512, int max_threads)
{
    Rival r = {.name = "openblas"};
    char threads[16];
    snprintf(threads, sizeof threads, "%d", max_threads);
    setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 0);   // old releases do not know new CPUs
    setenv("OPENBLAS_NUM_THREADS", threads, 1);
    setenv("OPENBLAS_THREAD_TIMEOUT", "14", 0);   // idle workers sleep, not spin
    int before[MAX_TASKS];
    const int n_before = list_tasks(before);
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return r;
    find(lib, "cblas_sgemm", &r.sgemm);
    find(lib, "openblas_set_num_threads", &r.set_threads);
    char *(*corename)(void) = NULL;
    find(lib, "openblas_get_corename", &corename);
    if (corename) snprintf(r.name, sizeof r.name, "openblas-%s", corename());
    if (r.set_threads) r.set_threads(max_threads);
    pin_new(before, n_before);
    return r;
}
