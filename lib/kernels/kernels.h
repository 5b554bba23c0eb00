/* SPDX-License-Identifier: MIT */
/* One table of inner loops, and the function that chooses it.
 *
 * A kernel knows numbers only: raw pointers, no tensors, status, allocation or threads.  Its
 * meaning is the plain C of ref/; the instruction sets override it entry by entry, and
 * tests/kernels/evcheck.c compares every override with the reference.
 *
 * Unless an entry says otherwise: lengths may be 0, pointers need no alignment, an output may be
 * the same array as an input (element by element), and partly overlapping arrays are not allowed.
 * Every reduction has an order that depends on its length alone. */
#ifndef EVI_KERNELS_H
#define EVI_KERNELS_H

#include "base/base.h"

/* ---- activations ----------------------------------------------------------------------------- */

enum {
    EVK_ACT_NONE = 0,
    EVK_ACT_RELU,    /* max(0, x); NaN stays NaN */
    EVK_ACT_CLIP,    /* min(b, max(a, x)): ReLU6 is a 0, b 6 */
    EVK_ACT_LEAKY,   /* x > 0 ? x : a x */
    EVK_ACT_SIGMOID, /* 1 / (1 + exp(-x)) */
    EVK_ACT_TANH,
    EVK_ACT_HARDSWISH,   /* x clip(x / 6 + 1/2, 0, 1) */
    EVK_ACT_HARDSIGMOID, /* clip(a x + b, 0, 1) */
    EVK_ACT_COUNT
};

typedef struct evk_act {
    int32_t kind; /* EVK_ACT_* */
    evi_real a, b;
} evk_act;

/* ---- matrix tiles ---------------------------------------------------------------------------- */

/* c[i*ldc + j] = sum over p < k of a[p*a_step + i] * b[off[p] + j],  i < m, j < n.
 *
 * The rows of b are found by a table of offsets, so one kernel serves a packed panel
 * (off[p] = p * nr), a matrix as it stands (off[p] = p * ldb) and a convolution over a padded
 * plane (off[p] = where tap p begins).  Each output element is one chain of multiply-adds in
 * ascending p starting from zero, whatever m, n and the place in the tile: so its bits do not
 * depend on how a matrix was cut into tiles.
 *
 * Then: with EVK_TILE_ADD the old c is added (c + chain); with bias, bias[i] is added; with
 * EVK_TILE_CLIP the result is min(hi, max(lo, .)), NaN staying NaN.
 *
 * m <= mr and n <= nr, or m <= few_mr and n <= few_nr.  Nothing outside the tile is read or
 * written. */
enum { EVK_TILE_ADD = 1, EVK_TILE_CLIP = 2 };

typedef struct evk_tile {
    int64_t k;
    const evi_real *a;
    int64_t a_step;
    const evi_real *b;
    const int32_t *off;
    evi_real *c;
    int64_t ldc;
    int32_t m, n;
    const evi_real *bias; /* m values, or NULL */
    int32_t flags;
    evi_real lo, hi;
} evk_tile;

/* The same sums s for two rows of a picture, of n columns (even), and a 2x2 max pool:
 *     s[i][r][j] = sum over p < k of a[p*a_step + i] * b[off[p] + r*down + j],  i < m, r < 2, j < n
 *     y[i*ldy + j] = largest of s[i][0][2j], s[i][0][2j+1], s[i][1][2j], s[i][1][2j+1],  j < n/2
 * with bias[i] added before, as max_pool2 (where: also ldy between channels; may be NULL), or as
 * max_pool2_relu when `positive` is set; then EVK_TILE_CLIP as above.
 * m <= few_mr, n <= few_nr/2. */
typedef struct evk_pool_tile {
    int64_t k;
    const evi_real *a;
    int64_t a_step;
    const evi_real *b;
    int64_t down;
    const int32_t *off;
    evi_real *y;
    uint8_t *where;
    int64_t ldy;
    int32_t m, n;
    const evi_real *bias; /* m values, or NULL */
    int32_t flags, positive;
    evi_real lo, hi;
} evk_pool_tile;

/* c[i*ldc + j] = sum over s < planes, r < rows, x < len of
 *     a[i*lda + s*a_plane + r*a_step + x] * b[off[j] + s*b_plane + r*b_step + x]
 * (added to the old c with EVK_TILE_ADD),  i < m, j < n.  For products whose two operands both run
 * along the summed index: dense layers (planes 1, rows 1) and the gradient of convolution weights
 * (pictures, rows, pixels).  One accumulator vector per output in a fixed order of (s, r, x), then
 * its lanes: the bits do not depend on m, n or the place in the tile.
 * m <= dot_mr and n <= dot_nr, or m <= dot_few_mr and n <= dot_few_nr. */
typedef struct evk_dot_tile {
    int64_t planes, rows, len;
    const evi_real *a;
    int64_t lda, a_plane, a_step;
    const evi_real *b;
    const int32_t *off;
    int64_t b_plane, b_step;
    evi_real *c;
    int64_t ldc;
    int32_t m, n;
    int32_t flags;
} evk_dot_tile;

/* ---- Winograd F(4x4, 3x3) --------------------------------------------------------------------

 * A 3x3 correlation over tiles of 6x6 inputs and 4x4 outputs as 36 products:
 *     Y = A^T [ (G g G^T) * (B^T d B) ] A        (* element by element)
 * The interpolation points are 0, +-a, +-b and infinity with a = 5/8, b = 3/2: all products of
 * them are exact, and the error is half of what 1 and 2 give.  With a2 = a a, b2 = b b, the rows of
 *     B^T   [a2 b2, 0, -(a2 + b2), 0, 1, 0]   [0, a2 b2, 0, -(a2 + b2), 0, 1] (last)
 *           [0, -+a b2, -b2, +-a, 1, 0]       [0, -+b a2, -a2, +-b, 1, 0]
 *     A^T   [p^i for each point p], i = 0..3; infinity has 0 0 0 1
 *     G     [1, p, p2] / product of p's differences to the other points; infinity has [0, 0, 1]
 * in the order 0, a, -a, b, -b, infinity.  Point (i, j) of the 36 is number 6 i + j.  The value of
 * a tile does not depend on where it lies in a call. */
#define EVK_WINO_A ((evi_real)0.625)
#define EVK_WINO_B ((evi_real)1.5)
enum { EVK_WINO_POINTS = 36 };

/* v[p*step + t] = point p of B^T d B,  d[r][c] = row[r][4 t + c - left],  t < n, r, c < 6.
 * A row of NULL, and columns outside 0..width-1, are zeros. */
typedef struct evk_wino_in {
    int64_t n; /* tiles side by side */
    const evi_real *row[6];
    int64_t left, width;
    evi_real *v;
    int64_t step;
} evk_wino_in;

/* y[r*ldy + 4 t + c] = (A^T m_t A)[r][c],  m_t = m[p*step + t],  t < n, r < height <= 4,
 * 4 t + c < width <= 4 n.  In this order: the bias is added; with EVK_TILE_ADD the old y (never
 * with pool); with EVK_TILE_CLIP as in evk_tile.
 * pool: of each 2x2 outputs with their bias the largest, as max_pool2, and then the clip; height
 * and width count pooled values (height <= 2, width <= 2 n).  where: one byte a value, ldw between
 * rows, as max_pool2 gives it, but 4 for a value <= 0 when `positive` is set; may be NULL. */
typedef struct evk_wino_out {
    int64_t n;
    const evi_real *m;
    int64_t step;
    evi_real *y;
    int64_t ldy;
    int64_t width;
    int32_t height;
    int32_t flags;
    evi_real bias, lo, hi;
    bool pool, positive;
    uint8_t *where;
    int64_t ldw;
} evk_wino_out;

/* u[c*u_next + p*step + i] = point p of G g G^T,  g[r][q] = g[c*g_next + (3 r + q) * ldg + i],
 * c < count, i < n.  For kernels turned by 180 degrees give the last tap and -ldg.  No overlap. */
typedef struct evk_wino_weights {
    int64_t count, n;
    const evi_real *g;
    int64_t ldg, g_next;
    evi_real *u;
    int64_t step, u_next;
    bool far; /* u will not be read before it has left the caches (a hint) */
} evk_wino_weights;

/* The gradient of the weights is the same three products the other way about:
 *     dg = G^T [ sum over tiles of (A dy A^T) * (B^T d B) ] G
 * Here a group of grad_lanes channels lies side by side, so a row of z is a row of pixels, each
 * with the values of the group: grad_spread makes it from planes.  For tiles t < n side by side and
 * lanes l < m of the group:
 *     v[p*point + t*step + l] = point p of B^T d B  (grad_x, 6x6 inputs) or A d A^T (grad_dy, 4x4)
 *     d[r][c] = z[r*row + (4 t + c) * grad_lanes + l]
 * The values of a tile do not depend on where it lies in a call. */
/* z[i*grad_lanes + l] = x[l*ldx + i],  i < n, l < m <= grad_lanes; 0 in the lanes from m on. */
typedef struct evk_grad_rows {
    int64_t n;
    int32_t m;
    const evi_real *x;
    int64_t ldx;
    evi_real *z;
    const evi_real *next; /* a hint: next[l*next_ldx + i] will be asked for soon; may be NULL */
    int64_t next_ldx;
} evk_grad_rows;

typedef struct evk_grad_tiles {
    int64_t n;
    int32_t m;
    const evi_real *z;
    int64_t row;
    evi_real *v;
    int64_t point, step;
} evk_grad_tiles;

typedef struct evk_norm { /* see norm_sums, norm_back */
    evi_real a, b, leak, mean;
    evi_real p, q, r;
} evk_norm;

/* c[r*ldc + x] = sum over t < n of w[t] * b[r*b_step + off[t] + x],  r < rows, x < len: one chain
 * of multiply-adds in ascending t starting from zero.  Then as in evk_tile; bias: one value, or
 * NULL. */
typedef struct evk_stencil {
    int64_t rows, len;
    const evi_real *b;
    int64_t b_step;
    const int32_t *off;
    const evi_real *w;
    int32_t n, flags;
    evi_real *c;
    int64_t ldc;
    const evi_real *bias;
    evi_real lo, hi;
} evk_stencil;

/* ---- optimisers: one pass; formulas and order of operations as PyTorch documents them -------- */

typedef struct evk_sgd {
    evi_real lr, momentum, dampening, l2; /* l2: g += l2 * w first */
    int32_t nesterov;
    int32_t first; /* first step: the momentum buffer becomes g, without dampening */
} evk_sgd;

typedef struct evk_adam {
    evi_real lr, beta1, beta2, eps;
    evi_real rest1, rest2; /* 1 - beta1, 1 - beta2: given, since 1 - 0.999f is off by 5e-5 */
    evi_real l2;           /* Adam: g += l2 * w first */
    evi_real decay;        /* AdamW: w *= 1 - lr * decay first */
    evi_real correct1;     /* 1 - beta1^t */
    evi_real correct2;     /* sqrt(1 - beta2^t) */
} evk_adam;
/* m = beta1 m + rest1 g; v = beta2 v + rest2 g g;
 * w -= (lr / correct1) * m / (sqrt(v) / correct2 + eps) */

typedef struct evk_rmsprop {
    evi_real lr, alpha, rest, eps, momentum, l2; /* rest: 1 - alpha; l2: g += l2 * w first */
} evk_rmsprop;
/* v = alpha v + rest g g; step = g / (sqrt(v) + eps);
 * momentum > 0: m = momentum m + step, step = m; w -= lr step */

/* ---- the table ------------------------------------------------------------------------------- */

typedef struct evi_kernels {
    const char *name; /* "ref", "avx2", "avx512", "neon" */
    uint32_t cpu;     /* the EV_CPU_* set of the last override; 0 for ref */

    /* matrix tiles and their block sizes */
    void (*tile)(const evk_tile *t);
    int32_t lanes;          /* values of a vector: widths that are multiples of it waste nothing */
    int32_t mr, nr;         /* full tile */
    int32_t few_mr, few_nr; /* the tile for few rows: less tall, wider */
    int32_t kc;             /* a sum longer than kc is cut every kc terms; the parts are added in
                               order.  The same number everywhere, since it decides the bits. */
    int32_t nc;             /* columns of b packed at a time, a multiple of nr and few_nr */
    void (*pool_tile)(const evk_pool_tile *t);
    void (*dot_tile)(const evk_dot_tile *t);
    int32_t dot_mr, dot_nr, dot_few_mr, dot_few_nr;
    int32_t dot_len;     /* terms of a dot sum at a time; decides bits, the same everywhere */
    int32_t plane_bytes; /* how much of a padded picture to hold at a time (a share of L2) */

    void (*stencil)(const evk_stencil *s);

    /* y = x^T: y[j*ldy + i] = x[i*ldx + j], i < m, j < n; no overlap */
    void (*transpose)(int64_t m, int64_t n, const evi_real *x, int64_t ldx, evi_real *y,
                      int64_t ldy);
    /* y[i*ldy + j] = x[i*ldx + j], i < m, j < n (n small) */
    void (*copy_rows)(int64_t m, int64_t n, const evi_real *x, int64_t ldx, evi_real *y,
                      int64_t ldy);
    /* y[i] = x[i * step] and y[i * step] = x[i] (added when add is set) */
    void (*gather)(int64_t n, const evi_real *x, int64_t step, evi_real *y);
    void (*scatter)(int64_t n, const evi_real *x, evi_real *y, int64_t step, int32_t add);

    /* element by element */
    void (*add)(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
    void (*sub)(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
    void (*mul)(int64_t n, const evi_real *a, const evi_real *b, evi_real *y);
    void (*mul_add)(int64_t n, const evi_real *a, const evi_real *b, evi_real *y); /* y += a b */
    void (*scale)(int64_t n, evi_real alpha, const evi_real *x, evi_real *y);      /* y = alpha x */
    void (*axpy)(int64_t n, evi_real alpha, const evi_real *x, evi_real *y); /* y += alpha x */
    /* y = a x + b: normalisation applied, and u = a x + b */
    void (*affine)(int64_t n, const evi_real *x, evi_real a, evi_real b, evi_real *y);
    /* y = a u + b x + c, added to y when add is set: normalisation's backward pass */
    void (*affine2)(int64_t n, const evi_real *u, const evi_real *x, evi_real a, evi_real b,
                    evi_real c, evi_real *y, int32_t add);
    /* Normalisation with an activation behind it.
     * y = act(a x + b), a x + b in one rounding where the set has such an instruction */
    void (*norm_act)(int64_t n, const evi_real *x, evi_real a, evi_real b, const evk_act *act,
                     evi_real *y);
    /* With z = a x + b as above and g = z > 0 ? dy : leak dy:
     * sums[0] = sum of g, sums[1] = sum of g (x - mean) */
    void (*norm_sums)(int64_t n, const evi_real *dy, const evi_real *x, const evk_norm *o,
                      evi_real *sums);
    /* dx = p g + q x + r, added to dx when add is set */
    void (*norm_back)(int64_t n, const evi_real *dy, const evi_real *x, const evk_norm *o,
                      evi_real *dx, int32_t add);
    void (*exp)(int64_t n, const evi_real *x, evi_real *y); /* at most 2 ulp */
    /* y = act(x + shift): all kinds of EVK_ACT_*.  shift is the bias of a channel, or 0. */
    void (*act)(int64_t n, const evi_real *x, evi_real shift, const evk_act *act, evi_real *y);
    /* dx = dy * act'(.), added when add is set.  RELU, CLIP, LEAKY, SIGMOID and TANH are computed
     * from the output y alone, the others from the input x (which may be NULL for the former;
     * NONE needs neither).  At the corner the slope is PyTorch's: ReLU' (0) = 0. */
    void (*act_back)(int64_t n, const evi_real *x, const evi_real *y, const evi_real *dy,
                     const evk_act *act, evi_real *dx, int32_t add);

    /* reductions */
    evi_real (*sum)(int64_t n, const evi_real *x);
    evi_real (*sum_squares)(int64_t n, const evi_real *x, evi_real mean); /* of x - mean */
    /* of u (x - mean) */
    evi_real (*sum_products)(int64_t n, const evi_real *u, const evi_real *x, evi_real mean);
    evi_real (*max)(int64_t n, const evi_real *x); /* n >= 1; NaN if any is NaN */
    /* of the x[i] with where[i] <= 3 */
    evi_real (*sum_where)(int64_t n, const evi_real *x, const uint8_t *where);
    /* y = exp(x - shift); gives the sum of y: the middle of softmax */
    evi_real (*exp_sum)(int64_t n, const evi_real *x, evi_real shift, evi_real *y);

    /* max pooling 2x2, stride 2: n outputs from the rows x0, x1 of 2n values; where[i] = which of
     * the four (0 left above, 1 right above, 2 left below, 3 right below), the first of equals,
     * NaN wins; where may be NULL */
    void (*max_pool2)(int64_t n, const evi_real *x0, const evi_real *x1, evi_real *y,
                      uint8_t *where);
    /* The same and then a ReLU: y[i] = max(0, .), and where it is <= 0 where[i] = 4 */
    void (*max_pool2_relu)(int64_t n, const evi_real *x0, const evi_real *x1, evi_real *y,
                           uint8_t *where);
    /* dx0, dx1: 2n values each, all written (added to when add is set); where above 3: nowhere */
    void (*max_pool2_back)(int64_t n, const evi_real *dy, const uint8_t *where, evi_real *dx0,
                           evi_real *dx1, int32_t add);

    /* Winograd */
    void (*wino_in)(const evk_wino_in *a);
    void (*wino_out)(const evk_wino_out *a);
    void (*wino_weights)(const evk_wino_weights *a);

    int32_t grad_lanes;
    void (*grad_spread)(const evk_grad_rows *a);
    void (*grad_x)(const evk_grad_tiles *a);
    void (*grad_dy)(const evk_grad_tiles *a);
    /* g[t*tap + i] = tap t of G^T u G,  u[p] = u[p*point + i],  i < n */
    void (*grad_end)(int64_t n, const evi_real *u, int64_t point, evi_real *g, int64_t tap);

    /* optimisers; buf and m may be NULL where momentum is 0 */
    void (*sgd)(int64_t n, const evk_sgd *o, const evi_real *g, evi_real *buf, evi_real *w);
    void (*adam)(int64_t n, const evk_adam *o, const evi_real *g, evi_real *m, evi_real *v,
                 evi_real *w);
    void (*rmsprop)(int64_t n, const evk_rmsprop *o, const evi_real *g, evi_real *m, evi_real *v,
                    evi_real *w);

    /* pixels to planes: y[c*plane + i] = x[i*channels + c] * scale[c] + shift[c], c < channels,
     * channels 1..4 */
    void (*bytes_to_planes)(int64_t n, const uint8_t *x, int32_t channels, const evi_real *scale,
                            const evi_real *shift, evi_real *y, int64_t plane);
} evi_kernels;

/* What only training needs: in a build without it tables have NULL there, and it is left out. */
#ifdef EVI_NO_TRAINING
#define EVK_TRAINED(function) (0 ? (function) : 0)
#else
#define EVK_TRAINED(function) (function)
#endif

/* The best table for a processor with these EV_CPU_* sets among the built ones.  A pure function;
 * the tables are constants. */
const evi_kernels *evi_kernels_for(uint32_t cpu_flags);

/* For kernels.c: each instruction set's file gives its table, or NULL when it was compiled without
 * the flags it needs (then a bare `cc lib/kernels/x86/avx2.c` still builds). */
extern const evi_kernels evk_ref_table;
const evi_kernels *evk_avx2(void);
const evi_kernels *evk_avx512(void);
const evi_kernels *evk_neon(void);

#endif
