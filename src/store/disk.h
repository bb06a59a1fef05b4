/* Every write to disk that a promise rests on and that is not SQLite's own goes through here, and SQLite's through a
 * VFS kept beside it: so that a test can record the order of writes and syncs and rebuild what a power cut at any
 * moment would have left. With no recording this is plain system calls. All calls block: use offload().
 * They return 0 or a count, or -errno. */
#pragma once
#include "base/str.h"
#include <sys/types.h>
#include <sys/uio.h>

int disk_create(int dir, const char *name,
                int flags);                          /* openat O_CREAT|O_EXCL|O_RDWR|O_CLOEXEC|flags, 0600 */
int disk_open(int dir, const char *name, int flags); /* openat O_CLOEXEC|flags; makes nothing */
int disk_open_dir(int dir, const char *name);
int disk_mkdir(int dir, const char *name); /* 0700 */
int disk_rmdir(int dir, const char *name);
int disk_pwritev(int fd, const struct iovec *v, int n, off_t at); /* all of it, or -errno */
int disk_datasync(int fd);
int disk_sync(int fd); /* fsync: times and mode too */
int disk_sync_dir(int dir);
int disk_sync_all(int any_fd); /* syncfs */
int disk_rename(int from_dir, const char *from, int to_dir, const char *to);
int disk_rename_new(int from_dir, const char *from, int to_dir, const char *to); /* never replaces: -EEXIST */
int disk_link(int from_dir, const char *from, int to_dir, const char *to);
int disk_unlink(int dir, const char *name);
int disk_truncate(int fd, off_t size);
int disk_symlink(const char *target, int dir, const char *name); /* not recorded */
/* At most n bytes, sharing blocks where the file system can; how many, 0: there are no more. */
ssize_t disk_copy(int from, off_t from_at, int to, off_t to_at, size_t n);

/* Tests: record everything below `root` into the file `trace` (its form stands in disk_trace.h); NULL, NULL ends it.
 * While recording, syncs are only recorded.
 * Fail the n-th datasync from now (1: the next) with an errno. Set before any store is opened. */
void disk_record(const char *root, const char *trace);
uint64_t disk_recorded(void); /* operations so far */
void disk_fail_datasync(unsigned nth, int error);
const char *disk_vfs(void); /* the name for sqlite3_open_v2 */
