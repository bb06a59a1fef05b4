/* The FTP client (RFC 959, 2228, 2389, 2428, 3659, 4217, 7151, draft MODE Z): one control connection and the data connections it needs.
 * `pail ftp` is built on it, and nothing here prints or asks a person.
 *
 *      rc = ftp_client_open(&c, conn, &how, &answer);        -- greeting, AUTH TLS, PBSZ, PROT
 *      rc = ftp_client_login(c, user, password, account, &answer);    -- USER PASS ACCT, FEAT, OPTS UTF8 ON
 *      rc = ftp_client_ask(c, &answer, "CWD %s", path);      -- one command, its final reply
 *      rc = ftp_client_get(c, &transfer);                    -- TYPE/STRU/MODE as wanted, PASV, RETR, the bytes, 226
 *      ftp_client_close(&c, deadline);                       -- QUIT
 *
 *   client.c         opened, closed; asked and answered            client_list.c      MLSD, LIST: as they are, and as entries
 *   client_reply.c   replies, and what FEAT offers                 client_entry.c     one line of a listing, of every kind
 *   client_data.c    data connections: PASV EPSV PORT EPRT, TLS    client_transfer.c  a transfer from end to end; resuming
 *   client_coding.c  TYPE STRU MODE                                client_move.c      bytes between data connection and file: coder, sendfile
 *   client_ahead.c   many files: commands written ahead            client_step.c      ABOR, and in step again
 *
 * What a server says is hostile: a reply is read to its end up to 64 KB, 8 KB of it is kept; control characters never leave this room (they
 * stand as \ooo); a PASV reply's address is looked at for its port only, unless it is that of the control peer or `foreign` allows it; a
 * server that drips or stops costs one deadline. Names that came from a server are checked by ftp_name_safe before anything is written
 * under them. In a fiber; one at a time uses a client, but for ftp_client_stop. Errors: 0; -EPROTO the server breaks the rules; -ECONNRESET it has gone
 * (a new client is to be opened, the transfer can be taken up with `offset`); -EACCES TLS is not as wanted; -EREMOTEIO it refused: answer
 * says so; -ECANCELED. */
#pragma once
#include "base/arena.h"
#include "net/conn.h"
#include "net/stream.h"
#include "net/tls_wanted.h"
#include "proto/ftp/coder.h"

enum ftp_client_tls {
        FTP_CLEAR,
        FTP_TLS_OFFERED, /* AUTH TLS is tried; refused: in clear */
        FTP_TLS_MUST,
        FTP_TLS_AT_ONCE, /* port 990 */
};
enum ftp_offers { /* FEAT, and what has been learned by a 500 or 502 */
                  FTP_HAS_FEAT = 1,
                  FTP_HAS_EPSV = 2,
                  FTP_HAS_MLST = 4,
                  FTP_HAS_SIZE = 8,
                  FTP_HAS_MDTM = 16,
                  FTP_HAS_REST = 32, /* REST STREAM */
                  FTP_HAS_UTF8 = 64,
                  FTP_HAS_MODE_Z = 128,
                  FTP_HAS_MFMT = 256,
                  FTP_HAS_HASH = 512,
                  FTP_HAS_TLS = 1024,
                  FTP_HAS_TVFS = 2048,
                  FTP_HAS_COPY = 4096, /* SITE COPY */
                  FTP_HAS_RANG = 8192,
                  FTP_HAS_AVBL = 16384,
                  FTP_HAS_CLNT = 32768,
};
/* What the person sees of the conversation. Lines without CRLF, printable. Called on the client's fiber; must not wait. */
struct ftp_hears {
        void (*sent)(void *context, struct str line); /* "PASS XXXX" */
        void (*said)(void *context, unsigned code, struct str line,
                     bool last); /* each line of a reply, "226-..." */
        void *context;
};
enum ftp_data_way {
        FTP_DATA_AUTO, /* EPSV over IPv6, PASV over IPv4, the other where one is refused */
        FTP_DATA_PASV,
        FTP_DATA_EPSV,
        FTP_DATA_ACTIVE, /* EPRT over IPv6, PORT over IPv4 */
        FTP_DATA_DEFAULT /* active without PORT: RFC 959 §3.2, the client's own control port + 0 */
};
struct ftp_client_how {
        const char *host; /* as typed: HOST and SNI; what certificates are checked for */
        bool say_host;    /* send HOST (RFC 7151) */
        enum ftp_client_tls tls;
        bool clear_data; /* PROT C although the conversation has TLS */
        const struct tls_wanted
            *want; /* NULL: TRUST_NOTHING. Lives as long as the client: data connections are checked too */
        struct tls_found
            *found; /* out: what TLS found, also where ftp_client_open gives -EACCES; NULL: nobody asks */
        const struct ftp_hears *hears; /* NULL: nobody */
        struct conn_tap *tap;          /* NULL: none */
        nsec patience;                 /* for a reply, and between two moves of a byte; 0: 60 s */
};
struct ftp_answer {
        unsigned code; /* 0: ours, the text says */
        char text
            [1024]; /* the last line behind its code; of a reply of several lines ftp_client_lines has all */
};

struct ftp_client;
/* Takes conn in any case. */
[[nodiscard]] int ftp_client_open(struct ftp_client **out, struct conn *conn,
                                  const struct ftp_client_how *how, struct ftp_answer *answer);
void ftp_client_close(struct ftp_client **c, nsec deadline); /* QUIT; waits. 0: without a word */
/* account NULL: none is known (332 is then the answer). 230 and 202 are good, 331 and 332 are the answer with -EREMOTEIO when what they ask
 * for was not given. user and password hold no control characters: -EINVAL. */
[[nodiscard]] int ftp_client_login(struct ftp_client *c, const char *user, const char *password,
                                   const char *account, struct ftp_answer *answer);
unsigned ftp_client_offers(const struct ftp_client *c);
const struct tls_found *ftp_client_tls(const struct ftp_client *c); /* NULL: in clear */
struct conn *ftp_client_conn(struct ftp_client *c);
struct str ftp_client_lines(
    const struct ftp_client *c); /* the last reply whole, lines by \n; until the next */

/* One command. 0: 1xx 2xx 3xx; -EREMOTEIO: 4xx, 5xx; else as above. A CR or LF in it: -EINVAL, nothing is sent. IAC is doubled. */
[[nodiscard]] int ftp_client_ask(struct ftp_client *c, struct ftp_answer *answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Written now, answered later, in order: at most FTP_AHEAD_MOST unanswered. */
enum { FTP_AHEAD_MOST = 64 };
[[nodiscard]] int ftp_client_ask_ahead(struct ftp_client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
[[nodiscard]] int ftp_client_answer(struct ftp_client *c, struct ftp_answer *answer);

/* How files go from now on; sent when next needed and only if it is not so already. `coding` as in coder.h. */
void ftp_client_coding(struct ftp_client *c, const struct coding *how);
const struct coding *ftp_client_coding_now(const struct ftp_client *c);
void ftp_client_data(struct ftp_client *c, enum ftp_data_way way, bool foreign);

/* A transfer. */
enum ftp_moves { FTP_GET, FTP_PUT, FTP_APPEND, FTP_PUT_UNIQUE };
struct ftp_transfer {
        enum ftp_moves move;
        const char *remote;
        int file; /* an open descriptor, positioned by `offset`; -1: `each` has or takes the bytes */
        int (*each)(void *context, char *room, size_t n,
                    size_t *got); /* file -1: FTP_GET: n bytes are there; else fill room */
        void (*progress)(void *context, uint64_t bytes); /* of the file so far; NULL: none. Must not wait */
        void *context;
        uint64_t offset; /* go on from here: REST, both sides; with MODE B a marker is kept in `marker` */
        uint64_t most;   /* FTP_GET: stop (ABOR) after so many bytes; 0: all. pget's segments */
        /* MODE B and C: the last place where both sides can go on, and in: go on there (`offset` is then not looked at, unless marker_ours is
         * empty: then our side goes on at `offset`). marker is the server's word for it, marker_ours our coder's. */
        char marker[CODER_MARKER_MOST], marker_ours[CODER_MARKER_MOST];
        struct rate *rate; /* NULL: none */
        /* out */
        uint64_t bytes; /* of the file, in this transfer */
        uint64_t size;  /* expected, if known (SIZE or the 150's words), else UINT64_MAX */
        nsec took;      /* of the data connection */
        struct ftp_answer answer;
        char unique[256]; /* FTP_PUT_UNIQUE: the name the server chose */
};
/* 0: all of it is there and the server said 2xx. -EREMOTEIO: refused or cut: answer; bytes says how much came. -EBADMSG: what came breaks its
 * coding. Other: as above, or of the file. */
[[nodiscard]] int ftp_client_transfer(struct ftp_client *c, struct ftp_transfer *t);
/* From another fiber or the loop (a signal): the transfer at work is ended by ABOR, the session stays: ftp_client_transfer gives -ECANCELED.
 * Outside a transfer: the wait for a reply ends with -ECANCELED and its reply is passed over when it comes. */
void ftp_client_stop(struct ftp_client *c);

/* Many files one after another, each a transfer as above; commands are written ahead as far as the server keeps up (it is tried with two; an
 * answer out of order ends it), data connections are asked for ahead, and in MODE B one serves all. `next` gives the next or NULL, `done` is told of each
 * in order. */
struct ftp_many {
        struct ftp_transfer *(*next)(void *context);
        void (*done)(void *context, struct ftp_transfer *t, int rc);
        void *context;
};
[[nodiscard]] int ftp_client_many(struct ftp_client *c, const struct ftp_many *m);

/* Directories. */
enum ftp_entry_kind { FTP_ENTRY_FILE, FTP_ENTRY_FOLDER, FTP_ENTRY_LINK, FTP_ENTRY_OTHER };
struct ftp_entry {
        struct str
            name; /* octets as they came, without '/': what fails ftp_name_safe is left out and counted */
        struct str target; /* of a link, if told */
        enum ftp_entry_kind kind;
        uint64_t size;    /* UINT64_MAX: not told */
        int64_t modified; /* seconds since 1970; INT64_MIN: not told */
        bool
            modified_exact; /* to the second, in UTC (MLSD, MDTM); else to the minute or day, in the server's time */
        int mode;           /* unix.mode; -1: not told */
        char perm[16]; /* MLSD's */
};
/* MLSD where there is, else LIST; in the arena, sorted by name. "" is where we are. *unsafe: how many names were left out. */
[[nodiscard]] int ftp_client_entries(struct ftp_client *c, const char *path, struct arena *a,
                                     struct ftp_entry **list, size_t *n, size_t *unsafe,
                                     struct ftp_answer *answer);
/* A listing as it comes ("LIST -l path", "NLST", "MLSD"): a line at a time, printable. */
[[nodiscard]] int ftp_client_listing(struct ftp_client *c, const char *command, const char *path,
                                     void (*line)(void *context, struct str line), void *context,
                                     struct ftp_answer *answer);
/* One line of LIST (Unix, DOS, EPLF) or MLSD. false: not of an entry ("total 12"), or of none we know. now: to guess years by. */
bool ftp_entry_of_list(struct str line, int64_t now, struct arena *a, struct ftp_entry *out);
bool ftp_entry_of_facts(struct str line, struct arena *a, struct ftp_entry *out);
/* May a file of that name be made in the folder we are in: not empty, not "." or "..", no '/', no NUL, no control character, at most 255 bytes. */
bool ftp_name_safe(struct str name);
