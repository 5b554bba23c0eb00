/* SPDX-License-Identifier: MIT */
/* AVX-512 F, BW, DQ, VL: the words of the vector texts, and the table. */
#include "kernels/ref/ref.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
    defined(__AVX512VL__) && !defined(EVI_REAL_DOUBLE)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define VL 16
typedef __m512 vf;
typedef __mmask16 vt; /* the first lanes */
typedef __mmask16 vm; /* any lanes */

static inline vt v_tail(int n)
{
    return (vt)((1u << n) - 1);
}
static inline vf v_zero(void)
{
    return _mm512_setzero_ps();
}
static inline vf v_set(float x)
{
    return _mm512_set1_ps(x);
}
static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
/* The same value, but certainly in a register: otherwise gcc makes it a memory operand of each of
 * its uses, and the loads, not the multiply-adds, limit the loop. */
static inline vf v_held(vf v)
{
    __asm__("" : "+v"(v));
    return v;
}
static inline void v_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
static inline vf v_load_t(const float *p, vt t)
{
    return _mm512_maskz_loadu_ps(t, p);
}
static inline vf v_load_or(const float *p, vt t, vf rest)
{
    return _mm512_mask_loadu_ps(rest, t, p);
}
static inline void v_store_t(float *p, vt t, vf v)
{
    _mm512_mask_storeu_ps(p, t, v);
}
/* p[2 i] = v[i] or += v[i]; what lies between is not touched. */
#define HAS_STORE_EVEN
static inline void v_store_even(float *p, vf v, int add)
{
    const __m512i at = _mm512_setr_epi32(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0);
    __m512 a = _mm512_permutexvar_ps(at, v);
    __m512 b = _mm512_permutexvar_ps(_mm512_add_epi32(at, _mm512_set1_epi32(8)), v);

    if (add) {
        a = _mm512_add_ps(a, _mm512_maskz_loadu_ps(0x5555, p));
        b = _mm512_add_ps(b, _mm512_maskz_loadu_ps(0x5555, p + 16));
    }
    _mm512_mask_storeu_ps(p, 0x5555, a);
    _mm512_mask_storeu_ps(p + 16, 0x5555, b);
}
static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
/* With NaN on either side the second operand comes out. */
static inline vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
static inline vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vm v_gt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
static inline vm v_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
static inline vm v_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
static inline vm v_both(vm a, vm b)
{
    return (vm)(a & b);
}
static inline vm v_either(vm a, vm b)
{
    return (vm)(a | b);
}
static inline int v_any(vm a)
{
    return a != 0;
}
static inline vf v_pick(vm m, vf yes, vf no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}
static inline vf v_keep(vm m, vf a)
{
    return _mm512_maskz_mov_ps(m, a);
}
static inline vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}
static inline vf v_sign_of(vf magnitude, vf sign)
{
    return _mm512_or_ps(_mm512_abs_ps(magnitude), _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
}
static inline vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 2^n for whole n in -126..127 */
static inline vf v_power2(vf n)
{
    const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));

    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}
/* Halves, quarters, pairs: a fixed order. */
static inline float v_sum(vf v)
{
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
/* out[i] = v_sum(v[i]) */
static inline void v_sum4(const vf *v, float *out)
{
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x44),
                                    _mm512_shuffle_f32x4(v[0], v[1], 0xee));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], 0x44),
                                    _mm512_shuffle_f32x4(v[2], v[3], 0xee));
    __m512 q =
        _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));

    q = _mm512_add_ps(q, _mm512_permute_ps(q, 0x4e));
    q = _mm512_add_ps(q, _mm512_permute_ps(q, 0xb1));
    _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, q)));
}
static inline void v_unzip(vf a, vf b, vf *even, vf *odd)
{
    const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);

    *even = _mm512_permutex2var_ps(a, e, b);
    *odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(e, _mm512_set1_epi32(1)), b);
}
static inline void v_zip(vf even, vf odd, vf *a, vf *b)
{
    const __m512i e = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

    *a = _mm512_permutex2var_ps(even, e, odd);
    *b = _mm512_permutex2var_ps(even, _mm512_add_epi32(e, _mm512_set1_epi32(8)), odd);
}
/* Each lane's next, and x in the last */
static inline vf v_slide(vf v, float x)
{
    return _mm512_castsi512_ps(
        _mm512_alignr_epi32(_mm512_castps_si512(_mm512_set1_ps(x)), _mm512_castps_si512(v), 1));
}
/* A store to what the caches need not keep.  Vectors are whole lines here: only then it pays. */
static inline int v_can_store_past(const float *p)
{
    return (uintptr_t)p % 64 == 0;
}
static inline void v_store_past(float *p, vf v)
{
    _mm512_stream_ps(p, v);
}
static inline void v_stored_past(void)
{
    _mm_sfence();
}
/* Small whole numbers 0..255 to and from bytes */
static inline vf v_from_bytes(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline void v_to_bytes(uint8_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}
/* Quarter g from p + g * step. */
static inline vf v_quads(const float *p, int64_t step)
{
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(p));

    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + step), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 2 * step), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 3 * step), 3);
}
/* 4x4 values in each quarter */
static inline void v_quads_transpose(vf r[4])
{
    const __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
    const __m512d ab1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
    const __m512d cd0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
    const __m512d cd1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));

    r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab0, cd0));
    r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab0, cd0));
    r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab1, cd1));
    r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab1, cd1));
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
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i last = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512d quad[2][4]; /* lane q of quad[h][c]: rows 4 h .. 4 h + 3 of column 4 q + c */

    for (int h = 0; h < 2; h++, x += 4 * ldx) {
        const __m512 a = v_load(x), b = v_load(x + ldx);
        const __m512 c = v_load(x + 2 * ldx), d = v_load(x + 3 * ldx);
        const __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        const __m512d ab1 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        const __m512d cd0 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        const __m512d cd1 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));

        quad[h][0] = _mm512_unpacklo_pd(ab0, cd0);
        quad[h][1] = _mm512_unpackhi_pd(ab0, cd0);
        quad[h][2] = _mm512_unpacklo_pd(ab1, cd1);
        quad[h][3] = _mm512_unpackhi_pd(ab1, cd1);
    }
    for (int c = 0; c < 4; c++, y += ldy) {
        const __m512 p = _mm512_castpd_ps(_mm512_permutex2var_pd(quad[0][c], first, quad[1][c]));
        const __m512 q = _mm512_castpd_ps(_mm512_permutex2var_pd(quad[0][c], last, quad[1][c]));

        _mm256_storeu_ps(y, _mm512_castps512_ps256(p));
        _mm256_storeu_ps(y + 4 * ldy, _mm512_extractf32x8_ps(p, 1));
        _mm256_storeu_ps(y + 8 * ldy, _mm512_castps512_ps256(q));
        _mm256_storeu_ps(y + 12 * ldy, _mm512_extractf32x8_ps(q, 1));
    }
}

#define TILE_M 8
#define TILE_N 3
#define FEW_M 4
#define FEW_N 6
#define TABLE_NAME "avx512"
#define TABLE_CPU (EV_CPU_AVX2 | EV_CPU_AVX512)
#define TABLE_PLANE_BYTES (256 << 10)
#include "kernels/vector/table.h"

const evi_kernels *evk_avx512(void)
{
    return &table;
}

#else

const evi_kernels *evk_avx512(void)
{
    return NULL;
}

#endif
