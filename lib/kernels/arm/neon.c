/* SPDX-License-Identifier: MIT */
/* Arm Advanced SIMD, 64 bit: the words of the vector texts, and the table. */
#include "kernels/ref/ref.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(EVI_REAL_DOUBLE)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define VL 4
typedef float32x4_t vf;
typedef int vt;        /* how many of the first lanes: 1 to 4 */
typedef uint32x4_t vm; /* all bits of any lanes */

static inline vt v_tail(int n)
{
    return n;
}
static inline vf v_zero(void)
{
    return vdupq_n_f32(0);
}
static inline vf v_set(float x)
{
    return vdupq_n_f32(x);
}
static inline vf v_load(const float *p)
{
    return vld1q_f32(p);
}
/* The same value, but certainly in a register of its own: otherwise gcc loads the scalars of a
 * whole column first, and runs out of registers.  Volatile keeps the order. */
static inline vf v_held(vf v)
{
    __asm__ volatile("" : "+w"(v));
    return v;
}
static inline void v_store(float *p, vf v)
{
    vst1q_f32(p, v);
}
static inline vf v_load_or(const float *p, vt t, vf rest)
{
    if (t == 4)
        return vld1q_f32(p);
    rest = vld1q_lane_f32(p, rest, 0);
    if (t > 1)
        rest = vld1q_lane_f32(p + 1, rest, 1);
    return t > 2 ? vld1q_lane_f32(p + 2, rest, 2) : rest;
}
static inline vf v_load_t(const float *p, vt t)
{
    return v_load_or(p, t, vdupq_n_f32(0));
}
static inline void v_store_t(float *p, vt t, vf v)
{
    if (t == 4) {
        vst1q_f32(p, v);
        return;
    }
    vst1q_lane_f32(p, v, 0);
    if (t > 1)
        vst1q_lane_f32(p + 1, v, 1);
    if (t > 2)
        vst1q_lane_f32(p + 2, v, 2);
}
static inline vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
static inline vf v_sqrt(vf a)
{
    return vsqrtq_f32(a);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return vfmsq_f32(c, a, b);
}
static inline vf v_max(vf a, vf b)
{
    return vmaxq_f32(a, b);
}
static inline vf v_min(vf a, vf b)
{
    return vminq_f32(a, b);
}
static inline vm v_gt(vf a, vf b)
{
    return vcgtq_f32(a, b);
}
static inline vm v_le(vf a, vf b)
{
    return vcleq_f32(a, b);
}
static inline vm v_nan(vf a)
{
    return vmvnq_u32(vceqq_f32(a, a));
}
static inline vm v_both(vm a, vm b)
{
    return vandq_u32(a, b);
}
static inline vm v_either(vm a, vm b)
{
    return vorrq_u32(a, b);
}
static inline int v_any(vm a)
{
    return vmaxvq_u32(a) != 0;
}
static inline vf v_pick(vm m, vf yes, vf no)
{
    return vbslq_f32(m, yes, no);
}
static inline vf v_keep(vm m, vf a)
{
    return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(a)));
}
static inline vf v_abs(vf a)
{
    return vabsq_f32(a);
}
static inline vf v_sign_of(vf magnitude, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude);
}
static inline vf v_round(vf a)
{
    return vrndnq_f32(a);
}
/* 2^n for whole n in -126..127 */
static inline vf v_power2(vf n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
}
/* Halves, pairs: a fixed order. */
static inline float v_sum(vf v)
{
    const float32x2_t h = vadd_f32(vget_low_f32(v), vget_high_f32(v));

    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
/* out[i] = v_sum(v[i]) */
static inline void v_sum4(const vf *v, float *out)
{
    const float32x4_t ab = vaddq_f32(vcombine_f32(vget_low_f32(v[0]), vget_low_f32(v[1])),
                                     vcombine_f32(vget_high_f32(v[0]), vget_high_f32(v[1])));
    const float32x4_t cd = vaddq_f32(vcombine_f32(vget_low_f32(v[2]), vget_low_f32(v[3])),
                                     vcombine_f32(vget_high_f32(v[2]), vget_high_f32(v[3])));

    vst1q_f32(out, vpaddq_f32(ab, cd));
}
static inline void v_unzip(vf a, vf b, vf *even, vf *odd)
{
    *even = vuzp1q_f32(a, b);
    *odd = vuzp2q_f32(a, b);
}
static inline void v_zip(vf even, vf odd, vf *a, vf *b)
{
    *a = vzip1q_f32(even, odd);
    *b = vzip2q_f32(even, odd);
}
/* Each lane's next, and x in the last */
static inline vf v_slide(vf v, float x)
{
    return vextq_f32(v, vdupq_n_f32(x), 1);
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
    uint32_t four;

    memcpy(&four, p, sizeof(four));
    const uint16x8_t h = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));

    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(h)));
}
static inline void v_to_bytes(uint8_t *p, vf v)
{
    const uint16x4_t h = vmovn_u32(vcvtq_u32_f32(v));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(h, h))), 0);

    memcpy(p, &four, sizeof(four));
}
/* A vector is one quad. */
static inline vf v_quads(const float *p, int64_t step)
{
    (void)step;
    return vld1q_f32(p);
}
static inline void v_quads_transpose(vf r[4])
{
    const float32x4_t ac0 = vzip1q_f32(r[0], r[2]), ac1 = vzip2q_f32(r[0], r[2]);
    const float32x4_t bd0 = vzip1q_f32(r[1], r[3]), bd1 = vzip2q_f32(r[1], r[3]);

    r[0] = vzip1q_f32(ac0, bd0);
    r[1] = vzip2q_f32(ac0, bd0);
    r[2] = vzip1q_f32(ac1, bd1);
    r[3] = vzip2q_f32(ac1, bd1);
}
static inline void q_transpose(const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const float32x4_t a = vld1q_f32(x), b = vld1q_f32(x + ldx);
    const float32x4_t c = vld1q_f32(x + 2 * ldx), d = vld1q_f32(x + 3 * ldx);
    const float32x4_t ac0 = vzip1q_f32(a, c), ac1 = vzip2q_f32(a, c);
    const float32x4_t bd0 = vzip1q_f32(b, d), bd1 = vzip2q_f32(b, d);

    vst1q_f32(y, vzip1q_f32(ac0, bd0));
    vst1q_f32(y + ldy, vzip2q_f32(ac0, bd0));
    vst1q_f32(y + 2 * ldy, vzip1q_f32(ac1, bd1));
    vst1q_f32(y + 3 * ldy, vzip2q_f32(ac1, bd1));
}

#define TILE_M 8
#define TILE_N 3
#define FEW_M 4
#define FEW_N 6
#define TILE_TAIL_APART /* a partial load is several instructions */
#define TABLE_NAME "neon"
#define TABLE_CPU EV_CPU_NEON
#define TABLE_PLANE_BYTES (128 << 10)
#include "kernels/vector/table.h"

const evi_kernels *evk_neon(void)
{
    return &table;
}

#else

const evi_kernels *evk_neon(void)
{
    return NULL;
}

#endif
