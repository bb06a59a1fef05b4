/* What the files of account_check share. */
#pragma once
#include "store/account_inside.h"

struct known_place {
        struct place at;
        bool seen; /* in a page */
};
struct known {
        uint32_t letter, thread;
        uint64_t body, size;
        size_t places, places_n;
        bool doomed;
};
struct known_body {
        uint64_t body, uses, size, found;
        bool file, seen, doomed;
};
struct placing { /* an entry of the table */
        uint32_t letter;
        struct place at;
};
struct check {
        struct account *a;
        struct buf *out;
        unsigned wrong;
        struct known *letters;
        size_t n, room;
        struct known_place *places;
        size_t places_n, places_room;
        struct placing *placing;
        size_t placing_n, placing_room;
        uint32_t *doomed; /* ascending */
        size_t doomed_n, doomed_room;
        struct known_body *bodies;
        size_t bodies_n, bodies_room;
        struct counter all;
};
void check_complain(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *check_more(void *list, size_t n, size_t *room, size_t size);
struct known *check_letter(struct check *c, uint32_t letter);
int check_bodies(struct check *c, struct db *d);
int check_threads(struct check *c, struct db *d);
int check_names(struct check *c, struct db *d);
/* Before the letters are read: `placing` and `doomed`. */
int check_load_places(struct check *c, struct db *d);
void check_places(struct check *c, struct known *k, struct str home); /* where a letter believes to lie */
int check_seen(struct check *c, struct db *d, struct str name, uint32_t mailbox);
