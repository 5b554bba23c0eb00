/* SPDX-License-Identifier: MIT */
/* AVX2 and FMA: the words of the vector texts, and the table. */
#include "kernels/ref/ref.h"

#if defined(__AVX2__) && defined(__FMA__) && !defined(EVI_REAL_DOUBLE)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define VL 8
typedef __m256 vf;
typedef __m256i vt; /* all bits of the first lanes */
typedef __m256 vm;  /* all bits of any lanes */

static inline vt v_tail(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf v_zero(void)
{
    return _mm256_setzero_ps();
}
static inline vf v_set(float x)
{
    return _mm256_set1_ps(x);
}
static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
/* The same value, but certainly in a register: otherwise gcc makes it a memory operand of each of
 * its uses, and the loads, not the multiply-adds, limit the loop. */
static inline vf v_held(vf v)
{
    __asm__("" : "+x"(v));
    return v;
}
static inline void v_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
static inline vf v_load_t(const float *p, vt t)
{
    return _mm256_maskload_ps(p, t);
}
static inline vf v_load_or(const float *p, vt t, vf rest)
{
    return _mm256_blendv_ps(rest, _mm256_maskload_ps(p, t), _mm256_castsi256_ps(t));
}
static inline void v_store_t(float *p, vt t, vf v)
{
    _mm256_maskstore_ps(p, t, v);
}
static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
/* With NaN on either side the second operand comes out. */
static inline vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vm v_gt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
static inline vm v_le(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
static inline vm v_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
static inline vm v_both(vm a, vm b)
{
    return _mm256_and_ps(a, b);
}
static inline vm v_either(vm a, vm b)
{
    return _mm256_or_ps(a, b);
}
static inline int v_any(vm a)
{
    return _mm256_movemask_ps(a) != 0;
}
static inline vf v_pick(vm m, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, m);
}
static inline vf v_keep(vm m, vf a)
{
    return _mm256_and_ps(m, a);
}
static inline vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vf v_sign_of(vf magnitude, vf sign)
{
    return _mm256_or_ps(v_abs(magnitude), _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
}
static inline vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 2^n for whole n in -126..127 */
static inline vf v_power2(vf n)
{
    const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));

    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
/* Halves, quarters, pairs: a fixed order. */
static inline float v_sum(vf v)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
/* out[i] = v_sum(v[i]) */
static inline void v_sum4(const vf *v, float *out)
{
    const __m256 ac = _mm256_add_ps(_mm256_permute2f128_ps(v[0], v[2], 0x20),
                                    _mm256_permute2f128_ps(v[0], v[2], 0x31));
    const __m256 bd = _mm256_add_ps(_mm256_permute2f128_ps(v[1], v[3], 0x20),
                                    _mm256_permute2f128_ps(v[1], v[3], 0x31));
    const __m256 q =
        _mm256_add_ps(_mm256_shuffle_ps(ac, bd, 0x44), _mm256_shuffle_ps(ac, bd, 0xee));
    const __m256 p = _mm256_add_ps(q, _mm256_movehdup_ps(q)); /* a, b, c, d in lanes 0, 2, 4, 6 */

    _mm_storeu_ps(out,
                  _mm_shuffle_ps(_mm256_castps256_ps128(p), _mm256_extractf128_ps(p, 1), 0x88));
}
static inline void v_unzip(vf a, vf b, vf *even, vf *odd)
{
    const vf low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);

    *even = _mm256_shuffle_ps(low, high, 0x88);
    *odd = _mm256_shuffle_ps(low, high, 0xdd);
}
static inline void v_zip(vf even, vf odd, vf *a, vf *b)
{
    const vf low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);

    *a = _mm256_permute2f128_ps(low, high, 0x20);
    *b = _mm256_permute2f128_ps(low, high, 0x31);
}
/* Each lane's next, and x in the last */
static inline vf v_slide(vf v, float x)
{
    const vf next = _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0));

    return _mm256_blend_ps(next, _mm256_set1_ps(x), 0x80);
}
/* Stores around the caches do not pay: vectors are shorter than lines. */
static inline int v_can_store_past(const float *p)
{
    (void)p;
    return 0;
}
static inline void v_store_past(float *p, vf v)
{
    v_store(p, v);
}
static inline void v_stored_past(void)
{
}
/* Small whole numbers 0..255 to and from bytes */
static inline vf v_from_bytes(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static inline void v_to_bytes(uint8_t *p, vf v)
{
    const __m256i w = _mm256_cvtps_epi32(v);
    const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));

    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(h, h));
}
/* Half g from p + g * step. */
static inline vf v_quads(const float *p, int64_t step)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + step), 1);
}
/* 4x4 values in each half */
static inline void v_quads_transpose(vf r[4])
{
    const __m256d ab0 = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
    const __m256d ab1 = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
    const __m256d cd0 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
    const __m256d cd1 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));

    r[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab0, cd0));
    r[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab0, cd0));
    r[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab1, cd1));
    r[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab1, cd1));
}
static inline void q_transpose(const float *x, int64_t ldx, float *y, int64_t ldy)
{
    __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + ldx);
    __m128 c = _mm_loadu_ps(x + 2 * ldx), d = _mm_loadu_ps(x + 3 * ldx);

    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(y, a);
    _mm_storeu_ps(y + ldy, b);
    _mm_storeu_ps(y + 2 * ldy, c);
    _mm_storeu_ps(y + 3 * ldy, d);
}

/* Eight rows of VL columns: y[j*ldy + i] = x[i*ldx + j] */
#define HAS_TRANSPOSE8
static inline void v_transpose8(const float *x, int64_t ldx, float *y, int64_t ldy)
{
    __m256d quad[2][4]; /* lane q of quad[h][c]: rows 4 h .. 4 h + 3 of column 4 q + c */

    for (int h = 0; h < 2; h++, x += 4 * ldx) {
        const __m256 a = v_load(x), b = v_load(x + ldx);
        const __m256 c = v_load(x + 2 * ldx), d = v_load(x + 3 * ldx);
        const __m256d ab0 = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        const __m256d ab1 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        const __m256d cd0 = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        const __m256d cd1 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));

        quad[h][0] = _mm256_unpacklo_pd(ab0, cd0);
        quad[h][1] = _mm256_unpackhi_pd(ab0, cd0);
        quad[h][2] = _mm256_unpacklo_pd(ab1, cd1);
        quad[h][3] = _mm256_unpackhi_pd(ab1, cd1);
    }
    for (int c = 0; c < 4; c++, y += ldy) {
        const __m256 a = _mm256_castpd_ps(quad[0][c]), b = _mm256_castpd_ps(quad[1][c]);

        _mm256_storeu_ps(y, _mm256_permute2f128_ps(a, b, 0x20));
        _mm256_storeu_ps(y + 4 * ldy, _mm256_permute2f128_ps(a, b, 0x31));
    }
}

#define TILE_M 4
#define TILE_N 3
#define FEW_M 2
#define FEW_N 6
#define TILE_TAIL_APART /* the mask would be the seventeenth register */
#define TABLE_NAME "avx2"
#define TABLE_CPU EV_CPU_AVX2
#define TABLE_PLANE_BYTES (128 << 10)
#include "kernels/vector/table.h"

const evi_kernels *evk_avx2(void)
{
    return &table;
}

#else

const evi_kernels *evk_avx2(void)
{
    return NULL;
}

#endif
