/* The IMAP client (RFC 9051, 3501; RFC 2177, 2342, 4315, 4978, 5161, 6154, 6851, 7162, 7888, 8474): one connection. `pail mail` keeps its copy with
 * it.
 *
 *      rc = imap_client_open(&c, conn, &how, &answer);       -- greeting, STARTTLS, CAPABILITY
 *      rc = imap_client_login(c, user, password, &answer);   -- AUTHENTICATE SCRAM-SHA-256, PLAIN, or LOGIN; ENABLE; COMPRESS
 *      rc = imap_client_folders(c, arena, &list, &n, &answer);
 *      rc = imap_client_select(c, &list[0], &now, &answer);
 *      rc = imap_client_letters(c, set, &take);              -- bodies as they come, never whole in memory
 *      rc = imap_client_idle(c, deadline);
 *      imap_client_close(&c, deadline);                      -- LOGOUT
 *
 *   client.c         opened, TLS, closed                     client_list.c    folders
 *   client_login.c   CAPABILITY, sign-in, ENABLE, COMPRESS   client_select.c  SELECT, and which uids there are
 *   client_say.c     commands, names and literals on their way out
 *   client_read.c    responses in, by a cursor               client_fetch.c   flags and letters
 *   client_run.c     tags, statuses, what comes unasked      client_change.c  STORE, COPY, MOVE, EXPUNGE, mailboxes
 *   client_idle.c    IDLE                                    client_append.c  APPEND
 *
 * What a server says is hostile: a line of at most 8 MB without its literals (a SEARCH of a million letters is that long), a literal that is not
 * asked for is passed over up to 256 MB, numbers are 32 or 63 bits or -EPROTO, what is told of uids nobody asked for is no harm, and in a
 * letter's bytes there is whatever it sends. Texts of answers are printable, valid UTF-8. Who is silent for `patience`, or drips less than 1 KB in
 * it, is -ETIMEDOUT. A password is shown to the other side only under TLS, to this machine itself, or with clear_password.
 *
 * Errors: 0; -EREMOTEIO: NO or BAD, the answer says why; -EACCES: TLS is not as wanted, or no way to sign in is good enough; -EPROTO it breaks the
 * rules, -ETIMEDOUT, -ECONNRESET, -ECANCELED: the connection is of no more use; -EINVAL: a set or name that cannot be. Names with '/' in folders'
 * paths are UTF-8 (modified UTF-7 is turned at the edge). Sets are digits, ',', ':', '*', of any length. One fiber at a time, but
 * imap_client_wake. */
#pragma once
#include "base/arena.h"
#include "net/conn.h"
#include "net/tls_wanted.h"
#include "proto/smtp/client.h" /* enum tls_need */

enum imap_offers {
        IMAP_HAS_IDLE = 1,
        IMAP_HAS_CONDSTORE = 2,
        IMAP_HAS_QRESYNC = 4,
        IMAP_HAS_UIDPLUS = 8,
        IMAP_HAS_MOVE = 16,
        IMAP_HAS_SPECIAL_USE = 32,
        IMAP_HAS_LITERAL_PLUS = 64,
        IMAP_HAS_LITERAL_MINUS = 128,
        IMAP_HAS_COMPRESS = 256,
        IMAP_HAS_ENABLE = 512,
        IMAP_HAS_UTF8 = 1024,
        IMAP_HAS_NAMESPACE = 2048,
        IMAP_HAS_REV2 = 4096,
        IMAP_HAS_LIST_STATUS = 8192,
        IMAP_HAS_MULTIAPPEND = 16384,
        IMAP_HAS_SASL_IR = 32768,
        IMAP_HAS_ESEARCH = 65536,
        IMAP_HAS_OBJECTID = 131072,
};
struct imap_client_how {
        const char *host;
        enum tls_need tls;
        const struct tls_wanted *want;
        struct tls_found
            *found; /* what the handshake found, also when that was refused; NULL: not asked for */
        struct conn_tap *tap;
        nsec patience;       /* 0: 60 s */
        bool no_compress;    /* else where it is offered, and the peer is another machine */
        bool clear_password; /* it may be shown without TLS, wherever that is */
};
struct imap_answer {
        char status[4]; /* "OK", "NO", "BAD", "BYE"; empty: ours */
        char code[64];  /* "TRYCREATE" */
        char text[512];
};
struct imap_client;
[[nodiscard]] int imap_client_open(struct imap_client **out, struct conn *conn,
                                   const struct imap_client_how *how, struct imap_answer *answer);
[[nodiscard]] int imap_client_login(struct imap_client *c, const char *user, const char *password,
                                    struct imap_answer *answer);
void imap_client_close(struct imap_client **c, nsec deadline);
unsigned imap_client_offers(const struct imap_client *c);
const struct tls_found *imap_client_tls(const struct imap_client *c);

struct imap_folder {
        /* UTF-8, '/' between names whatever the server uses; a '/' in a name stands as U+2215, a control character as U+FFFD, the dots of "." and
         * ".." as U+2024 */
        struct str path;
        struct str wire; /* the name as the server has it */
        struct str role; /* as in store/mailbox.h: "", "drafts", "sent" ... */
        bool noselect, subscribed;
        uint32_t uidvalidity, uidnext, count, unseen; /* 0: not told */
        uint64_t highest;
};
/* INBOX first, then in order of path; at most 20,000. The arena needs 16 MB of room. */
[[nodiscard]] int imap_client_folders(struct imap_client *c, struct arena *a, struct imap_folder **list,
                                      size_t *n, struct imap_answer *answer);
struct imap_opened {
        uint32_t uidvalidity, uidnext, count;
        uint64_t highest; /* 0: no modseqs there */
        bool read_only;
};
[[nodiscard]] int imap_client_select(struct imap_client *c, const struct imap_folder *f,
                                     struct imap_opened *now, struct imap_answer *answer);

struct imap_marks { /* of one letter; bits as in store/account.h below 256, keywords by name */
        uint32_t uid, size;
        uint64_t modseq;
        uint64_t flags;
        int64_t received;    /* INTERNALDATE, seconds since 1970; 0: not asked */
        struct str keywords; /* with a blank between; valid during the call */
        bool has_flags; /* some servers tell a letter's flags only behind its bytes: then not at `begin` */
};
/* UID FETCH first:last (UID FLAGS ...): all, or those with a modseq over `since` (CONDSTORE); with QRESYNC `vanished` is told of ranges that
 * are gone since (may be NULL). facts: INTERNALDATE and RFC822.SIZE too. */
[[nodiscard]] int imap_client_flags(struct imap_client *c, uint32_t first, uint32_t last, uint64_t since,
                                    bool facts, void (*each)(void *context, const struct imap_marks *f),
                                    void (*vanished)(void *context, uint32_t first, uint32_t last),
                                    void *context, struct imap_answer *answer);
/* The uids there are, ascending (UID SEARCH ALL; ESEARCH where there is). */
[[nodiscard]] int imap_client_uids(struct imap_client *c,
                                   void (*range)(void *context, uint32_t first, uint32_t last), void *context,
                                   struct imap_answer *answer);
/* BODY.PEEK[] of a set of uids ("1:3,7"), with flags and INTERNALDATE. begin: a letter of so many octets comes; piece: its bytes in order; end. A
 * callback that does not give 0 ends it: the rest is passed over, and that is the result. May wait in them. header_only: BODY.PEEK[HEADER]. */
struct imap_take {
        int (*begin)(void *context, const struct imap_marks *f, uint64_t size);
        int (*piece)(void *context, struct str bytes);
        int (*end)(void *context);
        void *context;
        bool header_only;
};
[[nodiscard]] int imap_client_letters(struct imap_client *c, const char *set, const struct imap_take *take,
                                      struct imap_answer *answer);

enum imap_store { IMAP_ADD, IMAP_REMOVE, IMAP_SET };
[[nodiscard]] int imap_client_store(struct imap_client *c, const char *set, enum imap_store how,
                                    uint64_t flags, struct str keywords, struct imap_answer *answer);
/* UID MOVE, or COPY, STORE \Deleted, UID EXPUNGE; to_uid of a single one by COPYUID, 0: not told. */
[[nodiscard]] int imap_client_copy(struct imap_client *c, const char *set, const struct imap_folder *to,
                                   bool move, void (*copied)(void *context, uint32_t from, uint32_t to),
                                   void *context, struct imap_answer *answer);
[[nodiscard]] int imap_client_expunge(struct imap_client *c, const char *set, struct imap_answer *answer);
/* APPEND; read gives its bytes as in proto/smtp/client.h's letter. *uid 0: not told. */
struct imap_append {
        uint64_t flags, size;
        struct str keywords;
        int64_t received; /* seconds; 0: now */
        int (*read)(void *context, uint64_t at, size_t n, struct buf *out);
        void *context;
};
[[nodiscard]] int imap_client_append(struct imap_client *c, const struct imap_folder *to,
                                     const struct imap_append *l, uint32_t *uid, struct imap_answer *answer);
[[nodiscard]] int imap_client_create(struct imap_client *c, struct str path, struct imap_answer *answer);
[[nodiscard]] int imap_client_delete(struct imap_client *c, const struct imap_folder *f,
                                     struct imap_answer *answer);
[[nodiscard]] int imap_client_rename(struct imap_client *c, const struct imap_folder *f, struct str path,
                                     struct imap_answer *answer);
[[nodiscard]] int imap_client_subscribe(struct imap_client *c, const struct imap_folder *f, bool yes,
                                        struct imap_answer *answer);

/* Until something was told (0), the deadline (-ETIMEDOUT) or imap_client_wake (-ECANCELED): IDLE, renewed every 25 minutes; NOOP every half
 * minute where there is none. */
[[nodiscard]] int imap_client_idle(struct imap_client *c, nsec deadline);
void imap_client_wake(struct imap_client *c);
