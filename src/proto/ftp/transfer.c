#include "proto/ftp/transfer.h"
#include "base/mem.h"
#include "proto/session_tap.h"
#include "run/offload.h"

#include <errno.h>
#include <time.h>

enum { MEMORY = 64 * 1024, MARKS_MOST = 64 * 1024, FINISH_WAIT = 30 };

bool transfer_keeps(const struct transfer *t)
{
        return t->coding.mode == MODE_BLOCK || t->coding.mode == MODE_COMPRESSED;
}

int transfer_failed(struct transfer *t, enum transfer_end end, int error)
{
        if (t->end == END_COMPLETE) {
                t->end = end;
                t->error = error;
        }
        return -1;
}

/* --- its beginning and end ----------------------------------------------------------------------------------- */

static struct transfer *transfer_new(struct session *s, const struct ftp_asked *asked)
{
        const struct settings *settings = s->server->settings;
        struct transfer *t = mem_new(struct transfer);

        t->s = s;
        t->root = ftp_of(s)->root;
        t->began = now();
        t->patience = settings->ftp_data_timeout * SECOND;
        arena_init(&t->memory, MEMORY);
        buf_init(&t->facts, CODER_FACTS_MOST);
        buf_init(&t->piece, CODER_PIECE);
        buf_init(&t->out, CODER_ROOM + CODER_PIECE);
        buf_init(&t->marks, MARKS_MOST);
        t->asked = *asked;
        t->asked.path = arena_str(&t->memory, asked->path);
        t->asked.listing.path = arena_str(&t->memory, asked->listing.path);
        t->asked.listing.pattern = arena_str(&t->memory, asked->listing.pattern);
        t->coding = ftp_of(s)->coding;
        if (t->coding.type == TYPE_EBCDIC)
                t->coding.code_page = arena_str(&t->memory, str_of(settings->ftp_code_page)).p;
        return t;
}

void transfer_free(struct transfer **at)
{
        struct transfer *t = *at;

        *at = NULL;
        stream_free(&t->stream);
        file_close(&t->file);
        if (t->upload)
                upload_free(&t->upload, false, 0);
        coder_free(&t->coder);
        rate_drop(&t->account_rate);
        rate_drop(&t->address_rate);
        buf_free(&t->facts);
        buf_free(&t->piece);
        buf_free(&t->out);
        buf_free(&t->marks);
        arena_finish(&t->memory);
        mem_free(t);
}

/* --- its fiber ----------------------------------------------------------------------------------------------- */

static int open_data(struct transfer *t)
{
        int rc;

        if (t->aborted)
                return transfer_failed(t, END_CUT, -ECANCELED);
        t->opening = true;
        rc = ftp_data_open(t->s, &t->how, &t->stream, &t->why);
        t->opening = false;
        if (t->aborted)
                return transfer_failed(t, END_CUT, -ECANCELED);
        if (rc < 0)
                return transfer_failed(t, END_NO_DATA, rc);
        stream_limit(t->stream, t->account_rate, t->address_rate);
        if (transfer_keeps(t))
                stream_prompt(t->stream);
        return 0;
}

static int move(struct transfer *t)
{
        switch (t->asked.what) {
        case WHAT_RETRIEVE: return transfer_send(t);
        case WHAT_STORE: return transfer_receive(t);
        case WHAT_LISTING: return transfer_list(t);
        }
        return -1;
}

/* The stream's own end. What was stored is stored, however they end it; of a plain upload the end is here already. */
static void close_data(struct transfer *t)
{
        bool stored = t->asked.what == WHAT_STORE;
        int rc = 0;

        if (t->end == END_COMPLETE && !transfer_keeps(t) &&
            (!stored || t->coder || stream_has_tls(t->stream)))
                rc = stream_finish(t->stream, in_seconds(FINISH_WAIT));
        if (rc < 0 && !stored)
                transfer_failed(t, END_CUT, rc);
        if (t->end != END_COMPLETE || !transfer_keeps(t))
                stream_free(&t->stream);
        lease_end(&t->how.lease);
        stream_free(&t->how.kept);
}

/* An upload's part is kept for the client to come back, but not where it would fill the disk or the quota, nor without a name that the
 * client knows. */
static void close_files(struct transfer *t)
{
        bool keep = t->end != END_COMPLETE && t->done > 0 && t->asked.how != UPLOAD_UNIQUE &&
                    t->error != -EDQUOT && t->error != -ENOSPC;

        file_close(&t->file);
        if (t->upload)
                upload_free(&t->upload, keep, t->at + t->done);
}

/* For who watches: no content, only that there is a connection, and how much of the file or list it took. */
static void tell_begin(const struct transfer *t, bool again)
{
        const char *how = again ? "used again" : stream_has_tls(t->stream) ? "opened, TLS," : "opened";

        session_tap_data(t->s, how, stream_peer(t->stream), t->asked.what == WHAT_STORE ? 'C' : 'S', 0);
}

static void tell_end(const struct transfer *t)
{
        session_tap_data(t->s, t->stream ? "kept" : "closed", (struct addr){ 0 },
                         t->asked.what == WHAT_STORE ? 'C' : 'S', t->done);
}

static void transfer_fiber(void *arg)
{
        struct transfer *t = arg;
        struct conn *control = t->s->conn;
        bool kept = t->how.kept, open;

        fiber_note(t->s->id);
        t->fiber = fiber_self();
        wake_all(&t->begun);
        open = open_data(t) == 0;
        if (open) {
                tell_begin(t, kept);
                if (move(t) == 0)
                        stream_limit(t->stream, NULL, NULL);
        }
        close_data(t);
        if (open)
                tell_end(t);
        close_files(t);
        t->ended = true;
        wake_all(&t->waiters);
        if (!t->awaited)
                conn_call(control);
}

/* --- what the session asks of it ----------------------------------------------------------------------------- */

static bool prepare(struct transfer *t, int *rc)
{
        const struct ftp_next *next = ftp_of(t->s)->next;

        switch (t->asked.what) {
        case WHAT_RETRIEVE: return transfer_prepare_send(t, next, rc);
        case WHAT_STORE: return transfer_prepare_receive(t, next, rc);
        case WHAT_LISTING: return transfer_prepare_list(t, next, rc);
        }
        return false;
}

/* Block mode's connection, if it can still be used as the client has it now. */
static void check_kept(struct ftp *p)
{
        if (p->kept && (stream_has_tls(p->kept) != p->private_data || !stream_alive(p->kept)))
                ftp_kept_end(p);
}

static void take_data(struct transfer *t)
{
        struct ftp *p = ftp_of(t->s);

        check_kept(p);
        t->how = (struct ftp_data_how){ p->lease, p->port, p->kept, p->private_data };
        p->lease = NULL;
        p->kept = NULL;
        ftp_data_forget(t->s);
        t->account_rate = rate_of_account(t->s);
        t->address_rate = rate_of_address(t->s);
}

struct str transfer_name(const struct transfer *t)
{
        return str_from_at(t->asked.path, str_rfind(t->asked.path, '/') + 1);
}

/* 150 or 125, before anything else is said of it. RFC 1123 §4.1.2.9: STOU tells its name here. */
static void say_begin(struct transfer *t)
{
        static const char *const types[] = { "ASCII", "EBCDIC", "BINARY", "LOCAL" };
        struct session *s = t->s;
        struct str name;

        name = ftp_shown(&s->command, transfer_name(t), false);
        if (t->asked.what == WHAT_STORE && t->asked.how == UPLOAD_UNIQUE && t->how.kept)
                ftp_reply(s, "125 FILE: " PRS, STR(name));
        else if (t->asked.what == WHAT_STORE && t->asked.how == UPLOAD_UNIQUE)
                ftp_reply(s, "150 FILE: " PRS, STR(name));
        else if (t->how.kept)
                ftp_reply(s, "125 Data connection already open; transfer starting.");
        else if (t->asked.what == WHAT_LISTING)
                ftp_reply(s, "150 Here comes the directory listing.");
        else if (t->asked.what == WHAT_RETRIEVE)
                ftp_reply(s, "150 Opening %s mode data connection for " PRS " (%llu bytes).",
                          types[t->coding.type], STR(name), (unsigned long long)(t->size - t->at));
        else
                ftp_reply(s, "150 Opening %s mode data connection for " PRS ".", types[t->coding.type],
                          STR(name));
}

/* Who waits for 150 before doing anything on the data connection gets it first: we dial only then, and they begin TLS only then. Else
 * a short transfer may be over as soon as it has begun, and all its replies go in one piece. */
static void let_go(struct transfer *t)
{
        if ((!t->how.lease && !t->how.kept) || (t->how.private_data && !t->how.kept))
                (void)conn_flush(t->s->conn, in_seconds(FINISH_WAIT)); /* what fails sticks */
        t->awaited = true;
        if (!t->fiber) /* it may have begun while the flush waited */
                (void)wait_on(&t->begun, "its transfer to begin", NEVER);
        t->awaited = false;
}

/* NULL: the reply has been given. */
static struct transfer *make_ready(struct session *s, const struct ftp_asked *asked, int *rc)
{
        struct ftp *p = ftp_of(s);
        struct transfer *t = NULL;
        const char *why;

        if (s->server->settings->ftp_private_data && !p->private_data) {
                *rc = ftp_reply(s, "521 Data connections here need PROT P.");
        } else if (!coding_allowed(&p->coding, &why)) {
                *rc = ftp_reply(s, "504 %s", ftp_text(p, why));
        } else if (ftp_root(s, rc)) {
                t = transfer_new(s, asked);
                if (!prepare(t, rc))
                        transfer_free(&t);
        }
        return t;
}

int ftp_transfer_start(struct session *s, const struct ftp_asked *asked)
{
        struct ftp *p = ftp_of(s);
        int rc = FAIL;
        struct transfer *t = make_ready(s, asked, &rc);

        if (!t) {
                lease_end(&p->lease); /* and the connection that came by it, if one did */
                return rc;
        }
        take_data(t);
        say_begin(t);
        p->transfer = t;
        if (fiber_spawn("ftp transfer", transfer_fiber, t) < 0) {
                transfer_failed(t, END_TROUBLE, -ENOMEM);
                close_data(t);
                return transfer_settle(s);
        }
        let_go(t);
        return t->ended ? transfer_settle(s) : OK;
}

/* Taken first: a reply may wait, and more marks come meanwhile. */
void transfer_tell_marks(struct transfer *t)
{
        auto_buf struct buf taken = t->marks;
        struct str all = buf_str(&taken), line;

        buf_init(&t->marks, MARKS_MOST);
        wake_all(&t->told);
        while (all.n) {
                str_cut(&all, '\n', &line);
                ftp_reply(t->s, "110 MARK " PRS, STR(line));
        }
}

bool ftp_transfer_look(struct session *s)
{
        struct transfer *t = ftp_of(s)->transfer;

        if (!t)
                return false;
        if (t->ended)
                transfer_settle(s);
        else
                transfer_tell_marks(t);
        return !ftp_of(s)->transfer;
}

void ftp_transfer_abort(struct session *s)
{
        struct transfer *t = ftp_of(s)->transfer;

        if (!t || t->ended || t->aborted)
                return;
        t->aborted = true;
        wake_all(&t->told);
        if (t->stream)
                stream_cancel(t->stream);
        else if (t->opening) /* nothing is left for it to do but to end */
                fiber_cancel(t->fiber);
}

static int nap(void *arg)
{
        (void)arg;
        return clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = MSECOND }, NULL);
}

/* Where we are cancelled ourselves, waits are over at once; offload still waits. */
void ftp_transfer_end(struct session *s)
{
        struct transfer *t = ftp_of(s)->transfer;

        if (!t)
                return;
        ftp_transfer_abort(s);
        while (!t->ended)
                if (wait_on(&t->waiters, "the transfer to end", NEVER) == -ECANCELED && !t->ended)
                        offload(QUICK, nap, NULL);
        transfer_settle(s);
}

void ftp_transfer_describe(struct session *s, struct buf *out)
{
        static const char *const stores[] = {
                [UPLOAD_NEW] = "STOR",
                [UPLOAD_UNIQUE] = "STOU",
                [UPLOAD_APPEND] = "APPE",
                [UPLOAD_RESUME] = "STOR",
        };
        const struct transfer *t = ftp_of(s)->transfer;
        struct str path;

        if (!t)
                return;
        path = ftp_shown(&s->command, t->asked.path, false);
        switch (t->asked.what) {
        case WHAT_RETRIEVE:
                buf_printf(out, "RETR " PRS ": %llu of %llu octets", STR(path), (unsigned long long)t->done,
                           (unsigned long long)(t->size - t->at));
                return;
        case WHAT_STORE:
                buf_printf(out, "%s " PRS ": %llu octets", stores[t->asked.how], STR(path),
                           (unsigned long long)t->done);
                return;
        case WHAT_LISTING: buf_printf(out, "listing " PRS, STR(path)); return;
        }
}
