/* LIST's own: patterns, and the names they are held against. Both are pure: no session, no waiting. */
#pragma once
#include "base/arena.h"

/* --- list_match.c: a pattern with '*' (anything) and '%' (anything but '/'), RFC 9051 §6.3.9. One pass over a name, whatever the
 * pattern: time grows with the one times a 64th of the other. --- */
enum { PATTERN_MOST = 4096 /* bytes of all the patterns of a command, runs of wildcards counted once */ };

struct pattern {
        struct str text;     /* runs of wildcards made one */
        size_t words;        /* of 64 states */
        uint64_t *letters;   /* states that a byte leads out of: 256 times words */
        uint64_t *any, *one; /* states that stand at '*', at '%' */
        bool ends_in_level;  /* in '%': levels above mailboxes are named too */
};
/* false: more than PATTERN_MOST with those before it (*used). */
bool pattern_make(struct arena *m, struct str text, size_t *used, struct pattern *out);
bool pattern_matches(const struct pattern *p, struct str name); /* INBOX in any case */
/* Could a name that begins with `prefix` match? Says yes when in doubt. */
bool pattern_reaches(const struct pattern *p, struct str prefix);

/* --- list_names.c: all names, in order, each above what lies below it --- */
enum name_bits {
        NAME_EXISTS = 1,
        NAME_NOSELECT = 2,
        NAME_SUBSCRIBED = 4,
        NAME_CHILDREN = 8,        /* something below it exists */
        NAME_CHILD_SELECTED = 16, /* something below it meets the selection */
        NAME_SELECTED = 32,
        NAME_MATCHES = 64,
        NAME_MATCHES_LEVEL = 128, /* by a pattern that ends in '%' */
        NAME_SHOWN = 256,
        NAME_CHILD_SUBSCRIBED = 512,
        NAME_CHILD_HIDDEN = 1024, /* meets the selection and is not shown itself */
};
struct list_name {
        struct str name, owner, path; /* owner empty: nothing stands behind it */
        struct str role;
        unsigned rights, bits;
        size_t above; /* its parent's place + 1; 0: none */
};
enum list_select {
        SELECT_SUBSCRIBED = 1,
        SELECT_REMOTE = 2,
        SELECT_RECURSIVE = 4,
        SELECT_SPECIAL = 8,
        SELECT_LSUB = 16, /* not an option: RFC 3501 §6.3.9 */
};
struct list_query {
        unsigned select; /* enum list_select */
        const struct pattern *patterns;
        size_t n;
};
enum { NAMES_MOST = 100000, LEVELS_MOST = 100000 };
struct list_names {
        struct arena *m;
        struct list_name *list; /* on the heap */
        size_t n, room;
};
bool names_add(struct list_names *l, const struct list_name *name); /* false: NAMES_MOST */
/* Puts them in order, joins what is there twice, adds the levels that are missing between them, and marks what is to be shown. A
 * worker's work. */
void names_choose(struct list_names *l, const struct list_query *q);
void list_names_free(struct list_names *l);
/* "\Drafts" of "drafts"; "" of what has none. */
struct str role_attribute(struct str role);
struct str role_of_attribute(struct str attribute); /* any case; "": none */
