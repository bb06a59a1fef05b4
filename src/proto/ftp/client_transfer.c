#include "base/mem.h"
#include "base/scan.h"
#include "proto/ftp/client_inside.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { MARKER_EVERY = 1024 * 1024 }; /* octets of a file, in MODE B and C */

/* ---- what the replies say ---- */

/* "(1474560 bytes)" */
static bool told_size(struct str text, uint64_t *size)
{
        size_t open;

        while ((open = str_find(text, '(')) != STR_NONE) {
                struct scan a = scan_of(text = str_from_at(text, open + 1));

                *size = scan_number(&a, UINT64_MAX - 1);
                if (scan_try_word(&a, S(" bytes")) && !a.bad)
                        return true;
        }
        return false;
}

/* "110 MARK yyyy = mmmm": yyyy is the sender's -- ours -- and mmmm the server's. */
void ftpc_note_mark(struct ftp_transfer *t, struct str text)
{
        struct str ours, word;

        str_cut(&text, ' ', &word);
        text = str_trim(text);
        if (!str_ieq(word, S("MARK")) || !str_cut(&text, '=', &ours))
                return;
        ours = str_trim(ours);
        text = str_trim(text);
        if (!ours.n || !text.n || ours.n >= sizeof(t->marker_ours) || text.n >= sizeof(t->marker))
                return;
        snprintf(t->marker, sizeof(t->marker), PRS, STR(text));
        snprintf(t->marker_ours, sizeof(t->marker_ours), PRS, STR(ours));
}

/* RFC 1123 §4.1.2.9: "FILE: name" */
static void note_unique(struct ftp_transfer *t, struct str text)
{
        size_t at = str_search(text, S("FILE: "));
        struct str line;

        if (at == STR_NONE)
                return;
        text = str_from_at(text, at + 6);
        str_cut(&text, '\n', &line);
        text = str_trim(line);
        if (text.n > 0 && text.n < sizeof(t->unique))
                snprintf(t->unique, sizeof(t->unique), PRS, STR(text));
}

static void note_preliminary(struct ftpc_move *m, const struct ftp_answer *a)
{
        struct str text = str_of(a->text);
        bool get = m->t->move == FTP_GET;

        if (get && (a->code == 150 || a->code == 125) && ftpc_counts_octets(&m->coding) &&
            told_size(text, &m->told) && !m->at)
                m->t->size = m->told;
        if (m->t->move == FTP_PUT_UNIQUE && !m->t->unique[0])
                note_unique(m->t, ftp_client_lines(m->c)); /* in some line of it */
}

/* ---- one transfer ---- */

int ftpc_move_begin(struct ftpc_move *m)
{
        struct ftp_transfer *t = m->t;
        const char *why;
        bool get = t->move == FTP_GET, appends = t->move == FTP_APPEND || t->move == FTP_PUT_UNIQUE;
        char digits[24];
        struct stat st;
        int rc = 0;

        t->bytes = 0;
        t->took = 0;
        t->unique[0] = 0;
        t->size = m->told = UINT64_MAX;
        m->at = appends ? 0 : t->offset;
        if (!get && t->file >= 0 && fstat(t->file, &st) == 0 && S_ISREG(st.st_mode))
                t->size = (uint64_t)st.st_size;
        if (!coding_allowed(&m->coding, &why)) {
                ftpc_ours(&t->answer, "%s", why);
                return -EINVAL;
        }
        if (coding_plain(&m->coding))
                return 0;
        if (!get && ftpc_keeps(&m->coding))
                m->coding.marker_every = MARKER_EVERY;
        m->coder = coder_new(&m->coding, get ? CODER_RECEIVE : CODER_SEND, S(""));
        if (m->coder && t->marker_ours[0] && !appends)
                rc = coder_restart(m->coder, str_of(t->marker_ours), &m->at);
        else if (m->coder && m->at) {
                snprintf(digits, sizeof(digits), "%llu", (unsigned long long)m->at);
                rc = coder_restart(m->coder, str_of(digits), &m->at);
        }
        if (!m->coder || rc < 0)
                ftpc_ours(&t->answer, m->coder ? "it cannot be gone on with there in this type and mode"
                                               : "there is no such code page here");
        return m->coder ? rc : -EINVAL;
}

/* REST, or RANG where there is: a part without ABOR. */
static int say_from(struct ftpc_move *m)
{
        struct ftp_transfer *t = m->t;
        struct ftp_client *c = m->c;
        bool octets = ftpc_counts_octets(&m->coding) && !ftpc_keeps(&m->coding);

        if (t->move == FTP_APPEND || t->move == FTP_PUT_UNIQUE)
                return 0;
        if (t->move == FTP_GET && t->most && octets && c->offers & FTP_HAS_RANG) {
                int rc = ftp_client_ask(c, &t->answer, "RANG %llu %llu", (unsigned long long)m->at,
                                        (unsigned long long)(m->at + t->most - 1));

                m->ranged = rc == 0;
                return rc;
        }
        if (t->marker[0] && ftpc_keeps(&m->coding))
                return ftp_client_ask(c, &t->answer, "REST %s", t->marker);
        if (m->at)
                return ftp_client_ask(c, &t->answer, "REST %llu", (unsigned long long)m->at);
        return 0;
}

int ftpc_say_move(struct ftp_client *c, const struct ftp_transfer *t)
{
        static const char *const verbs[] = { "RETR", "STOR", "APPE", "STOU" };

        if (t->move == FTP_PUT_UNIQUE)
                return ftpc_say(c, "STOU");
        return ftpc_say(c, "%s %s", verbs[t->move], t->remote);
}

/* The reply behind 1xx; marks on the way. */
static int final_reply(struct ftpc_move *m)
{
        unsigned marks = 0;
        int rc;

        do {
                rc = ftpc_reply(m->c, &m->t->answer, now() + m->c->patience, false);
                if (rc == 0 && m->t->answer.code < 200)
                        note_preliminary(m, &m->t->answer);
                if (++marks > 1u << 24)
                        rc = -EPROTO;
        } while (rc == 0 && m->t->answer.code < 200);
        return rc;
}

/* The first reply, the data connection, the bytes. *final: its last reply has been read. */
static int do_move(struct ftpc_move *m, bool *final)
{
        struct ftp_client *c = m->c;
        struct ftp_transfer *t = m->t;
        nsec began;
        int rc = ftpc_reply(c, &t->answer, now() + c->patience, false);

        if (rc < 0)
                return rc;
        *final = t->answer.code >= 200;
        m->refused = t->answer.code >= 500;
        if (t->answer.code >= 300)
                return ftpc_judge(c, &t->answer) == -ECONNRESET ? -ECONNRESET : -EREMOTEIO;
        note_preliminary(m, &t->answer);
        rc = ftpc_data_stands(c, m->data, &t->answer);
        if (rc == 1) {
                *final = true;
                return ftpc_judge(c, &t->answer) == -ECONNRESET ? -ECONNRESET : -EREMOTEIO;
        }
        if (rc < 0 && rc != -EACCES && !c->stopping && m->data->stream) { /* TLS: they may say why */
                m->whose = FTPC_DATA;
                m->error = rc;
                return 0;
        }
        if (rc < 0 || c->stopping)
                return rc < 0 ? rc : -ECANCELED;
        stream_limit(m->data->stream, t->rate, NULL);
        if (ftpc_keeps(&m->coding))
                stream_prompt(m->data->stream);
        began = now();
        if (t->move == FTP_GET)
                ftpc_get(m);
        else
                ftpc_put(m);
        stream_limit(m->data->stream, NULL, NULL);
        if (m->whose == FTPC_FINE && t->move != FTP_GET && !ftpc_keeps(&m->coding)) {
                rc = stream_end(m->data->stream, now() + c->patience);
                if (rc < 0) {
                        m->whose = FTPC_DATA;
                        m->error = rc;
                }
        }
        t->took = now() - began;
        return 0;
}

/* What came is all there is, though the connection's end was none: many servers end TLS without a word. */
static bool whole_all_the_same(struct ftpc_move *m)
{
        struct ftp_answer a;
        uint64_t size = m->told;
        struct ftp_transfer *t = m->t;

        if (t->move != FTP_GET || m->coder || m->error != -ECONNRESET)
                return false;
        if (size == UINT64_MAX && m->c->offers & FTP_HAS_SIZE && !m->command &&
            ftp_client_ask(m->c, &a, "SIZE %s", t->remote) == 0 && !str_u64(str_trim(str_of(a.text)), &size))
                size = UINT64_MAX;
        return t->bytes == size || m->at + t->bytes == size;
}

static bool too_short(const struct ftpc_move *m)
{
        const struct ftp_transfer *t = m->t;

        return t->move == FTP_GET && m->told != UINT64_MAX && !t->most && m->coding.mode == MODE_STREAM &&
               t->bytes < m->told && m->at + t->bytes < m->told;
}

/* It ended by itself: what the server says of it. */
static int judge_end(struct ftpc_move *m)
{
        struct ftp_transfer *t = m->t;
        unsigned code = t->answer.code;

        if (code == 421)
                return ftpc_judge(m->c, &t->answer);
        if (code >= 300)
                return -EREMOTEIO;
        if (code == 227 || code == 229) {
                m->stray = t->answer;
                ftpc_ours(&t->answer, "the server said nothing of the transfer's end");
                return -EREMOTEIO;
        }
        if (m->whose == FTPC_DATA && !whole_all_the_same(m)) {
                ftpc_ours(&t->answer,
                          "the data connection was cut after %llu octets (%s), whatever the server says (%u)",
                          (unsigned long long)t->bytes, strerrordesc_np(-m->error), code);
                return -EREMOTEIO;
        }
        if (too_short(m)) {
                ftpc_ours(&t->answer, "%llu octets came, where the server spoke of %llu",
                          (unsigned long long)t->bytes, (unsigned long long)m->told);
                return -EREMOTEIO;
        }
        if (t->move == FTP_PUT_UNIQUE && !t->unique[0])
                note_unique(t, str_of(t->answer.text));
        return 0;
}

/* Others were asked for already: an ABOR would stand behind them. The data connection's end is plain enough. */
static int give_up(struct ftpc_move *m, bool final)
{
        struct ftp_answer said = m->t->answer;
        int rc = 0;

        m->c->aborting = true;
        m->c->stopping = false;
        ftpc_data_close(m->data);
        if (!final)
                rc = final_reply(m);
        m->c->aborting = false;
        if (rc < 0)
                conn_fail(m->c->conn);
        m->t->answer = said;
        return rc;
}

/* We end it: ABOR, the connection, and the replies read away. */
static int break_off(struct ftpc_move *m, int rc, bool final)
{
        struct ftp_transfer *t = m->t;
        bool stopped = m->c->stopping, behind = m->c->due > (final ? 0 : 1);

        if (rc == -ETIMEDOUT) {
                if (!ftpc_data_pending(m->data))
                        ftpc_ours(&t->answer, "no answer in time");
                else if (m->data->to.family)
                        ftpc_ours(&t->answer, "no data connection: %s port %u does not answer",
                                  addr_text(m->data->to).z, m->data->to.port);
                else
                        ftpc_ours(&t->answer, "no data connection came from the server");
                rc = -EREMOTEIO;
        }
        if (rc == 0 && m->whose == FTPC_FILE) {
                rc = m->error;
                ftpc_ours(&t->answer, "%s: %s", m->command ? "the listing" : "the file",
                          strerrordesc_np(-rc));
        } else if (rc == 0 && m->whose == FTPC_CODING) {
                const char *why = coder_why(m->coder);

                rc = -EBADMSG;
                ftpc_ours(&t->answer, "the data breaks its coding: %s", why ? why : "");
        } else if (rc == 0 && m->whose == FTPC_DATA) {
                rc = -EREMOTEIO;
                ftpc_ours(&t->answer, "the data connection: %s", strerrordesc_np(-m->error));
        }
        if (stopped) {
                rc = -ECANCELED;
                ftpc_ours(&t->answer, "stopped");
        }
        if (conn_ok(m->c->conn) && behind)
                (void)give_up(m, final);
        else if (conn_ok(m->c->conn))
                (void)ftpc_abort(m->c);
        if (rc == -EREMOTEIO && !conn_ok(m->c->conn))
                rc = -ECONNRESET;
        return rc;
}

/* A server may wait for our end of it before it says 226. With TLS its goodbye has still to come when ours has gone. */
static bool needed_still(const struct ftpc_move *m)
{
        if (m->whose != FTPC_FINE)
                return false;
        return ftpc_keeps(&m->coding) || (m->t->move != FTP_GET && stream_has_tls(m->data->stream));
}

/* From its command on, which has gone out. */
int ftpc_run(struct ftpc_move *m)
{
        struct ftp_client *c = m->c;
        bool final = false, quiet, over;
        int rc;

        c->transfer = m->t;
        c->data = m->data;
        rc = do_move(m, &final);
        /* no data for too long: they may have said why */
        quiet = rc == 0 && m->whose == FTPC_DATA && m->error == -ETIMEDOUT;
        over = rc == 0 && !c->stopping && !quiet && (m->whose == FTPC_FINE || m->whose == FTPC_DATA);
        if (over && !needed_still(m))
                ftpc_data_close(m->data);
        if (over && !final) {
                rc = final_reply(m);
                final = rc == 0;
                if (rc == -ETIMEDOUT)
                        rc = ftpc_broken(c, &m->t->answer, -ECONNRESET, "no answer in time");
                over = rc == 0;
        }
        if (over)
                rc = judge_end(m);
        else if (!final && conn_ok(c->conn))
                rc = break_off(m, rc, false);
        else if (final && rc == 0)
                rc = break_off(m, rc, true);
        c->data = NULL;
        c->transfer = NULL;
        if (ftpc_keeps(&m->coding) && ((rc == 0 && m->whose == FTPC_FINE) || (m->refused && m->data->kept))) {
                c->kept = m->data->stream;
                m->data->stream = NULL;
        }
        ftpc_data_close(m->data);
        return rc;
}

void ftpc_move_init(struct ftpc_move *m, struct ftp_client *c, struct ftp_transfer *t,
                    const struct coding *how, struct ftpc_data *d)
{
        *m = (struct ftpc_move){ .c = c, .t = t, .coding = *how, .data = d };
        buf_init(&m->piece, CODER_PIECE);
        buf_init(&m->out, CODER_ROOM + CODER_PIECE);
        t->answer = (struct ftp_answer){ 0 };
}

void ftpc_move_free(struct ftpc_move *m)
{
        coder_free(&m->coder);
        buf_free(&m->piece);
        buf_free(&m->out);
}

static int attempt(struct ftp_client *c, struct ftp_transfer *t, const struct coding *how,
                   const char *command, bool *again)
{
        struct ftpc_data d = { 0 };
        struct ftpc_move m;
        int rc;

        ftpc_move_init(&m, c, t, how, &d);
        m.command = command;
        rc = ftpc_move_begin(&m);
        if (rc == 0)
                rc = ftpc_coding(c, how, &t->answer);
        if (rc == 0)
                rc = ftpc_data_open(c, &d, &t->answer);
        if (rc == 0) {
                rc = say_from(&m);
                if (rc == 0)
                        rc = command ? ftpc_say(c, "%s", command) : ftpc_say_move(c, t);
                if (rc == 0)
                        rc = ftpc_run(&m);
                /* a kept connection that they have closed meanwhile */
                *again = rc == -EREMOTEIO && d.kept && t->answer.code == 425;
                ftpc_data_close(&d);
        }
        if (rc == -EINVAL && !t->answer.text[0])
                ftpc_ours(&t->answer, "a name must have no end of a line in it");
        ftpc_move_free(&m);
        return rc;
}

int ftpc_transfer(struct ftp_client *c, struct ftp_transfer *t, const struct coding *how, const char *command)
{
        bool outer = ftpc_begin(c), again = false;
        int rc = attempt(c, t, how, command, &again);

        if (again)
                rc = attempt(c, t, how, command, &again);
        return ftpc_end(c, outer, rc);
}

int ftp_client_transfer(struct ftp_client *c, struct ftp_transfer *t)
{
        return ftpc_transfer(c, t, &c->want, NULL);
}
