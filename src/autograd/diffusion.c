// Checked calls of the diffusion ops (E7).
#include "autograd/check.h"

Tensor *tape_timestep_embed(Tape *t, Tensor *time, int dim)
{
    check_dims("timestep_embed", "time", time, 1);
    CHECK(dim >= 2 && dim % 2 == 0, "timestep_embed: want an even width, got %d", dim);
    const TimestepEmbedParams p = {10000.0};
    const Shape y = SHAPE(time->shape.d[0], dim);
    return tape_op(t, OP_timestep_embed, 1, &time, 1, &y, &p, sizeof p)->out[0];
}

static void check_rows(const char *op, const Tensor *a, const Tensor *b, const Tensor *ab)
{
    check_shape(op, "second input", b, a->shape);
    CHECK(a->shape.n >= 1, "%s: wants rows", op);
    check_shape(op, "ab", ab, SHAPE(a->shape.d[0]));
}

Tensor *tape_q_sample(Tape *t, Tensor *x0, Tensor *eps, Tensor *ab)
{
    check_rows("q_sample", x0, eps, ab);
    return tape_op(t, OP_q_sample, 3, (Tensor *[]){x0, eps, ab}, 1, &x0->shape, NULL, 0)->out[0];
}

Tensor *tape_convert(Tape *t, Tensor *a, Tensor *b, Tensor *ab, ConvertKind kind)
{
    check_rows("convert", a, b, ab);
    const ConvertParams p = {kind};
    return tape_op(t, OP_convert, 3, (Tensor *[]){a, b, ab}, 1, &a->shape, &p, sizeof p)->out[0];
}

Tensor *tape_sampler_step(Tape *t, Tensor *x, Tensor *d, Tensor *z, double a, double b, double c)
{
    check_shape("sampler_step", "d", d, x->shape);
    if (z) check_shape("sampler_step", "z", z, x->shape);
    const SamplerStepParams p = {a, b, c};
    return tape_op(t, OP_sampler_step, 3, (Tensor *[]){x, d, z}, 1, &x->shape, &p, sizeof p)->out[0];
}

DiffusionTimes tape_diffusion_times(Tape *t, Tensor *ab, Tensor *weight, int64_t B, int64_t parts, RandomAddress at,
                                    double drop, Tensor *clock)
{
    check_dims("diffusion_times", "ab", ab, 1);
    check_shape("diffusion_times", "weight", weight, ab->shape);
    CHECK(numel(ab) >= 2 && parts >= 1, "diffusion_times: want times and parts");
    const DiffusionTimesParams p = {at, parts, drop};
    const Shape s = SHAPE(B);
    const OpCall *c = tape_op(t, OP_diffusion_times, 3, (Tensor *[]){ab, weight, clock}, 4, (Shape[]){s, s, s, s}, &p,
                              sizeof p);
    return (DiffusionTimes){c->out[0], c->out[1], c->out[2], c->out[3]};
}
