// Scores of link loads: sample paths of traffic are routed, and the loads that come out are scored as flows are (E9,
// traffic/metrics.h).  Two spaces, both in per cent of the capacity:
//   links     utilisation of every link of known capacity
//   largest   the largest utilisation of a matrix; the point forecast is its mean over paths (that of the mean matrix
//   is
//             smaller), and without paths that of the point forecast
// A load is distributed as the loads of the paths, so a forecast without paths has no distribution here.
#ifndef LEAD_LINKS_SCORE_H
#define LEAD_LINKS_SCORE_H

#include <stdio.h>

#include "links/loads.h"

enum { LINK_SPACES = 2 };

typedef struct LinkScore {
    const Topology *t;
    const Routing *r;
    int K;
    int models, most_models;
    const char **name;           // [models], kept
    MetricSums *sums;            // [models][LINK_SPACES][K]
    double *load;                // work space
    float *v;
    int room;                    // paths that the work space has room for
} LinkScore;

// Error: no link of known capacity.
Status link_score_new(LinkScore *s, Arena *a, const Topology *t, const Routing *r, int K, int most_models,
                      int most_paths);

// Adds one window of a model: truth [K][n*n], and S paths dist [S][K][n*n] (none: DIST_NONE), point [K][n*n]; kbit/s.
// The first window of a name begins its rows.
void link_score_add(LinkScore *s, const char *model, DistKind kind, int S, const float *dist, const float *point,
                    const float *truth);

// Metrics of a model, space and horizon (1..K, 0 = all together).
MetricResult link_score_result(const LinkScore *s, int model, int space, int horizon);

// Tab separated: model space horizon windows rmse mae crps cover50 cover90.
void link_score_print(const LinkScore *s, FILE *out);

#endif
