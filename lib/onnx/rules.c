/* SPDX-License-Identifier: MIT */
/* Which ONNX attribute is which member of evi_attrs: one table for reading and writing. */
#include "onnx/onnx.h"

#include <float.h>
#include <string.h>

#define AT(member) (uint32_t) offsetof(evi_attrs, member)
#define LARGE 65535
#define AXIS 8 /* a little more than the rank: flatten and unsqueeze count one further */

static const char *const auto_pads[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
static const char *const pad_modes[] = {"constant", "reflect", "edge", "wrap", NULL};
static const char *const resize_modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const old_resize_modes[] = {"nearest", "bilinear", NULL};
static const char *const coordinates[] = {
    "half_pixel",         "pytorch_half_pixel",   "align_corners",        "asymmetric",
    "tf_crop_and_resize", "half_pixel_symmetric", "tf_half_pixel_for_nn", NULL};
static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                      NULL};
static const char *const aspects[] = {"stretch", "not_larger", "not_smaller", NULL};
static const char *const depth_modes[] = {"DCR", "CRD", NULL};
static const char *const gelu_modes[] = {"none", "tanh", NULL};

#define WINDOWS "Conv ConvTranspose ConvInteger QLinearConv MaxPool AveragePool"
#define CONVS "Conv ConvTranspose ConvInteger QLinearConv"
#define REDUCES                                                    \
    "ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 " \
    "ReduceSumSquare ReduceLogSum ReduceLogSumExp"
#define BINARIES "Add Sub Mul Div Pow And Or Xor Equal Greater Less"

/* Where an attribute has several rows the oldest stands last, so that its default wins in its time.
 * op, attribute, kind, since, until, member, input, low, high, default, words */
static const evi_onnx_rule rules[] = {
    {WINDOWS, "kernel_shape", EVI_RULE_SPATIAL, 1, 0, AT(kernel), 0, 1, LARGE, 0, NULL},
    {WINDOWS, "strides", EVI_RULE_SPATIAL, 1, 0, AT(stride), 0, 1, LARGE, 1, NULL},
    {CONVS, "dilations", EVI_RULE_SPATIAL, 1, 0, AT(dilation), 0, 1, LARGE, 1, NULL},
    {"MaxPool", "dilations", EVI_RULE_SPATIAL, 10, 0, AT(dilation), 0, 1, LARGE, 1, NULL},
    {"AveragePool", "dilations", EVI_RULE_SPATIAL, 19, 0, AT(dilation), 0, 1, LARGE, 1, NULL},
    {WINDOWS, "pads", EVI_RULE_PADS, 1, 0, AT(pad), 0, 0, LARGE, 0, NULL},
    {WINDOWS, "auto_pad", EVI_RULE_WORD, 1, 0, AT(auto_pad), 0, 0, 0, 0, auto_pads},
    {CONVS, "group", EVI_RULE_INT, 1, 0, AT(groups), 0, 1, 1 << 24, 1, NULL},
    {"ConvTranspose", "output_padding", EVI_RULE_SPATIAL, 1, 0, AT(output_pad), 0, 0, LARGE, 0,
     NULL},
    {"ConvTranspose", "output_shape", EVI_RULE_LIST, 1, 0, AT(list), 0, 0, 0, 0, NULL},
    {"MaxPool AveragePool", "ceil_mode", EVI_RULE_INT, 10, 0, AT(ceil_mode), 0, 0, 1, 0, NULL},
    {"MaxPool", "storage_order", EVI_RULE_INT, 8, 0, AT(storage_order), 0, 0, 1, 0, NULL},
    {"AveragePool", "count_include_pad", EVI_RULE_INT, 7, 0, AT(count_include_pad), 0, 0, 1, 0,
     NULL},

    {"Gemm", "alpha", EVI_RULE_FLOAT, 1, 0, AT(alpha), 0, 0, 0, 1, NULL},
    {"Gemm", "beta", EVI_RULE_FLOAT, 1, 0, AT(beta), 0, 0, 0, 1, NULL},
    {"Gemm", "transA", EVI_RULE_INT, 1, 0, AT(trans_a), 0, 0, 1, 0, NULL},
    {"Gemm", "transB", EVI_RULE_INT, 1, 0, AT(trans_b), 0, 0, 1, 0, NULL},
    {"Gemm", "broadcast", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL},
    {BINARIES, "broadcast", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL}, /* adapt.c */
    {BINARIES, "axis", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL},

    {"BatchNormalization InstanceNormalization LayerNormalization", "epsilon", EVI_RULE_FLOAT, 1, 0,
     AT(epsilon), 0, 0, 0, 1e-5f, NULL},
    {"BatchNormalization", "momentum", EVI_RULE_FLOAT, 1, 0, AT(momentum), 0, 0, 0, 0.9f, NULL},
    {"BatchNormalization", "training_mode", EVI_RULE_IGNORE, 14, 0, 0, 0, 0, 0, 0,
     NULL}, /* adapt.c */
    {"BatchNormalization", "spatial", EVI_RULE_IGNORE, 1, 8, 0, 0, 0, 0, 0, NULL},
    {"BatchNormalization", "is_test", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL},
    {"LayerNormalization", "axis", EVI_RULE_INT, 17, 0, AT(axis), 0, -AXIS, AXIS, -1, NULL},
    {"LayerNormalization", "stash_type", EVI_RULE_IGNORE, 17, 0, 0, 0, 0, 0, 0, NULL},
    {"LRN", "size", EVI_RULE_INT, 1, 0, AT(kernel), 0, 1, LARGE, 0, NULL},
    {"LRN", "alpha", EVI_RULE_FLOAT, 1, 0, AT(alpha), 0, 0, 0, 1e-4f, NULL},
    {"LRN", "beta", EVI_RULE_FLOAT, 1, 0, AT(beta), 0, 0, 0, 0.75f, NULL},
    {"LRN", "bias", EVI_RULE_FLOAT, 1, 0, AT(epsilon), 0, 0, 0, 1, NULL},

    {"LeakyRelu", "alpha", EVI_RULE_FLOAT, 1, 0, AT(alpha), 0, 0, 0, 0.01f, NULL},
    {"HardSigmoid", "alpha", EVI_RULE_FLOAT, 1, 0, AT(alpha), 0, 0, 0, 0.2f, NULL},
    {"HardSigmoid", "beta", EVI_RULE_FLOAT, 1, 0, AT(beta), 0, 0, 0, 0.5f, NULL},
    {"Elu", "alpha", EVI_RULE_FLOAT, 1, 0, AT(alpha), 0, 0, 0, 1, NULL},
    {"Selu", "alpha", EVI_RULE_FLOAT, 6, 0, AT(alpha), 0, 0, 0, 1.67326319217681884765625f, NULL},
    {"Selu", "gamma", EVI_RULE_FLOAT, 6, 0, AT(beta), 0, 0, 0, 1.05070102214813232421875f, NULL},
    {"Gelu", "approximate", EVI_RULE_WORD, 20, 0, AT(flag), 0, 0, 0, 0, gelu_modes},
    {"Clip", "min", EVI_RULE_FLOAT, 1, 10, AT(alpha), 1, 0, 0, -FLT_MAX, NULL},
    {"Clip", "max", EVI_RULE_FLOAT, 1, 10, AT(beta), 2, 0, 0, FLT_MAX, NULL},
    {"Softmax LogSoftmax", "axis", EVI_RULE_INT, 13, 0, AT(axis), 0, -AXIS, AXIS, -1, NULL},
    {"Softmax LogSoftmax", "axis", EVI_RULE_INT, 1, 12, AT(axis), 0, -AXIS, AXIS, 1, NULL},
    {"Dropout", "ratio", EVI_RULE_FLOAT, 1, 11, AT(rate), 1, 0, 0, 0.5f, NULL},
    {"Dropout", "is_test", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL},
    {"Dropout", "seed", EVI_RULE_IGNORE, 12, 0, 0, 0, 0, 0, 0, NULL},

    {"Concat", "axis", EVI_RULE_INT, 1, 0, AT(axis), 0, -AXIS, AXIS, 1, NULL},
    {"Flatten", "axis", EVI_RULE_INT, 1, 0, AT(axis), 0, -AXIS, AXIS, 1, NULL},
    {"Gather", "axis", EVI_RULE_INT, 1, 0, AT(axis), 0, -AXIS, AXIS, 0, NULL},
    {"Split", "axis", EVI_RULE_INT, 1, 0, AT(axis), 0, -AXIS, AXIS, 0, NULL},
    {"Split", "split", EVI_RULE_LIST, 1, 12, AT(list), 1, 0, 0, 0, NULL},
    {"Split", "num_outputs", EVI_RULE_IGNORE, 18, 0, 0, 0, 0, 0, 0, NULL},
    {"Squeeze Unsqueeze", "axes", EVI_RULE_LIST, 1, 12, AT(list), 1, 0, 0, 0, NULL},
    {"Transpose", "perm", EVI_RULE_LIST, 1, 0, AT(list), 0, 0, 0, 0, NULL},
    {"Reshape", "shape", EVI_RULE_LIST, 1, 4, AT(list), 1, 0, 0, 0, NULL},
    {"Reshape", "allowzero", EVI_RULE_INT, 14, 0, AT(allow_zero), 0, 0, 1, 0, NULL},
    {"Slice", "starts", EVI_RULE_LIST, 1, 9, AT(list), 1, 0, 0, 0, NULL},
    {"Slice", "ends", EVI_RULE_LIST, 1, 9, AT(list2), 2, 0, 0, 0, NULL},
    {"Slice", "axes", EVI_RULE_LIST, 1, 9, AT(list3), 3, 0, 0, 0, NULL},
    {"Slice", "steps", EVI_RULE_LIST, 9, 9, AT(list4), 4, 0, 0, 0, NULL},
    {"Pad", "mode", EVI_RULE_WORD, 1, 0, AT(mode), 0, 0, 0, 0, pad_modes},
    {"Pad", "paddings", EVI_RULE_LIST, 1, 1, AT(list), 0, 0, 0, 0, NULL},
    {"Pad", "pads", EVI_RULE_LIST, 2, 10, AT(list), 1, 0, 0, 0, NULL},
    {"Pad", "value", EVI_RULE_FLOAT, 1, 10, AT(alpha), 2, 0, 0, 0, NULL},
    {"Resize", "mode", EVI_RULE_WORD, 10, 0, AT(mode), 0, 0, 0, 0, resize_modes},
    {"Resize", "coordinate_transformation_mode", EVI_RULE_WORD, 11, 0, AT(coord), 0, 0, 0, 0,
     coordinates},
    {"Resize", "nearest_mode", EVI_RULE_WORD, 11, 0, AT(nearest), 0, 0, 0, 0, nearest},
    {"Resize", "cubic_coeff_a", EVI_RULE_FLOAT, 11, 0, AT(cubic_a), 0, 0, 0, -0.75f, NULL},
    {"Resize", "exclude_outside", EVI_RULE_INT, 11, 0, AT(exclude_outside), 0, 0, 1, 0, NULL},
    {"Resize", "extrapolation_value", EVI_RULE_FLOAT, 11, 0, AT(extrapolation), 0, 0, 0, 0, NULL},
    {"Resize", "antialias", EVI_RULE_INT, 18, 0, AT(antialias), 0, 0, 1, 0, NULL},
    {"Resize", "axes", EVI_RULE_LIST, 18, 0, AT(list3), 0, 0, 0, 0, NULL},
    {"Resize", "keep_aspect_ratio_policy", EVI_RULE_WORD, 18, 0, AT(aspect), 0, 0, 0, 0, aspects},
    {"Upsample", "mode", EVI_RULE_WORD, 7, 9, AT(mode), 0, 0, 0, 0, resize_modes},
    {"Upsample", "mode", EVI_RULE_WORD, 1, 6, AT(mode), 0, 0, 0, 0, old_resize_modes},
    {"Upsample", "scales", EVI_RULE_SCALES, 7, 8, AT(scales), 0, 0, 0, 0, NULL},
    {"Upsample", "width_scale", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL}, /* adapt.c */
    {"Upsample", "height_scale", EVI_RULE_IGNORE, 1, 6, 0, 0, 0, 0, 0, NULL},
    {"DepthToSpace SpaceToDepth", "blocksize", EVI_RULE_INT, 1, 0, AT(flag), 0, 1, LARGE, 0, NULL},
    {"DepthToSpace", "mode", EVI_RULE_WORD, 11, 0, AT(mode), 0, 0, 0, 0, depth_modes},

    {REDUCES " ReduceSum ArgMax ArgMin", "keepdims", EVI_RULE_INT, 1, 0, AT(keep_dims), 0, 0, 1, 1,
     NULL},
    {REDUCES, "axes", EVI_RULE_LIST, 1, 17, AT(list), 1, 0, 0, 0, NULL},
    {REDUCES, "noop_with_empty_axes", EVI_RULE_INT, 18, 0, AT(flag), 0, 0, 1, 0, NULL},
    {"ReduceSum", "axes", EVI_RULE_LIST, 1, 12, AT(list), 1, 0, 0, 0, NULL},
    {"ReduceSum", "noop_with_empty_axes", EVI_RULE_INT, 13, 0, AT(flag), 0, 0, 1, 0, NULL},
    {"ArgMax ArgMin", "axis", EVI_RULE_INT, 1, 0, AT(axis), 0, -AXIS, AXIS, 0, NULL},
    {"ArgMax ArgMin", "select_last_index", EVI_RULE_INT, 12, 0, AT(flag), 0, 0, 1, 0, NULL},
    {"Mod", "fmod", EVI_RULE_INT, 10, 0, AT(flag), 0, 0, 1, 0, NULL},
    {"Shape", "start", EVI_RULE_ONE, 15, 0, AT(list), 0, 0, 0, 0, NULL},
    {"Shape", "end", EVI_RULE_ONE, 15, 0, AT(list2), 0, 0, 0, 0, NULL},
    {"ConstantOfShape", "value", EVI_RULE_IGNORE, 9, 0, 0, 0, 0, 0, 0, NULL}, /* adapt.c */
    {"Cast", "to", EVI_RULE_TYPE, 1, 0, AT(to_type), 0, -1, 0, 0, NULL},
    {"Cast", "saturate", EVI_RULE_IGNORE, 19, 0, 0, 0, 0, 0, 0, NULL},
    {"Cast", "round_mode", EVI_RULE_IGNORE, 24, 0, 0, 0, 0, 0, 0, NULL},
    {"QuantizeLinear DequantizeLinear", "axis", EVI_RULE_INT, 13, 0, AT(axis), 0, -AXIS, AXIS, 1,
     NULL},
    {"QuantizeLinear DequantizeLinear", "block_size", EVI_RULE_INT, 21, 0, AT(flag), 0, 0, 1 << 24,
     0, NULL},
    {"QuantizeLinear", "saturate", EVI_RULE_IGNORE, 19, 0, 0, 0, 0, 0, 0, NULL},
    {"QuantizeLinear", "precision", EVI_RULE_IGNORE, 23, 0, 0, 0, 0, 0, 0, NULL},
    {"QuantizeLinear DequantizeLinear", "output_dtype", EVI_RULE_TYPE, 21, 0, AT(to_type), 0, 0, 0,
     0, NULL}, /* 0: not said */
    {"*", "consumed_inputs", EVI_RULE_IGNORE, 1, 5, 0, 0, 0, 0, 0, NULL},
};

const evi_onnx_rule *evi_onnx_rules(int32_t *n_out)
{
    *n_out = EVI_COUNT(rules);
    return rules;
}

bool evi_onnx_rule_for(const evi_onnx_rule *rule, evi_span op)
{
    const char *at = rule->op;
    if (at[0] == '*')
        return true;
    while (at[0] != '\0') {
        size_t n = strcspn(at, " ");
        if (n == op.n && memcmp(at, op.at, n) == 0)
            return true;
        at += n + (at[n] == ' ');
    }
    return false;
}
