/* SPDX-License-Identifier: MIT */
/* Networks by name. */
#include "zoo/draw.h"

#include <string.h>

static const char *const names[] = { "Arch1", "Arch2", "Arch3", "Arch4", "Arch5", "Arch6", "Arch7",
                                     "Arch8", "Arch9", "Arch10", "Arch11", "ResNet-18",
                                     "ResNet-20", "ResNet-56" };

const char *ev_zoo_name(int32_t index)
{
    return index >= 0 && index < EVI_COUNT(names) ? names[index] : NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Equal but for capitals and hyphens? */
static bool same_name(const char *a, const char *b)
{
    for (;;) {
        while (*a == '-')
            a++;
        while (*b == '-')
            b++;
        if (lower(*a) != lower(*b))
            return false;
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
}

/* "7" or "11" -> 7, 11; 0 for anything else. */
static int32_t small_number(const char *text)
{
    int64_t n = 0;
    if (text[0] < '1' || text[0] > '9' || !evi_parse_int(text, strlen(text), &n))
        return 0;
    return n <= ev_zoo_n_archs() ? (int32_t)n : 0;
}

int32_t ev_zoo_arch_number(const char *name)
{
    if (name == NULL)
        return 0;
    for (int32_t i = 0; i < ev_zoo_n_archs(); i++)
        if (same_name(name, names[i]))
            return i + 1;
    return small_number(lower(name[0]) == 'm' ? name + 1 : name);
}

static ev_status unknown(ev_context *ctx, const char *name)
{
    evi_text list;
    evi_text_start(&list, ctx);
    for (int32_t i = 0; i < EVI_COUNT(names); i++)
        evi_text_add(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    ev_status status = evi_fail(EV_ERR_ARGUMENT, "no network is called '%.64s'; there are %s", name,
                                list.data != NULL ? list.data : "others");
    evi_text_end(&list);
    return status;
}

ev_status ev_zoo_create(ev_context *ctx, const char *name, const ev_zoo_options *opt,
                        ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(name);
    int32_t number = ev_zoo_arch_number(name);
    if (number > 0)
        return ev_zoo_arch(ctx, number, opt, out);
    if (same_name(name, "ResNet-18"))
        return ev_zoo_resnet18(ctx, opt, out);
    if (same_name(name, "ResNet-20"))
        return ev_zoo_resnet_small(ctx, 20, opt, out);
    if (same_name(name, "ResNet-56"))
        return ev_zoo_resnet_small(ctx, 56, opt, out);
    return unknown(ctx, name);
}
