#include "cli/profile.h"

#include <omp.h>
#include <stdlib.h>

typedef struct ProfileRun { Profile profile; Ceiling ceiling; } ProfileRun;

Profile *profile_new(Cli *cli)
{
    ProfileRun *run = arena_zalloc(cli->perm, sizeof *run);
    const Ceiling *c = &run->ceiling;
    run->ceiling = ceiling_measure(cli->device.isa, omp_get_max_threads(), 5, cli->scratch);
    run->profile.ceiling = c;
    fprintf(stderr, "ceilings, %s, %d threads: %.0f GFLOP/s; reading", isa_name(c->isa), c->threads, c->gflops[c->isa]);
    for (MemoryLevel m = 0; m < MEMORY_LEVELS; m++)
        fprintf(stderr, " %s %.0f", memory_level_name(m), c->gbps[m][ACCESS_READ]);
    fprintf(stderr, " GB/s\n");
    return &run->profile;
}

typedef struct Line { const char *op, *pass; ProfileRow row; } Line;

static int slowest_first(const void *a, const void *b)
{
    const double x = ((const Line *)a)->row.seconds, y = ((const Line *)b)->row.seconds;
    return (x < y) - (x > y);
}

static void print_line(const Line *l, double all)
{
    const ProfileRow *r = &l->row;
    printf("%s\t%s\t%lld\t%.4f\t%.4f\t%.2f\t%.2f\t%.1f\n", l->op, l->pass, (long long)r->calls, r->seconds,
           r->seconds / all, r->flops / r->seconds * 1e-9, r->bytes / r->seconds * 1e-9, 100 * r->least / r->seconds);
}

void profile_print(const Profile *p)
{
    Line line[2 * OP_COUNT], sum = {"all", "-", {0}};
    int n = 0;
    for (int i = 0; i < OP_COUNT; i++)
        for (int b = 0; b < 2; b++) {
            const ProfileRow *r = b ? &p->bwd[i] : &p->fwd[i];
            if (!r->calls) continue;
            line[n++] = (Line){op_info((OpId)i)->name, b ? "bwd" : "fwd", *r};
            sum.row.calls += r->calls;
            sum.row.seconds += r->seconds;
            sum.row.flops += r->flops;
            sum.row.bytes += r->bytes;
            sum.row.least += r->least;
        }
    qsort(line, (size_t)n, sizeof *line, slowest_first);
    printf("op\tpass\tcalls\tseconds\tshare\tgflops\tgbps\tpct_ceiling\n");
    for (int i = 0; i < n; i++) print_line(&line[i], p->steps);
    print_line(&sum, p->steps);
    printf("outside\t-\t-\t%.4f\t%.4f\t-\t-\t-\n", p->steps - sum.row.seconds, 1 - sum.row.seconds / p->steps);
}
