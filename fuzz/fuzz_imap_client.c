/* The IMAP client against a server that says anything. What must hold: texts and paths are printable, what is handed on is what was asked for, and
 * a letter has the size that was told when its end is. */
#include "client_server.h"
#include "proto/imap/client.h"

struct taken {
        uint64_t size, got;
        bool begun;
};

static void each(void *context, const struct imap_marks *f)
{
        (void)context;
        must(f->uid >= 1 && f->uid <= 50 && f->has_flags, "a letter nobody asked for");
        must(!str_has_control(f->keywords) && ascii_only(f->keywords), "a keyword that is none");
}

static void range(void *context, uint32_t first, uint32_t last)
{
        uint32_t *before = context;

        must(first > *before && first <= last, "ranges in disorder");
        *before = last;
}

static void gone(void *context, uint32_t first, uint32_t last)
{
        (void)context;
        must(first >= 1 && first <= last && last <= 50, "gone, and nobody asked");
}

static void pair(void *context, uint32_t from, uint32_t to)
{
        (void)context;
        must(from >= 2 && from <= 3 && to, "copied, and nobody asked");
}

static int begin(void *context, const struct imap_marks *f, uint64_t size)
{
        struct taken *t = context;

        must(!t->begun && ((f->uid >= 2 && f->uid <= 4) || f->uid == 9), "a letter nobody asked for");
        *t = (struct taken){ size, 0, true };
        return size > 1 << 20 ? -EFBIG : 0;
}

static int piece(void *context, struct str bytes)
{
        struct taken *t = context;

        must(t->begun && bytes.n && bytes.n <= t->size - t->got, "bytes too many");
        t->got += bytes.n;
        return 0;
}

static int end(void *context)
{
        struct taken *t = context;

        must(t->begun && t->got == t->size, "an end before the end");
        t->begun = false;
        return 0;
}

static int read_hello(void *context, uint64_t at, size_t n, struct buf *out)
{
        (void)context;
        buf_puts(out, str_sub(S("hello"), (size_t)at, n));
        return 0;
}

static void folders(struct imap_client *c, struct arena *a, struct imap_answer *answer)
{
        struct imap_folder *list;
        size_t n;

        if (imap_client_folders(c, a, &list, &n, answer) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                must(!str_has_control(list[i].path) && utf8_valid(list[i].path),
                     "a path that is not printable");
                must(list[i].wire.n && str_find(list[i].wire, '\n') == STR_NONE,
                     "a name that cannot be said");
                must(!str_starts(list[i].path, S("../")) && str_search(list[i].path, S("/../")) == STR_NONE &&
                         !str_eq(list[i].path, S("..")),
                     "a path out of the folder");
        }
}

static void converse(struct imap_client *c, unsigned how, struct arena *a, struct imap_answer *answer)
{
        static const struct imap_append letter = { .size = 5, .read = read_hello };
        struct imap_folder inbox = { .wire = S("INBOX") };
        struct taken t = { 0 };
        struct imap_take take = { begin, piece, end, &t, how & 128 };
        struct imap_opened opened;
        uint32_t uid, before = 0;

        if (how & 4)
                folders(c, a, answer);
        if (imap_client_select(c, &inbox, &opened, answer) < 0)
                return;
        if (how & 8) {
                (void)!imap_client_flags(c, 1, 50, how & 1 ? 7 : 0, true, each, gone, NULL, answer);
                (void)!imap_client_uids(c, range, &before, answer);
        }
        if (how & 16)
                (void)!imap_client_letters(c, "2:4,9", &take, answer);
        if (how & 32) {
                (void)!imap_client_copy(c, "2:3", &inbox, true, pair, NULL, answer);
                (void)!imap_client_append(c, &inbox, &letter, &uid, answer);
        }
        if (how & 64)
                (void)!imap_client_idle(c, now() + 10 * MSECOND);
}

static void client(void *arg)
{
        struct talk *t = arg;
        struct imap_client_how how = { .host = "town.com", .tls = t->how & 2 ? TLS_MAY : TLS_NEVER };
        struct imap_answer answer;
        struct imap_client *c;
        struct arena a;
        int rc;

        arena_init(&a, 64 << 20);
        rc = imap_client_open(&c, visit(t), &how, &answer);
        must((rc == 0) == (c != NULL), "a client that failed");
        check_text(answer.text);
        if (c && imap_client_login(c, "jill", "tumb", &answer) == 0)
                converse(c, t->how, &a, &answer);
        check_text(answer.text);
        check_text(answer.code);
        imap_client_close(&c, 0);
        t->over = true;
        arena_finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size)
                play(client, data, size);
        return 0;
}
