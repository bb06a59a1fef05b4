#include "mail/thread.h"
#include "mail/header.h"
#include <sodium.h>

/* The key is part of what lies on disk. It keeps nobody from making two ids with one hash on purpose; all that would
 * get them is a thread of their own letters that hangs together wrongly. */
uint64_t thread_hash(struct str s)
{
        static const unsigned char key[crypto_shorthash_KEYBYTES];
        unsigned char out[crypto_shorthash_BYTES];
        uint64_t v = 0;

        crypto_shorthash(out, (const unsigned char *)(s.p ? s.p : ""), s.n, key);
        for (unsigned i = 8; i-- > 0;)
                v = v << 8 | out[i];
        return v ? v : 1;
}

static bool blank(char c)
{
        return (unsigned char)c <= 32 || c == 127;
}

/* msg-id = "<" id-left "@" id-right ">". White space of folding goes, and so do quotes, which change nothing about an
 * id (RFC 5256 §2.2, "normalize"). Words and comments around it are passed over. */
bool message_id_next(struct str *value, struct arena *m, struct str *id)
{
        struct str s = *value;
        size_t start = str_find(s, '<'), end, n = 0;
        char *to;

        *id = S("");
        while (start != STR_NONE) {
                for (end = ++start; end < s.n && s.p[end] != '>'; end++)
                        if (s.p[end] == '<')
                                start = end + 1;
                if (end == s.n)
                        break;
                to = arena_alloc(m, end - start + 1);
                for (n = 0; start < end; start++)
                        if (!blank(s.p[start]) && s.p[start] != '"' && s.p[start] != '\\')
                                to[n++] = s.p[start];
                *value = s = str_from_at(s, end + 1);
                *id = str_from(to, n);
                if (n)
                        return true;
                start = str_find(s, '<');
        }
        *value = S("");
        return false;
}

struct ring {
        uint64_t last[THREAD_REFS_MAX];
        size_t n; /* ever put in */
};

static void collect(struct ring *r, struct arena *m, struct str value)
{
        struct str id;

        while (message_id_next(&value, m, &id))
                r->last[r->n++ % THREAD_REFS_MAX] = thread_hash(id);
}

static bool has(const struct thread_keys *k, uint64_t hash)
{
        for (unsigned i = 0; i < k->n; i++)
                if (k->refs[i] == hash)
                        return true;
        return hash == k->own;
}

/* A Message-ID without its brackets is still one. */
static uint64_t own_id(struct arena *m, struct str value)
{
        struct str rest = value, id;

        if (message_id_next(&rest, m, &id))
                return thread_hash(id);
        value = header_unfold(m, value);
        return value.n ? thread_hash(value) : 0;
}

void thread_keys_of(struct thread_keys *k, struct arena *m, struct str letter)
{
        struct str references = S(""), in_reply_to = S(""), message_id = S(""), subject = S("");
        struct header h = header_of(letter);
        struct ring ring = { .n = 0 };
        struct field f;

        *k = (struct thread_keys){ 0 };
        while (header_next(&h, &f)) {
                struct str *to = str_ieq(f.name, S("references"))    ? &references
                                 : str_ieq(f.name, S("in-reply-to")) ? &in_reply_to
                                 : str_ieq(f.name, S("message-id"))  ? &message_id
                                 : str_ieq(f.name, S("subject"))     ? &subject
                                                                     : NULL;
                if (to && !to->n)
                        *to = to == &references && f.value.n > THREAD_FIELD_MAX
                                  ? str_from_at(f.value, f.value.n - THREAD_FIELD_MAX)
                                  : str_sub(f.value, 0, THREAD_FIELD_MAX);
        }
        k->own = own_id(m, message_id);
        collect(&ring, m, references);
        collect(&ring, m, in_reply_to);
        for (size_t i = ring.n > THREAD_REFS_MAX ? ring.n - THREAD_REFS_MAX : 0; i < ring.n; i++)
                if (!has(k, ring.last[i % THREAD_REFS_MAX]))
                        k->refs[k->n++] = ring.last[i % THREAD_REFS_MAX];
        subject = arena_lower(m, base_subject(m, subject, &k->reply));
        k->subject = subject.n ? thread_hash(subject) : 0;
}
