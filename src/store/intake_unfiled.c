#include "store/intake_parts.h"
#include "base/codec.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* unfiled/ID-SEQUENCE-NUMBER.letter, all that is needed to carry it out one day:
 *
 *      u32 magic | u32 sum of what follows | u64 segment | u64 sequence | u32 number | u32 flags | u64 since |
 *      account | mailbox | reason | envelope | u64 size | u8 staged | text
 *
 * A long letter's body lies beside it, a hard link to the staged one. */
#define UNFILED_MAGIC 0x31464e55u /* "UNF1" */
#define UNFILED_MAX   (2 * RECORD_MAX)
#define NAME_ROOM     80

struct unfiled {
        uint64_t segment, sequence, size;
        uint32_t number, flags;
        int64_t since;
        struct str account, mailbox, reason, packed, text;
        bool staged;
};

static void unfiled_name(char name[static NAME_ROOM], const struct unfiled *u, const char *kind)
{
        snprintf(name, NAME_ROOM, "%016llx-%llu-%u.%s", (unsigned long long)u->segment,
                 (unsigned long long)u->sequence, u->number, kind);
}

static void unfiled_pack(const struct unfiled *u, struct buf *out)
{
        buf_u32(out, UNFILED_MAGIC);
        buf_u32(out, 0);
        buf_u64(out, u->segment);
        buf_u64(out, u->sequence);
        buf_u32(out, u->number);
        buf_u32(out, u->flags);
        buf_u64(out, (uint64_t)u->since);
        buf_packed(out, u->account);
        buf_packed(out, u->mailbox);
        buf_packed(out, u->reason);
        buf_packed(out, u->packed);
        buf_u64(out, u->size);
        buf_u8(out, u->staged);
        buf_packed(out, u->text);
        if (!out->full) {
                uint32_t sum = crc32_of(0, str_from_at(buf_str(out), 8));

                mem_copy(out->p + 4, 4, str_from(&sum, sizeof sum));
        }
}

static bool unfiled_unpack(struct unfiled *u, struct str bytes)
{
        struct unpack p = unpack_of(bytes);
        uint32_t magic = unpack_u32(&p), sum = unpack_u32(&p);

        u->segment = unpack_u64(&p);
        u->sequence = unpack_u64(&p);
        u->number = unpack_u32(&p);
        u->flags = unpack_u32(&p);
        u->since = (int64_t)unpack_u64(&p);
        u->account = unpack_str(&p);
        u->mailbox = unpack_str(&p);
        u->reason = unpack_str(&p);
        u->packed = unpack_str(&p);
        u->size = unpack_u64(&p);
        u->staged = unpack_u8(&p);
        u->text = unpack_str(&p);
        return unpack_done(&p) && magic == UNFILED_MAGIC && sum == crc32_of(0, str_from_at(bytes, 8));
}

/* The envelope with only what this is about: an account's letter, and what its sender is to be told of that; or all that is sent. */
static bool narrow(const struct work *w, struct buf *out)
{
        struct arena m;
        struct envelope e;
        unsigned n = 0;
        bool good;

        arena_init(&m, SIZE_MAX); /* it was bounded when it was accepted */
        good = envelope_unpack(&e, &m, buf_str(&w->letter->envelope));
        for (unsigned k = 0; good && k < e.count; k++) {
                bool send = e.actions[k].kind == ACTION_SEND || e.actions[k].kind == ACTION_REPLY;

                bool receipt =
                    e.actions[k].kind == ACTION_RECEIPT && str_eq(e.actions[k].account, str_of(w->account));

                if (*w->account ? e.actions[k].number == w->number || receipt : send)
                        e.actions[n++] = e.actions[k];
        }
        e.count = n;
        good = good && envelope_pack(&e, out);
        arena_finish(&m);
        return good;
}

static int write_file(int dir, const char *making, const char *name, struct str bytes)
{
        struct iovec v = { (void *)(uintptr_t)bytes.p, bytes.n };
        int fd, rc;

        (void)disk_unlink(dir, making);
        fd = disk_create(dir, making, 0);
        if (fd < 0)
                return fd;
        rc = disk_pwritev(fd, &v, 1, 0);
        if (rc >= 0)
                rc = disk_datasync(fd);
        close(fd);
        if (rc >= 0)
                rc = disk_rename(dir, making, dir, name);
        if (rc < 0)
                (void)disk_unlink(dir, making);
        return rc < 0 ? rc : disk_sync_dir(dir);
}

int unfiled_put(struct intake *i, const struct work *w, struct str text)
{
        const struct letter *l = w->letter;
        struct unfiled u = { .segment = l->place.segment,
                             .sequence = l->place.sequence,
                             .number = w->number,
                             .flags = w->flags,
                             .since = wall_usec(),
                             .account = str_of(w->account),
                             .mailbox = str_of(w->mailbox),
                             .reason =
                                 str_of(w->error == -ENOENT && *w->account ? "no such account"
                                                                           : strerrordesc_np(-w->error)),
                             .size = l->size,
                             .text = text };
        char name[NAME_ROOM], making[NAME_ROOM];
        struct buf envelope, b;
        int rc = 0;

        buf_init(&envelope, ENVELOPE_MAX);
        buf_init(&b, UNFILED_MAX);
        if (l->body) {
                unfiled_name(name, &u, "body");
                rc = disk_link(i->dir, l->body, i->unfiled_dir, name);
                u.staged = rc >= 0 || rc == -EEXIST;
                if (rc == -ENOENT)
                        u.reason = S("its body is missing");
                rc = u.staged || rc == -ENOENT ? 0 : rc;
        } else if (l->absent && !text.n && l->size) {
                u.reason = S("its text cannot be read");
        }
        if (!narrow(w, &envelope))
                u.reason = S("its envelope cannot be read");
        u.packed = buf_str(&envelope);
        unfiled_pack(&u, &b);
        unfiled_name(making, &u, "new");
        unfiled_name(name, &u, "letter");
        if (rc == 0)
                rc = b.full ? -EMSGSIZE : write_file(i->unfiled_dir, making, name, buf_str(&b));
        buf_free(&b);
        buf_free(&envelope);
        return rc;
}

static int read_file(int dir, const char *name, struct buf *bytes, struct unfiled *u)
{
        int fd = disk_open(dir, name, O_RDONLY), rc = 0;
        struct stat st;
        ssize_t n;
        char *to;

        if (fd < 0)
                return fd;
        buf_clear(bytes);
        if (fstat(fd, &st) < 0)
                rc = -errno;
        else if (st.st_size > (off_t)UNFILED_MAX || !(to = buf_room(bytes, (size_t)st.st_size)))
                rc = -EBADMSG;
        else if ((n = pread(fd, to, (size_t)st.st_size, 0)) < 0)
                rc = -errno;
        else
                buf_added(bytes, (size_t)n);
        close(fd);
        if (rc == 0 && !unfiled_unpack(u, buf_str(bytes)))
                rc = -EBADMSG;
        return rc;
}

/* The names that end so, or begin so, one after another, each with its NUL. -1 or how many. */
static int names_in(int dir, struct str begin, struct str end, struct buf *out)
{
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!d) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while ((e = readdir(d))) {
                struct str name = str_of(e->d_name);

                if (!str_starts(name, begin) || !str_ends(name, end))
                        continue;
                n++;
                if (out)
                        buf_put(out, name.p, name.n + 1);
        }
        closedir(d);
        return n;
}

bool unfiled_has(struct intake *i, uint64_t segment)
{
        char begin[SEGMENT_NAME];

        snprintf(begin, sizeof begin, "%016llx-", (unsigned long long)segment);
        return names_in(i->unfiled_dir, str_of(begin), S(".letter"), NULL) != 0; /* not known is yes */
}

struct again {
        struct intake *intake;
        struct buf names, bytes;
        const char *name;
        struct unfiled letter;
        int left;
};

static int again_names(void *arg)
{
        struct again *g = arg;

        return names_in(g->intake->unfiled_dir, S(""), S(".letter"), &g->names);
}

static int again_read(void *arg)
{
        struct again *g = arg;

        return read_file(g->intake->unfiled_dir, g->name, &g->bytes, &g->letter);
}

static int again_remove(void *arg)
{
        struct again *g = arg;
        char body[NAME_ROOM];
        int rc = disk_unlink(g->intake->unfiled_dir, g->name);

        unfiled_name(body, &g->letter, "body");
        if (rc >= 0 && g->letter.staged)
                (void)disk_unlink(g->intake->unfiled_dir, body);
        return rc < 0 ? rc : disk_sync_dir(g->intake->unfiled_dir);
}

/* Filed at last. Where that had happened before, its letter's own receipt has told it, or a crash came between. */
static int again_receipt(struct again *g, const char *body)
{
        const struct unfiled *u = &g->letter;
        struct receipt_letter r = { .segment = u->segment,
                                    .key = u->sequence | OUTBOX_RECEIPT | (u->number + UINT64_C(1)) << 40,
                                    .text = u->text,
                                    .dir = u->staged ? g->intake->unfiled_dir : -1,
                                    .body = u->staged ? body : NULL };
        struct outbox_put put;
        struct arena m;
        struct envelope e;
        int rc = 0;

        if (!g->intake->outbox)
                return 0;
        arena_init(&m, SIZE_MAX);
        if (envelope_unpack(&e, &m, u->packed) && receipt_make(&r, NULL, &e, &m, &put)) {
                rc = outbox_put(g->intake->outbox, &put, 1);
                if (rc >= 0)
                        rc = put.error;
                if (rc >= 0)
                        rc = outbox_settle(g->intake->outbox);
        }
        arena_finish(&m);
        return rc;
}

static int again_file(struct again *g, const char *body)
{
        const struct unfiled *u = &g->letter;
        struct filing f = { .segment = u->segment,
                            .sequence = u->sequence,
                            .number = u->number,
                            .mailbox = u->mailbox.n ? u->mailbox : INBOX,
                            .flags = u->flags,
                            .envelope = u->packed,
                            .text = u->text,
                            .staged_dir = u->staged ? g->intake->unfiled_dir : -1,
                            .staged_name = u->staged ? body : NULL };
        struct account *account;
        struct arena m;
        struct envelope e;
        int rc = account_get(g->intake->accounts, u->account, &account);

        if (rc < 0)
                return rc;
        arena_init(&m, SIZE_MAX);
        f.received = envelope_unpack(&e, &m, u->packed) ? e.received : u->since;
        arena_finish(&m);
        rc = account_file_synced(account, &f, 1);
        account_put(&account);
        if (rc >= 0)
                rc = f.error;
        if (rc < 0 || f.duplicate)
                return rc;
        if (g->intake->hooks.filed)
                g->intake->hooks.filed(g->intake->hooks.context, u->account);
        rc = again_receipt(g, body);
        if (rc < 0) /* it is filed: that is what counts */
                log_warn("unfiled-receipt", "account=%s why=\"%s\"", log_str(u->account),
                         strerrordesc_np(-rc));
        return 0;
}

static int again_send(struct again *g, const char *body)
{
        const struct unfiled *u = &g->letter;
        const struct action **actions;
        struct outbox_put put;
        struct arena m;
        struct envelope e;
        int rc = -EBADMSG;

        arena_init(&m, SIZE_MAX);
        if (envelope_unpack(&e, &m, u->packed)) {
                actions = arena_array(&m, const struct action *, e.count);
                for (unsigned k = 0; k < e.count; k++)
                        actions[k] = &e.actions[k];
                put = (struct outbox_put){ .segment = u->segment,
                                           .sequence = u->sequence,
                                           .envelope = &e,
                                           .actions = actions,
                                           .count = e.count,
                                           .text = u->text,
                                           .staged_dir = u->staged ? g->intake->unfiled_dir : -1,
                                           .staged_name = u->staged ? body : NULL };
                rc = outbox_put(g->intake->outbox, &put, 1);
                if (rc >= 0)
                        rc = put.error;
                if (rc >= 0)
                        rc = outbox_settle(g->intake->outbox);
        }
        arena_finish(&m);
        return rc;
}

static int again_one(struct again *g)
{
        char body[NAME_ROOM];
        int rc = offload(QUICK, again_read, g);

        if (rc < 0)
                return rc;
        if (account_home(g->letter.account, g->intake->hooks.processes) != g->intake->hooks.self)
                return 1; /* somebody else's */
        unfiled_name(body, &g->letter, "body");
        rc = g->letter.account.n ? again_file(g, body) : again_send(g, body);
        if (rc < 0)
                return rc;
        log_event("unfiled-done", "account=%s segment=%016llx", log_str(g->letter.account),
                  (unsigned long long)g->letter.segment);
        return offload(QUICK, again_remove, g);
}

int unfiled_retry(struct intake *i)
{
        struct again g = { .intake = i };
        int rc;

        buf_init(&g.names, 16 * 1024 * 1024);
        buf_init(&g.bytes, UNFILED_MAX);
        rc = offload(QUICK, again_names, &g);
        for (size_t at = 0; rc >= 0 && at < g.names.n && !i->closing; at += str_of(g.name).n + 1) {
                g.name = g.names.p + at;
                if (again_one(&g) != 0)
                        g.left++;
        }
        buf_free(&g.names);
        buf_free(&g.bytes);
        return rc < 0 ? rc : g.left;
}

int unfiled_clean(struct intake *i)
{
        struct buf names;
        int n;

        buf_init(&names, 1024 * 1024);
        n = names_in(i->unfiled_dir, S(""), S(".new"), &names);
        for (size_t at = 0; at < names.n; at += str_of(names.p + at).n + 1)
                (void)disk_unlink(i->unfiled_dir, names.p + at);
        buf_free(&names);
        return n < 0 ? n : names_in(i->unfiled_dir, S(""), S(".letter"), NULL);
}

static void describe(struct arena *a, const struct unfiled *u, struct intake_unfiled *out)
{
        struct arena m;
        struct envelope e;

        arena_init(&m, SIZE_MAX);
        out->account = arena_str(a, u->account);
        out->reason = arena_str(a, u->reason);
        out->size = u->size;
        out->since = out->received = u->since;
        if (envelope_unpack(&e, &m, u->packed)) {
                out->sender = arena_str(a, e.sender);
                out->received = e.received;
                if (e.count)
                        out->recipient = arena_str(a, e.actions[0].address);
        }
        arena_finish(&m);
}

int intake_unfiled_list(int dir, struct arena *a, struct intake_unfiled **list, size_t *n)
{
        int fd = openat(dir, "unfiled", O_RDONLY | O_DIRECTORY | O_CLOEXEC), count;
        struct buf names, bytes;
        struct unfiled u;

        *list = NULL;
        *n = 0;
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        buf_init(&names, 16 * 1024 * 1024);
        buf_init(&bytes, UNFILED_MAX);
        count = names_in(fd, S(""), S(".letter"), &names);
        if (count > 0)
                *list = arena_array(a, struct intake_unfiled, (size_t)count);
        for (size_t at = 0; count > 0 && at < names.n; at += str_of(names.p + at).n + 1) {
                struct intake_unfiled *out = &(*list)[*n];
                int rc = read_file(fd, names.p + at, &bytes, &u);

                if (rc == -ENOENT) /* filed meanwhile */
                        continue;
                out->name = arena_str(a, str_of(names.p + at));
                if (rc == 0)
                        describe(a, &u, out);
                else
                        out->reason = arena_printf(a, "the file cannot be read: %s", strerrordesc_np(-rc));
                (*n)++;
        }
        buf_free(&names);
        buf_free(&bytes);
        close(fd);
        return count < 0 ? count : 0;
}

int intake_unfiled_remove(int dir, struct str name)
{
        int fd, rc;
        struct buf z;

        if (!str_ends(name, S(".letter")) || str_find(name, '/') != STR_NONE || name.n >= NAME_ROOM)
                return -ENOENT;
        fd = openat(dir, "unfiled", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        buf_init(&z, 2 * NAME_ROOM);
        buf_printf(&z, PRS, STR(name));
        rc = disk_unlink(fd, z.p);
        buf_clear(&z);
        buf_printf(&z, PRS ".body", STR(str_sub(name, 0, name.n - 7)));
        if (rc >= 0)
                (void)disk_unlink(fd, z.p);
        if (rc >= 0)
                rc = disk_sync_dir(fd);
        buf_free(&z);
        close(fd);
        return rc;
}
