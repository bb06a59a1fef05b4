/* A connection: lines and bytes in, text out, TLS or not, and a sticky error so that handlers need not look.
 * After the first failure conn_line gives GOT_END and what is written is swallowed; who commits something asks
 * conn_ok first. Output is flushed only before a wait for input, or when 32 KB have gathered (then the writer waits).
 * One fiber at a time uses a connection. Everything with a deadline may wait; so may conn_put.
 *
 * Buffers are kept while commands come and given back at GOT_QUIET: a parked connection owns none, it is some
 * hundred bytes and its TLS state. conn_park hands it to the loop; when bytes, a hang-up, the deadline or
 * conn_wake comes, `woken` is called on the loop's stack (once), which starts a fiber and calls the session again.
 *
 * The tap sees each line in and out, for watching and for recorded transcripts; off, it is one branch.
 * A handler that reads or writes a secret says so first (conn_secret), or hides the end of the line it has just read
 * (conn_hide): the tap then shows "****". */
#pragma once
#include "base/buf.h"
#include "base/time.h"
#include "net/addr.h"
#include "run/fiber.h"

struct conn;
struct tls_context;

enum got {
        GOT_LINE,   /* a line, without its CRLF */
        GOT_BARE,   /* a line that ended with LF alone, without it */
        GOT_LONG,   /* a line over the limit; it was skipped, and *line is its last two or three bytes */
        GOT_QUIET,  /* no byte for park-after, or a bell (conn_wake); and conn_may_park holds */
        GOT_LATE,   /* the deadline passed */
        GOT_END,    /* closed, failed, or cancelled */
        GOT_CALLED, /* conn_call */
};
enum woken { WOKEN_INPUT, WOKEN_DEADLINE, WOKEN_BELL, WOKEN_SHUTDOWN, WOKEN_SIGNED_OUT };

struct conn_tap {
        /* from: 'S' or 'C'; line without CRLF, or NULL text with `bytes` when a body of that size passed */
        void (*line)(struct conn_tap *t, char from, struct str line, uint64_t bytes);
};

struct conn *conn_new(int fd, struct addr peer,
                      struct addr local); /* takes fd; NULL: out of descriptors in epoll */
/* Closes without a wait: output left over and a TLS close_notify go out only if they fit. */
void conn_free(struct conn **c);
/* The end of a conversation: flushes (waits), lets the peer read our last reply even if input is left unread, frees. */
void conn_close(struct conn **c, nsec deadline);
struct addr conn_peer(const struct conn *c);
struct addr conn_local(const struct conn *c);
bool conn_ok(const struct conn *c);
bool conn_hung(
    const struct conn *c);      /* they have closed their side, though what came before may not be read yet */
void conn_fail(struct conn *c); /* from now on: GOT_END, output swallowed */
void conn_shutdown(struct conn *c); /* conn_line returns GOT_END with conn_stopping true; output still goes */
bool conn_stopping(const struct conn *c); /* shut down or signed out (by conn_wake), whoever asked first */
bool conn_signed_out(const struct conn *c);

/* Input. *line points into the connection's buffer until the next call that reads. max: without the CRLF, at most
 * 8 MB. The end of their input (GOT_END with conn_ok true) does not keep our output from going out. */
enum got conn_line(struct conn *c, struct str *line, size_t max, nsec deadline);
/* At most `most` bytes of what comes next; waits only if none is there. Empty: end, error, cancelled or deadline; of
 * these the end and the deadline leave conn_ok true, and only the deadline conn_late. Points into the buffer as above. */
struct str conn_some(struct conn *c, size_t most, nsec deadline);
bool conn_late(const struct conn *c);       /* the last conn_some met its deadline: one may still say so */
void conn_unread(struct conn *c, size_t n); /* gives back the last n bytes of the last conn_some */
bool conn_input_waits(struct conn *c);      /* is there input that can be read without waiting? */
void conn_park_after(struct conn *c, nsec quiet); /* < 0: GOT_QUIET for bells only; 0: at once */

/* From another fiber of the same session: its conn_line that waits, or the next one that would wait, returns GOT_CALLED (once), also in the
 * middle of a line. For what a session does beside its conversation: FTP's transfers. */
void conn_call(struct conn *c);
/* Waits for it and reads nothing, also behind the end of their input: GOT_CALLED, GOT_LATE, or GOT_END: failed or stopping. */
enum got conn_await_call(struct conn *c, nsec deadline);
/* Telnet's urgent data stays where it was sent among the other bytes (SO_OOBINLINE); and has some come since last asked? */
void conn_urgent_inline(struct conn *c);
bool conn_urgent(struct conn *c);

/* Output. */
void conn_put(struct conn *c, struct str s);
void conn_printf(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void conn_vprintf(struct conn *c, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
int conn_flush(struct conn *c, nsec deadline);            /* rarely needed: reading flushes */
void conn_write_deadline(struct conn *c, nsec per_flush); /* how long one flush may take; default 60 s */

/* Raw bytes out by number only, for the tap: bodies are counted. */
void conn_body(struct conn *c, struct str piece);
void conn_secret(struct conn *c, bool on);
/* The tap sees of the last line only its first `shown` bytes. To be said before the next reading or writing. */
void conn_hide(struct conn *c, size_t shown);
void conn_told(
    struct conn *c); /* the tap sees the last line now, not a moment later: nothing of it is to be hidden */
void conn_set_tap(struct conn *c, struct conn_tap *tap);
bool conn_has_tap(const struct conn *c);

/* TLS, server side. Refuses (-EPROTO) if plaintext is left over in the buffer: the command was followed by bytes
 * that an attacker may have put there (CVE-2011-0411). Flushes the go-ahead reply first. Waits. On any error the
 * connection has failed; who wants to answer leftovers in words asks conn_input_waits before the go-ahead. */
[[nodiscard]] int conn_starttls(struct conn *c, struct tls_context *tls, nsec deadline);
bool conn_has_tls(const struct conn *c);
/* Before conn_starttls: this connection's tickets are made with a key of its own (see net/stream.h). */
void conn_own_tickets(struct conn *c);
/* TLS ends, both ways, and the conversation goes on in clear (FTP's CCC, RFC 4217 §12.3). Waits for their close_notify,
 * or for what they say in clear without one. */
[[nodiscard]] int conn_stoptls(struct conn *c, nsec deadline);
struct conn_tls_facts {
        const char *version, *cipher; /* static texts, "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
        uint8_t binding[64];          /* channel binding for SCRAM-PLUS */
        size_t binding_length;
        bool binding_is_exporter; /* tls-exporter (RFC 9266); else tls-unique */
};
bool conn_tls_facts(struct conn *c, struct conn_tls_facts *out);
/* Server side: the name that the client asked for (SNI), in room; empty: none, or no TLS. */
enum { TLS_NAME_ROOM = 256 };
struct str conn_tls_name(const struct conn *c, char room[static TLS_NAME_ROOM]);

/* COMPRESS=DEFLATE (RFC 4978), both directions from here on, below lines and above TLS; the tap sees what is meant. The
 * go-ahead is flushed first (waits). Refuses as conn_starttls does if plaintext is left over. It costs some 80 KB as
 * long as the connection lives, also while it is parked, which it may be. No more is inflated than is asked for,
 * and what has come whole is handed out at once, whether or not a block has ended. */
[[nodiscard]] int conn_compress(struct conn *c);
bool conn_compressed(const struct conn *c);

/* Parking. A bell that rings while no one waits is kept: the next wait for a command ends with GOT_QUIET, and then
 * conn_park wakes at once. */
bool conn_may_park(struct conn *c);
void conn_park(struct conn *c, nsec deadline, void (*woken)(void *context, enum woken why), void *context);
void conn_wake(struct conn *c,
               enum woken why); /* wakes a parked one, or a fiber waiting in conn_line for a command */
bool conn_parked(const struct conn *c);

/* Others may listen at this connection's local port from now on (RFC 959 §3.2: FTP's default data port). */
void conn_share_port(struct conn *c);

/* Client side. */
int conn_dial(struct addr to, const struct addr *from, nsec deadline, struct conn **out); /* waits */
int conn_starttls_client(struct conn *c, const char *host, const char *ca_file, nsec deadline);
