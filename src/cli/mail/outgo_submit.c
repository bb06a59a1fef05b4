/* A letter of Outbox handed to a server, or to `pail send`; and what became of it for each who is to get it. */
#include "cli/mail/outgo_inside.h"
#include "base/codec.h"
#include "cli/reach.h"
#include "run/offload.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

extern char **environ;

#define DIAL_PATIENCE (30 * SECOND)

/* ---- by pail send ---- */

struct program { /* pail send, the letter on its stdin */
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
        return status;
}

static enum fate fate_of(int status)
{
        if (status == 0)
                return FATE_SENT;
        if (status < 0) /* it never began */
                return FATE_LATER;
        if (!WIFEXITED(status))
                return FATE_UNKNOWN;
        return WEXITSTATUS(status) == EX_TEMPFAIL ? FATE_LATER : FATE_REFUSED;
}

static enum fate by_program(struct login *l, struct outgoing *o, struct outgo_result *result)
{
        char pail[] = "pail", send[] = "send", dots[] = "-i", from[] = "-f", dir[] = "--dir", end[] = "--";
        char **argv = arena_array(&o->arena, char *, o->count + 10);
        struct program p = { argv, memfd_create("letter", MFD_CLOEXEC) };
        struct str rest = o->wire;
        size_t n = 0;
        int rc = p.in < 0 ? -errno : 0;
        enum fate f;

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
                rc = outgo_hand_over(o);
        if (rc == 0)
                rc = offload(LONG, run_program, &p);
        if (p.in >= 0)
                close(p.in);
        f = fate_of(rc);
        snprintf(result->said, sizeof result->said, "%s",
                 f == FATE_SENT ? "handed to pail send" : "pail send did not take it");
        for (unsigned i = 0; i < o->count; i++)
                o->has[i] = f == FATE_SENT;
        if (f == FATE_SENT)
                outgo_taken(o);
        return f;
}

/* ---- by submission ---- */

static int read_wire(void *context, uint64_t at, size_t n, struct buf *out)
{
        struct outgoing *o = context;
        int rc = at + n >= o->wire.n ? outgo_hand_over(o) : 0;

        if (rc < 0)
                return rc;
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

static bool is_later(const struct smtp_answer *a)
{
        return a->code / 100 == 4 || (!a->code && a->status[0] == '4');
}

/* The worst; result->said is about it. Of an answer that never came nobody knows what it would have been, once the end of the letter may have left. */
static enum fate judge(struct outgoing *o, const struct smtp_answer *answers, struct outgo_result *result)
{
        enum fate worst = FATE_SENT;

        for (unsigned i = 0; i < o->count; i++) {
                const struct smtp_answer *a = &answers[i];
                enum fate f = answer_good(a)               ? FATE_SENT
                              : !is_later(a)               ? FATE_REFUSED
                              : !a->code && o->handed_over ? FATE_UNKNOWN
                                                           : FATE_LATER;

                o->has[i] = f == FATE_SENT;
                if (i == 0 || f > worst)
                        say(result, a);
                if (f > worst)
                        worst = f;
        }
        return worst;
}

static enum fate not_open(int rc, const struct smtp_answer *a)
{
        if (rc == -EACCES && a->code / 100 == 5 && a->stage && !strcmp(a->stage, "AUTH"))
                return FATE_DENIED;
        return rc == -EACCES || a->code / 100 == 5 ? FATE_REFUSED : FATE_LATER;
}

/* again: a person has said yes to the certificate. */
static enum fate speak(struct login *l, struct outgoing *o, struct known *k, const char *password,
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
        enum fate fate;
        int rc;

        *again = false;
        buf_init(&why, sizeof result->said - 1);
        gethostname(host, sizeof host - 1);
        how.host = host;
        how.user = password ? str_of(l->outgoing.user) : S("");
        how.password = str_of(password);
        rc = reach(l->outgoing.host, l->outgoing.port, now() + DIAL_PATIENCE, &conn, &why);
        if (rc < 0) {
                snprintf(result->said, sizeof result->said, PRS, STR(buf_str(&why)));
                return FATE_LATER;
        }
        rc = smtp_client_open(&client, conn, &how, &o->arena, &answer);
        if (rc < 0) {
                say(result, &answer);
                *again = rc == -EACCES && known_asked(k, &found);
                return not_open(rc, &answer);
        }
        if (password)
                login_accepted(l);
        (void)smtp_client_send(client, &letter, answers);
        fate = judge(o, answers, result);
        if (fate == FATE_SENT)
                outgo_taken(o); /* before QUIT is waited for */
        smtp_client_close(&client, in_seconds(5));
        return fate;
}

static enum fate submit(struct login *l, struct outgoing *o, struct outgo_result *result)
{
        bool sign_in = l->outgoing.host && *l->outgoing.user && l->outgoing.port != 25, again;
        const char *password = NULL;
        struct known k;
        enum fate f;

        if (!l->outgoing.host) {
                snprintf(result->said, sizeof result->said, "%s has no line outgoing", l->address);
                return FATE_REFUSED;
        }
        known_want(&k, l->outgoing.host, l->outgoing.port, KNOWN_ASK, l->ca);
        do {
                if (sign_in && !login_password(l, &password)) {
                        snprintf(result->said, sizeof result->said, "there is no password");
                        return FATE_DENIED;
                }
                f = speak(l, o, &k, password, result, &again);
                if (again)
                        f = speak(l, o, &k, password, result, &again);
        } while (f == FATE_DENIED && login_refused(l, "", result->said));
        return f;
}

enum fate outgo_try(struct login *l, struct outgoing *o, struct outgo_result *result)
{
        return l->by_send ? by_program(l, o, result) : submit(l, o, result);
}
