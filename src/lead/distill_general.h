// Distillation of weights that suit any network (lead/general.h): the losses of lead/distill.h on synthetic networks,
// new ones every few steps, as in pretraining (lead/pretrain.h).  No measured traffic takes part.
#ifndef LEAD_LEAD_DISTILL_GENERAL_H
#define LEAD_LEAD_DISTILL_GENERAL_H

#include "lead/distill.h"

// o->model: a file of such weights; o->out: the file of the last stage, <out>.calls-N: those of the others; steps,
// tune_steps: of a stage, 4 on each network; lr 0: a quarter of the pretraining's; llm, batch, final, calibrated: not
// used, since every series that is forecast calibrates such weights anew.  network: one network at a time.
// Errors: not such weights; calls that do not divide; a loss that is not finite; a file that cannot be written.
Status lead_distill_general(const DistillOptions *o, const Device *dev, Arena *perm, Arena *network, Arena *step,
                            Arena *scratch);

#endif
