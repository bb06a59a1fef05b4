/* mirror: what its files share. The console's fiber lists both trees, folder by folder, and queues what differs; workers, each with a
 * connection of its own, take from the queue by ftp_client_many, and the console's joins them when it has listed all. Deletions come last,
 * and only if everything was seen. Paths are relative to both roots; on this side they are opened without following links. */
#pragma once
#include "cli/ftp/ftp.h"
#include "run/fiber.h"

enum { WORKERS_MOST = 16, QUEUE_MOST = 512, DEPTH_MOST = 64 };

struct item {
        struct item *next;
        char *path;
        uint64_t size; /* UINT64_MAX: not known */
        int64_t time;  /* to be given to the copy; INT64_MIN: none */
        unsigned tries;
};
struct gone { /* to be deleted: files before the folders that they stood in */
        struct gone *next;
        char *path;
        bool folder;
};
struct mirror {
        struct console *console, helpers;
        struct site *site;
        const struct mirror_how *how;
        const char *remote; /* root there, without the last '/' unless it is all */
        int root;           /* here */
        bool no_root;       /* a dry run would make it */
        struct item *first, **end;
        unsigned queued, workers;
        bool crowded; /* a helper was refused: no more of them */
        bool listed;  /* nothing is added any more */
        struct waitlist changed;
        struct gone *gone; /* the last found first */
        bool unseen;       /* some folder could not be listed: nothing is deleted */
        int code;          /* of the first failure */
        unsigned files, folders, removed, failed, links;
        uint64_t bytes, moving;
        struct shown_transfer shown;
};
/* mirror_list.c */
void mirror_list(struct mirror *m);
/* mirror_move.c */
void mirror_add(struct mirror *m, const char *path, uint64_t size, int64_t time);
void mirror_work(struct mirror *m); /* the console's connection takes part until the queue is empty */
void mirror_join(struct mirror *m);
/* root/path there, in the arena */
const char *mirror_there(const struct mirror *m, const char *path, struct arena *a);
/* The folder on this side that path stands in, opened; -errno. *name: its last part. */
int mirror_above(const struct mirror *m, const char *path, const char **name);
void mirror_say(struct mirror *m, const char *what, const char *path);
void mirror_fail(struct mirror *m, int code);
