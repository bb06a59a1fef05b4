#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPLAY_AT_ONCE 256
#define REPLAY_BYTES   ((size_t)4 * 1024 * 1024)

struct replay {
        struct intake *intake;
        struct replay_file {
                uint64_t id;
                char name[BODY_NAME];
                bool named; /* a body that some record names */
        } * files;
        size_t count, room;
        struct record_void *voids; /* of all segments, also those that others hold */
        size_t void_count, void_room;
        /* the segment at hand */
        struct segment *segment;
        struct segment_reader reader;
        struct letter *letters[REPLAY_AT_ONCE];
        unsigned n;
        bool settled;
};

void segment_add_letter(struct segment *s, struct letter *l)
{
        size_t at;

        if (!s->letter_count)
                s->first = l->place.sequence;
        at = (size_t)(l->place.sequence - s->first);
        if (at >= s->letter_room) {
                size_t room = s->letter_room ? s->letter_room : 64;

                while (room <= at)
                        room *= 2;
                s->letters = mem_grow(s->letters, room, sizeof(struct letter *));
                s->letter_room = room;
        }
        while (s->letter_count < at)
                s->letters[s->letter_count++] = NULL;
        s->letters[at] = l;
        s->letter_count = at + 1;
        s->open++;
}

static int list_files(void *arg)
{
        struct replay *r = arg;
        int fd = openat(r->intake->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        struct str rest;
        uint64_t id;

        if (!d) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while ((e = readdir(d))) {
                struct str name = str_of(e->d_name);

                if (!segment_name_read(name, &id, &rest) || name.n >= BODY_NAME)
                        continue;
                if (r->count == r->room) {
                        r->room = r->room ? 2 * r->room : 64;
                        r->files = mem_grow(r->files, r->room, sizeof *r->files);
                }
                r->files[r->count] = (struct replay_file){ .id = id };
                mem_copy(r->files[r->count].name, BODY_NAME, name);
                r->count++;
        }
        closedir(d);
        return 0;
}

static bool is(const struct replay_file *f, struct str kind)
{
        return str_ends(str_of(f->name), kind);
}

static void add_void(struct replay *r, const struct record_void *v)
{
        if (r->void_count == r->void_room) {
                r->void_room = r->void_room ? 2 * r->void_room : 16;
                r->voids = mem_grow(r->voids, r->void_room, sizeof *r->voids);
        }
        r->voids[r->void_count++] = *v;
}

static bool voided(const struct replay *r, uint64_t segment, uint64_t sequence)
{
        for (size_t k = 0; k < r->void_count; k++)
                if (r->voids[k].segment == segment && r->voids[k].first <= sequence &&
                    sequence <= r->voids[k].last)
                        return true;
        return false;
}

/* Void records stand at the beginning of a segment. They count whoever holds it. */
static int gather_voids(void *arg)
{
        struct replay *r = arg;

        for (size_t k = 0; k < r->count; k++) {
                struct segment_reader reader;
                struct record record;
                int fd;

                if (!is(&r->files[k], S(".log")))
                        continue;
                fd = disk_open(r->intake->dir, r->files[k].name, O_RDONLY);
                if (fd < 0)
                        continue;
                if (segment_reader_open(&reader, fd, r->files[k].id) == 0)
                        while (segment_next(&reader, &record) == 1 && record.kind == RECORD_VOID)
                                add_void(r, &record.voided);
                segment_reader_close(&reader);
                close(fd);
        }
        return 0;
}

/* A segment that was being made when its maker died. */
static void remove_new(struct replay *r, const struct replay_file *f)
{
        int fd = disk_open(r->intake->dir, f->name, O_RDWR);

        if (fd < 0)
                return;
        if (log_segment_lock(fd) == 0)
                (void)disk_unlink(r->intake->dir, f->name);
        close(fd);
}

static void add_body(struct segment *s, struct str name)
{
        s->bodies = mem_grow(s->bodies, s->body_count + 1, sizeof *s->bodies);
        s->bodies[s->body_count++] = mem_string(name);
}

/* What the segment is, before anything of it is carried out. */
static int survey(struct replay *r, struct segment *s)
{
        struct segment_reader reader;
        struct record record;
        int rc = segment_reader_open(&reader, s->fd, s->id);

        while (rc == 0 && (rc = segment_next(&reader, &record)) == 1) {
                rc = 0;
                r->settled |= record.kind == RECORD_SETTLED;
                if (record.kind == RECORD_VOID) {
                        s->voids = mem_grow(s->voids, s->void_count + 1, sizeof *s->voids);
                        s->voids[s->void_count++] = record.voided.segment;
                }
        }
        if (rc == 0 && r->settled) { /* only its files are left to be removed */
                reader.at = SEGMENT_START;
                reader.sequence = 0;
                while (segment_next(&reader, &record) == 1)
                        if (record.kind == RECORD_STAGED)
                                add_body(s, record.body);
        }
        if (rc == 0 && reader.damage)
                log_warn("intake-damaged",
                         "segment=%016llx places=%u what=\"records that were accepted cannot be read\" "
                         "kept=damaged-%016llx.log",
                         (unsigned long long)s->id, reader.damage, (unsigned long long)s->id);
        else if (rc == 0 && (reader.torn || reader.gaps) && !r->settled)
                log_warn("intake-torn", "segment=%016llx at=%llu what=\"its end was never acknowledged\"",
                         (unsigned long long)s->id, (unsigned long long)reader.end);
        s->start = reader.start;
        s->end = reader.end;
        s->sequence = reader.sequence;
        s->marked = s->safe = r->settled;
        r->n = reader.damage;
        segment_reader_close(&reader);
        return rc;
}

/* On a worker: opens the file in r->files[...] that r->segment->id names, locks and surveys it. -EAGAIN: it is held. */
static int take_segment(void *arg)
{
        struct replay *r = arg;
        struct segment *s = r->segment;
        char name[SEGMENT_NAME], damaged[SEGMENT_NAME + 8];
        struct stat st;
        int rc;

        segment_name(s->id, name);
        snprintf(damaged, sizeof damaged, "damaged-%s", name);
        s->fd = rc = disk_open(r->intake->dir, name, O_RDWR);
        if (rc >= 0)
                rc = log_segment_lock(s->fd);
        if (rc < 0)
                return rc;
        if (fstat(s->fd, &st) < 0 || !st.st_nlink)
                return -EAGAIN; /* its owner has just finished with it */
        rc = survey(r, s);
        if (rc == -EBADMSG) {
                log_warn("intake-damaged", "segment=%016llx what=\"its head cannot be read\" kept=%s",
                         (unsigned long long)s->id, damaged);
                rc = disk_rename(r->intake->dir, name, r->intake->dir, damaged);
                return rc < 0 ? rc : -EAGAIN;
        }
        if (rc >= 0 && r->n && !r->settled) {
                rc = disk_link(r->intake->dir, name, r->intake->dir, damaged);
                rc = rc == -EEXIST ? 0 : rc;
        }
        return rc;
}

/* On a worker: the next letters of the segment. */
static int read_letters(void *arg)
{
        struct replay *r = arg;
        struct segment *s = r->segment;
        struct record record;
        size_t bytes = 0;
        int rc = 1;

        r->n = 0;
        while (r->n < REPLAY_AT_ONCE && bytes < REPLAY_BYTES &&
               (rc = segment_next(&r->reader, &record)) == 1) {
                struct arena m;
                struct envelope e;
                struct letter *l;

                if ((record.kind != RECORD_LETTER && record.kind != RECORD_STAGED) ||
                    voided(r, s->id, record.sequence))
                        continue;
                arena_init(&m, SIZE_MAX); /* it was bounded when it was accepted */
                if (envelope_unpack(&e, &m, record.envelope)) {
                        l = letter_new(&e);
                        l->place = (struct intake_place){ .segment = s->id,
                                                          .sequence = record.sequence,
                                                          .offset = record.offset,
                                                          .length = record.length,
                                                          .owner = r->intake->hooks.self };
                        l->segment = s;
                        l->size = record.kind == RECORD_STAGED ? record.size : record.text.n;
                        buf_puts(&l->envelope, record.envelope);
                        buf_puts(&l->text, record.text);
                        if (record.kind == RECORD_STAGED)
                                l->body = mem_string(record.body);
                        r->letters[r->n++] = l;
                        bytes += record.length;
                } else {
                        log_warn("intake-envelope",
                                 "segment=%016llx sequence=%llu what=\"of another version of pail\"",
                                 (unsigned long long)s->id, (unsigned long long)record.sequence);
                        rc = -EPROTONOSUPPORT;
                }
                arena_finish(&m);
                if (rc < 0)
                        break;
        }
        return rc;
}

static int wait_until_filed(struct intake *i)
{
        int rc = 0;

        while (intake_crowded(i) && rc != -ECANCELED) {
                if (fiber_self() && i->threaded)
                        rc = wait_on(&i->room, "room in the queues", in_seconds(1));
                else if (!file_one_batch(i))
                        break; /* what is open is with peers */
        }
        return rc == -ECANCELED ? rc : 0;
}

static int queue_letters(struct replay *r)
{
        struct segment *s = r->segment;
        int rc, waited = 0;

        rc = segment_reader_open(&r->reader, s->fd, s->id);
        if (rc == 0)
                rc = 1;
        while (rc == 1 && waited == 0) {
                rc = offload(LONG, read_letters, r);
                for (unsigned k = 0; k < r->n; k++) {
                        segment_add_letter(s, r->letters[k]);
                        letter_queue(r->intake, r->letters[k]);
                }
                filers_wake(r->intake);
                waited = wait_until_filed(r->intake);
        }
        segment_reader_close(&r->reader);
        return rc < 0 ? rc : waited;
}

static int replay_segment(struct replay *r, uint64_t id)
{
        struct intake *i = r->intake;
        struct segment *s = mem_new(struct segment);
        int rc;

        s->id = id;
        s->made = now();
        s->closed = s->reading = s->replayed = true;
        r->segment = s;
        r->settled = false;
        rc = offload(LONG, take_segment, r);
        if (rc < 0) {
                segment_free(&s);
                return rc == -EAGAIN || rc == -ENOENT ? 0 : rc;
        }
        pthread_mutex_lock(&i->mutex);
        TAILQ_INSERT_TAIL(&i->segments, s, link);
        pthread_mutex_unlock(&i->mutex);
        log_event("replay", "segment=%016llx settled=%d", (unsigned long long)id, r->settled);
        if (!r->settled)
                rc = queue_letters(r);
        if (rc == 0)
                s->reading = false;
        else /* it stays as it is until it can be read; what was read is delivered */
                log_warn("intake-replay", "segment=%016llx error=\"%s\"", (unsigned long long)id,
                         strerrordesc_np(-rc));
        keeper_wake(i, now());
        return rc;
}

/* May somebody alive still be writing the bodies that bear this id? */
static bool owned(struct intake *i, uint64_t id)
{
        char name[SEGMENT_NAME];
        struct segment *s;
        int fd, rc;

        pthread_mutex_lock(&i->mutex);
        TAILQ_FOREACH(s, &i->segments, link)
        if (s->id == id)
                break;
        pthread_mutex_unlock(&i->mutex);
        if (s)
                return !s->replayed;
        segment_name(id, name);
        fd = disk_open(i->dir, name, O_RDWR);
        if (fd < 0)
                return fd != -ENOENT;
        rc = log_segment_lock(fd);
        close(fd);
        return rc < 0;
}

static void mark_named(struct replay *r, size_t bodies, struct str name)
{
        for (size_t k = 0; k < bodies; k++)
                if (str_eq(str_of(r->files[k].name), name))
                        r->files[k].named = true;
}

/* Reads every segment there is, also those that others hold: a body that no record names and that nobody can be
 * writing is what a crash left of a letter that was never accepted. */
static int find_named(struct replay *r, size_t bodies)
{
        size_t first = r->count;
        int rc = list_files(r);

        for (size_t k = first; rc >= 0 && k < r->count; k++) {
                struct segment_reader reader;
                struct record record;
                int fd;

                if (!is(&r->files[k], S(".log")))
                        continue;
                fd = disk_open(r->intake->dir, r->files[k].name, O_RDONLY);
                if (fd == -ENOENT) /* settled meanwhile, and its bodies went first */
                        continue;
                rc = fd < 0 ? fd : segment_reader_open(&reader, fd, r->files[k].id);
                if (rc == 0) {
                        while ((rc = segment_next(&reader, &record)) == 1)
                                if (record.kind == RECORD_STAGED)
                                        mark_named(r, bodies, record.body);
                        segment_reader_close(&reader);
                }
                if (fd >= 0)
                        close(fd);
        }
        return rc;
}

static int remove_orphans(void *arg)
{
        struct replay *r = arg;
        size_t n = 0;
        int rc;

        for (size_t k = 0; k < r->count; k++)
                if (is(&r->files[k], S(".body")) && !owned(r->intake, r->files[k].id))
                        r->files[n++] = r->files[k];
        r->count = n;
        if (!n)
                return 0;
        rc = find_named(r, n);
        for (size_t k = 0; rc >= 0 && k < n; k++)
                if (!r->files[k].named)
                        (void)disk_unlink(r->intake->dir, r->files[k].name);
        return rc < 0 ? rc : 0;
}

static int replay_all(struct replay *r)
{
        size_t count;
        int rc = offload(LONG, list_files, r), worst = 0;

        if (rc < 0)
                return rc;
        offload(LONG, gather_voids, r);
        count = r->count;
        for (size_t k = 0; k < count; k++) {
                if (is(&r->files[k], S(".new")))
                        remove_new(r, &r->files[k]);
                if (!is(&r->files[k], S(".log")))
                        continue;
                rc = replay_segment(r, r->files[k].id);
                if (rc == -ECANCELED)
                        return rc;
                worst = rc < 0 ? rc : worst;
        }
        rc = offload(LONG, remove_orphans, r);
        return rc < 0 ? rc : worst;
}

int intake_replay(struct intake *i)
{
        struct replay *r;
        int rc = lock_take(&i->replaying, "another replay", NEVER);

        if (rc < 0)
                return rc;
        r = mem_new(struct replay);
        r->intake = i;
        rc = replay_all(r);
        mem_free(r->files);
        mem_free(r->voids);
        mem_free(r);
        lock_drop(&i->replaying);
        return rc;
}
