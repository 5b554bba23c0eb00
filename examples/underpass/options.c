/* SPDX-License-Identifier: MIT */
/* The command line of ev-underpass-render. */
#include "options.h"

#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void options_help(void)
{
    fputs(
        "usage: ev-underpass-render --out DIR [options]\n"
        "       ev-underpass-render --raw [options] | ffmpeg -f rawvideo -pix_fmt rgb24 ...\n"
        "\n"
        "Draws pictures of a pedestrian underpass as a fixed, motion-triggered camera sees it,\n"
        "and DIR/truth.csv, which says what is in each.  Same options, same pictures.\n"
        "\n"
        "  --out DIR          folder for pictures and truth.csv, made when missing\n"
        "  --size WxH         size of a picture, 8..8192 a side (default 224x224); always the\n"
        "                     field of view of 1920x1080, squeezed if need be\n"
        "  --counts LIST      frames of each class that survive step C of the paper\n"
        "                     (default dog=180,pedestrian=904,bicyclist=253,empty=904)\n"
        "  --total N          frames in all, those that step C drops and spare empty ones too\n"
        "                     (default 5978 with the default counts, else as the clips come)\n"
        "  --exact            only the counted frames: what is left after steps C and D\n"
        "  --domain NAME      day, night, spray or mix (default day)\n"
        "  --seed N           another campaign (default 1)\n"
        "  --layout NAME      frames (one folder), classes (a folder a class), clips (a folder a\n"
        "                     clip) (default frames)\n"
        "  --format NAME      png, jpg, ppm (default jpg)\n"
        "  --quality N        of JPEG, 1..100 (default 92)\n"
        "  --threads N        draw on so many threads, 1..64 (default 1); changes no pixel\n"
        "  --quiet            no progress on stderr\n"
        "\n"
        "  --raw              no files: the clips as RGB24 video on stdout, one after the other\n"
        "  --fps N            frames a second of that video, 1..60 (default 1)\n"
        "  --clip N           only clip N, with --raw or --out\n"
        "  --list             no pictures: the clips (number, domain, planned class, start,\n"
        "                     seconds) as CSV on stdout\n"
        "  --help             this text\n"
        "\n"
        "Exit code: 0 good, 2 usage, 5 out of memory, 6 reading or writing failed.\n",
        stdout);
}

static bool complain(const char *option, const char *value, const char *want)
{
    fprintf(stderr, "ev-underpass-render: %s %s: %s\n", option, value ? value : "", want);
    return false;
}

/* Digits only: strtol takes blanks, signs and what not. */
static bool whole(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    *out = v;
    return errno == 0 && *end == '\0' && v >= low && v <= high;
}

static bool read_int(const char *option, const char *text, int low, int high, int *out)
{
    uint64_t v;
    char     want[64];

    if (whole(text, (uint64_t)low, (uint64_t)high, &v)) {
        *out = (int)v;
        return true;
    }
    snprintf(want, sizeof want, "must be a whole number, %d..%d", low, high);
    return complain(option, text, want);
}

static bool read_choice(const char *option, const char *text, const char *const *names, int n,
                        int *out)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(text, names[i])) {
            *out = i;
            return true;
        }
    return complain(option, text, "no such choice; see --help");
}

static bool read_size(const char *text, render_options *o)
{
    char     copy[32];
    char    *cross;
    uint64_t w, h;

    if (strlen(text) >= sizeof copy)
        return complain("--size", text, "must look like 224x224");
    strcpy(copy, text);
    cross = strchr(copy, 'x');
    if (cross)
        *cross = '\0';
    if (!cross || !whole(copy, 8, 8192, &w) || !whole(cross + 1, 8, 8192, &h))
        return complain("--size", text, "must look like 224x224, each side 8..8192");
    o->width = (int)w;
    o->height = (int)h;
    return true;
}

static int class_of(const char *name, size_t n)
{
    static const struct {
        const char *name;
        int         label;
    } known[] = {{"empty", SCENE_EMPTY},           {"pedestrian", SCENE_PEDESTRIAN},
                 {"dog", SCENE_DOG_WALKER},        {"dog_walker", SCENE_DOG_WALKER},
                 {"bicyclist", SCENE_BICYCLIST}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == n && !strncmp(name, known[i].name, n))
            return known[i].label;
    return -1;
}

/* "dog=180,empty=904"; classes not named get none */
static bool read_counts(const char *text, campaign_options *c)
{
    memset(c->counts, 0, sizeof c->counts);
    for (const char *at = text; *at;) {
        size_t      item = strcspn(at, ",");
        const char *equals = memchr(at, '=', item);
        char        digits[16];
        uint64_t    v;
        int         label = equals ? class_of(at, (size_t)(equals - at)) : -1;
        size_t      n = equals ? item - (size_t)(equals + 1 - at) : 0;
        if (label < 0 || n >= sizeof digits)
            return complain("--counts", text, "must look like dog=180,pedestrian=904");
        memcpy(digits, equals + 1, n);
        digits[n] = '\0';
        if (!whole(digits, 0, 1000000, &v))
            return complain("--counts", text, "a count must be 0..1000000");
        c->counts[label] = (int32_t)v;
        at += item + (at[item] == ',');
    }
    return true;
}

static bool read_flag(const char *name, render_options *o)
{
    bool *flag = !strcmp(name, "--raw")     ? &o->raw
                 : !strcmp(name, "--list")  ? &o->list
                 : !strcmp(name, "--help")  ? &o->help
                 : !strcmp(name, "--exact") ? &o->campaign.exact
                 : !strcmp(name, "--quiet") ? &o->quiet
                                            : NULL;
    if (flag)
        *flag = true;
    return flag != NULL;
}

static bool read_value(const char *name, const char *text, render_options *o)
{
    static const char *const formats[] = {"png", "jpg", "ppm"};
    static const char *const layouts[] = {"frames", "classes", "clips"};
    static const char *const domains[] = {"day", "night", "spray", "mix"};
    const struct {
        const char *name;
        int         low, high;
        int        *to;
    } numbers[] = {{"--quality", 1, 100, &o->quality}, {"--threads", 1, 64, &o->threads},
                   {"--fps", 1, 60, &o->fps},          {"--clip", 1, 1000000, &o->clip},
                   {"--total", 1, 10000000, &o->campaign.total}};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!strcmp(name, numbers[i].name))
            return read_int(name, text, numbers[i].low, numbers[i].high, numbers[i].to);
    if (!strcmp(name, "--out")) {
        o->out = text;
        return *text || complain(name, text, "must not be empty");
    }
    if (!strcmp(name, "--size"))
        return read_size(text, o);
    if (!strcmp(name, "--counts"))
        return read_counts(text, &o->campaign);
    if (!strcmp(name, "--format"))
        return read_choice(name, text, formats, 3, &o->format);
    if (!strcmp(name, "--layout"))
        return read_choice(name, text, layouts, 3, &o->layout);
    if (!strcmp(name, "--domain")) {
        int chosen;
        if (!read_choice(name, text, domains, 4, &chosen))
            return false;
        o->campaign.domain = chosen < SCENE_N_DOMAINS ? chosen : -1;
        return true;
    }
    if (!strcmp(name, "--seed"))
        return whole(text, 0, UINT64_MAX, &o->campaign.seed) ||
               complain(name, text, "must be a whole number");
    return complain(name, NULL, "no such option; see --help");
}

bool options_read(int argc, char **argv, render_options *o)
{
    static const campaign_options paper = {.counts = {904, 904, 180, 253}, .seed = 1};
    bool counted = false;

    *o = (render_options){.width = 224, .height = 224, .format = OUTPUT_JPG, .quality = 92,
                          .threads = 1, .fps = 1, .campaign = paper};
    for (int i = 1; i < argc; i++) {
        if (read_flag(argv[i], o))
            continue;
        if (strncmp(argv[i], "--", 2))
            return complain(argv[i], NULL, "options are named; see --help");
        if (i + 1 == argc)
            return complain(argv[i], NULL, "unknown, or its value is missing; see --help");
        counted = counted || !strcmp(argv[i], "--counts");
        if (!read_value(argv[i], argv[i + 1], o))
            return false;
        i++;
    }
    if (o->help)
        return true;
    if (!counted && !o->campaign.exact && !o->campaign.total)
        o->campaign.total = 5978;
    if (!o->out && !o->raw && !o->list)
        return complain("--out", NULL, "say where to, or --raw, or --list");
    if (o->out && (o->raw || o->list))
        return complain("--out", NULL, "does not go with --raw or --list");
    return true;
}
