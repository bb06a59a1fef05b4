/* What rows show comes from the envelope that was packed when the letter was filed (mail/mime.h); no letter is read for it. */
#include "cli/mail/view_inside.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/thread.h"

#include <errno.h>

enum { SLICE = 1000, SHOWN_MOST = 200, SCRATCH = 1 << 20 };

static struct str keep(struct view *v, struct str s)
{
        struct str cut = str_sub(s, 0, SHOWN_MOST);

        while (cut.n < s.n && cut.n && ((unsigned char)s.p[cut.n] & 0xC0) == 0x80)
                cut.n--;
        return arena_str(&v->facts, cut);
}

/* The first address as a person is called. */
static struct str person(struct view *v, struct arena *a, struct str field)
{
        struct addresses list = addresses_of(field);
        struct address who;
        struct str name;

        while (address_next(&list, a, &who)) {
                if (who.kind == ADDRESS_GROUP_END)
                        continue;
                name = str_trim(word_decode(a, who.name));
                return keep(v, name.n ? name : address_write(a, who.local, who.domain));
        }
        return S("");
}

static uint64_t last_id(struct arena *a, struct str value)
{
        uint64_t hash = 0;
        struct str id;

        while (message_id_next(&value, a, &id))
                hash = thread_hash(id);
        return hash;
}

static uint64_t first_id(struct arena *a, struct str value)
{
        struct str id;

        return message_id_next(&value, a, &id) ? thread_hash(id) : 0;
}

static struct str held(const struct mime_envelope *e, enum mime_envelope_field which)
{
        const struct mime_field *f = &e->fields[which];

        return f->present && f->held ? f->text : S("");
}

static void take_envelope(struct view *v, struct facts *f, struct arena *a, const struct mime_envelope *e)
{
        int64_t date;

        f->from = person(v, a, held(e, MIME_FROM));
        f->to = person(v, a, held(e, MIME_TO));
        f->subject = keep(v, str_trim(word_decode(a, held(e, MIME_SUBJECT))));
        f->date = date_parse(held(e, MIME_DATE), &date, NULL) ? date : INT64_MIN;
        f->own = first_id(a, held(e, MIME_MESSAGE_ID));
        f->parent = last_id(a, held(e, MIME_REFERENCES));
        if (!f->parent)
                f->parent = first_id(a, held(e, MIME_IN_REPLY_TO));
}

/* Typed by hand a letter may have no header at all: then the envelope says who sent it. */
static void take_sender(struct view *v, struct facts *f, struct arena *a, struct str packed)
{
        struct envelope e;

        if (!f->from.n && packed.n < SCRATCH / 16 && envelope_unpack(&e, a, packed))
                f->from = keep(v, e.sender);
}

struct reading {
        struct view *v;
        const uint32_t *entries; /* whose facts are asked for, in the order asked */
};

/* On a worker; the fiber that uses the view waits meanwhile. */
static bool each(void *context, size_t index, const struct letter_facts_row *r)
{
        struct reading *reading = context;
        struct view *v = reading->v;
        struct facts *f = arena_new(&v->facts, struct facts);
        struct arena auto_arena a;
        struct mime_walk w;

        arena_init(&a, SCRATCH);
        f->date = INT64_MIN;
        f->received = r->received / 1000000;
        if (mime_walk_begin(&w, r->mime))
                for (unsigned n = 0; mime_walk_next(&w); n++) {
                        if (n == 0 && w.has_envelope)
                                take_envelope(v, f, &a, &w.envelope);
                        f->attachments |=
                            w.part.kind != MIME_MULTIPART && (str_eq(w.part.disposition, S("attachment")) ||
                                                              (!str_eq(w.part.type, S("text")) && n > 0));
                }
        take_sender(v, f, &a, r->envelope);
        v->entries[reading->entries[index]].facts = f;
        v->entries[reading->entries[index]].thread = r->thread;
        v->entries[reading->entries[index]].received = f->received;
        return v->facts.used < v->facts.max - SCRATCH;
}

static int read_slice(struct view *v, struct access *x, const uint32_t *entries, size_t n)
{
        struct reading reading = { v, entries };
        uint32_t letters[SLICE];
        size_t done;

        for (size_t i = 0; i < n; i++)
                letters[i] = v->entries[entries[i]].placed.letter;
        return change_facts(x, letters, n, each, &reading, &done);
}

int view_facts(struct view *v, const uint32_t *list, size_t n)
{
        uint32_t *missing;
        struct access x = { 0 };
        size_t count = 0;
        int rc = 0;

        if (!list)
                n = v->n;
        missing = mem_array(n + 1, sizeof *missing);
        for (size_t i = 0; i < n; i++) {
                uint32_t at = list ? list[i] : (uint32_t)i;

                if (!v->entries[at].facts)
                        missing[count++] = at;
        }
        if (count)
                rc = copy_access(v->copy, &x, str_of(v->path), RIGHT_READ);
        for (size_t at = 0; at < count && rc == 0; at += SLICE)
                rc = read_slice(v, &x, missing + at, count - at < SLICE ? count - at : SLICE);
        access_close(&x);
        mem_free(missing);
        return rc;
}

static bool each_date(void *context, size_t index, const struct letter_facts_row *r)
{
        struct reading *reading = context;

        reading->v->entries[reading->entries[index]].thread = r->thread;
        reading->v->entries[reading->entries[index]].received = r->received / 1000000;
        return true;
}

int view_dates(struct view *v)
{
        uint32_t *missing = mem_array(v->n + 1, sizeof *missing),
                 *letters = mem_array(v->n + 1, sizeof *letters);
        struct reading reading = { v, missing };
        struct access x = { 0 };
        size_t count = 0, done;
        int rc = 0;

        for (size_t i = 0; i < v->n; i++)
                if (!v->entries[i].received) {
                        letters[count] = v->entries[i].placed.letter;
                        missing[count++] = (uint32_t)i;
                }
        if (count)
                rc = copy_access(v->copy, &x, str_of(v->path), RIGHT_READ);
        if (count && rc == 0)
                rc = change_dates(&x, letters, count, each_date, &reading, &done);
        access_close(&x);
        mem_free(missing);
        mem_free(letters);
        return rc;
}
