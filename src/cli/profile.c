#include "cli/profile.h"

#include <stdio.h>

void profile_print(const Profile *p)
{
    double all = 0;
    for (int i = 0; i < OP_COUNT; i++) all += p->fwd[i].seconds + p->bwd[i].seconds;
    printf("op\tpass\tcalls\tseconds\tshare\tgflops\tgbps\n");
    for (int i = 0; i < OP_COUNT; i++)
        for (int b = 0; b < 2; b++) {
            const ProfileRow *r = b ? &p->bwd[i] : &p->fwd[i];
            if (r->calls)
                printf("%s\t%s\t%lld\t%.3f\t%.4f\t%.2f\t%.2f\n", op_info((OpId)i)->name, b ? "bwd" : "fwd",
                       (long long)r->calls, r->seconds, r->seconds / all, r->flops / r->seconds * 1e-9,
                       r->bytes / r->seconds * 1e-9);
        }
}
