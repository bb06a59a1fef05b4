/* The FTP server (RFC 959, 1123 §4.1, 2228, 2389, 2428, 2640, 3659, 4217, 7151 and the drafts that clients use). Others need only ftp_kind and
 * the xferlog; the rest is what its files share.
 *
 *   serve.c     the conversation: a line (Telnet taken out), its command; what waits while a transfer runs; parking
 *   commands.c  the table of commands, and what the table finds wrong: HELP, FEAT and docs/ftp.md are printed from it
 *   telnet.c    what a line holds of Telnet                   time.c    YYYYMMDDHHMMSS
 *   reply.c     replies of one line and of several            texts.c   the same in other languages (LANG)
 *   login.c     USER PASS ACCT REIN QUIT HOST                 tls.c     AUTH PBSZ PROT CCC
 *   feat.c      FEAT OPTS LANG CLNT CSID SYST HELP NOOP       path.c    CWD CDUP PWD SMNT MKD RMD DELE RNFR RNTO
 *   facts.c     SIZE MDTM MLST MFMT MFF MFCT AVBL             site.c    SITE and its own table of commands
 *   hash.c      HASH, XCRC and its kin, COMB
 *   list.c      LIST NLST MLSD STAT; listing.c: which entries, lines.c: how they look, glob.c: patterns
 *   data.c      PORT PASV EPRT EPSV; the data connection made, kept (MODE B, C), ended
 *   coding.c    TYPE STRU MODE ALLO REST RANG: how the next transfer goes
 *   transfer*.c the transfer's fiber and its ends: RETR STOR STOU APPE, listings; ABOR; rates.c: how fast
 *   xferlog.c   a line for each transfer, as wu-ftpd wrote it
 *
 * A handler parses to the end of its line (ftp_path takes all that is left), checks, acts, and gives one final reply. A transfer's handler ends by
 * ftp_transfer_start, which opens the file, says 150 or 125, and returns: the transfer is a fiber of its own that talks on the data connection
 * only. All that is said on the control connection is said by the control fiber, also 226, 426, 451 ... when the transfer has ended (conn_call
 * wakes it; a short one may have ended before the handler returns). Meanwhile it reads on: ABOR and STAT are carried out at once, any other command waits for the transfer's
 * end, and what follows it waits behind it (urgent data does not). With 32 KB of such commands reading stops. Such a session does not park.
 *
 * Everything a session remembers between commands lies in struct ftp; a parked one holds no root and no open file. What it may hold while
 * parked: a lease with a port (PASV), block mode's open data connection. */
#pragma once
#include "net/passive.h"
#include "net/stream.h"
#include "proto/command.h"
#include "proto/ftp/coder.h"
#include "proto/language.h"
#include "proto/session.h"
#include "store/files.h"

extern const struct session_kind ftp_kind;

enum ftp_state {
        FTP_STRANGER = 1,
        FTP_NAMED = 2, /* USER was given */
        FTP_SIGNED_IN = 4,
        FTP_RENAMING = 8, /* besides FTP_SIGNED_IN: RNFR was the last command */
        FTP_ANY = FTP_STRANGER | FTP_NAMED | FTP_SIGNED_IN,
};
enum {                         /* in command.needs, besides enum needs */
       MEANWHILE = 1 << 16,    /* carried out at once while a transfer runs */
       WRITES = 1 << 17,       /* refused to whoever may only read: 550 */
       NOT_REQUIRED = 1 << 18, /* not in RFC 959 */
       KEEPS_NEXT = 1 << 19,   /* what REST, RANG, ALLO said stands behind it too */
};

enum { TLS_SECONDS = 60 }; /* for a handshake */
/* RFC 3659 §7.5, in this order on the line */
enum mlst_fact {
        FACT_TYPE = 1,
        FACT_SIZE = 2,
        FACT_MODIFY = 4,
        FACT_PERM = 8,
        FACT_UNIQUE = 16,
        FACT_MODE = 32, /* UNIX.mode */
        FACT_OWNER = 64,
        FACT_GROUP = 128,
        FACTS_USUAL = 63,
};

struct transfer;
/* What RANG, REST, RNFR, ALLO, SITE CPFR have said for the next command: rare, so apart; on the heap. */
struct ftp_next {
        struct str rename_from;         /* heap; empty: none */
        struct str copy_from;           /* SITE CPFR; heap; empty: none */
        char marker[CODER_MARKER_MOST]; /* REST; empty: none. Decimal digits in MODE S */
        bool has_range;
        uint64_t from, to; /* RANG: octets [from, to] */
        uint64_t allocate; /* ALLO; 0: not said */
};
struct ftp {
        struct session session;
        struct coding coding;
        char *name;   /* from USER; once signed in NULL, or what a guest gave as password; heap */
        char *cwd;    /* heap; NULL: "/" */
        char *client; /* what CLNT or CSID said, for the log; heap */
        char *domain; /* HOST's: bare names are completed with it; heap */
        struct ftp_next
            *next; /* NULL: nothing said. Used up by the next command that is not itself one of these */
        struct lease *lease;       /* PASV, EPSV: outstanding */
        struct stream *kept;       /* block mode's data connection, between files */
        struct addr port;          /* PORT, EPRT: family 0: not said */
        struct transfer *transfer; /* running */
        struct ftp_held *held;     /* commands that wait for its end, at most 32 KB; serve.c */
        uint64_t quota;            /* of this account */
        uint8_t language;
        uint8_t hash;       /* enum file_hash, chosen by OPTS HASH */
        uint8_t facts;      /* enum mlst_fact, chosen by OPTS MLST */
        uint8_t umask_bits; /* SITE UMASK, as 022 */
        bool anonymous, read_only;
        bool private_data; /* PROT P */
        bool pbsz;         /* PBSZ was given */
        bool epsv_all;     /* EPSV ALL: PORT, PASV, EPRT are refused */
        /* only while awake: */
        struct root *root;
};
static inline struct ftp *ftp_of(struct session *s)
{
        return (struct ftp *)s;
}

/* --- reply.c. `format` begins with the code: "226 Transfer complete."; the text behind it is in the session's language. The result is the
 * handler's: OK, or for 5xx FAIL (counted as an error of the peer's) unless it is 504 or 550 to 553. Lines of a file name have control
 * characters made harmless. --- */
int ftp_reply(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "211-Features:" ... " MDTM" ... "211 End": first with the code and '-', then lines as they are (a space is put before each), then the end. */
void ftp_reply_begin(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ftp_reply_line(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ftp_syntax(struct session *s); /* 501 with the synopsis of the command that runs */
/* The reply for -errno of the store about a path: 550 with a sentence, 552 (quota), 452 (disk), 450 (busy), 451. */
int ftp_trouble(struct session *s, struct str path, int error);
const char *ftp_text(const struct ftp *p, const char *english) __attribute__((format_arg(2)));
extern const struct translation ftp_translations[];
/* A path as RFC 959 appendix II wants it in a reply: quotes doubled where it stands in quotes, control bytes as '?'. */
struct str ftp_shown(struct arena *a, struct str path, bool quotes);

/* --- path.c --- */
/* All that is left of the line behind one space, joined to the working folder; in the command's arena. p NULL: the reply has been given, *rc
 * is the result. may_be_empty: then the working folder. */
struct str ftp_path(struct session *s, struct scan *a, bool may_be_empty, int *rc);
struct str ftp_where(const struct ftp *p); /* the working folder */
/* A word, or "several of them", where a command takes more than one: quotes in it are doubled. Empty: nothing left. */
struct str ftp_word(struct session *s, struct scan *a);
/* A word that is a path: joined. p NULL as above. */
struct str ftp_path_word(struct session *s, struct scan *a, int *rc);
/* The account's folder, opened if it is not. false: the reply has been given. Given back at parking and REIN. */
bool ftp_root(struct session *s, int *rc);

/* --- serve.c --- */
extern const struct dialect ftp_dialect;
void ftp_forget(struct session *s);  /* REIN, AUTH: everything but the connection and a running transfer */
bool ftp_holds(const struct ftp *p); /* do commands wait for a transfer's end? */
/* What a session remembers for one command is used up by the next whose row does not say KEEPS_NEXT, whatever came of it. */
struct ftp_next *ftp_next(struct session *s); /* made if there is none */
void ftp_next_forget(struct ftp *p);

/* --- feat.c, hash.c, site.c --- */
extern const char *const ftp_hash_names[FILE_HASHES];
void ftp_help_list(struct session *s, const struct command *list, size_t n); /* lines of a reply: the verbs */
int ftp_site_help(struct session *s, struct str verb);                       /* "": which there are */
extern const struct dialect ftp_site_dialect; /* its table of commands, for HELP and docs/ftp.md */

/* --- listing.c, lines.c: the lines of a listing, for the data connection or the control connection --- */
enum ftp_listing_form { LISTING_LIST, LISTING_NLST, LISTING_MLSD };
struct ftp_listing {
        enum ftp_listing_form form;
        struct str path;    /* absolute; in the transfer's arena */
        struct str pattern; /* glob for names in it; empty: all */
        bool all;           /* -a: names with a dot at the front too */
        bool folder_itself; /* -d */
        bool recursive;     /* -R; bounded in depth and entries */
        bool read_only;     /* MLSD: Perm says so */
        uint8_t facts;      /* MLSD: enum mlst_fact */
        uint16_t
            named_at; /* what stands in `path` from here on is said before each name of NLST; path.n: nothing */
};
/* Text lines end with CRLF; `put` may wait; below zero ends the listing and is returned. Also -errno of the folder. 1: all went well, but
 * `recursive` met its bounds. */
typedef int ftp_put_fn(void *context, struct str lines);
[[nodiscard]] int ftp_listing_run(struct root *root, const struct ftp_listing *l, ftp_put_fn *put,
                                  void *context);
/* One entry's MLST facts and a space, "Type=file;Size=1;... ". target: of a link that leads nowhere. */
void put_mlst_facts(struct buf *b, uint8_t facts, bool read_only, const struct file_facts *f,
                    struct str target);

/* --- data.c --- */
/* The data connection as the client asked for it (or to its own control port, RFC 959 §3.3), TLS handshake included; the kept one if there is
 * one (*kept). In the transfer's fiber; waits. 0; -errno and *why: a sentence for 425 or 522. */
struct ftp_data_how {
        struct lease *lease; /* taken out of the session */
        struct addr port;
        struct stream *kept;
        bool private_data;
};
[[nodiscard]] int ftp_data_open(struct session *s, struct ftp_data_how *how, struct stream **out,
                                const char **why);
void ftp_data_forget(struct session *s); /* lease, port and kept connection end */

/* --- transfer.c --- */
enum ftp_what { WHAT_RETRIEVE, WHAT_STORE, WHAT_LISTING };
struct ftp_asked {
        enum ftp_what what;
        struct str path; /* absolute */
        enum upload_how how;
        struct ftp_listing listing; /* its strings are copied */
};
/* Opens what is asked for, takes what the session has said for it (next, lease, port), says 150, spawns the fiber. Waits a little. Returns
 * the handler's result. A refusal ends the lease, and the connection that came by it. */
int ftp_transfer_start(struct session *s, const struct ftp_asked *asked);
/* The control fiber, after GOT_CALLED: says what is due. True: the transfer has ended and was freed. */
bool ftp_transfer_look(struct session *s);
void ftp_transfer_abort(struct session *s); /* ABOR, QUIT's hang-up, the end: asks it to end; it will call */
/* At the session's end: asks, and waits until it has ended. */
void ftp_transfer_end(struct session *s);
/* "RETR /a/b: 1234 of 5678 octets" for STAT. */
void ftp_transfer_describe(struct session *s, struct buf *out);

/* --- xferlog.c --- */
struct xferlog;
[[nodiscard]] int xferlog_open(struct xferlog **out, const char *path); /* before the sandbox */
void xferlog_close(struct xferlog **x); /* what is not written yet is written; waits */
struct xferlog_entry {
        nsec took;
        const char *host; /* the client's address */
        uint64_t octets;
        struct str path, name; /* name: account, or what anonymous gave as password */
        bool text, upload, anonymous, complete;
};
void xferlog_note(struct xferlog *x, const struct xferlog_entry *e); /* never waits */

/* What a handler's file offers is its handlers; they are declared in commands.h, which commands.c and they include. */
