// The list of verbs.  A new verb is a file of its own with its Verb, and its name here.
#ifndef LEAD_CLI_VERBS_H
#define LEAD_CLI_VERBS_H

#include "cli/cli.h"

#define VERBS(X) \
    X(demo) X(data_info) X(data_import) X(data_export) X(data_synth) X(data_render) \
    X(train) X(pretrain) X(distill) X(forecast) X(eval) \
    X(loads) X(whatif) X(estimate) X(alarm) X(report) X(impute) \
    X(gpt2_generate) X(gpt2_logits) X(gpt2_eval) X(gpt2_encode) X(gpt2_decode) X(gpt2_verify) X(gpt2_convert) \
    X(gpt2_train) X(gpt2_merge) X(gpt2_bpe_train) X(gpt2_corpus) X(check) X(ops) X(info)

#define VERB_DECL(name) extern const Verb verb_##name;
VERBS(VERB_DECL)
#undef VERB_DECL

#endif
