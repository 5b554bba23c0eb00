/* SPDX-License-Identifier: MIT */
#include "golden_file.h"
#include "support.h"

#include <ctype.h>
#include <stddef.h>

void golden_open(golden_file *f, const char *path)
{
    memset(f, 0, sizeof(*f));
    f->data = t_read(path, &f->size);
    if (f->data == NULL)
        ck_abort_msg("%s cannot be read", path);
}

void golden_close(golden_file *f)
{
    free(f->data);
}

static char *next_line(golden_file *f)
{
    char *line = f->data + f->at;
    char *end = f->at < f->size ? memchr(line, '\n', f->size - f->at) : NULL;
    if (end == NULL)
        return NULL;
    *end = '\0';
    f->at = (size_t)(end - f->data) + 1;
    return line;
}

/* ---- attributes ----------------------------------------------------------------------------- */

enum { FIELD_INT, FIELD_FLOAT, FIELD_LIST };

typedef struct field {
    const char *name;
    int32_t kind;
    size_t offset;
} field;

#define INT(n)                                \
    {                                         \
#n, FIELD_INT, offsetof(evi_attrs, n) \
    }
#define FLOAT(n)                                \
    {                                           \
#n, FIELD_FLOAT, offsetof(evi_attrs, n) \
    }
#define LIST(n)                                \
    {                                          \
#n, FIELD_LIST, offsetof(evi_attrs, n) \
    }
static const field fields[] = {INT(kernel),      INT(stride),     INT(dilation),
                               INT(output_pad),  INT(pad),        INT(groups),
                               INT(auto_pad),    INT(ceil_mode),  INT(count_include_pad),
                               INT(axis),        INT(keep_dims),  INT(trans_a),
                               INT(trans_b),     INT(mode),       INT(coord),
                               INT(nearest),     INT(reduce),     INT(flag),
                               INT(opset),       FLOAT(alpha),    FLOAT(beta),
                               FLOAT(epsilon),   FLOAT(momentum), FLOAT(rate),
                               FLOAT(smoothing), FLOAT(cubic_a),  INT(storage_order),
                               LIST(list),       LIST(list2),     LIST(list3),
                               LIST(list4)};

static void set_field(evi_attrs *a, const field *f, const char *text)
{
    char *place = (char *)a + f->offset, *end = NULL;
    if (f->kind == FIELD_LIST)
        *(evi_list *)place = (evi_list){.set = 1};
    for (int32_t i = 0; *text != '\0'; i++) {
        double value = strtod(text, &end);
        if (f->kind == FIELD_INT)
            ((int32_t *)place)[i] = (int32_t)value;
        else if (f->kind == FIELD_FLOAT)
            ((float *)place)[i] = (float)value;
        else
            ((evi_list *)place)->v[((evi_list *)place)->n++] = (int64_t)value;
        text = *end == ',' ? end + 1 : end;
    }
}

static void set_attribute(golden_case *c, const char *key, const char *value)
{
    if (strcmp(key, "training") == 0) {
        c->training = atoi(value) != 0;
        return;
    }
    if (strcmp(key, "n_out") == 0) {
        c->step.n_out = atoi(value);
        return;
    }
    for (int32_t i = 0; i < EVI_COUNT(fields); i++) {
        if (strcmp(fields[i].name, key) == 0) {
            set_field(&c->step.a, &fields[i], value);
            return;
        }
    }
    ck_abort_msg("golden case %d: no attribute %s", c->line, key);
}

static void read_case(golden_case *c, char *line)
{
    char *save = NULL, *word = strtok_r(line, " ", &save);
    word = strtok_r(NULL, " ", &save);
    one_start(&c->step, word);
    for (word = strtok_r(NULL, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        *value = '\0';
        set_attribute(c, word, value + 1);
    }
}

/* ---- tensors -------------------------------------------------------------------------------- */

static int32_t read_dims(const char *text, int64_t *dims)
{
    int32_t rank = 0;
    char *end = NULL;
    for (; isdigit((unsigned char)*text); text = *end == 'x' ? end + 1 : end)
        dims[rank++] = strtol(text, &end, 10);
    return rank;
}

static void read_input(golden_case *c, const char *line)
{
    char type, dims_text[64];
    unsigned long long seed;
    double lo, hi;
    int64_t dims[EV_MAX_RANK];
    if (sscanf(line, "in %c %63s %llu %lf %lf", &type, dims_text, &seed, &lo, &hi) != 5)
        ck_abort_msg("golden case %d: %s", c->line, line);
    if (type == '-') {
        one_absent(&c->step);
        return;
    }
    int32_t kinds = type == 'f'   ? EV_TYPE_FLOAT32
                    : type == 'i' ? EV_TYPE_INT32
                    : type == 'l' ? EV_TYPE_INT64
                                  : EV_TYPE_BOOL;
    int32_t i = one_input(&c->step, kinds, read_dims(dims_text, dims), dims);
    c->seed[i] = seed;
    c->step.lo[i] = lo;
    c->step.hi[i] = hi;
}

static void read_expected(golden_file *f, golden_case *c, const char *line)
{
    char kind[8], dims[64];
    int index;
    long long n, stride;
    expected *e = &c->expected[c->n_expected++];
    if (sscanf(line, "%7s %d %63s %lld %lld %lf", kind, &index, dims, &n, &stride, &e->peak) != 6)
        ck_abort_msg("golden case %d: %s", c->line, line);
    e->kind = kind[0] == 'o' ? EXPECT_OUT : kind[0] == 'g' ? EXPECT_GRAD : EXPECT_MOVED;
    e->index = index;
    e->n = n;
    e->stride = stride;
    e->numbers = (const unsigned char *)f->data + f->at;
    f->at += (size_t)n * 4;
}

bool golden_next(golden_file *f, golden_case *c)
{
    memset(c, 0, sizeof(*c));
    c->line = ++f->n_cases;
    for (char *line = next_line(f); line != NULL; line = next_line(f)) {
        size_t length = strlen(line);
        if (strcmp(line, "end") == 0) {
            line[length] = '\n'; /* so that the file can be read again */
            return true;
        }
        char copy[512];
        snprintf(copy, sizeof(copy), "%s", line);
        line[length] = '\n';
        if (strncmp(copy, "case ", 5) == 0)
            read_case(c, copy);
        else if (strncmp(copy, "in ", 3) == 0)
            read_input(c, copy);
        else if (strncmp(copy, "weight ", 7) == 0)
            c->weight_seed = strtoull(copy + 7, NULL, 10);
        else
            read_expected(f, c, copy);
    }
    return false;
}

/* ---- values --------------------------------------------------------------------------------- */

double golden_value(unsigned long long seed, int64_t element, double lo, double hi)
{
    uint64_t z = (seed << 32) + (uint64_t)element + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return lo + (hi - lo) * (double)(z >> 48) / 65536;
}

void golden_fill(golden_case *c)
{
    one_step *o = &c->step;
    for (int32_t i = 0; i < o->n_in; i++) {
        for (int64_t e = 0; o->in[i] != NULL && e < one_count_in(o, i); e++) {
            double v = golden_value(c->seed[i], e, o->lo[i], o->hi[i]);
            switch (o->in[i]->type) {
            case EV_TYPE_FLOAT32: one_in(o, i)[e] = (evi_real)v; break;
            case EV_TYPE_INT32: ((int32_t *)o->in[i]->data)[e] = (int32_t)v; break;
            case EV_TYPE_INT64: ((int64_t *)o->in[i]->data)[e] = (int64_t)v; break;
            default: ((uint8_t *)o->in[i]->data)[e] = v != 0; break;
            }
        }
    }
    for (int64_t e = 0; o->out[0]->grad != NULL && e < one_count_out(o, 0); e++)
        o->out[0]->grad[e] = (evi_real)golden_value(c->weight_seed, e, -1, 1);
}
