/* The trace that disk_record asks for: every operation below the root, in the order in which it happened, whichever
 * thread or process did it.
 *
 *   record: struct trace_head | path | to | data        (paths relative to the root, without NUL)
 *
 * disk.c and disk_vfs.c write it while they hold the trace's lock around the operation itself, so that the order in
 * the file is the order on disk; an operation that failed is not recorded. tests/unit/powercut.h reads it. */
#pragma once
#include "base/str.h"
#include <sys/uio.h>

enum trace_kind {
        TRACE_CREATE = 1, /* path: an empty file */
        TRACE_MKDIR,      /* path */
        TRACE_WRITE,      /* path, at, data */
        TRACE_TRUNCATE,   /* path, at: the size */
        TRACE_RENAME,     /* path, to */
        TRACE_LINK,       /* path, to */
        TRACE_UNLINK,     /* path; an empty folder too */
        TRACE_SYNC,       /* path: its data and size are durable */
        TRACE_SYNC_DIR,   /* path: its names are durable */
        TRACE_SYNC_ALL,   /* everything is */
};
#define TRACE_MAGIC 0x43525450u /* "PTRC" */
struct trace_head {
        uint32_t magic;
        uint16_t kind, path, to; /* lengths */
        uint16_t zero;
        uint32_t data;
        uint64_t at;
};
#define TRACE_PATH 1024

bool trace_on(void);
void trace_lock(void); /* around the operation and its trace_put */
void trace_unlock(void);
void trace_put(enum trace_kind kind, const char *path, const char *to, uint64_t at, const struct iovec *v,
               int n);
/* The path of a descriptor, or of a name in a folder (NULL: the folder itself), relative to the root; false: it does
 * not lie below it, or has no name any more. */
bool trace_path(int fd, const char *name, char path[static TRACE_PATH]);
bool trace_full_path(const char *full, char path[static TRACE_PATH]);

bool disk_failing(int *error); /* counts a sync; true: it is the one that disk_fail_datasync named */
void disk_vfs_register(void);  /* the recording VFS, named DISK_VFS */
#define DISK_VFS "pail-recorded"
