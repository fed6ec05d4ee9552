#include "check/oracle.h"

Oracle *oracle_find(OpId op)
{
    static Oracle *const table[OP_COUNT] = {
#define OP(name, ...) name##_oracle,
#include "tensor/ops.def"
#undef OP
    };
    return table[op];
}
