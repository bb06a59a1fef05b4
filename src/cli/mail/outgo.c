#include "cli/mail/outgo.h"
#include "base/codec.h"
#include "base/mem.h"
#include "cli/reach.h"
#include "mail/address.h"
#include "mail/header.h"
#include "run/offload.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define OUTBOX S("Outbox")
enum { MESSAGE_MOST = 256 << 20, ARENA_MOST = 64 << 20, RECIPIENTS_MOST = 1000, PIECE = 1 << 20 };
#define DIAL_PATIENCE (30 * SECOND)

/* A letter of Outbox, taken apart. */
struct outgoing {
        struct arena arena;
        struct str wire;   /* what travels */
        struct str sender; /* normal form */
        struct smtp_rcpt *to;
        unsigned count;
        bool utf8;
};

static struct str normal(struct arena *a, const struct address *who)
{
        struct path p;
        struct str to = S("");

        if (who->kind != ADDRESS_MAILBOX ||
            !address_parse(a, address_write(a, who->local, who->domain), &p) || !address_normal(a, &p, &to))
                return S("");
        return to;
}

static int take_apart(struct outgoing *o, struct str text)
{
        struct header h = header_of(text);
        struct addresses list;
        struct address who;
        struct field f;

        if (!header_next(&h, &f) || !str_ieq(f.name, S("Bcc")))
                return -EBADMSG;
        o->wire = str_from_at(text, f.end);
        o->to = arena_array(&o->arena, struct smtp_rcpt, RECIPIENTS_MOST);
        list = addresses_of(f.value);
        while (o->count < RECIPIENTS_MOST && address_next(&list, &o->arena, &who)) {
                struct str to = normal(&o->arena, &who);

                if (!to.n)
                        continue;
                o->to[o->count++].address = to;
                o->utf8 |= !ascii_only(to);
        }
        if (header_find(o->wire, S("From"), &f)) {
                list = addresses_of(f.value);
                if (address_next(&list, &o->arena, &who))
                        o->sender = normal(&o->arena, &who);
        }
        o->utf8 |= !ascii_only(o->sender);
        return o->count && o->sender.n ? 0 : -EBADMSG;
}

/* ---- by pail send ---- */

struct program {
        char **argv;
        int in;
};

static int run_program(void *arg)
{
        struct program *p = arg;
        posix_spawn_file_actions_t files;
        int status = 0, rc;
        pid_t child;

        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_adddup2(&files, p->in, STDIN_FILENO);
        rc = posix_spawn(&child, "/proc/self/exe", &files, NULL, p->argv, environ);
        posix_spawn_file_actions_destroy(&files);
        if (rc)
                return -rc;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        return status ? -EREMOTEIO : 0;
}

static int by_program(struct login *l, struct outgoing *o, struct outgo_result *result)
{
        char pail[] = "pail", send[] = "send", dots[] = "-i", from[] = "-f", dir[] = "--dir", end[] = "--";
        char **argv = arena_array(&o->arena, char *, o->count + 10);
        struct program p = { argv, memfd_create("letter", MFD_CLOEXEC) };
        struct str rest = o->wire;
        size_t n = 0;
        int rc = p.in < 0 ? -errno : 0;

        argv[n++] = pail;
        argv[n++] = send;
        if (l->how == INCOMING_STORE) {
                argv[n++] = dir;
                argv[n++] = l->folder;
        }
        argv[n++] = dots;
        argv[n++] = from;
        argv[n++] = (char *)(uintptr_t)o->sender.p; /* of the arena: ended by NUL */
        argv[n++] = end;
        for (unsigned i = 0; i < o->count; i++)
                argv[n++] = (char *)(uintptr_t)o->to[i].address.p;
        while (rc == 0 && rest.n) {
                ssize_t wrote = write(p.in, rest.p, rest.n);

                if (wrote < 0 && errno != EINTR)
                        rc = -errno;
                rest = str_from_at(rest, wrote > 0 ? (size_t)wrote : 0);
        }
        if (rc == 0 && lseek(p.in, 0, SEEK_SET) < 0)
                rc = -errno;
        if (rc == 0)
                rc = offload(LONG, run_program, &p);
        if (p.in >= 0)
                close(p.in);
        snprintf(result->said, sizeof result->said, "%s",
                 rc == 0 ? "handed to pail send" : "pail send did not take it");
        return rc;
}

/* ---- by submission ---- */

static int read_wire(void *context, uint64_t at, size_t n, struct buf *out)
{
        const struct outgoing *o = context;

        return buf_puts(out, str_sub(o->wire, at, n)) ? 0 : -ENOMEM;
}

static void say(struct outgo_result *result, const struct smtp_answer *a)
{
        if (a->code)
                snprintf(result->said, sizeof result->said, "%u " PRS, a->code,
                         STR(str_sub(a->text, 0, 800)));
        else
                snprintf(result->said, sizeof result->said, PRS, STR(str_sub(a->text, 0, 800)));
}

/* -EREMOTEIO: refused for good, -EAGAIN: for now. */
static int judge(const struct outgoing *o, const struct smtp_answer *answers, struct outgo_result *result)
{
        int worst = 0;

        for (unsigned i = 0; i < o->count; i++) {
                const struct smtp_answer *a = &answers[i];
                bool good = answer_good(a), later = a->code / 100 == 4 || (!a->code && a->status[0] == '4');

                if (i == 0 || !good)
                        say(result, a);
                if (!good && worst != -EREMOTEIO)
                        worst = later ? -EAGAIN : -EREMOTEIO;
        }
        return worst;
}

static int speak(struct login *l, struct outgoing *o, struct known *k, const char *password,
                 struct outgo_result *result, bool *again)
{
        char host[256] = "localhost";
        struct tls_found found = { 0 };
        struct smtp_client_how how = { .tls = l->outgoing.tls, .want = &k->want, .found = &found };
        struct smtp_answer answer = { 0 }, *answers = arena_array(&o->arena, struct smtp_answer, o->count);
        struct smtp_letter letter = { .sender = o->sender,
                                      .recipients = o->to,
                                      .count = o->count,
                                      .eight_bit = !ascii_only(o->wire),
                                      .utf8 = o->utf8,
                                      .size = o->wire.n,
                                      .read = read_wire,
                                      .context = o,
                                      .arena = &o->arena };
        struct buf auto_buf why = { 0 };
        struct smtp_client *client;
        struct conn *conn;
        int rc;

        buf_init(&why, sizeof result->said - 1);
        gethostname(host, sizeof host - 1);
        how.host = host;
        how.user = password ? str_of(l->outgoing.user) : S("");
        how.password = str_of(password);
        rc = reach(l->outgoing.host, l->outgoing.port, now() + DIAL_PATIENCE, &conn, &why);
        if (rc < 0) {
                snprintf(result->said, sizeof result->said, PRS, STR(buf_str(&why)));
                return -EAGAIN;
        }
        rc = smtp_client_open(&client, conn, &how, &o->arena, &answer);
        if (rc < 0) {
                say(result, &answer);
                *again = rc == -EACCES && known_asked(k, &found);
                return rc == -EACCES || answer.code / 100 == 5 ? -EREMOTEIO : -EAGAIN;
        }
        (void)smtp_client_send(client, &letter, answers);
        rc = judge(o, answers, result);
        smtp_client_close(&client, in_seconds(5));
        return rc;
}

static int submit(struct login *l, struct outgoing *o, struct outgo_result *result)
{
        struct known k;
        const char *password = NULL;
        bool again = false;
        int rc;

        if (!l->outgoing.host) {
                snprintf(result->said, sizeof result->said, "%s has no line outgoing", l->address);
                return -EREMOTEIO;
        }
        if (*l->outgoing.user && l->outgoing.port != 25 && !login_password(l, &password)) {
                snprintf(result->said, sizeof result->said, "there is no password");
                return -EAGAIN;
        }
        known_want(&k, l->outgoing.host, l->outgoing.port, KNOWN_ASK, NULL);
        rc = speak(l, o, &k, password, result, &again);
        return again ? speak(l, o, &k, password, result, &again) : rc;
}

/* ---- Outbox ---- */

static int remove_one(struct copy *c, uint32_t uid)
{
        struct uid_range one = { uid, uid };
        struct uid_list gone = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);

        if (rc == 0)
                rc = change_expunge(&x, &one, 1, false, &gone);
        uid_list_free(&gone);
        access_close(&x);
        return rc;
}

static void flag(struct copy *c, struct str mailbox, uint32_t uid, uint64_t flags)
{
        struct uid_range one = { uid, uid };
        struct flags_change change = {
                .uids = &one, .n = 1, .how = FLAGS_ADD, .flags = flags, .unchanged_since = UINT64_MAX
        };
        struct access x = { 0 };

        if (copy_access(c, &x, mailbox, RIGHTS_ALL) == 0)
                (void)change_flags(&x, &change);
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        access_close(&x);
}

/* One letter of Outbox. 0: sent; -EAGAIN: it waits; -EREMOTEIO: refused; else of the store. */
static int send_one(struct copy *c, struct login *l, uint32_t uid, struct str text,
                    struct outgo_result *result)
{
        struct outgoing o = { 0 };
        struct str sent;
        int rc;

        arena_init(&o.arena, ARENA_MOST);
        rc = take_apart(&o, text);
        if (rc < 0)
                snprintf(result->said, sizeof result->said, "it names no recipients");
        else
                rc = l->by_send ? by_program(l, &o, result) : submit(l, &o, result);
        if (rc == 0 && l->keep_sent) {
                rc = copy_role(c, &o.arena, "sent", &sent);
                if (rc == 0)
                        rc = copy_append(c, sent, o.wire, FLAG_SEEN, NULL);
        }
        if (rc == 0)
                rc = remove_one(c, uid);
        else if (rc == -EREMOTEIO || rc == -EBADMSG)
                flag(c, OUTBOX, uid, FLAG_FLAGGED);
        arena_finish(&o.arena);
        return rc;
}

static int make_outbox(struct copy *c)
{
        uint32_t mailbox;
        int rc = mailbox_create(copy_account(c), copy_name(c), OUTBOX, S(""), &mailbox);

        return rc == -EEXIST ? 0 : rc;
}

int outgo_send(struct copy *c, struct login *l, const struct draft *d, struct outgo_result *result,
               struct buf *why)
{
        struct arena auto_arena a;
        struct buf auto_buf message = { 0 }, text = { 0 };
        struct str *to, sender;
        uint32_t uid;
        size_t n;
        int rc;

        *result = (struct outgo_result){ 0 };
        arena_init(&a, ARENA_MOST);
        buf_init(&message, MESSAGE_MOST);
        buf_init(&text, MESSAGE_MOST);
        rc = draft_message(d, l, &message, &a, &to, &n, &sender, why);
        if (rc < 0)
                return rc;
        buf_puts(&text, S("Bcc: "));
        for (size_t i = 0; i < n; i++)
                buf_printf(&text, "%s" PRS, i ? ",\r\n " : "", STR(to[i]));
        buf_puts(&text, S("\r\n"));
        buf_puts(&text, buf_str(&message));
        rc = text.full ? -EFBIG : make_outbox(c);
        if (rc == 0)
                rc = copy_append(c, OUTBOX, buf_str(&text), FLAG_SEEN, &uid);
        if (rc < 0) {
                buf_printf(why, "it cannot be kept: %s", strerror(-rc));
                return rc;
        }
        rc = send_one(c, l, uid, buf_str(&text), result);
        result->waits = rc == -EAGAIN;
        if (rc < 0 && rc != -EAGAIN) {
                buf_printf(why, "%s; it is kept in Outbox", *result->said ? result->said : strerror(-rc));
                return rc;
        }
        if (d->of_uid && d->of_mailbox.n)
                flag(c, d->of_mailbox, d->of_uid, FLAG_ANSWERED);
        return 0;
}

int outgo_flush(struct copy *c, struct login *l, unsigned *sent, struct buf *why)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct placed_list list = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c, &x, OUTBOX, RIGHT_READ);

        *sent = 0;
        if (rc == 0)
                rc = change_list(&x, &all, 1, 0, &list);
        access_close(&x);
        if (rc == -ENOENT)
                return 0;
        for (size_t i = 0; i < list.n && rc == 0; i++) {
                struct buf auto_buf text = { 0 };
                struct outgo_result result = { 0 };
                size_t before;

                if (list.list[i].flags & FLAG_FLAGGED)
                        continue; /* refused: a person has to look at it */
                buf_init(&text, MESSAGE_MOST);
                do {
                        before = text.n;
                        rc = letter_read(copy_account(c), list.list[i].letter, before, PIECE, &text);
                } while (rc == 0 && text.n - before == PIECE);
                if (rc == 0)
                        rc = send_one(c, l, list.list[i].uid, buf_str(&text), &result);
                *sent += rc == 0;
                if (rc < 0)
                        buf_printf(why, "%s", *result.said ? result.said : strerror(-rc));
                if (rc == -EREMOTEIO || rc == -EBADMSG)
                        rc = 0; /* the others may go */
        }
        placed_list_free(&list);
        return rc;
}
