#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/body.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE         ((size_t)256 * 1024)       /* of a long letter, gathered for one trip to a worker */
#define ARRIVING_MOST ((size_t)64 * 1024 * 1024) /* letters in memory: beyond, they are staged early */
#define EARLY         4096
#define WAIT_MOST     (60 * SECOND)

struct incoming {
        struct intake *intake;
        struct buf text; /* what was not written yet */
        struct body_stage *stage;
        struct segment *under; /* the segment whose id the body bears */
        char name[BODY_NAME];
        uint64_t size;
        size_t counted; /* in arriving_bytes */
        int error;
        bool staged; /* there is a body file */
        bool committed;
};

/* Room: the disk above its reserve, the log below its limit. Measured once a second at most. */
struct measuring {
        struct intake *intake;
        bool no_room;
};

static int measure(void *arg)
{
        struct measuring *m = arg;
        struct intake *i = m->intake;
        int fd = openat(i->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct statvfs v;
        struct stat st;
        struct dirent *e;
        uint64_t log = 0;

        if (!d) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while ((e = readdir(d)))
                if (str_ends(str_of(e->d_name), S(".log")) && fstatat(i->dir, e->d_name, &st, 0) == 0)
                        log += (uint64_t)st.st_size;
        closedir(d);
        m->no_room = i->limits.max_log_size && log > i->limits.max_log_size;
        if (fstatvfs(i->dir, &v) == 0)
                m->no_room |= (uint64_t)v.f_bavail * v.f_frsize < i->limits.disk_reserve;
        return 0;
}

bool intake_has_room(struct intake *i)
{
        struct measuring m = { i, false };
        nsec t = now();

        if (!i->measuring && (t - i->measured >= SECOND || !i->measured)) {
                i->measuring = true;
                i->measured = t;
                if (offload(QUICK, measure, &m) == 0) {
                        if (m.no_room != i->no_room)
                                log_warn("intake-room", "full=%d", m.no_room);
                        i->no_room = m.no_room;
                }
                i->measuring = false;
        }
        return !i->no_room;
}

/* Who accepts faster than can be filed waits; after a minute it says so. */
static int wait_for_room(struct intake *i)
{
        nsec deadline = now() + WAIT_MOST;
        int rc = 0;

        while (intake_crowded(i) && rc == 0) {
                if (fiber_self() && i->threaded)
                        rc = wait_on(&i->room, "room in the queues", deadline);
                else if (!file_one_batch(i))
                        break;
        }
        return rc == -ETIMEDOUT ? -ENOSPC : rc;
}

int intake_begin(struct intake *i, struct incoming **out)
{
        struct incoming *in;
        int rc = wait_for_room(i);

        *out = NULL;
        if (rc < 0)
                return rc;
        if (!intake_has_room(i))
                return -ENOSPC;
        *out = in = mem_new(struct incoming);
        in->intake = i;
        buf_init(&in->text, BODY_INLINE_MAX + PIECE);
        return 0;
}

static void count(struct incoming *in)
{
        in->intake->arriving_bytes += in->text.cap;
        in->intake->arriving_bytes -= in->counted;
        in->counted = in->text.cap;
}

static int stage_open(void *arg)
{
        struct incoming *in = arg;

        return body_stage_open(&in->stage, in->intake->dir, in->name);
}

static int stage_put(void *arg)
{
        struct incoming *in = arg;

        return body_stage_put(in->stage, buf_str(&in->text));
}

static int stage_finish(void *arg)
{
        struct incoming *in = arg;
        int rc = in->text.n ? body_stage_put(in->stage, buf_str(&in->text)) : 0;

        if (rc >= 0)
                rc = body_stage_finish(in->stage);
        if (rc >= 0)
                body_stage_close(&in->stage, true);
        return rc;
}

static int stage_drop(void *arg)
{
        struct incoming *in = arg;

        if (in->stage)
                body_stage_close(&in->stage, false);
        else if (disk_unlink(in->intake->dir, in->name) < 0) /* finished, not committed */
                log_warn("intake-body", "file=%s what=\"cannot be removed\"", in->name);
        return 0;
}

/* What has gathered goes to the body file, which is begun with the first of it. */
static void spill(struct incoming *in)
{
        struct intake *i = in->intake;

        if (!in->under) {
                in->under = log_arriving(i);
                if (!in->under) {
                        in->error = -EIO;
                        return;
                }
                snprintf(in->name, sizeof in->name, "%016llx-%u.body", (unsigned long long)in->under->id,
                         ++i->body_number);
                in->error = offload(LONG, stage_open, in);
                if (in->error < 0)
                        return;
                in->staged = true;
        }
        in->error = offload(LONG, stage_put, in);
        buf_clear(&in->text);
}

int incoming_put(struct incoming *in, struct str piece)
{
        while (piece.n && in->error >= 0) {
                size_t room = (in->staged ? PIECE : BODY_INLINE_MAX) - in->text.n;
                struct str now_put = str_sub(piece, 0, room);

                buf_puts(&in->text, now_put);
                in->size += now_put.n;
                piece = str_from_at(piece, now_put.n);
                count(in);
                if (piece.n || (in->intake->arriving_bytes > ARRIVING_MOST && in->text.n >= EARLY))
                        spill(in);
        }
        return in->error < 0 ? in->error : 0;
}

static int finish(struct incoming *in, const struct envelope *e, struct letter **out)
{
        struct envelope packed = *e;
        struct letter *l;
        int rc = in->staged ? offload(LONG, stage_finish, in) : 0;

        if (rc < 0)
                return rc;
        packed.size = in->size;
        l = letter_new(&packed);
        if (!envelope_pack(&packed, &l->envelope)) {
                letter_unref(&l);
                return -E2BIG;
        }
        buf_trim(&l->envelope);
        l->size = in->size;
        if (in->staged) {
                l->body = mem_string(str_of(in->name));
                buf_u64(&l->text, in->size);
                buf_puts(&l->text, str_of(in->name));
        } else {
                l->text = in->text;
                buf_trim(&l->text);
                buf_init(&in->text, 0);
                count(in);
        }
        *out = l;
        return 0;
}

int incoming_commit(struct incoming *in, const struct envelope *e, uint64_t *id)
{
        struct letter *l = NULL;
        int rc = in->error;

        if (rc >= 0)
                rc = finish(in, e, &l);
        if (rc < 0) {
                in->error = rc;
                return rc;
        }
        l->references++; /* ours, and the log's */
        rc = log_commit(in->intake, l);
        in->committed = rc == 0;
        *id = l->place.segment + l->place.sequence;
        letter_unref(&l);
        if (rc < 0)
                in->error = rc;
        return rc;
}

void incoming_free(struct incoming **in)
{
        struct incoming *old = *in;

        *in = NULL;
        if (!old)
                return;
        buf_free(&old->text);
        count(old);
        if (old->staged && !old->committed)
                offload(LONG, stage_drop, old);
        if (old->under)
                log_arrived(old->intake, old->under);
        mem_free(old);
}

uint64_t incoming_size(const struct incoming *in)
{
        return in->size;
}
