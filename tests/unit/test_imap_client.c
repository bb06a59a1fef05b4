/* The IMAP client with our own server over a socketpair, on a real store. */
#include "imap_world.h"
#include "proto/imap/client.h"
#include "proto/watch.h"
#include <errno.h>

static struct arena arena;
static struct imap_answer answer;

/* addr: where the server seems to be; with none the connection is compressed. */
static struct imap_client *client_of(struct world *w, struct addr at)
{
        static const struct imap_client_how how = { .host = "hill.com", .patience = 60 * SECOND };
        struct imap_client *c;
        struct conn *ours, *theirs;
        int pair[2];

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        theirs = conn_new(pair[0], here, here);
        ours = conn_new(pair[1], at, here);
        session_start(&w->server, theirs, PROTOCOL_IMAP);
        must(imap_client_open(&c, ours, &how, &answer) == 0);
        must(!imap_client_tls(c));
        must(imap_client_login(c, "jill@hill.com", "tumb\"ling\\", &answer) == 0);
        must(conn_compressed(ours) == !at.family);
        return c;
}

static const struct imap_folder *folder(const struct imap_folder *list, size_t n, const char *path)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(list[i].path, str_of(path)))
                        return &list[i];
        die("no folder %s", path);
}

static struct imap_folder *folders(struct imap_client *c, size_t *n)
{
        struct imap_folder *list;

        arena_reset(&arena);
        must(imap_client_folders(c, &arena, &list, n, &answer) == 0);
        return list;
}

/* ---- letters in ---- */

struct source {
        size_t size;
        unsigned seed;
};

static char byte_of(const struct source *s, uint64_t at)
{
        return at % 60 == 58 ? '\r' : at % 60 == 59 ? '\n' : (char)('a' + (at * 7 + s->seed) % 26);
}

static int read_source(void *context, uint64_t at, size_t n, struct buf *out)
{
        const struct source *s = context;

        for (size_t i = 0; i < n && i < 5000; i++)
                buf_u8(out, (uint8_t)byte_of(s, at + i));
        return 0;
}

static uint32_t append(struct imap_client *c, const struct imap_folder *f, size_t size, unsigned seed,
                       uint64_t flags, const char *keywords)
{
        struct source s = { .size = size, .seed = seed };
        struct imap_append l = { .flags = flags,
                                 .size = size,
                                 .keywords = str_of(keywords),
                                 .received = 837000000 + seed,
                                 .read = read_source,
                                 .context = &s };
        uint32_t uid;

        must(imap_client_append(c, f, &l, &uid, &answer) == 0);
        must(uid);
        return uid;
}

/* ---- and out ---- */

struct taken {
        struct source s;
        uint64_t got, size;
        unsigned letters, ended, refuse;
        uint32_t uids[64];
        uint64_t flags;
        int64_t received;
};

static int take_begin(void *context, const struct imap_marks *f, uint64_t size)
{
        struct taken *t = context;

        must(f->has_flags);
        if (t->refuse && t->letters + 1 == t->refuse)
                return -EFBIG;
        t->got = 0;
        t->size = size;
        t->flags = f->flags;
        t->received = f->received;
        t->s.seed = (unsigned)(f->received - 837000000);
        t->uids[t->letters++] = f->uid;
        return 0;
}

static int take_piece(void *context, struct str bytes)
{
        struct taken *t = context;

        for (size_t i = 0; i < bytes.n; i++)
                must(bytes.p[i] == byte_of(&t->s, t->got + i));
        t->got += bytes.n;
        return 0;
}

static int take_end(void *context)
{
        struct taken *t = context;

        must(t->got == t->size);
        t->ended++;
        return 0;
}

static struct taken take(struct imap_client *c, const char *set)
{
        struct taken t = { 0 };
        struct imap_take how = { .begin = take_begin, .piece = take_piece, .end = take_end, .context = &t };

        must(imap_client_letters(c, set, &how, &answer) == 0);
        must(t.letters == t.ended);
        return t;
}

/* What is told, as text. */
static struct buf heard;

static void hear_flags(void *context, const struct imap_marks *f)
{
        (void)context;
        buf_printf(&heard, "%u:%llu(" PRS ")%s ", f->uid, (unsigned long long)f->flags, STR(f->keywords),
                   f->size ? f->received ? "+" : "!" : "");
}

static void hear_range(void *context, uint32_t first, uint32_t last)
{
        buf_printf(&heard, "%s%u:%u ", context ? "gone " : "", first, last);
}

static void hear_gone(void *context, uint32_t first, uint32_t last)
{
        (void)context;
        hear_range(&heard, first, last);
}

static void hear_pair(void *context, uint32_t from, uint32_t to)
{
        (void)context;
        buf_printf(&heard, "%u>%u ", from, to);
}

static void said(const char *want)
{
        if (!str_eq(buf_str(&heard), str_of(want)))
                die("heard \"" PRS "\", want \"%s\"", STR(buf_str(&heard)), want);
        buf_clear(&heard);
}

/* ---- the tests ---- */

static void mailboxes(struct imap_client *c)
{
        size_t n;
        struct imap_folder *list = folders(c, &n);

        must(str_eq(list[0].path, S("INBOX")) && list[0].uidvalidity && list[0].uidnext == 1);
        must(imap_client_create(c,
                                S("Arbeit/Gr\xC3\xBC\xC3\x9F"
                                  "e & \xE2\x98\xBA"),
                                &answer) == 0);
        must(imap_client_create(c, S("INBOX"), &answer) == -EREMOTEIO && !strcmp(answer.status, "NO"));
        must(imap_client_create(c, S("a//b"), &answer) == -EINVAL);
        must(imap_client_create(c, S("a\nb"), &answer) == -EINVAL);
        list = folders(c, &n);
        must(imap_client_subscribe(c,
                                   folder(list, n,
                                          "Arbeit/Gr\xC3\xBC\xC3\x9F"
                                          "e & \xE2\x98\xBA"),
                                   true, &answer) == 0);
        must(imap_client_rename(c, folder(list, n, "Arbeit"), S("Work"), &answer) == 0);
        list = folders(c, &n);
        must(folder(list, n,
                    "Work/Gr\xC3\xBC\xC3\x9F"
                    "e & \xE2\x98\xBA")
                 ->uidvalidity);
        must(imap_client_delete(c,
                                folder(list, n,
                                       "Work/Gr\xC3\xBC\xC3\x9F"
                                       "e & \xE2\x98\xBA"),
                                &answer) == 0);
        must(imap_client_create(c, S("Other"), &answer) == 0);
}

static void letters(struct imap_client *c)
{
        struct imap_opened now;
        struct imap_take refusing = { .begin = take_begin, .piece = take_piece, .end = take_end };
        struct taken t;
        size_t n;
        struct imap_folder *list = folders(c, &n);
        const struct imap_folder *inbox = folder(list, n, "INBOX"), *other = folder(list, n, "Other");
        uint64_t before;

        must(append(c, inbox, 30, 1, 0, "") == 1);
        must(append(c, inbox, 3000, 2, FLAG_SEEN | FLAG_FLAGGED, "work $Forwarded") == 2);
        must(append(c, inbox, 700000, 3, FLAG_DRAFT, "") == 3);
        must(append(c, inbox, 100000, 4, 0, "") == 4);
        must(imap_client_select(c, inbox, &now, &answer) == 0);
        must(now.count == 4 && now.uidnext == 5 && now.uidvalidity == inbox->uidvalidity && now.highest &&
             !now.read_only);
        before = now.highest;
        must(imap_client_flags(c, 1, UINT32_MAX, 0, true, hear_flags, NULL, NULL, &answer) == 0);
        said("1:0()+ 2:5(work $Forwarded)+ 3:16()+ 4:0()+ ");
        t = take(c, "1:4");
        must(t.letters == 4 && t.uids[0] == 1 && t.uids[3] == 4 && t.size == 100000);
        t = take(c, "2,4,9:12");
        must(t.letters == 2 && t.uids[0] == 2 && t.uids[1] == 4);
        t = take(c, "3");
        must(t.letters == 1 && t.got == 700000 && t.flags == FLAG_DRAFT && t.received == 837000003);
        /* refused in the middle: the rest is passed over, and the conversation goes on */
        t = (struct taken){ .refuse = 2 };
        refusing.context = &t;
        must(imap_client_letters(c, "1:4", &refusing, &answer) == -EFBIG && t.letters == 1);
        must(imap_client_letters(c, "1:4,", &refusing, &answer) == -EINVAL);
        must(imap_client_letters(c, "1 FLAGS", &refusing, &answer) == -EINVAL);
        /* what has changed since */
        must(imap_client_store(c, "2:3", IMAP_ADD, FLAG_ANSWERED, S("play bad)word"), &answer) == 0);
        must(imap_client_store(c, "2", IMAP_REMOVE, FLAG_SEEN, S("work"), &answer) == 0);
        must(imap_client_store(c, "4", IMAP_SET, FLAG_SEEN, S(""), &answer) == 0);
        must(imap_client_expunge(c, "1:2", &answer) == 0); /* none is marked */
        must(imap_client_store(c, "1", IMAP_ADD, FLAG_DELETED, S(""), &answer) == 0);
        must(imap_client_expunge(c, "1:2", &answer) == 0);
        must(imap_client_flags(c, 1, 100, before, false, hear_flags, hear_gone, NULL, &answer) == 0);
        said("gone 1:1 2:6($Forwarded play) 3:18(play) 4:1() ");
        must(imap_client_uids(c, hear_range, NULL, &answer) == 0);
        said("2:4 ");
        /* to another folder */
        must(imap_client_copy(c, "2,4", other, false, hear_pair, NULL, &answer) == 0);
        said("2>1 4>2 ");
        must(imap_client_copy(c, "3:4", other, true, hear_pair, NULL, &answer) == 0);
        said("3>3 4>4 ");
        must(imap_client_uids(c, hear_range, NULL, &answer) == 0);
        said("2:2 ");
        must(imap_client_select(c, other, &now, &answer) == 0 && now.count == 4);
        t = take(c, "1:*");
        must(t.letters == 4);
        must(imap_client_copy(c, "1", &(struct imap_folder){ .wire = S("Nowhere") }, false, NULL, NULL,
                              &answer) == -EREMOTEIO);
        must(!strcmp(answer.code, "TRYCREATE"));
}

/* A set longer than a command may be, and more letters than one part has. */
static void many(struct imap_client *c)
{
        struct imap_opened now;
        struct imap_folder *list;
        auto_buf struct buf set;
        size_t n;
        uint32_t first = 0, uid = 0;

        list = folders(c, &n);
        buf_init(&set, 1 << 20);
        for (unsigned i = 0; i < 30; i++) {
                uid = append(c, folder(list, n, "INBOX"), 100 + i, i, 0, "");
                first = first ? first : uid;
                buf_printf(&set, "%s%u", i ? "," : "", uid);
        }
        for (uint32_t i = 0; i < 3000; i++)
                buf_printf(&set, ",%u", 1000000 + 2 * i);
        buf_u8(&set, 0);
        must(imap_client_select(c, folder(list, n, "INBOX"), &now, &answer) == 0);
        must(take(c, set.p).letters == 30);
        must(imap_client_store(c, set.p, IMAP_ADD, FLAG_DELETED, S(""), &answer) == 0);
        must(imap_client_expunge(c, set.p, &answer) == 0);
        must(imap_client_uids(c, hear_range, NULL, &answer) == 0);
        said("2:2 ");
}

/* ---- idle ---- */

static struct imap_client *sleeper;

static void wakes(void *arg)
{
        (void)arg;
        must(fiber_sleep(now() + 20 * MSECOND) == 0);
        imap_client_wake(sleeper);
}

static void delivers(void *arg)
{
        struct world *w = arg;
        struct filing f = { .mailbox = INBOX, .text = S("Subject: x\r\n\r\n"), .staged_dir = -1 };

        must(fiber_sleep(now() + 20 * MSECOND) == 0);
        must(account_file_synced(w->jill, &f, 1) == 0);
        watch_changed(w->server.watchers, S("jill@hill.com"));
}

static void idles(struct world *w, struct imap_client *c)
{
        struct imap_opened now_selected;
        size_t n;
        struct imap_folder *list = folders(c, &n);

        must(imap_client_select(c, folder(list, n, "INBOX"), &now_selected, &answer) == 0);
        sleeper = c;
        must(fiber_spawn("wakes", wakes, NULL) == 0);
        must(imap_client_idle(c, SOON) == -ECANCELED);
        must(imap_client_idle(c, now() + 10 * MSECOND) == -ETIMEDOUT);
        must(fiber_spawn("delivers", delivers, w) == 0);
        must(imap_client_idle(c, SOON) == 0);
        must(imap_client_uids(c, hear_range, NULL, &answer) == 0);
        buf_clear(&heard);
        imap_client_wake(c); /* before it waits */
        must(take(c, "1").letters == 0);
        must(imap_client_idle(c, SOON) == -ECANCELED);
}

static void whole(void *arg)
{
        static const struct addr nowhere = { 0 };
        struct world *w = arg;
        struct imap_client *c;

        arena_init(&arena, 64 << 20);
        buf_init(&heard, 1 << 20);
        w->server.watchers = watchers_new(NULL);
        c = client_of(w, nowhere);
        mailboxes(c);
        letters(c);
        imap_client_close(&c, SOON);
        c = client_of(w, here);
        many(c);
        idles(w, c);
        imap_client_close(&c, SOON);
        while (w->server.session_count)
                fiber_yield();
        watchers_free(&w->server.watchers);
        arena_finish(&arena);
        buf_free(&heard);
}

static void test_whole(void **state)
{
        (void)state;
        run_both(whole);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_whole) };

        log_quiet = true;
        return cmocka_run_group_tests_name("imap_client", tests, NULL, NULL);
}
