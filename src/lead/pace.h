// What a training run costs, and how many of its steps fit into a number of minutes.
#ifndef LEAD_LEAD_PACE_H
#define LEAD_LEAD_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_STEPS = 31, PACE_KNOWN = 5 };

// Seconds, as measured so far.  A step's is the median of the last PACE_STEPS: the first step is slow, and so is one
// during which the machine did something else.
typedef struct Pace {
    double step[PACE_STEPS];     // a ring
    int64_t n;                   // steps seen
    double sum;                  // seconds of all of them
    double validation, save;     // of the last one, with the writing of best.safetensors; NAN = none yet
} Pace;

Pace pace_new(void);
void pace_add(Pace *p, double step_seconds);
double pace_step(const Pace *p);          // NAN until PACE_KNOWN steps are seen
// Until a validation is measured: six batches forward, each a third of a step.
double pace_validation(const Pace *p);

typedef struct PaceBudget {
    double left;                 // seconds left for all that follows
    int64_t step;                // steps done
    int validations;             // of the whole run, evenly spaced; 0 = none
    double save_every;           // seconds between checkpoints
    bool again;                  // afterwards the same number of steps is trained once more (the final fit) ..
    double again_setup;          // .. whose statistics take so many seconds
} PaceBudget;

// The step at which the run ends when the time does: at least b->step, which means that no time is left.  Counts the
// steps, validations and checkpoints to come.  Wants a known pace.
int64_t pace_total(const Pace *p, const PaceBudget *b);

// Steps from one validation to the next in a run of `total` steps.
int64_t pace_period(int64_t total, int validations);

// Seconds until step `total`; NAN as long as the pace is not known.
double pace_eta(const Pace *p, int64_t step, int64_t total, int validations);

#endif
