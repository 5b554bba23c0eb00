/* SPDX-License-Identifier: MIT */
/* The one list of all operations. */
#include "ops/table.h"

#include <string.h>

#define EVI_OP_POINTER(name) &evi_op_##name,
static const evi_op *const ops[] = {EVI_OPS(EVI_OP_POINTER) NULL};

const evi_op *evi_op_at(int32_t i)
{
    return i >= 0 && i < EVI_COUNT(ops) ? ops[i] : NULL;
}

const evi_op *evi_op_find(const char *name)
{
    for (int32_t i = 0; ops[i] != NULL; i++)
        if (strcmp(ops[i]->name, name) == 0)
            return ops[i];
    return NULL;
}

const evi_op *evi_op_find_onnx(const char *onnx)
{
    for (int32_t i = 0; ops[i] != NULL; i++)
        if (ops[i]->onnx != NULL && strcmp(ops[i]->onnx, onnx) == 0)
            return ops[i];
    return NULL;
}
