/* SPDX-License-Identifier: MIT */
/* Every public function as data: tests/api/generate.py makes the table from the headers, and the
 * tests call each row with arguments from an array.  The world has one object of each kind. */
#ifndef TESTS_API_H
#define TESTS_API_H

#include <edgevision/edgevision.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef union api_slot {
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    float f32;
    double f64;
    void *p;
    void (*fn)(void);
} api_slot;

/* Kinds of argument, field and result. */
enum {
    API_VOID,
    API_STATUS,
    API_I32,
    API_U32,
    API_I64,
    API_U64,
    API_F32,
    API_F64,
    API_FN,
    API_TEXT,
    API_HANDLE,
    API_STRUCT_IN,
    API_STRUCT_OUT,
    API_OUT_HANDLE,
    API_OUT_POINTER,
    API_OUT_NUMBER,
    API_POINTER
};

/* What the table says about an argument (arguments.txt). */
enum {
    API_MAY_BE_NULL = 1,
    API_MAY_BE_ANY = 2,
    API_MAY_BE_COUNT = 4,
    API_MAY_BE_BORROWED = 8,
    API_MAY_BE_ARRAY = 16,
    API_MAY_BE_NEEDED = 32,
    API_MAY_BE_BASED = 64
};

typedef struct api_field {
    const char *name;
    int32_t kind;
    size_t offset;
} api_field;

typedef struct api_struct {
    const char *name;
    size_t n_bytes;
    int32_t n_fields;
    const api_field *fields;
} api_struct;

typedef struct api_argument {
    const char *name;
    int32_t kind;
    int32_t handle; /* API_ev_...: which kind of object */
    const api_struct *options;
    int32_t flags;
} api_argument;

typedef struct api_world api_world;

#define API_MOST_ARGUMENTS 16

typedef struct api_function {
    const char *name;
    int32_t returns;
    int32_t known; /* arguments.txt has good arguments for it */
    int32_t n;
    const api_argument *arguments;
    void (*call)(const api_slot *a, api_slot *result);
    void (*good)(api_world *w, api_slot *a);
} api_function;

int32_t api_n_functions(void);
const api_function *api_at(int32_t index);
const char *api_handle_name(int32_t handle);
void api_handle_end(int32_t handle, void *object); /* its _destroy */

/* ---- the world: one object of each kind, and arguments that fit ------------------------------ */

#define API_PATH 512

struct api_world {
    ev_context *ctx;
    ev_tensor *tensor, *label_tensor, *logits, *result; /* [2,3,8,8], [2], [2,2], [2,2] */
    ev_image *image;
    ev_dataset *fresh, *listed; /* nobody else holds fresh; listed comes from a manifest */
    ev_loader *loader;
    ev_model *drawing, *model; /* without weights; a classifier of 8x8 pictures with weights */
    ev_plan *plan;
    ev_session *session; /* has run once */
    ev_trainer *trainer; /* one step and one epoch done */
    ev_metrics *metrics; /* two pictures */
    ev_model *prunable;  /* this and the next three: made when first asked for */
    ev_pruner *pruner;
    ev_prune_plan *prune_plan;
    ev_prune_report *prune_report;
    ev_model *generators[2], *scored; /* these too, and the next three */
    ev_cyclegan *gan;                 /* of pictures of 8x8, no step done */
    ev_translator *translator;
    ev_router *router;
    ev_value x, flat, square, label_value, loss, values[64], values_out[64];
    int64_t *dims, *any_dims, *reshape, sizes[64], dims_out[8]; /* blocks of 8: */
    int32_t *order, labels[64], items[64];                      /* the highest rank */
    double fractions[64], losses[64];
    const char *names[64];
    char name_texts[64][16];
    const ev_tensor *inputs[4];
    ev_tensor *outputs[4];
    ev_feed feeds[4];
    void *out[64], *out2[8], *out3[8], *out4[8];
    void *blocks[64]; /* structs for the library to fill, the last ones made */
    int32_t n_blocks;
    unsigned char buffer[1536];
    const void *model_bytes, *picture;
    uint64_t n_model_bytes, n_picture;
    char folder[API_PATH], counts_folder[API_PATH], new_path[API_PATH], model_path[API_PATH];
    char picture_path[API_PATH], manifest_path[API_PATH], checkpoint_path[API_PATH];
    char gan_path[API_PATH];
};

/* Files that worlds share: written once into dir (which must exist), read from there later. */
ev_status api_files_write(const char *dir);
/* A world with these files.  On failure what there is can be ended. */
ev_status api_world_start(const ev_context_options *opt, const char *dir, api_world *w);
void api_world_end(api_world *w);
/* An object of the world by kind (API_ev_...); NULL when the world has none. */
void *api_world_object(const api_world *w, int32_t handle);
/* A struct of n bytes to fill, stamped, in a block of its own: writing past it is found. */
void *api_block(api_world *w, size_t n);
/* Made when first asked for; NULL when that fails. */
ev_model *api_prunable(api_world *w);
ev_pruner *api_pruner(api_world *w);
ev_prune_plan *api_prune_plan(api_world *w);
ev_prune_report *api_prune_report(api_world *w);
void *api_score_options(api_world *w);
void *api_prune_options(api_world *w);
ev_model *api_generator(api_world *w, int32_t number);
ev_model *api_scored(api_world *w); /* a classifier with a score */
ev_cyclegan *api_gan(api_world *w);
ev_translator *api_translator(api_world *w);
ev_router *api_router(api_world *w);
void *api_gan_options(api_world *w);
void *api_distill_options(api_world *w);
int32_t api_swallow(void *user, const void *bytes, uint64_t n);

/* End what a successful call gave: handles, texts, bytes. */
void api_results_end(const api_function *f, const api_slot *a, const api_slot *result);
/* The library cannot train in this build. */
bool api_no_training(void);

#include "functions.inc"

#endif
