// What tests of links share: small random networks and traffic, and routing by enumeration of all simple paths.
#ifndef LEAD_TESTS_LINKS_WORLD_H
#define LEAD_TESTS_LINKS_WORLD_H

#include <math.h>
#include <string.h>

#include "links/loads.h"
#include "tensor/philox.h"
#include "tests/test.h"

static inline uint32_t dice(uint64_t seed, uint64_t i, uint32_t sides)
{
    return philox_u32(seed, philox_subsequence(SITE_TEST, 77), i) % sides;
}

// N nodes, about `links` directed links (parallel ones too) with weights 1..3 and capacities 1..9 Mbit/s.
static inline Topology random_network(Arena *a, int N, int links, uint64_t seed)
{
    Topology t = topology_new(a, "random", "random", N, links);
    for (int i = 0; i < N; i++) CHECK(!topology_add_node(&t, a, arena_printf(a, "n%d", i), 0).code, "node");
    for (int i = 0; i < links; i++) {
        const int from = (int)dice(seed, 4 * (uint64_t)i, (uint32_t)N),
                  to = (int)dice(seed, 4 * (uint64_t)i + 1, (uint32_t)N);
        if (from == to) continue;
        CHECK(!topology_add_link(&t, a, (TopologyLink){.from = from, .to = to,
                                                       .weight = 1 + dice(seed, 4 * (uint64_t)i + 2, 3),
                                                       .capacity_kbps = 1e3 * (1 + dice(seed, 4 * (uint64_t)i + 3, 9))},
                                 false, 0).code, "link");
    }
    return t;
}

// Values 0..999 kbit/s, the same for the same seed.
static inline float *random_matrices(Arena *a, int64_t count, uint64_t seed)
{
    float *x = arena_alloc(a, (size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = (float)dice(seed, (uint64_t)i, 1000);
    return x;
}

// Length of the shortest of all simple paths from u to `to`, by trying them all; INFINITY: none.
static inline double shortest_by_trying(const Topology *t, const uint8_t *down, int u, int to, uint32_t seen)
{
    double best = INFINITY;
    if (u == to) return 0;
    for (int l = 0; l < t->L; l++) {
        const TopologyLink *k = &t->link[l];
        if (k->from != u || (down && down[l]) || seen >> k->to & 1) continue;
        best = fmin(best, k->weight + shortest_by_trying(t, down, k->to, to, seen | 1u << k->to));
    }
    return best;
}

// Adds the traffic `amount` from u to `to` to load [L]: split equally over the links that begin a shortest path.
static inline void spread_by_trying(const Topology *t, const uint8_t *down, int u, int to, double amount, double *load)
{
    const double best = shortest_by_trying(t, down, u, to, 1u << u);
    int n = 0;
    if (u == to || !isfinite(best)) return;
    for (int pass = 0; pass < 2; pass++)
        for (int l = 0; l < t->L; l++) {
            const TopologyLink *k = &t->link[l];
            if (k->from != u || (down && down[l])) continue;
            if (fabs(k->weight + shortest_by_trying(t, down, k->to, to, 1u << k->to) - best) > 1e-9) continue;
            if (!pass) n++;
            else load[l] += amount / n, spread_by_trying(t, down, k->to, to, amount / n, load);
        }
}

#endif
