/* What the files of store/mailbox and store/access share. Functions that take a struct db run on a worker thread inside
 * a transaction. */
#pragma once
#include "store/account_inside.h"
#include "store/mailbox.h"

enum {
        MAILBOX_NAME_MAX = 255,
        MAILBOX_PATH_MAX = 1000,
        MAILBOX_DEPTH_MAX = 32,
        MAILBOXES_MAX = 10000,     /* in an account */
        SUBSCRIPTIONS_MAX = 10000, /* of a reader */
        ACL_MAX = 1000,            /* entries of a mailbox */
        ANNOTATIONS_MAX = 1000,    /* of a mailbox and a reader */
        ANNOTATION_MAX = 64 * 1024,
};

/* What a path may be (mailbox.h). "user" and "shared" at the top would hide behind the namespaces of that name. */
bool mailbox_path_valid(struct str path);
/* The first name of *rest, INBOX in capitals where it is the first of all; *rest goes on behind it. */
struct str mailbox_first_name(struct str *rest, bool top);
/* Follows the path as far as there is one. rest: the names that are missing. */
struct mailbox_walk {
        uint32_t mailbox, parent; /* the last one found, and what it lies in; 0: the top */
        struct str rest;
};
int mailbox_walk(struct db *d, struct str path, struct mailbox_walk *w);

struct mailbox_row {
        uint32_t mailbox, parent, uidvalidity;
        bool selectable;
        bool has_role;
};
int mailbox_row(struct db *d, uint32_t mailbox, struct mailbox_row *row);             /* -ENOENT */
int mailbox_child(struct db *d, uint32_t parent, struct str name, uint32_t *mailbox); /* 0: none */
bool mailbox_has_children(struct db *d, uint32_t mailbox, int *rc);

/* All of them, by number. */
struct tree_row {
        uint32_t mailbox, parent, uidvalidity;
        struct str name, role;
        bool selectable;
        unsigned given, taken; /* rights */
        uint64_t created, changed;
};
int mailbox_tree(struct db *d, struct arena *m, struct tree_row **rows, size_t *n);
struct tree_row *tree_find(struct tree_row *rows, size_t n, uint32_t mailbox); /* NULL */

/* Who asks. */
struct reader_name {
        struct str name, domain; /* "jill@hill.com", "hill.com" */
        bool owner;
};
struct reader_name reader_of(struct account *a, struct str reader);
/* One entry's part in the reader's rights: identifier fits him? negative ones are told apart by *minus. */
bool acl_fits(const struct reader_name *r, struct str identifier, bool *minus);
/* mailbox 0: what he may do at the top of the account. */
int acl_rights(struct db *d, const struct reader_name *r, uint32_t mailbox, unsigned *rights);
int acl_copy(struct db *d, uint32_t from, uint32_t to);

/* For edits: account_writes, and the next modseq (in all->modseq, not yet written). */
int mailbox_begin(struct db *d, struct counter *all);
int mailbox_touch(struct db *d, uint32_t mailbox, uint64_t modseq); /* its `changed` */
int mailbox_statement(struct db *d, unsigned statement, uint64_t a, uint64_t b);

/* A new mailbox, with counter and the rights of its parent. */
int mailbox_insert(struct db *d, uint64_t modseq, uint32_t parent, struct str name, bool selectable,
                   uint32_t *mailbox);
/* The missing names of a walk, those above the last one too (all but the last, if !last). w then stands on the last. */
int mailbox_make(struct db *d, const struct reader_name *r, uint64_t modseq, struct mailbox_walk *w,
                 bool last);

int mailbox_rename_inbox(struct account *a, struct str reader, struct str to);

/* After rights have changed: what store/sharing knows of these identifiers (the account's set has one, or nothing is done). */
struct identifiers {
        struct arena *m;
        struct str *list;
        size_t n;
};
int acl_identifiers(struct db *d, uint32_t mailbox, struct identifiers *out);
int acl_tell(struct account *a, const struct identifiers *changed);
