#include "store/intake_parts.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define READ_AT_ONCE 64

/* Places a peer told us, and the letters that were found there. One reader at a time: so what was told twice, because
 * its owner died and another replayed its segment, is filed in the order it was told, and done before that is. */
struct reading {
        struct intake *intake;
        struct intake_place places[READ_AT_ONCE];
        struct letter *letters[READ_AT_ONCE];
        int errors[READ_AT_ONCE];
        unsigned n;
        struct foreign *opened; /* by the worker; the loop adds them to the intake's */
};

static struct foreign *find_segment(struct foreign *f, uint64_t id)
{
        while (f && f->id != id)
                f = f->next;
        return f;
}

/* On a worker; only one reads at a time, and nothing is taken from the intake's list meanwhile. */
static int open_segment(struct reading *g, uint64_t id, struct foreign **out)
{
        struct foreign *f = find_segment(g->intake->foreign, id);
        struct segment_reader r;
        char name[SEGMENT_NAME];
        int fd, rc;

        *out = f = f ? f : find_segment(g->opened, id);
        if (f)
                return 0;
        segment_name(id, name);
        fd = disk_open(g->intake->dir, name, O_RDONLY);
        if (fd < 0)
                return fd;
        rc = segment_reader_open(&r, fd, id);
        if (rc == 0) {
                f = mem_new(struct foreign);
                *f = (struct foreign){ .next = g->opened, .id = id, .fd = fd, .start = r.start };
                g->opened = *out = f;
        } else {
                close(fd);
        }
        segment_reader_close(&r);
        return rc;
}

static const struct action *find_action(const struct envelope *e, uint32_t number)
{
        for (unsigned k = 0; k < e->count; k++)
                if (e->actions[k].number == number)
                        return &e->actions[k];
        return NULL;
}

/* A letter with that one action. */
static int make_letter(struct foreign *f, const struct intake_place *place, const struct record *r,
                       struct letter **out)
{
        struct arena m;
        struct envelope e;
        const struct action *a;
        struct action one;
        struct letter *l;
        int rc = -EBADMSG;

        arena_init(&m, SIZE_MAX); /* it was bounded when it was accepted */
        if ((r->kind == RECORD_LETTER || r->kind == RECORD_STAGED) && envelope_unpack(&e, &m, r->envelope) &&
            (a = find_action(&e, place->number))) {
                one = *a;
                e.actions = &one;
                e.count = 1;
                l = letter_new(&e);
                l->place = *place;
                l->foreign = f; /* counted by the loop: it counts down meanwhile */
                l->size = r->kind == RECORD_STAGED ? r->size : r->text.n;
                buf_puts(&l->envelope, r->envelope);
                if (r->kind == RECORD_STAGED)
                        l->body = mem_string(r->body);
                else
                        buf_puts(&l->text, r->text);
                *out = l;
                rc = 0;
        }
        arena_finish(&m);
        return rc;
}

static int read_places(void *arg)
{
        struct reading *g = arg;
        struct buf bytes;

        buf_init(&bytes, RECORD_MAX + sizeof(struct record_head));
        for (unsigned k = 0; k < g->n; k++) {
                const struct intake_place *p = &g->places[k];
                struct foreign *f;
                struct record r;
                int rc = open_segment(g, p->segment, &f);

                if (rc == 0)
                        rc = record_read(f->fd, p->segment, f->start, p->offset, p->length, &bytes, &r);
                if (rc == 0 && r.sequence != p->sequence)
                        rc = -EBADMSG;
                if (rc == 0)
                        rc = make_letter(f, p, &r, &g->letters[k]);
                g->errors[k] = rc;
        }
        buf_free(&bytes);
        return 0;
}

static void told_add(struct intake *i, const struct intake_place *place)
{
        if (i->told_count == i->told_room) {
                i->told_room = i->told_room ? 2 * i->told_room : 64;
                i->told = mem_grow(i->told, i->told_room, sizeof *i->told);
        }
        i->told[i->told_count++] = *place;
}

static void told_take(struct intake *i, struct reading *g)
{
        g->n = i->told_count < READ_AT_ONCE ? (unsigned)i->told_count : READ_AT_ONCE;
        for (unsigned k = 0; k < g->n; k++)
                g->places[k] = i->told[k];
        i->told_count -= g->n;
        for (size_t k = 0; k < i->told_count; k++)
                i->told[k] = i->told[k + g->n];
}

bool foreign_read(struct intake *i)
{
        struct reading *g;

        if (i->reading || !i->told_count || now() < i->told_retry)
                return false;
        i->reading = true;
        g = mem_new(struct reading);
        g->intake = i;
        told_take(i, g);
        offload(QUICK, read_places, g);
        while (g->opened) {
                struct foreign *f = g->opened;

                g->opened = f->next;
                f->next = i->foreign;
                i->foreign = f;
        }
        for (unsigned k = 0; k < g->n; k++) {
                if (g->letters[k]) {
                        g->letters[k]->foreign->references++;
                        letter_queue(i, g->letters[k]);
                        continue;
                }
                log_warn("intake-told", "segment=%016llx sequence=%llu error=\"%s\"",
                         (unsigned long long)g->places[k].segment, (unsigned long long)g->places[k].sequence,
                         strerrordesc_np(-g->errors[k]));
                if (g->errors[k] == -ENOENT) /* its owner is gone, and whoever replayed it told us again */
                        continue;
                told_add(i, &g->places[k]);
                i->told_retry = now() + SECOND;
                keeper_wake(i, i->told_retry);
        }
        mem_free(g);
        i->reading = false;
        keeper_wake(i, now() + 5 * SECOND); /* who closes them */
        filers_wake(i);
        return true;
}

static void tell_done(struct intake *i, const struct intake_place *place)
{
        struct peer *p = &i->peers[place->owner];

        if (i->hooks.tell_done(i->hooks.context, place->owner, place) == 0)
                return;
        if (p->done_count == p->done_room) {
                p->done_room = p->done_room ? 2 * p->done_room : 64;
                p->done = mem_grow(p->done, p->done_room, sizeof *p->done);
        }
        p->done[p->done_count++] = *place;
        keeper_wake(i, now() + SECOND);
}

void foreign_done(struct intake *i, const struct letter *l, const struct work *w)
{
        struct intake_place place = l->place;

        place.number = w->number | (w->aside ? INTAKE_ASIDE : 0);
        l->foreign->references--;
        tell_done(i, &place);
}

void foreign_tell(struct intake *i, unsigned peer)
{
        struct peer *p = &i->peers[peer];
        size_t n = p->done_count;
        struct intake_place *old = p->done;

        p->done = NULL;
        p->done_count = p->done_room = 0;
        for (size_t k = 0; k < n; k++)
                tell_done(i, &old[k]);
        mem_free(old);
}

/* Segments that no letter needs now are closed, or their space would never come back. */
void foreign_close(struct intake *i)
{
        struct foreign **f = &i->foreign;

        if (i->reading)
                return;
        while (*f) {
                struct foreign *old = *f;

                if (old->references) {
                        f = &old->next;
                        continue;
                }
                *f = old->next;
                close(old->fd);
                mem_free(old);
        }
}

void intake_file_for_peer(struct intake *i, const struct intake_place *place)
{
        if (place->owner >= i->hooks.processes)
                return;
        told_add(i, place);
        filers_wake(i);
        keeper_wake(i, now() + SECOND);
}

void intake_done_by_peer(struct intake *i, const struct intake_place *place)
{
        struct segment *s;
        struct letter *l;

        pthread_mutex_lock(&i->mutex);
        TAILQ_FOREACH(s, &i->segments, link)
        if (s->id == place->segment)
                break;
        pthread_mutex_unlock(&i->mutex);
        if (!s || place->sequence < s->first || place->sequence - s->first >= s->letter_count)
                return;
        l = s->letters[place->sequence - s->first];
        for (unsigned k = 0; l && k < l->count; k++) {
                struct work *w = &l->works[k];

                if (w->number != (place->number & ~INTAKE_ASIDE) ||
                    (w->state != WORK_TOLD && w->state != WORK_UNTOLD))
                        continue;
                TAILQ_REMOVE(w->state == WORK_TOLD ? &i->peers[w->peer].told : &i->peers[w->peer].untold, w,
                             link);
                i->numbers.filed++;
                w->aside = place->number & INTAKE_ASIDE;
                work_done(i, w);
                return;
        }
}

void intake_peer_new(struct intake *i, unsigned peer)
{
        struct peer *p;
        struct works again;
        struct work *w;

        if (peer >= i->hooks.processes || peer == i->hooks.self)
                return;
        p = &i->peers[peer];
        p->done_count = 0; /* whoever replays the segments of the one that died tells us anew */
        TAILQ_INIT(&again);
        TAILQ_CONCAT(&again, &p->told, link);
        TAILQ_CONCAT(&again, &p->untold, link);
        while ((w = TAILQ_FIRST(&again))) {
                TAILQ_REMOVE(&again, w, link);
                w->state = WORK_QUEUED; /* in no list */
                work_tell(i, w, peer);
        }
}
