/* A data connection: many bytes one way at a time, fast. No lines, no parking: it lives as long as a transfer, or in block mode some. One
 * fiber uses it; another may stream_cancel. The first error sticks. Files are sent by sendfile; workers do what may wait for a disk, and the
 * TLS of files. Slices of at most 4 MB, so that others go on.
 *
 * `patience`: the most between two moves of a byte; -ETIMEDOUT after that. stream_limit: bytes a second. */
#pragma once
#include "base/time.h"
#include "net/addr.h"
#include "net/tls.h"

struct conn;
struct stream;
struct stream *stream_new(int fd); /* takes it, connected and non-blocking; NULL: out of descriptors */
/* At once, without a word. The peer sees a reset, which it cannot take for the end of a file; it sees an end if stream_finish said so, or if
 * theirs was read and nothing was written. */
void stream_free(struct stream **s);
/* What is written goes out at once, however little: where more follows only after the peer's answer, or their next command (MODE B). With TLS it
 * does in any case. Else the kernel fills its packets, till the end. */
void stream_prompt(struct stream *s);
struct addr stream_peer(const struct stream *s);
bool stream_alive(
    struct stream *s); /* kept without use: they have neither closed nor broken it. Never waits */

/* fd: bound, not connected, taken in any case. Waits. */
[[nodiscard]] int stream_connect(int fd, struct addr to, nsec deadline, struct stream **out);

/* TLS. `control`: the connection whose session this one should resume; it must not go away meanwhile. *resumed: it did, and the session is
 * that one. Who knows it is the client of a control connection that called conn_own_tickets before its handshake, and nobody else: tickets
 * are made with a key of its own and given there only, or (TLS 1.2) the master secret is compared. So "resumed" proves that both ends are
 * the same client's (RFC 4217 §10.2, and the remedy against stolen data connections). Without conn_own_tickets nothing is resumed. */
[[nodiscard]] int stream_starttls(struct stream *s, struct tls_context *tls, struct conn *control,
                                  nsec deadline, bool *resumed);
/* Client side: resumes the session of `control` if it can. ca_file as in conn_starttls_client. */
[[nodiscard]] int stream_starttls_client(struct stream *s, struct conn *control, const char *host,
                                         const char *ca_file, nsec deadline);
/* Client side, too: whoever is there must be the peer of `control`: it resumes that session, or shows the same certificate (-EACCES if not).
 * The certificate was judged when `control` began TLS. host: SNI, or NULL. */
[[nodiscard]] int stream_starttls_same(struct stream *s, struct conn *control, const char *host,
                                       nsec deadline);
bool stream_has_tls(const struct stream *s);

/* 0 or -errno. *got 0: the end of what they send; with TLS only after close_notify (else -ECONNRESET). */
[[nodiscard]] int stream_read(struct stream *s, char *room, size_t n, size_t *got, nsec patience);
/* Gives back bytes that were read and belong to what comes next (MODE B): at most 256 KB. */
void stream_unread(struct stream *s, struct str bytes);
[[nodiscard]] int stream_write(struct stream *s, struct str bytes, nsec patience); /* all of it */
/* File to socket, n bytes from *at, which moves. Short without an error: the file ended. */
[[nodiscard]] int stream_send_file(struct stream *s, int file, uint64_t *at, uint64_t n, nsec patience);
/* Socket to file, at most `most` bytes, at `at`; returns when some came. *got 0: the end. *got counts also where it failed. */
[[nodiscard]] int stream_receive_file(struct stream *s, int file, uint64_t at, uint64_t most, uint64_t *got,
                                      nsec patience);
/* The end of what we send: close_notify, shutdown, and it waits until the peer has it all; what they say meanwhile is forgotten. After an
 * upload (their end was read, we wrote nothing) it waits for nothing and does not fail for what they no longer want to hear. */
[[nodiscard]] int stream_finish(struct stream *s, nsec deadline);
/* The same without the wait: for who is told by other ways that they have it (FTP's 226 after an upload). stream_free then takes nothing back. */
[[nodiscard]] int stream_end(struct stream *s, nsec deadline);
void stream_cancel(struct stream *s); /* whoever waits in it gets -ECANCELED, now and always */

/* Token bucket, shared by streams of a process (an account's, an address's). 0: any rate. A stream obeys the slower of two. */
struct rate {
        uint64_t most; /* bytes a second */
        nsec until;    /* when what has been let through is used up */
};
void stream_limit(struct stream *s, struct rate *first, struct rate *second);
