// ConvLSTM (Shi et al. 2015) [mem]: an LSTM whose state is an image and whose products are convolutions.  The image is
// the traffic matrix, N x N pixels.
//   i, f, o = sigmoid(.), g = tanh(.) of conv3x3([X_t; H]);   C' = f C + i g;   H' = o tanh(C');   y = conv1x1(H_T)
// One layer of 32 channels; the paper has two or three of 64 and 128, and a decoder of the same kind where this one
// names all K steps at once.  No peephole terms (W_c o C).  Adam 1e-3, MSE.
#include "rivals/models.h"
#include "rivals/parts.h"

typedef struct ConvLstm { Conv gates; Linear head; } ConvLstm;

Status convlstm_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    ConvLstm *m = part_new(n, sizeof *m);
    const int64_t w = n->size.width;
    *m = (ConvLstm){conv_new(n->ps, part_name(n, "gates"), 3, 1 + w, 4 * w, 1, false),
                    part_linear(n, "head", w, n->size.K)};
    return OK;
}

Tensor *convlstm_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const ConvLstm *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t B = in->x->shape.d[0], w = s->width;
    Tensor *h = tape_zeros(t, SHAPE(B, s->N, s->N, w)), *c = h;
    for (int64_t i = 0; i < s->T; i++) {
        Tensor *x = tape_reshape(t, tape_slice(t, in->x, 1, i, 1), SHAPE(B, s->N, s->N, 1));
        h = part_lstm(t, conv_apply(t, &m->gates, tape_concat(t, (Tensor *[]){x, h}, 2, 3)), w, &c);
    }
    return tape_reshape(t, linear_apply(t, &m->head, h), SHAPE(B, s->F, s->K));
}
