/* SPDX-License-Identifier: MIT */
/* Command-line options as a table: one row says type, target, range and help text of an option. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>
#include <stdio.h>

enum {
    OPTION_FLAG,   /* int32_t: 1 when given */
    OPTION_INT,    /* int32_t */
    OPTION_SEED,   /* uint64_t */
    OPTION_REAL,   /* double */
    OPTION_TEXT,   /* const char * */
    OPTION_SIZE,   /* int32_t[2]: width, height; "96" or "96x64" */
    OPTION_LIST,   /* number_list: "64,16,20" */
    OPTION_CHOICE, /* int32_t: index in choices */
    OPTION_HEADING /* no option: a line of its own in the help text */
};

enum { LIST_MAX = 64 };
typedef struct number_list {
    int32_t n;
    double value[LIST_MAX];
} number_list;

typedef struct option {
    const char *name;   /* "epochs", without the dashes */
    char letter;        /* of the short form, or 0 */
    int type;           /* OPTION_* */
    void *target;       /* what it holds before parsing is the default */
    const char *value;  /* what the help calls the value, "N" */
    const char *help;   /* one line; a newline goes on below */
    double min, max;    /* of numbers, both included; both 0: any */
    const char *const *choices; /* NULL-terminated */
} option;

/* What one verb takes. */
typedef struct syntax {
    const char *verb;    /* "train" */
    const char *usage;   /* what follows the verb: "DATA -o RUN [options]" */
    const char *purpose; /* a sentence or two */
    const option *options;
    int n_options;
    int min_rest, max_rest; /* how many arguments that are no options */
    const char *const *files; /* out: arguments that are no options */
    int n_files;              /* out */
    const char *examples;     /* lines for the end of the help text, or NULL */
} syntax;

#define N_OPTIONS(table) ((int)(sizeof(table) / sizeof((table)[0])))

/*
 * Read argv[0..argc-1] (after the verb).  Fills targets and s->files; argv is reordered.
 * 0: go on; 1: help was asked for and printed; 2: wrong usage, said on stderr.
 */
int options_parse(syntax *s, int argc, char **argv);

/* Set one option by name, as from the command line.  0, or 2 after a message. */
int options_set(const syntax *s, const char *name, const char *value);

/* Value of an option as text that options_set() takes: "96x96".  Always fits. */
void options_show(const option *o, char *out, size_t size);

void options_help(const syntax *s, FILE *to);

#endif /* OPTIONS_H */
