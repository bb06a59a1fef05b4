/* pail watch, in parts: watch.c asks and listens, watch_show.c makes lines of records, watch_saved.c dialogs. */
#pragma once
#include "cli/tool.h"
#include "proto/tap.h"

/* A conversation that is being watched. */
struct watched {
        char id[24];
        unsigned number;  /* "S2:" */
        uint32_t process; /* of the role that has it */
        uint64_t heard;   /* which record was the last of it */
        bool begun;       /* from its beginning, and a dialog of it is kept if one is wished */
        bool ours;        /* nobody's account was asked for, or it is that one's */
        struct buf held;  /* lines until that is known; what did not fit is missing */
        struct buf dialog;
        bool letter;      /* SMTP: DATA was said last */
        bool ftp, active; /* active: PORT or EPRT was said last */
        bool hidden;      /* octets of the server's were left out; the next line of its ends that */
        unsigned passwords, secrets;
        struct watched *next;
};
struct watching {
        struct tap_wanted wanted;
        const char *save;     /* one conversation, as a dialog; NULL: none */
        int save_fd;          /* opened before we became the folder's owner, who may not write there */
        bool json, finished;  /* finished: it is written */
        int failed;           /* -errno of that */
        struct watched *list; /* by number */
        unsigned count;
        uint64_t records;
        size_t dialogs; /* octets of all */
        struct buf line;
};
void watch_record(struct watching *w, const struct tap_record *r);
int watch_finish(struct watching *w); /* 0, or -errno of what could not be written, said */

/* watch_saved.c */
void dialog_record(struct watched *c, const struct tap_record *r);
[[nodiscard]] int dialog_write(const struct watching *w, const struct watched *c);
