#include "check/oracle.h"

Oracle *oracle_find(OpId op)
{
    static Oracle *const table[OP_COUNT] = {
        [OP_conv2d] = conv2d_oracle,
        [OP_dwconv1d] = dwconv1d_oracle,
        [OP_upsample2] = upsample2_oracle,
        [OP_avgpool2] = avgpool2_oracle,
        [OP_global_avgpool] = global_avgpool_oracle,
        [OP_global_maxpool] = global_maxpool_oracle,
        [OP_layer_norm] = layer_norm_oracle,
        [OP_group_norm] = group_norm_oracle,
        [OP_adagn] = adagn_oracle,
        [OP_film] = film_oracle,
        [OP_softmax] = softmax_oracle,
        [OP_attention] = attention_oracle,
        [OP_timestep_embed] = timestep_embed_oracle,
        [OP_q_sample] = q_sample_oracle,
        [OP_convert] = convert_oracle,
        [OP_sampler_step] = sampler_step_oracle,
    };
    return table[op];
}
