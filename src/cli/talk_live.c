/* The conversation. One fiber reads what is typed and puts it into a queue; the other one owns the connection: it sends the queue and shows what comes.
 * Where nobody sits at the keyboard, what has to be answered first (the greeting, DATA, STARTTLS, a challenge) is waited for. */
#include "base/mem.h"
#include "cli/reach.h"
#include "cli/talk_inside.h"
#include "cli/terminal.h"
#include <errno.h>
#include <sysexits.h>

#define DIAL_PATIENCE   60
#define ANSWER_PATIENCE 300          /* behind the end of input */
#define QUIET           (3 * SECOND) /* the same, where the protocol is not known */
enum { QUEUE_MOST = 4 * 1024 * 1024, QUEUE_PAUSE = 64 * 1024 };

/* ---- what is shown ---- */

void talk_dim(const struct talk *t, const char *before, const char *text)
{
        printf("%s# %s%s%s\n", t->how->colour ? "\033[2m" : "", before, text,
               t->how->colour ? "\033[0m" : "");
}

void talk_show(char from, struct str line)
{
        struct buf auto_buf safe = { 0 };

        buf_init(&safe, line.n * 8 + 1);
        terminal_safe(&safe, line);
        printf("%c: " PRS "\n", from, STR(buf_str(&safe)));
}

/* ---- what goes out ---- */

static bool held(const struct talk *t)
{
        if (t->person)
                return t->follow.tls_asked;
        if (!t->follow.greeted)
                return t->follow.protocol != TALK_UNKNOWN || now() < t->began + QUIET;
        if (t->follow.protocol == TALK_FTP) /* its transfers come one by one */
                return t->follow.due && !t->sending;
        return t->follow.wait;
}

static void send_line(struct talk *t, struct str line)
{
        struct typed typed;
        bool password = !t->follow.answer && !t->follow.auth, kept;

        if (transfer_line(t, line))
                return;
        follow_typed(&t->follow, line, &typed);
        password = password && !t->follow.auth && !str_istarts(line, S("AUTH"));
        if (!t->person) {
                struct buf auto_buf shown = { 0 };

                buf_init(&shown, line.n + 8);
                buf_puts(&shown, str_sub(line, 0, typed.shown));
                if (typed.shown < line.n)
                        buf_puts(&shown, S("****"));
                talk_show('C', buf_str(&shown));
        }
        if (!t->connect_saved)
                saved_connect(t->saved, t->how, t->follow.protocol, conn_peer(t->conn));
        t->connect_saved = true;
        kept = transfer_typed(t, line);
        if (typed.letter && t->how->dot_stuff && str_starts(line, S("."))) {
                struct buf auto_buf stuffed = { 0 };

                buf_init(&stuffed, line.n + 1);
                buf_u8(&stuffed, '.');
                buf_puts(&stuffed, line);
                saved_client(t->saved, buf_str(&stuffed), STR_NONE, false);
                conn_put(t->conn, S("."));
        } else if (!kept) {
                saved_client(t->saved, line, typed.shown, password);
        }
        conn_put(t->conn, line);
        conn_put(t->conn, S("\r\n"));
}

/* A line leaves the queue before it is sent, which may wait, and more may be typed meanwhile. */
void talk_send_queue(struct talk *t)
{
        struct buf auto_buf sent = { 0 };

        buf_init(&sent, QUEUE_MOST);
        while (t->queue.n && !held(t)) {
                struct str all = buf_str(&t->queue), line;

                str_cut(&all, '\n', &line);
                buf_clear(&sent);
                buf_puts(&sent, line);
                buf_drop(&t->queue, t->queue.n - all.n);
                send_line(t, buf_str(&sent));
                wake_all(&t->changed);
        }
}

/* ---- what comes ---- */

static void shake_hands(struct talk *t)
{
        struct tls_found found;

        if (t->prompt)
                prompt_away(t->prompt);
        if (talk_handshake(t->how, t->conn, &found) == 0) {
                talk_dim(t, found.version,
                         t->how->trust == KNOWN_ANY && !found.verified
                             ? ", with a certificate that nobody vouches for"
                             : "");
                if (t->follow.greeted)
                        saved_directive(t->saved, "starttls");
        } else {
                t->rc = EX_PROTOCOL;
        }
        if (t->prompt)
                prompt_back(t->prompt);
        follow_tls(&t->follow);
        wake_all(&t->changed);
}

static bool worth_explaining(const struct follow *before, const struct heard *heard, struct str line)
{
        if (before->protocol == TALK_IMAP)
                return !before->skip;
        return heard->final || (before->protocol == TALK_FTP && str_starts(line, S("1")) && !before->multi) ||
               (before->protocol == TALK_POP3 && !before->multi);
}

static void hear(struct talk *t, struct str line)
{
        struct follow before = t->follow;
        struct heard heard;
        const char *words;

        follow_heard(&t->follow, line, &heard);
        before.protocol = t->follow.protocol;
        if (!t->connect_saved)
                saved_connect(t->saved, t->how, t->follow.protocol, conn_peer(t->conn));
        t->connect_saved = true;
        saved_server(t->saved, line);
        words = t->how->explain && worth_explaining(&before, &heard, line)
                    ? explain_reply(before.protocol, line)
                    : NULL;
        if (t->prompt)
                prompt_away(t->prompt);
        talk_show('S', line);
        if (words)
                talk_dim(t, "", words);
        if (t->prompt)
                prompt_back(t->prompt);
        fflush(stdout);
        transfer_heard(t, line, heard.final);
        if (heard.handshake)
                shake_hands(t);
}

static void came(struct talk *t, struct str line)
{
        char *room = mem_alloc(line.n + 1);

        t->last_heard = now();
        telnet_line(&t->telnet, &line, room, t->conn);
        if (t->partial.n) {
                buf_puts(&t->partial, line);
                line = buf_str(&t->partial);
        }
        hear(t, line);
        buf_clear(&t->partial);
        mem_free(room);
}

/* A line whose end does not come is shown as far as it goes: a question, or a server that never ends its lines. */
static void came_partly(struct talk *t)
{
        struct str part = conn_some(t->conn, TALK_LINE_MOST / 2, now());
        char *room = mem_alloc(part.n + 1);

        t->last_heard = now();
        telnet_line(&t->telnet, &part, room, t->conn);
        if (part.n) {
                if (t->prompt)
                        prompt_away(t->prompt);
                talk_show('S', part);
                talk_dim(t, "", "the line has not ended yet");
                if (t->prompt)
                        prompt_back(t->prompt);
                fflush(stdout);
        }
        buf_puts(&t->partial, part);
        if (t->partial.n > TALK_LINE_MOST / 2) { /* it is none */
                saved_server(t->saved, buf_str(&t->partial));
                buf_clear(&t->partial);
        }
        mem_free(room);
}

/* Behind the end of input: have all answers come? */
static bool answered(const struct talk *t)
{
        if (t->queue.n)
                return now() > t->end;
        if (t->follow.protocol == TALK_UNKNOWN || (t->follow.bye && !t->follow.due)) /* its end is awaited */
                return now() > t->last_heard + QUIET;
        return !t->follow.due || t->follow.letter || now() > t->end;
}

static void listen_to(void *arg)
{
        struct talk *t = arg;
        enum got got = GOT_CALLED;
        struct str line;

        while (got != GOT_END && !(t->input_ended && answered(t)) && conn_ok(t->conn)) {
                talk_send_queue(t);
                if (t->input_ended && !t->queue.n)
                        transfer_end(t);
                if (ferror(stdout)) { /* nobody reads any more */
                        t->rc = EX_IOERR;
                        break;
                }
                got = conn_line(t->conn, &line, TALK_LINE_MOST, now() + LOOK);
                if (got == GOT_LINE || got == GOT_BARE)
                        came(t, line);
                else if (got == GOT_LONG)
                        came(t, S("(a line too long to show)"));
                else if (got == GOT_LATE && conn_input_waits(t->conn))
                        came_partly(t);
        }
        if (t->prompt)
                prompt_away(t->prompt);
        if (t->input_ended && got != GOT_END) {
                saved_directive(t->saved, "close");
                if (!t->rc && t->follow.due && t->follow.protocol != TALK_UNKNOWN && !t->follow.letter)
                        t->rc = EX_TEMPFAIL;
        } else {
                saved_directive(t->saved, conn_ok(t->conn) ? "expect-close" : "close");
                if (!t->rc && !t->person &&
                    (t->queue.n || (t->follow.due && t->follow.protocol != TALK_UNKNOWN)))
                        t->rc = EX_PROTOCOL; /* not all was answered */
                talk_dim(t, "", "the connection is closed");
        }
        if ((fflush(stdout) != 0 || ferror(stdout)) && !t->rc)
                t->rc = EX_IOERR;
        t->ended = true;
        wake_all(&t->changed);
        fiber_cancel(t->typist);
}

/* ---- what is typed ---- */

static const char *prompt_words(void *context)
{
        (void)context;
        return "C: ";
}

static bool may_be_kept(void *context, struct str line)
{
        struct talk *t = context;
        struct follow copy = t->follow;
        struct typed typed;

        follow_typed(&copy, line, &typed);
        return typed.shown == STR_NONE && !copy.letter && !t->sending;
}

/* Lines until the end of input, or of the connection. */
static void type(struct talk *t)
{
        bool interrupted = false, twice = false;
        const char *line;

        while (!t->ended && (line = prompt_line(t->prompt, &interrupted))) {
                if (interrupted && twice)
                        break;
                twice = interrupted;
                if (interrupted)
                        continue;
                buf_puts(&t->queue, str_of(line));
                buf_u8(&t->queue, '\n');
                conn_call(t->conn);
                while (!t->ended &&
                       (t->person ? t->queue.n || t->follow.tls_asked : t->queue.n > QUEUE_PAUSE))
                        if (wait_on(&t->changed, "the line to be sent", NEVER) < 0)
                                return;
        }
}

static int converse(struct talk *t)
{
        struct prompt_how prompt = { .text = prompt_words, .keep = may_be_kept, .context = t };

        t->typist = fiber_self();
        t->began = now();
        conn_park_after(t->conn, -1);
        follow_begin(&t->follow, t->how->protocol);
        data_begin(&t->data);
        if (t->how->tls) /* before anybody types: a question may be asked */
                shake_hands(t);
        if (!conn_ok(t->conn))
                return t->rc;
        t->prompt = prompt_new(&prompt);
        if (fiber_spawn("talk", listen_to, t) < 0)
                return EX_OSERR;
        type(t);
        t->input_ended = true;
        t->end = t->person ? now() + QUIET : in_seconds(ANSWER_PATIENCE);
        t->last_heard = now();
        if (!t->ended)
                conn_call(t->conn);
        while (!t->ended)
                if (wait_on(&t->changed, "the answers", NEVER) < 0)
                        break;
        prompt_free(&t->prompt);
        return t->rc;
}

int talk_live(const struct talk_how *how)
{
        struct talk t = { .how = how, .person = terminal_is(0) && terminal_is(1) };
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 4096);
        rc = how->save ? saved_open(&t.saved, how->save) : 0;
        if (rc < 0) {
                fprintf(stderr, "pail talk: %s: %s\n", how->save, strerrordesc_np(-rc));
                return EX_CANTCREAT;
        }
        rc = reach(how->host, how->port, in_seconds(DIAL_PATIENCE), &t.conn, &why);
        if (rc < 0) {
                fprintf(stderr, "pail talk: %s, port %u: " PRS "\n", how->host, how->port,
                        STR(why.n ? buf_str(&why) : str_of(strerrordesc_np(-rc))));
                t.rc = rc == -ENOENT ? EX_NOHOST : EX_UNAVAILABLE;
        } else {
                talk_dim(&t, "connected to ", addr_text(conn_peer(t.conn)).z);
                fflush(stdout);
                buf_init(&t.queue, QUEUE_MOST);
                buf_init(&t.partial, 2 * TALK_LINE_MOST);
                t.rc = converse(&t);
                buf_free(&t.queue);
                buf_free(&t.partial);
                data_end(&t.data);
                conn_free(&t.conn);
        }
        rc = saved_close(&t.saved);
        if (rc < 0) {
                fprintf(stderr, "pail talk: %s: %s\n", how->save, strerrordesc_np(-rc));
                return EX_IOERR;
        }
        return t.rc;
}
