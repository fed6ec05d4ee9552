#include "autograd/profile.h"

#include "tensor/clock.h"

void profile_kernel(Profile *p, const Device *dev, Kernel *k, const OpCall *c, bool backward)
{
    const double t0 = clock_seconds();
    k(c);
    device_wait(dev);
    ProfileRow *row = backward ? &p->bwd[c->op] : &p->fwd[c->op];
    row->seconds += clock_seconds() - t0;
    const OpWork w = op_work(c, backward);
    row->calls++;
    row->flops += w.flops;
    row->bytes += w.bytes;
    const Ceiling *top = p->ceiling;
    const bool in_place = backward || c->out[0] == c->in[0];
    if (top) row->least += ceiling_seconds(top, top->isa, w.needed, w.bytes, w.written, in_place);
}
