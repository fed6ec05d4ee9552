// lead: finds the verb, parses its options, builds arenas and device, runs it, prints its one error line.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "io/file.h"
#include "tensor/ranks.h"

static volatile sig_atomic_t stop_flag;   // the one mutable global: a signal handler has no other way to tell us

static void on_signal(int sig)
{
    (void)sig;
    if (stop_flag) _Exit(130);   // a second signal ends the process at once
    stop_flag = 1;
}

// A terminal that goes away may say so twice.
static void on_hangup(int sig)
{
    (void)sig;
    stop_flag = 1;
}

// Ctrl-C, kill and a closed terminal, unless nohup ignores it, end a verb that stops as soon as its state is saved.
static void watch_signals(bool stops)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);   // the write fails instead, and says why
    if (!stops) return;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (signal(SIGHUP, on_hangup) == SIG_IGN) signal(SIGHUP, SIG_IGN);
    if (ranks_count() > 1) signal(SIGUSR1, on_hangup);   // mpirun passes it on at once, SIGINT only after a while
}

// A closed descriptor 0, 1 or 2 would be that of the next file opened, and messages would go into it.  What is written
// to one opened here fails.
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd) _exit(1);
}

// A stack that is too small ends a program without a word.  *raised: it may have more, and threads will get that when
// the program is started once more.
static Status check_stack(bool *raised)
{
    enum { LEAST = 1 << 20 };
    struct rlimit r;
    *raised = false;
    if (getrlimit(RLIMIT_STACK, &r) || r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= LEAST) return OK;
    const struct rlimit more = {LEAST, r.rlim_max > LEAST ? r.rlim_max : LEAST};
    *raised = setrlimit(RLIMIT_STACK, &more) == 0;
    return *raised ? OK : ERROR("stack: want at least %d KiB, got %lld (ulimit -s)", LEAST >> 10,
                                (long long)r.rlim_cur >> 10);
}

// Threads that spin while they wait take the processor from those that work: beside two busy programs a training on two
// threads takes a multiple of the time (docs/cli.md).  OpenMP reads the policy as it is loaded, so the program starts
// itself once more.  Where that fails threads spin, as they would have.
static void wait_passively(char **argv, bool again)
{
    char self[PATH_MAX];
    const bool said = getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT");
    if (!again && (said || setenv("OMP_WAIT_POLICY", "passive", 1))) return;
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {   // under its own name, which is what ps shows
        self[n] = 0;
        execv(self, argv);
    }
    execv("/proc/self/exe", argv);
}

static bool last_word;   // whether the program says itself why it ends

static void give_up(const char *msg)
{
    last_word = true;
    fprintf(stderr, "lead: %s\n", msg);
    ranks_abort(1);
    exit(1);
}

// OpenMP's library ends the program itself where it gets no memory or no thread, with a line of its own.
static void end_of_others(void)
{
    if (!last_word) fputs("lead: out of memory or threads: see the line before; --threads 1 needs least\n", stderr);
}

// What is left of a limited address space (ulimit -v); without a limit more than any arena wants.
static size_t address_space(void)
{
    struct rlimit r;
    size_t pages = 0;
    if (getrlimit(RLIMIT_AS, &r) || r.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%zu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    const size_t used = pages * (size_t)sysconf(_SC_PAGESIZE);
    return r.rlim_cur > used ? (size_t)r.rlim_cur - used : 0;
}

// Under a limit each arena takes its share, and files and the C library find some left.
static Status make_arenas(Cli *cli)
{
    const size_t part = address_space() / 16;
    const struct { Arena **arena; const char *name; size_t most, parts; } want[] = {
        {&cli->perm, "perm", (size_t)64 << 30, 5}, {&cli->step, "step", (size_t)64 << 30, 6},
        {&cli->scratch, "scratch", (size_t)16 << 30, 3}};
    for (int i = 0; i < 3; i++) {
        const size_t share = part * want[i].parts;
        *want[i].arena = arena_new(want[i].name, share < want[i].most ? share : want[i].most, give_up);
        if (!*want[i].arena) return ERROR("out of memory: not even 1 MiB of address space to be had");
    }
    return OK;
}

static const Verb *const verbs[] = {
#define VERB_ROW(name) &verb_##name,
    VERBS(VERB_ROW)
#undef VERB_ROW
};
enum { N_VERBS = (int)(sizeof verbs / sizeof *verbs) };

static void print_help(FILE *out)
{
    fprintf(out,
            "lead: forecasts network traffic matrices with a frozen GPT-2, adapters and conditional diffusion (LEAD,\n"
            "arXiv 2601.21437), written from scratch in C.\n\n"
            "usage: lead VERB [options]      lead VERB --help      lead --version\n\n");
    for (int i = 0; i < N_VERBS; i++) fprintf(out, "  %-20s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\nstdout is for programs, stderr for people.  Exit 0 done, 1 failed, 2 usage, 3 an alarm.\n");
}

static bool asks_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

// The verb whose words open argv; *words = how many they are.
static const Verb *find_verb(int argc, char **argv, int *words)
{
    for (int i = 0; i < N_VERBS; i++) {
        const char *name = verbs[i]->name, *space = strchr(name, ' ');
        const size_t first = space ? (size_t)(space - name) : strlen(name);
        if (strlen(argv[0]) != first || strncmp(argv[0], name, first)) continue;
        if (space && (argc < 2 || strcmp(argv[1], space + 1))) continue;
        *words = space ? 2 : 1;
        return verbs[i];
    }
    return NULL;
}

// "lead data", "lead gpt2": the first word of several verbs.  Lists them; false when it is no such word.
static bool list_group(const char *word, FILE *out)
{
    bool any = false;
    for (int i = 0; i < N_VERBS; i++) {
        const size_t len = strlen(word);
        if (strncmp(verbs[i]->name, word, len) || verbs[i]->name[len] != ' ') continue;
        fprintf(out, "  %-20s %s\n", verbs[i]->name, verbs[i]->summary);
        any = true;
    }
    return any;
}

static Status make_device(Cli *cli, const CommonOptions *common)
{
    Isa cap = ISA_AVX512;
    const char *env = getenv("LEAD_ISA"), *text = common->isa ? common->isa : env;
    if (text && *text) TRY(isa_parse(text, &cap));
    Math math = MATH_FP32;
    if (common->math) TRY(math_parse(common->math, &math));
    if (common->threads) omp_set_num_threads((int)common->threads);
    if (!common->device || !strcmp(common->device, "cpu")) {
        if (math != MATH_FP32) return USAGE_ERROR("--math %s: wants --device cuda", common->math);
        if (common->no_graph) return USAGE_ERROR("--no-graph: wants --device cuda");
        cli->device = device_cpu_f32(cap);
        cli->device.exact = common->exact;
        return OK;
    }
    if (strcmp(common->device, "cuda")) return USAGE_ERROR("--device: want cpu or cuda, got '%s'", common->device);
    TRY(device_cuda(&cli->device, math, cli->perm, give_up));
    cli->device.no_graph = common->no_graph;
    if (cli->verb->looks) return OK;
    const size_t all = device_cuda_free(&cli->device);
    TRY(device_attach(&cli->device, cli->perm, all / 16 * 5));
    TRY(device_attach(&cli->device, cli->step, all / 16 * 9));
    return device_attach(&cli->device, cli->scratch, all / 16 * 2);
}

static int fail(Status s)
{
    if (*s.msg) fprintf(stderr, "lead: %s\n", s.msg);   // without: the status is the answer (lead alarm)
    return s.code;
}

// What was printed may be lost when the last buffer is flushed: a full disk.
static int finish(Status s)
{
    if (!s.code && (fflush(stdout) || ferror(stdout))) s = ERROR("stdout: write failed: %s", strerror(errno));
    return s.code ? fail(s) : 0;
}

// What is said without a verb, or with words that are none; the exit status.
static int without_verb(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    const bool more = argc > 2 && argv[2][0] != '-';
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        if (argc > 2) return fail(USAGE_ERROR("%s: unexpected argument '%s'", argv[1], argv[2]));
        printf("%s\n", cli_version());
    } else if (asks_help(argv[1])) print_help(stdout);
    else if (argc == 2 && list_group(argv[1], stderr))
        return fail(USAGE_ERROR("%s: wants one of these verbs", argv[1]));
    else if (argc == 2 || !asks_help(argv[2]) || !list_group(argv[1], stdout))
        return fail(USAGE_ERROR("unknown verb '%s%s%s'; lead --help lists them", argv[1], more ? " " : "",
                                more ? argv[2] : ""));
    return finish(OK);
}

// Verbs that know nothing of ranks would do all of their work, and write all of their files, several times.
static Status check_ranks(const Verb *v)
{
    if (ranks_count() == 1 || v->ranks) return OK;
    return USAGE_ERROR("%s: runs in one process, want mpirun -n 1, got %d", v->name, ranks_count());
}

static int run_program(int argc, char **argv)
{
    char *help_of[64] = {argv[0]};
    if (argc > 2 && argc < 63 && !strcmp(argv[1], "help")) {   // lead help VERB is lead VERB --help
        memcpy(help_of + 1, argv + 2, (size_t)(argc - 2) * sizeof *argv);
        help_of[argc - 1] = "--help";
        argv = help_of;
    }
    int words = 0;
    const Verb *v = argc > 1 ? find_verb(argc - 1, argv + 1, &words) : NULL;
    if (!v) return without_verb(argc, argv);
    if (options_ask_help(argc - 1 - words, argv + 1 + words)) {
        options_help(v, stdout);
        return finish(OK);
    }
    Cli cli = {.verb = v, .stop = &stop_flag};
    Status s = make_arenas(&cli);
    if (s.code) return fail(s);
    void *values = arena_zalloc(cli.perm, v->size + 1);
    if (v->defaults) v->defaults(values);
    CommonOptions common = {0};
    s = options_parse(&cli, v, argc - 1 - words, argv + 1 + words, &common, values);
    if (!s.code && common.version) {
        printf("%s\n", cli_version());
        return finish(OK);
    }
    cli.option = v->option;
    cli.n_options = v->n_options;
    cli.values = values;
    if (!s.code) s = check_ranks(v);
    if (!s.code) s = outputs_check(&cli, common.manifest);
    if (!s.code) s = make_device(&cli, &common);
    if (s.code) return fail(s);
    watch_signals(v->stops);
    s = v->run(&cli, values);
    if (!s.code && common.manifest) {
        const char *text = manifest_json(&cli, cli.perm);
        s = file_write(common.manifest, text, strlen(text));
    }
    return finish(s);
}

int main(int argc, char **argv)
{
    bool raised;
    hold_standard_files();
    const Status stack = check_stack(&raised);
    if (stack.code) return fail(stack);
    wait_passively(argv, raised);
    ranks_begin(&argc, &argv);
    (void)atexit(end_of_others);
    const int code = ranks_end(run_program(argc, argv));
    last_word = true;
    return code;
}
