/* SPDX-License-Identifier: MIT */
/* What reader and writer share: the parts of an ONNX file, and the rules that say which ONNX
 * attribute is which member of evi_attrs. */
#ifndef EVI_ONNX_H
#define EVI_ONNX_H

#include "graph/graph.h"
#include "onnx/wire.h"

#define EVI_ONNX_OPSET 17 /* that we write */
#define EVI_ONNX_IR 8
#define EVI_ONNX_NEWEST 27 /* opset whose meanings we know */

/* Fields of the messages, by the numbers of onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7,
       MODEL_OPSET = 8, MODEL_META = 14, MODEL_FUNCTIONS = 25 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum { META_KEY = 1, META_VALUE = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12,
       GRAPH_SPARSE = 15 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5,
       NODE_DOMAIN = 7 };
enum { ATTR_NAME = 1, ATTR_F = 2, ATTR_I = 3, ATTR_S = 4, ATTR_T = 5, ATTR_G = 6, ATTR_FLOATS = 7,
       ATTR_INTS = 8, ATTR_STRINGS = 9, ATTR_TENSORS = 10, ATTR_GRAPHS = 11, ATTR_TP = 14,
       ATTR_TYPE = 20, ATTR_REF = 21, ATTR_SPARSE = 22 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_SEGMENT = 3, TENSOR_FLOAT = 4, TENSOR_INT32 = 5,
       TENSOR_STRING = 6, TENSOR_INT64 = 7, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_DOUBLE = 10,
       TENSOR_UINT64 = 11, TENSOR_DOC = 12, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum { INFO_NAME = 1, INFO_TYPE = 2 };
enum { TYPE_TENSOR = 1 };
enum { TENSOR_TYPE_ELEM = 1, TENSOR_TYPE_SHAPE = 2 };
enum { SHAPE_DIM = 1 };
enum { DIM_VALUE = 1, DIM_PARAM = 2 };
enum { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_INT8 = 3, ONNX_INT32 = 6, ONNX_INT64 = 7, ONNX_BOOL = 9,
       ONNX_FLOAT16 = 10, ONNX_DOUBLE = 11, ONNX_BFLOAT16 = 16 };
enum { ATTR_TYPE_FLOAT = 1, ATTR_TYPE_INT = 2, ATTR_TYPE_STRING = 3, ATTR_TYPE_TENSOR = 4,
       ATTR_TYPE_FLOATS = 6, ATTR_TYPE_INTS = 7, ATTR_TYPE_STRINGS = 8 };

/* Keys of metadata_props that are ours alone and do not show in ev_model_meta(). */
#define EVI_META_FILE_CRC "edgevision.file_crc32c"       /* only at byte 0; see writer.c */
#define EVI_META_WEIGHTS_CRC "edgevision.weights_crc32c"
#define EVI_META_ROLES "edgevision.initializers"         /* one EVI_ROLE letter an initializer */
#define EVI_META_NOMINAL "edgevision.nominal"            /* drawn sizes of the inputs, in order */

bool evi_onnx_is_private(evi_span key); /* one of these */

/* What an initializer is to the model. */
enum {
    EVI_ROLE_NONE = 0,
    EVI_ROLE_PARAM = 'p',    /* trainable */
    EVI_ROLE_FROZEN = 'f',   /* trainable, but frozen */
    EVI_ROLE_STATISTIC = 's',
    EVI_ROLE_CONSTANT = 'c',
    EVI_ROLE_IMPLIED = 'i'   /* only because ONNX wants one; ours has none */
};

/* ---- tensors: tensors.c ---------------------------------------------------------------------- */

/* A TensorProto that has been looked through: nothing is copied yet. */
typedef struct evi_onnx_tensor {
    evi_span name;
    int32_t onnx_type;
    int32_t type;       /* EV_TYPE_* that it becomes */
    evi_shape shape;
    int64_t count;
    evi_wire body;      /* the whole message */
    evi_wire raw;       /* raw_data, when has_raw */
    int32_t has_raw;
    int32_t role;       /* EVI_ROLE_* */
    int32_t value;      /* in the model, once drawn; EV_NO_VALUE */
    int32_t init;       /* of a param: EV_INIT_* and value, should it be started anew */
    float init_value;
} evi_onnx_tensor;

int32_t evi_onnx_type(int32_t onnx_type); /* EV_TYPE_* or 0 */
int32_t evi_onnx_type_of(int32_t type);   /* the ONNX type of an EV_TYPE_* */
ev_status evi_onnx_tensor_parse(evi_wire body, evi_onnx_tensor *out);
/* Elements as this build keeps them; room for count of them. */
ev_status evi_onnx_tensor_read(const evi_onnx_tensor *t, void *to);
/* The elements where they lie in the file, when that is how they lie in memory; else NULL. */
const void *evi_onnx_tensor_in_place(const evi_onnx_tensor *t);
/* The same into a new tensor, for Constant nodes, bindings and tests. */
ev_status evi_onnx_tensor_load(ev_context *ctx, const evi_onnx_tensor *t, ev_tensor **out);

/* ---- names: names.c -------------------------------------------------------------------------- */

/* Texts to numbers.  Keyed, so that a file cannot be made to collide. */
typedef struct evi_onnx_name {
    evi_span name;
    int32_t value;
    int32_t used;
} evi_onnx_name;
typedef struct evi_onnx_names {
    ev_context *ctx;
    uint64_t seed;
    uint64_t capacity, n;
    evi_onnx_name *slots;
} evi_onnx_names;

ev_status evi_onnx_names_start(evi_onnx_names *names, ev_context *ctx, uint64_t expected);
/* The spans must outlive the table.  *known_out: the name was there, and keeps its value. */
ev_status evi_onnx_names_add(evi_onnx_names *names, evi_span name, int32_t value, bool *known_out);
int32_t *evi_onnx_names_find(const evi_onnx_names *names, evi_span name); /* its value, or NULL */
void evi_onnx_names_end(evi_onnx_names *names);

/* ---- a file that has been taken apart: parse.c ----------------------------------------------- */

#define EVI_ONNX_MAX_PORTS 1024
#define EVI_ONNX_MAX_META 1024
#define EVI_ONNX_MAX_PARAMS 16384
#define EVI_ONNX_MAX_TENSORS (2 * EVI_MAX_NODES)

typedef struct evi_onnx_node {
    evi_span name, op, domain;
    evi_wire body;
    int32_t n_in, n_out, n_attrs;
    int32_t has_graph; /* If, Loop and the like */
} evi_onnx_node;

typedef struct evi_onnx_port {
    evi_span name;
    int32_t onnx_type, type;
    int32_t has_shape, rank;
    int64_t dims[EV_MAX_RANK];
} evi_onnx_port;

typedef struct evi_onnx_meta {
    evi_span key, value;
} evi_onnx_meta;

typedef struct evi_onnx_file {
    ev_context *ctx;
    int64_t ir, opset;
    int32_t n_nodes, n_tensors, n_inputs, n_outputs, n_meta;
    evi_onnx_node *nodes;
    evi_onnx_tensor *tensors; /* initializers, and Constant nodes' values after them */
    int32_t n_initializers;   /* the first so many of them */
    evi_onnx_port *inputs, *outputs;
    evi_onnx_meta *meta;
} evi_onnx_file;

ev_status evi_onnx_parse(ev_context *ctx, const void *data, uint64_t n_bytes, int64_t max_nodes,
                         evi_onnx_file *out);
void evi_onnx_file_end(evi_onnx_file *file);
evi_span evi_onnx_meta_find(const evi_onnx_file *file, const char *key); /* at NULL: none */
/* Checksums that a file may carry: EV_ERR_FORMAT when one does not fit. */
/* *checked_out: the file carries one, and it fits. */
ev_status evi_onnx_check_file_crc(const void *data, uint64_t n_bytes, bool *checked_out);
ev_status evi_onnx_check_weights_crc(const evi_onnx_file *file);
ev_status evi_onnx_port_parse(evi_wire body, evi_onnx_port *out);

/* ---- attributes: rules.c, attributes.c ------------------------------------------------------- */

enum {                     /* how an ONNX attribute lies in evi_attrs */
    EVI_RULE_INT = 1,      /* int32_t; low..high are allowed */
    EVI_RULE_FLOAT,
    EVI_RULE_LIST,         /* evi_list */
    EVI_RULE_WORD,         /* int32_t: place of the word in a list of words */
    EVI_RULE_SPATIAL,      /* int32_t[2]: one or two numbers, low..high */
    EVI_RULE_PADS,         /* int32_t[4]: two or four numbers */
    EVI_RULE_SCALES,       /* float[8]; list.n counts them */
    EVI_RULE_TYPE,         /* int32_t: an element type */
    EVI_RULE_ONE,          /* evi_list that holds one number when it is set */
    EVI_RULE_IGNORE,       /* known, and without effect here */
    EVI_RULE_FIXED         /* known, but only `def` can be done */
};

typedef struct evi_onnx_rule {
    const char *op;        /* ONNX operators, with blanks between; "*": all */
    const char *attr;
    int32_t kind;
    int32_t since, until;  /* opsets that have it; until 0: still there */
    uint32_t offset;       /* in evi_attrs */
    int32_t input;         /* > 0: where the same thing stands as an input in opset 17 */
    int32_t low, high;
    float def;             /* value when it is not given (INT, FLOAT, WORD) */
    const char *const *words;
} evi_onnx_rule;

const evi_onnx_rule *evi_onnx_rules(int32_t *n_out);
/* Whether it is about this operator. */
bool evi_onnx_rule_for(const evi_onnx_rule *rule, evi_span op);

/* One attribute of a node. */
typedef struct evi_onnx_attr {
    evi_span name;
    int32_t type;          /* ATTR_TYPE_* */
    int32_t n;             /* numbers of a list */
    int64_t i;
    float f;
    int32_t pad;
    evi_span s;
    evi_wire body, tensor;
} evi_onnx_attr;

ev_status evi_onnx_attr_parse(evi_wire body, evi_onnx_attr *out);
/* Numbers of INTS or FLOATS; at most `room`. */
ev_status evi_onnx_attr_ints(const evi_onnx_attr *attr, int64_t *to, int32_t room, int32_t *n_out);
ev_status evi_onnx_attr_floats(const evi_onnx_attr *attr, float *to, int32_t room, int32_t *n_out);
/* Fill *a with the defaults and the attributes of a node.  The error names the attribute. */
ev_status evi_onnx_attrs_read(const evi_onnx_node *node, int64_t opset, evi_attrs *a);
/* First attribute of this name; *found false when there is none. */
ev_status evi_onnx_attr_find(const evi_onnx_node *node, const char *name, evi_onnx_attr *out,
                             bool *found);

/* ---- roles: roles.c -------------------------------------------------------------------------- */

/* Set the role of every initializer that is used.  tensors: name to index. */
ev_status evi_onnx_find_roles(evi_onnx_file *file, const evi_onnx_names *tensors);

/* ---- reading: reader.c, adapt.c -------------------------------------------------------------- */

#define EVI_ONNX_MAX_ARGS 1024

/* A node on its way into the model. */
typedef struct evi_onnx_draw {
    const evi_onnx_file *file;
    const evi_onnx_node *node;
    ev_model *model;
    const evi_op *op;
    evi_attrs a;
    char name[EVI_MAX_NAME + 1];
    int32_t n_in, n_out;
    int32_t in[EVI_ONNX_MAX_ARGS];  /* values */
    int32_t out[EVI_ONNX_MAX_ARGS]; /* filled once drawn */
} evi_onnx_draw;

/* Whether an operator of the default domain can be read; and ours for it. */
const evi_op *evi_onnx_op(evi_span onnx);
/* Mend what older opsets said differently: inputs, attributes, extra nodes before it. */
ev_status evi_onnx_adapt(evi_onnx_draw *d);

#endif
