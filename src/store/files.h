/* Files: a folder an account under D/files, on any POSIX file system. Every path is resolved by openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_MAGICLINKS) from the root's descriptor, so the kernel keeps the jail: what leads out does not exist for anybody (-ENOENT).
 * Names are bytes without NUL and '/'. Devices, FIFOs and sockets are never opened (-EACCES). Everything
 * here may wait (offload); what the kernel has in its caches is answered on the loop (RESOLVE_CACHED, RWF_NOWAIT).
 *
 * Uploads appear whole or not at all. Bytes go to a *part*, beside the accounts and out of every listing's sight (STATES.md); commit does
 * fdatasync, rename, fsync of the directory; sessions that commit at the same time share syncs. A part that was not committed is kept
 * for `keep_parts` seconds for the same account and name, so that REST or APPE goes on in it. Two uploads to one name have two parts.
 *
 * Quota: whatever makes a root grow (upload, append, copy, join, resume) takes its octets from the same counter before it writes, so
 * two at once never pass it; files/.usage/ holds the counters, shared by all processes, counted anew after a crash. What an upload
 * replaces is counted as given back already, and looked at again at commit. With how.usage the account's letters count too
 * (store/usage.h).
 *
 * Errors: -ENOENT -EACCES -EEXIST -ENOTDIR -EISDIR -ENOTEMPTY -ENAMETOOLONG -ELOOP -EINVAL -EDQUOT (quota) -ENOSPC (disk) -EROFS
 * (read-only root) -EIO. Paths in errors and logs are the caller's business. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"

struct files; /* a process's view of D/files; shared by its sessions */
struct files_how {
        bool durable;          /* syncs before a commit returns */
        long keep_parts;       /* seconds */
        uint64_t disk_reserve; /* bytes that must stay free, else -ENOSPC */
        struct usage *usage;   /* of letters; NULL: the quota is of files alone */
};
[[nodiscard]] int files_open(struct files **out, int folder /* D/files, taken */,
                             const struct files_how *how);
void files_change(struct files *f, const struct files_how *how); /* after SIGHUP */
void files_close(struct files **f);
/* Of one process of all, in a fiber, now and then: parts that nobody came back for are removed. */
void files_tidy(struct files *f);
/* All that an account has here goes: files, parts, counters. Only while nobody is signed in to it. 0 or -errno. */
[[nodiscard]] int files_forget(struct files *f, struct str account);

/* An account's folder, open and counted; a parked session holds none. Made if missing, unless read_only. quota: octets, 0: none.
 * account: any name without '/' that does not begin with '.'; lower case. */
struct root;
[[nodiscard]] int root_open(struct files *f, struct str account, bool read_only, uint64_t quota,
                            struct root **out);
void root_close(struct root **r);
void root_umask(struct root *r,
                unsigned bits); /* that new files (0666) and folders (0777) lack; 022 if it is not called */
struct root_room {
        uint64_t used, quota; /* octets, by files and the facts beside them; quota 0: none */
        uint64_t available;   /* what may still be written: of quota and disk the lesser */
};
[[nodiscard]] int root_room(struct root *r, struct root_room *out);

/* Paths are absolute within the root, "/" the root itself. path_join: no I/O; ".", "..", "//" taken out, never above "/"; the result is in
 * a and ends with NUL. p NULL: a NUL in it, or over PATH_MOST. */
enum { PATH_MOST = 4095, NAME_MOST = 255 };
struct str path_join(struct arena *a, struct str cwd, struct str path);

enum file_kind { FILE_REGULAR, FILE_FOLDER, FILE_LINK, FILE_OTHER };
struct file_facts {
        enum file_kind kind;
        uint64_t size, inode, device;
        int64_t modified, changed; /* wall usec */
        unsigned mode;             /* permission bits */
        unsigned links, uid, gid;
        uint64_t
            coded; /* octets of the facts kept beside it (records, pages: proto/ftp/coder.h); 0: a plain file */
};
/* follow: of what a link leads to. A link that leads out is -ENOENT. */
[[nodiscard]] int file_facts(struct root *r, struct str path, bool follow, struct file_facts *out);

/* Reading. */
struct file;
[[nodiscard]] int file_open(struct root *r, struct str path, struct file **out, struct file_facts *facts);
int file_descriptor(const struct file *f); /* for sendfile */
[[nodiscard]] int file_read(struct file *f, uint64_t at, char *room, size_t n,
                            size_t *got);                      /* *got 0: the end */
[[nodiscard]] int file_coded(struct file *f, struct buf *out); /* the facts kept beside it */
void file_close(struct file **f);                              /* never waits */

/* Writing. upload_begin makes no name visible. */
struct upload;
enum upload_how {
        UPLOAD_NEW, /* STOR: replaces at commit; at = 0 */
        UPLOAD_UNIQUE, /* STOU: never replaces; the name is `path` and a random end, told by upload_name, taken at commit */
        UPLOAD_APPEND, /* APPE: behind what is there (reflink, else copied), or if there is nothing behind the part that an interrupted upload left.
                          Its commit is -EBUSY if the name has got another file meanwhile (another append, say) */
        UPLOAD_RESUME, /* REST at + STOR: the first `at` octets are kept of the part that was left, or if there is none of the file; -EINVAL:
                          neither has so many */
};
/* How many octets of an upload to this path that broke off are kept, as long as there is no file: the SIZE to tell then, since clients ask
 * for it to know where to go on with REST or APPE. -ENOENT: none, or there is a file. Nothing else shows them; a commit to the path, its
 * removal and whatever else takes the name end them. */
[[nodiscard]] int upload_kept(struct root *r, struct str path, uint64_t *size);
/* A folder there is -EISDIR, here or with the first octet; a link at the end of the path is replaced, not followed. */
[[nodiscard]] int upload_begin(struct root *r, struct str path, enum upload_how how, uint64_t at,
                               struct upload **out);
struct str upload_name(const struct upload *u);
uint64_t upload_at(const struct upload *u); /* where the first byte goes */
int upload_descriptor(
    const struct upload *u); /* for splice: the caller has asked upload_room before (it makes the part) */
/* There is room for this many octets from `at` on, and they are taken from the quota: -EDQUOT, -ENOSPC. Cheap: taken in slices. */
[[nodiscard]] int upload_room(struct upload *u, uint64_t at, uint64_t n);
/* Asks for the room itself. The first 64 KB stay in memory: a short file costs one trip to a worker, at its commit. */
[[nodiscard]] int upload_write(struct upload *u, uint64_t at, struct str bytes);
void upload_facts(struct upload *u, struct str facts); /* kept beside the file from commit on */
/* Durable when it returns 0 (if the settings say so). size: the file ends there. modified 0: now. Frees nothing. */
[[nodiscard]] int upload_commit(struct upload *u, uint64_t size, int64_t modified);
/* Not committed: nothing of it shows. keep: `size` octets of the part are good for a resume. Waits, unless outside a fiber. */
void upload_free(struct upload **u, bool keep, uint64_t size);

/* A folder, some entries at a time, never wholly in memory; in the order of the disk. `each` runs on the calling fiber and may wait;
 * false: enough. with_facts: of the entries themselves (not of what links lead to). Links that lead out are left out. */
struct file_entry {
        struct str name;
        struct file_facts facts; /* kind always, the rest only if asked for */
        struct str target;       /* of a link, if facts were asked for */
};
typedef bool folder_each_fn(void *context, const struct file_entry *list, size_t n);
[[nodiscard]] int folder_read(struct root *r, struct str path, bool with_facts, folder_each_fn *each,
                              void *context);

/* Changes. Durable when they return 0 (if the settings say so). None follows a link in its last part, but for chmod and times. */
[[nodiscard]] int file_remove(struct root *r, struct str path);
[[nodiscard]] int folder_make(struct root *r, struct str path);
[[nodiscard]] int folder_remove(struct root *r, struct str path);
[[nodiscard]] int file_rename(struct root *r, struct str from,
                              struct str to); /* replaces a file, never a folder */
[[nodiscard]] int file_link(struct root *r, struct str path,
                            struct str target); /* symlink; target must stay inside: -EACCES */
[[nodiscard]] int file_copy(struct root *r, struct str from,
                            struct str to); /* reflink where possible; whole or not at all */
[[nodiscard]] int file_append(
    struct root *r, struct str to, const struct str *from,
    size_t
        n); /* COMB: from are removed when it stands; -EBUSY as of UPLOAD_APPEND, -EINVAL: one of them is the target */
[[nodiscard]] int file_chmod(struct root *r, struct str path,
                             unsigned mode); /* permission bits only, never setuid; ours stay */
[[nodiscard]] int file_times(struct root *r, struct str path, int64_t modified,
                             int64_t accessed); /* 0: as it is */

/* Of octets [from, to); UINT64_MAX: to the end, and -ERANGE: it ends before `to`. On the LONG pool in slices; between them `progress` (may be
 * NULL) is asked on the fiber: false: give up, -ECANCELED. The result is appended as lower-case hex. */
enum file_hash { HASH_CRC32, HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA512, FILE_HASHES };
typedef bool hash_progress_fn(void *context, uint64_t done);
[[nodiscard]] int file_hash(struct root *r, struct str path, enum file_hash how, uint64_t from, uint64_t to,
                            hash_progress_fn *progress, void *context, struct buf *hex);
