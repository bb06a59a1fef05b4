/* Parts: what uploads write before they have a name. STATES.md says what each name means. */
#include "base/mem.h"
#include "store/boot.h"
#include "store/disk.h"
#include "store/files_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum { PATH_DIGITS = 32, KEPT_AT = ID_DIGITS + 1 + PATH_DIGITS };
#define KEPT ".part"
#define NEW  ".new"
#define LOCK ".lock"

static void hash_of(struct str first, struct str second, size_t n, char *hex)
{
        unsigned char out[PATH_DIGITS / 2];
        crypto_generichash_state h;
        static const unsigned char between = 0;

        crypto_generichash_init(&h, NULL, 0, n);
        crypto_generichash_update(&h, (const unsigned char *)first.p, first.n);
        crypto_generichash_update(&h, &between, 1);
        crypto_generichash_update(&h, (const unsigned char *)second.p, second.n);
        crypto_generichash_final(&h, out, n);
        sodium_bin2hex(hex, 2 * n + 1, out, n);
}

void part_tag(const char *account, char tag[static ID_DIGITS + 1])
{
        unsigned char out[crypto_generichash_BYTES_MIN];

        crypto_generichash(out, sizeof out, (const unsigned char *)account, strlen(account), NULL, 0);
        sodium_bin2hex(tag, ID_DIGITS + 1, out, ID_DIGITS / 2);
}

static void stem_of(const struct root *r, struct str path, char stem[static KEPT_AT + 1])
{
        char hex[PATH_DIGITS + 1];

        hash_of(str_of(r->account), path, PATH_DIGITS / 2, hex);
        snprintf(stem, KEPT_AT + 1, "%s-%s", r->tag, hex);
}

static void kept_name(const struct root *r, struct str path, char name[static PART_NAME])
{
        char stem[KEPT_AT + 1];

        stem_of(r, path, stem);
        snprintf(name, PART_NAME, "%s" KEPT, stem);
}

static void new_name(struct root *r, struct str path, char name[static PART_NAME])
{
        char stem[KEPT_AT + 1];

        stem_of(r, path, stem);
        snprintf(name, PART_NAME, "%s-%s-%u" NEW, stem, r->files->id, atomic_fetch_add(&r->files->number, 1));
}

int part_make(struct root *r, struct str path, char name[static PART_NAME])
{
        int fd;

        new_name(r, path, name);
        fd = disk_create(r->files->parts, name, O_NOFOLLOW);
        if (fd >= 0 && fchmod(fd, (0666 & ~r->lacks) | 0600) < 0) {
                int rc = -errno;

                close(fd);
                (void)disk_unlink(r->files->parts, name);
                return rc;
        }
        if (fd < 0)
                name[0] = '\0';
        return fd;
}

int part_kept_size(struct root *r, struct str path, bool cached, uint64_t *size)
{
        char name[PART_NAME];
        struct statx x;
        int fd, rc;

        kept_name(r, path, name);
        fd = jail_open(r->files->parts, name, O_PATH | O_NOFOLLOW, cached);
        if (fd < 0)
                return fd;
        rc = look_at(fd, "", &x);
        close(fd);
        *size = rc ? 0 : x.stx_size;
        return rc;
}

int part_claim(struct root *r, struct tally *t, struct str path, char name[static PART_NAME], uint64_t *size)
{
        char kept[PART_NAME];
        struct stat st;
        int fd, rc = part_kept_size(r, path, false, size);
        bool begun;

        if (rc)
                return rc;
        kept_name(r, path, kept);
        new_name(r, path, name);
        begun = tally_begin(t);
        rc = disk_rename(r->files->parts, kept, r->files->parts, name);
        fd = rc ? rc : disk_open(r->files->parts, name, O_RDWR | O_NOFOLLOW);
        if (fd >= 0 && fstat(fd, &st) == 0) {
                *size = (uint64_t)st.st_size;
                tally_take(t, *size);
        }
        tally_end(r, t, begun, 0, 0);
        if (fd < 0)
                name[0] = '\0';
        return fd;
}

int part_keep(struct root *r, struct tally *t, struct str path, const char *name, int fd, uint64_t size,
              uint64_t charged)
{
        struct files *f = r->files;
        char kept[PART_NAME];
        int rc = disk_truncate(fd, (off_t)size);
        bool begun;

        if (!rc && f->how.durable)
                rc = disk_datasync(fd);
        kept_name(r, path, kept);
        begun = tally_begin(t);
        while (
            !rc) { /* another session's, kept at the same time: the last one stays, and each is counted once */
                part_forget(r, t, path);
                rc = disk_rename_new(f->parts, name, f->parts, kept);
                if (rc == -EINVAL)
                        rc = disk_rename(f->parts, name, f->parts, kept);
                if (rc != -EEXIST)
                        break;
                rc = 0;
        }
        tally_end(r, t, begun, rc ? 0 : (int64_t)size, charged);
        return rc;
}

/* By way of a name of our own, so that its octets are given back once. */
static void drop_kept(struct files *f, struct root *r, struct tally *t, const char *kept)
{
        char gone[PART_NAME];
        struct stat st;
        int64_t octets = 0;
        bool begun;

        snprintf(gone, sizeof gone, "%.*s-%s-%u" NEW, KEPT_AT, kept, f->id, atomic_fetch_add(&f->number, 1));
        begun = tally_begin(t);
        if (!disk_rename(f->parts, kept, f->parts, gone)) {
                if (!fstatat(f->parts, gone, &st, AT_SYMLINK_NOFOLLOW))
                        octets = st.st_size;
                (void)disk_unlink(f->parts, gone);
        }
        tally_end(r, t, begun, -octets, 0);
}

void part_forget(struct root *r, struct tally *t, struct str path)
{
        char kept[PART_NAME];
        uint64_t size;

        if (part_kept_size(r, path, false, &size))
                return;
        kept_name(r, path, kept);
        drop_kept(r->files, r, t, kept);
}

/* --- what others have left ------------------------------------------------------------------------------------- */

static DIR *list_open(struct files *f)
{
        int fd = openat(f->parts, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d && fd >= 0)
                close(fd);
        return d;
}

uint64_t parts_kept(struct files *f, const char *tag)
{
        DIR *d = list_open(f);
        struct dirent *e;
        struct stat st;
        uint64_t octets = 0;

        while (d && (e = readdir(d)))
                if (str_starts(str_of(e->d_name), str_of(tag)) && str_ends(str_of(e->d_name), S(KEPT)) &&
                    !fstatat(f->parts, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
                        octets += (uint64_t)st.st_size;
        if (d)
                closedir(d);
        return octets;
}

static int lock(int fd)
{
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

enum maker { LIVES, DIED, DIED_BEFORE_THE_BOOT };

static enum maker maker_of(struct files *f, struct str id)
{
        char name[PART_NAME], boot[40] = "";
        enum maker m = LIVES;
        int fd;

        snprintf(name, sizeof name, PRS LOCK, STR(id));
        fd = disk_open(f->parts, name, O_RDWR | O_NOFOLLOW);
        if (fd < 0)
                return fd == -ENOENT ? DIED_BEFORE_THE_BOOT : LIVES;
        if (lock(fd) == 0)
                m = pread(fd, boot, sizeof boot - 1, 0) > 0 && str_eq(str_of(boot), str_of(boot_id()))
                        ? DIED
                        : DIED_BEFORE_THE_BOOT;
        close(fd);
        return m;
}

static void drop_part(struct files *f, const char *name)
{
        struct statx x;

        if (!look_at(f->parts, name, &x) && x.stx_nlink == 1)
                beside_drop(f, &x);
        (void)disk_unlink(f->parts, name);
}

/* Of this boot: all that was written is there, so it is as good as kept. */
static void adopt(struct files *f, const char *name)
{
        char kept[PART_NAME], tag[ID_DIGITS + 1] = "";
        struct stat older;
        struct tally *t;
        struct statx x;
        int fd, rc = 0;
        bool begun;

        fd = disk_open(f->parts, name, O_RDWR | O_NOFOLLOW);
        if (fd < 0)
                return;
        if (f->how.durable)
                rc = disk_datasync(fd);
        close(fd);
        if (rc || look_at(f->parts, name, &x) || !x.stx_size || !f->how.keep_parts) {
                drop_part(f, name);
                return;
        }
        mem_copy(tag, ID_DIGITS, str_sub(str_of(name), 0, ID_DIGITS));
        if (tally_by_tag(f, tag, &t)) {
                drop_part(f, name);
                return;
        }
        beside_drop(f, &x);
        snprintf(kept, sizeof kept, "%.*s" KEPT, KEPT_AT, name);
        if (!fstatat(f->parts, kept, &older, AT_SYMLINK_NOFOLLOW))
                drop_kept(f, NULL, t, kept);
        begun = tally_begin(t);
        rc = disk_rename(f->parts, name, f->parts, kept);
        tally_end(NULL, t, begun, rc ? 0 : (int64_t)x.stx_size, 0);
        tally_put(f, &t);
}

/* A-P-ID-N.new */
static void look_at_new(struct files *f, const char *name)
{
        struct str id = str_sub(str_of(name), KEPT_AT + 1, ID_DIGITS);

        if (id.n < ID_DIGITS || str_eq(id, str_of(f->id)))
                return;
        switch (maker_of(f, id)) {
        case LIVES: break;
        case DIED: adopt(f, name); break;
        case DIED_BEFORE_THE_BOOT: drop_part(f, name); break;
        }
}

static void look_at_kept(struct files *f, const char *name)
{
        char tag[ID_DIGITS + 1] = "";
        struct tally *t;
        struct stat st;

        if (strlen(name) < KEPT_AT || fstatat(f->parts, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            wall_usec() / 1000000 - st.st_ctim.tv_sec < f->how.keep_parts)
                return;
        mem_copy(tag, ID_DIGITS, str_sub(str_of(name), 0, ID_DIGITS));
        if (tally_by_tag(f, tag, &t))
                return;
        drop_kept(f, NULL, t, name);
        tally_put(f, &t);
}

/* Last, so that its parts are found dead until then. */
static void look_at_lock(struct files *f, const char *name)
{
        struct str id = str_sub(str_of(name), 0, ID_DIGITS);

        if (!str_eq(id, str_of(f->id)) && maker_of(f, id) != LIVES)
                (void)disk_unlink(f->parts, name);
}

static void each_part(struct files *f, const char *end, void (*look)(struct files *f, const char *name))
{
        DIR *d = list_open(f);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (str_ends(str_of(e->d_name), str_of(end)))
                        look(f, e->d_name);
        if (d)
                closedir(d);
}

void parts_sweep(struct files *f, bool old_ones)
{
        each_part(f, NEW, look_at_new);
        each_part(f, LOCK, look_at_lock);
        if (old_ones)
                each_part(f, KEPT, look_at_kept);
}

/* A name of our own, locked. Whoever sweeps may take our fresh lock file for one that was left: then another one. */
int parts_open(struct files *f)
{
        struct str boot = str_of(boot_id());
        struct iovec v = { (void *)boot.p, boot.n };

        for (int tries = 0; tries < 100; tries++) {
                char name[PART_NAME];
                struct stat st;
                uint64_t id;
                int fd;

                if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
                        return -EIO;
                snprintf(f->id, sizeof f->id, "%016llx", (unsigned long long)id);
                snprintf(name, sizeof name, "%s" LOCK, f->id);
                fd = disk_create(f->parts, name, 0);
                if (fd < 0 && fd != -EEXIST)
                        return fd;
                if (fd < 0)
                        continue;
                if (!lock(fd) && !fstat(fd, &st) && st.st_nlink) {
                        f->id_lock = fd;
                        return disk_pwritev(fd, &v, 1, 0);
                }
                close(fd);
        }
        return -EAGAIN;
}

void parts_close(struct files *f)
{
        char name[PART_NAME];

        if (f->id_lock < 0)
                return;
        snprintf(name, sizeof name, "%s" LOCK, f->id);
        (void)disk_unlink(f->parts, name);
        close(f->id_lock);
        f->id_lock = -1;
}
