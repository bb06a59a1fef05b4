/* The table of settings, for the two files that work on it: settings.c (values) and settings_text.c (text). */
#pragma once
#include "settings.h"

enum setting_type {
        TITLE, /* no setting: the heading of those that follow */
        NAME,  /* a word without spaces */
        TEXT,  /* words */
        NUMBER,
        SIZE,    /* bytes; 50M */
        TIME,    /* seconds; 10m */
        TIME_MS, /* the same, kept in milliseconds; 500ms */
        FLAG,    /* yes, no */
        CHOICE,  /* the number of the word */
};
struct setting {
        const char *name;
        enum setting_type type;
        size_t at;         /* the field */
        const char *value; /* by default */
        long least, most;
        const char *help;
        enum setting_when { AT_ANY_TIME, AT_START } when; /* at SIGHUP too, or only at start */
        const char *words[4];                             /* of a CHOICE */
};
extern const struct setting settings_table[];
extern const size_t settings_table_count;

static inline bool setting_is_text(const struct setting *e)
{
        return e->type == NAME || e->type == TEXT;
}
