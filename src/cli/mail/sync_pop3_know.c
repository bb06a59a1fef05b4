/* POP3: is a letter the one whose UIDL we know? RFC 1939 §7 says so; some servers give a UIDL again. The size that LIST tells is compared always, the
 * header (TOP) where it is cheap: of letters at both ends of the list, since what is new comes to one of them, and of all once one is found to be
 * another letter. Where letters are removed at the server, of every one. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "mail/header.h"

#include <errno.h>

enum { ENDS = 16, HEADER_MOST = 64 * 1024 };

struct looking {
        const struct pop_asked *asked;
        struct pop_letter *letters;
        struct pop3_entry *list; /* those whose headers are asked for */
        size_t *place;           /* which of letters they are */
        const struct pop3_entry *entry;
        struct buf head;
        size_t others; /* letters that are not the known ones */
};

static int compare(const struct known_uidl *k, struct str uidl, uint64_t told)
{
        int d = str_cmp(k->uidl, uidl);

        return d ? d : k->told < told ? -1 : k->told > told;
}

size_t pop3_known(const struct known_uidl *known, size_t known_n, struct str uidl, uint64_t told)
{
        size_t low = 0, high = known_n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare(&known[middle], uidl, told) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* A known one of that UIDL and size; with `identity`, of that header. Of what schema 1 knew only the UIDL counts, as long as nothing is removed. */
static bool is_known(const struct pop_asked *p, const struct pop3_entry *e, const uint64_t *identity)
{
        size_t old = pop3_known(p->known, p->known_n, e->uidl, 0);
        size_t first = pop3_known(p->known, p->known_n, e->uidl, e->size);

        if (old < p->known_n && p->w->login->keep && !p->known[old].told && !p->known[old].octets &&
            str_eq(p->known[old].uidl, e->uidl))
                return true;
        for (size_t i = first; i < p->known_n && i - first < KNOWN_MOST; i++) {
                const struct known_uidl *k = &p->known[i];

                if (compare(k, e->uidl, e->size) != 0)
                        return false;
                if (k->octets && (!identity || k->identity == *identity))
                        return true;
        }
        return false;
}

static int head_begin(void *context, const struct pop3_entry *e)
{
        struct looking *l = context;

        l->entry = e;
        buf_clear(&l->head);
        return 0;
}

static int head_piece(void *context, struct str bytes)
{
        struct looking *l = context;

        if (l->head.n < HEADER_MOST)
                buf_puts(&l->head, str_sub(bytes, 0, HEADER_MOST - l->head.n));
        return 0;
}

static int head_end(void *context)
{
        struct looking *l = context;
        struct str head = buf_str(&l->head);
        uint64_t identity = letter_identity(str_sub(head, 0, header_size(head)));
        struct pop_letter *letter = &l->letters[l->place[l->entry - l->list]];

        letter->safe = is_known(l->asked, l->entry, &identity);
        letter->fetch = !letter->safe;
        l->others += letter->fetch;
        return 0;
}

/* The known ones at the ends of the list, or those between them. */
static int look_at(struct looking *l, const size_t *known, size_t count, bool ends)
{
        const struct pop_asked *p = l->asked;
        struct pop3_take take = { head_begin, head_piece, head_end, l, true };
        size_t n = 0;
        int rc;

        for (size_t i = 0; i < count; i++)
                if ((i < ENDS || i + ENDS >= count) == ends) {
                        l->list[n] = p->list[known[i]];
                        l->place[n++] = known[i];
                }
        rc = n ? pop3_client_letters(p->client, l->list, n, &take, p->answer) : 0;
        return rc == -EREMOTEIO ? 0 : rc; /* one that has no header to show is fetched, or left */
}

int pop3_look(const struct pop_asked *p, struct pop_letter *letters)
{
        struct looking l = { .asked = p, .letters = letters };
        size_t *known = arena_array(p->a, size_t, p->n + 1), count = 0;
        bool all = !p->w->login->keep;
        int rc = 0;

        for (size_t i = 0; i < p->n; i++) {
                letters[i] = (struct pop_letter){ .fetch = !is_known(p, &p->list[i], NULL) };
                if (!letters[i].fetch)
                        known[count++] = i;
        }
        l.list = arena_array(p->a, struct pop3_entry, count + 1);
        l.place = arena_array(p->a, size_t, count + 1);
        buf_init(&l.head, HEADER_MOST);
        if (count && pop3_client_offers(p->client) & POP3_HAS_TOP) {
                rc = look_at(&l, known, count, true);
                if (rc == 0 && (all || l.others))
                        rc = look_at(&l, known, count, false);
        }
        for (size_t i = 0; i < p->n && all; i++)
                letters[i].fetch = !letters[i].safe;
        buf_free(&l.head);
        return rc < 0 ? work_failed(p->w, rc, *p->answer->text ? p->answer->text : "POP3") : 0;
}
