/* SPDX-License-Identifier: MIT */
/* Option structs of any age: the size that the caller knew is the version of the struct. */
#include "base/base.h"

#include <math.h>
#include <string.h>

#define OPTIONS_BYTES_MAX 65536u

ev_status ev_options_init(void *options, uint64_t size)
{
    EVI_CHECK_POINTER(options);
    if (size < sizeof(uint32_t) || size > OPTIONS_BYTES_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "ev_options_init: size %llu is not in 4..%u",
                        (unsigned long long)size, OPTIONS_BYTES_MAX);
    uint32_t stamp = (uint32_t)size;
    memset(options, 0, (size_t)size);
    memcpy(options, &stamp, sizeof(stamp));
    return EV_OK;
}

static ev_status size_of(const void *from, const char *function, uint32_t *out)
{
    memcpy(out, from, sizeof(*out));
    if (*out < sizeof(uint32_t) || *out > OPTIONS_BYTES_MAX)
        return evi_fail(EV_ERR_ARGUMENT, "%s: struct_size is %u; EV_OPTIONS_INIT sets it", function,
                        *out);
    return EV_OK;
}

ev_status evi_options_read(void *ours, uint32_t our_size, const void *from, const char *function)
{
    uint32_t size = our_size;
    memset(ours, 0, our_size);
    if (from != NULL) {
        EVI_TRY(size_of(from, function, &size));
        const unsigned char *bytes = from;
        for (uint32_t i = our_size; i < size; i++)
            if (bytes[i] != 0)
                return evi_fail(EV_ERR_VERSION,
                                "%s: an option at byte %u is set that this release (%s) does not "
                                "know",
                                function, i, ev_version());
        memcpy(ours, from, EVI_MIN(size, our_size));
    }
    memcpy(ours, &our_size, sizeof(our_size));
    return EV_OK;
}

ev_status evi_options_write(void *to, const void *ours, uint32_t our_size, const char *function)
{
    uint32_t size = 0;
    if (to == NULL)
        return evi_fail(EV_ERR_ARGUMENT, "%s: the struct to fill is NULL", function);
    EVI_TRY(size_of(to, function, &size));
    uint32_t filled = EVI_MIN(size, our_size);
    memset(to, 0, size);
    memcpy(to, ours, filled);
    memcpy(to, &filled, sizeof(filled));
    return EV_OK;
}

/* 0.999f is 0.99900001287: taken as it is, 1 - beta would be off by 1e-5, and a checkpoint or
 * PyTorch would not mean the same number.  What a caller writes has few digits. */
double evi_decimal(float x)
{
    double power = 1;
    for (int32_t digits = 0; digits <= 15; digits++, power *= 10) {
        double d = round((double)x * power) / power;
        if ((float)d == x)
            return d;
    }
    return (double)x;
}
