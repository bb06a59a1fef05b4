/* The IMAP server (RFC 3501, RFC 9051 and the extensions of capability.c). Others need only imap_kind; the rest is what
 * its files share.
 *
 *   serve.c       the conversation: a line, its tag, its command; IDLE as a state; parking
 *   commands.c    the table of commands, and what the table finds wrong
 *   capability.c  the table of capabilities: CAPABILITY and docs/protocols.md are printed from it
 *   reply.c       tagged and untagged replies
 *   parse.c       the grammar of RFC 9051 §9, literals among it        write.c  the same the other way
 *   name.c        mailbox names: modified UTF-7, namespaces            utf7.c
 *   login.c       LOGIN AUTHENTICATE STARTTLS UNAUTHENTICATE LOGOUT    session.c  NOOP ID ENABLE
 *   select.c      SELECT EXAMINE CLOSE UNSELECT, QRESYNC               update.c  what others changed
 *   seqmap.c      sequence numbers <-> uids                            set.c  sequence sets, $
 *   idle.c notify*.c compress.c language.c                         texts.c    replies in other languages
 *   fetch*.c store.c copy.c expunge.c append*.c search*.c sort.c thread.c list.c ... one file a command or family
 *
 * Everything a session remembers between commands lies in struct imap; a parked one owns no account and no buffer.
 *
 * A handler parses to the end of its command (imap_end), checks, acts, and gives one tagged reply (imap_ok, imap_no,
 * imap_bad). Before an OK or a NO the reply function itself tells the client what has changed in the selected mailbox
 * (imap_updates), as far as the command allows (column NO_EXPUNGE). The parser may wait, for literals. */
#pragma once
#include "proto/command.h"
#include "proto/imap/seqmap.h"
#include "proto/language.h"
#include "proto/watch.h"
#include "store/change.h"
#include "store/mailbox.h"

extern const struct session_kind imap_kind;

enum imap_state {
        IMAP_STRANGER = 1, /* not authenticated */
        IMAP_SIGNED_IN = 2,
        IMAP_SELECTED = 4,
        IMAP_IDLING = 8, /* between IDLE and DONE; no command of the table is allowed */
        IMAP_INSIDE = IMAP_SIGNED_IN | IMAP_SELECTED,
        IMAP_ANY = IMAP_STRANGER | IMAP_INSIDE,
};
enum { /* in command.needs, besides enum needs */
       NO_EXPUNGE =
           1 << 16, /* sequence numbers may not change before its reply (RFC 9051 §7.5.1), unless as UID */
       NO_UPDATES = 1 << 17, /* nothing about the selected mailbox is told before its reply */
       HAS_UID = 1 << 18,    /* UID may stand before it */
       UID_ONLY = 1 << 19,   /* with UIDONLY enabled (RFC 9586) only as UID */
};

/* What is offered, and may be switched off for all or for an account. capability.c has their names in this order. */
enum imap_capability {
        CAP_IMAP4REV1,
        CAP_IMAP4REV2,
        CAP_LITERAL_PLUS,
        CAP_LITERAL_MINUS,
        CAP_SASL_IR,
        CAP_ID,
        CAP_ENABLE,
        CAP_STARTTLS,
        CAP_IDLE,
        CAP_NAMESPACE,
        CAP_UNSELECT,
        CAP_CHILDREN,
        CAP_UIDPLUS,
        CAP_MOVE,
        CAP_CONDSTORE,
        CAP_QRESYNC,
        CAP_ESEARCH,
        CAP_SEARCHRES,
        CAP_WITHIN,
        CAP_SORT,
        CAP_SORT_DISPLAY,
        CAP_ESORT,
        CAP_THREAD_REFERENCES,
        CAP_THREAD_ORDEREDSUBJECT,
        CAP_SPECIAL_USE,
        CAP_CREATE_SPECIAL_USE,
        CAP_LIST_EXTENDED,
        CAP_LIST_STATUS,
        CAP_LIST_METADATA,
        CAP_LIST_MYRIGHTS,
        CAP_STATUS_SIZE,
        CAP_BINARY,
        CAP_MULTIAPPEND,
        CAP_CATENATE,
        CAP_REPLACE,
        CAP_APPENDLIMIT,
        CAP_COMPRESS,
        CAP_UTF8_ACCEPT,
        CAP_QUOTA,
        CAP_ACL,
        CAP_METADATA,
        CAP_NOTIFY,
        CAP_MULTISEARCH,
        CAP_OBJECTID,
        CAP_SAVEDATE,
        CAP_PREVIEW,
        CAP_PARTIAL,
        CAP_INPROGRESS,
        CAP_UIDONLY,
        CAP_MESSAGELIMIT,
        CAP_CONTEXT_SEARCH,
        CAP_SEARCH_FUZZY,
        CAP_UNAUTHENTICATE,
        CAP_LANGUAGE,
        CAP_I18NLEVEL,
        CAPABILITIES
};
_Static_assert(CAPABILITIES <= 64, "a bit each");
bool imap_can(const struct session *s, enum imap_capability c);
/* The same for syntax that IMAP4rev2 includes: there is no IMAP4rev2 without it. */
bool imap_can_rev2(const struct session *s, enum imap_capability c);

enum imap_enabled { /* by ENABLE, or by a command that implies it */
                    ENABLED_REV2 = 1,
                    ENABLED_CONDSTORE = 2,
                    ENABLED_QRESYNC = 4,
                    ENABLED_UTF8 = 8,
                    ENABLED_UIDONLY = 16,
};

struct imap_selected {
        struct access_key key; /* owner NULL: nothing selected */
        struct str path;       /* UTF-8, in the owner's account; heap */
        bool read_only;        /* EXAMINE */
        unsigned rights;       /* as last told by PERMANENTFLAGS; what counts is access.rights */
        struct seqmap map;     /* what the client knows to be there */
        uint32_t uidnext;      /* and up to where */
        uint64_t modseq;       /* and what of its flags: all up to here has been told */
        uint64_t highest;      /* HIGHESTMODSEQ as last told */
        uint64_t stamp;        /* change_stamp when last looked */
        uint64_t own_modseq;   /* changes with this one are this session's own, and told */
        uint32_t recent_from;  /* uids from here are \Recent here */
        uint32_t recent_until; /* and below this */
        uint64_t keywords;     /* bits of those told by FLAGS */
        struct uid_list saved; /* $ (SEARCHRES) */
        struct uid_list
            held; /* gone, and not yet told: still in the map, so that numbers stay as the client knows them */
        bool behind;     /* flags were changed of which NOTIFY did not let us tell: `highest` stays */
        bool recent_due; /* \Recent letters were told by a bell, and not yet taken from other sessions */
};

struct notify;  /* notify.c */
struct context; /* search_context.c: the searches that are kept up (RFC 5267) */

struct imap_literal {
        uint64_t n;
        bool plus;   /* not to be asked for */
        bool binary; /* ~ */
};

struct imap {
        struct session session;
        struct str tag; /* of the running command; in the command's arena */
        char *idle_tag; /* heap; while IMAP_IDLING */
        bool uid;       /* UID stands before the running command */
        bool line_open; /* the last line read ends with a literal that nobody has taken: `open` */
        struct imap_literal open;
        bool compressed;
        uint8_t language;
        unsigned enabled; /* enum imap_enabled */
        uint64_t off;     /* capabilities switched off, a bit each */
        size_t literals;  /* bytes of literals the running command has brought so far */
        struct imap_selected selected;
        struct watcher *watch; /* the account's whose mailbox is selected, while IDLE or NOTIFY wants bells */
        struct notify *notify;
        struct context *contexts;
        /* only while awake: */
        struct arena awake; /* reset at parking */
        struct keyword_list *keywords;
        uint64_t keywords_stamp;
};
static inline struct imap *imap_of(struct session *s)
{
        return (struct imap *)s;
}

/* --- reply.c: the text after a code is in the session's language. A format may begin with "[CODE] ". Return OK; imap_bad
 * returns FAIL, which counts as an error of the peer's. --- */
int imap_ok(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int imap_no(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int imap_bad(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "* " format CRLF; not translated */
void imap_say(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The tagged reply for -errno of the store, with the response code that fits (NONEXISTENT, NOPERM, OVERQUOTA, ALREADYEXISTS,
 * CANNOT, LIMIT, SERVERBUG, UNAVAILABLE, INUSE, CORRUPTION...; RFC 5530). */
int imap_trouble(struct session *s, int error);
/* A command whose arguments could not be read: BAD with the cursor's reason and the synopsis; NO [TOOBIG] if a literal was
 * too long. */
int imap_syntax(struct session *s, struct scan *a);
const char *imap_text(const struct imap *p, const char *english) __attribute__((format_arg(2)));
extern const struct translation imap_translations[]; /* texts.c; ends with NULL */

/* --- parse.c. The cursor stands in a line; where a literal ends the line, the parser asks for it, reads it and goes on in the next line
 * (the cursor then is in that one). Strings live in the command's arena. Failures stick in the cursor. With s->conn NULL (fuzzing,
 * units) everything lies in the cursor's text, CRLF after {n} included. --- */
enum { IMAP_LITERALS_MOST = 512 * 1024, IMAP_STRANGER_MOST = 8192, IMAP_DEPTH_MOST = 50 };
bool imap_end(struct session *s, struct scan *a); /* CRLF: the command is over and nothing was bad */
void imap_sp(struct scan *a);                     /* one space; several are forgiven */
struct str imap_atom(struct scan *a);
struct str imap_astring(struct session *s, struct scan *a);
struct str imap_string(struct session *s, struct scan *a);
struct str imap_nstring(struct session *s, struct scan *a); /* NIL: p NULL */
/* A mailbox name as UTF-8, as the client means it: decoded, INBOX in capitals, in Unicode's composed form (RFC 5198). Not UTF-7 or not
 * UTF-8: failure. _given: as it was spelt; imap_composed makes the one of the other. */
struct str imap_mailbox_given(struct session *s, struct scan *a);
struct str imap_composed(struct session *s, struct str name);
struct str imap_mailbox(struct session *s, struct scan *a);
struct str imap_list_mailbox(struct session *s, struct scan *a); /* with % and * */
uint32_t imap_number(struct scan *a);
uint32_t imap_nz_number(struct scan *a);
uint64_t imap_number64(struct scan *a);
/* A literal's head "{n}", "{n+}", "~{n}": for those who read it themselves (APPEND). false: none stands here. */
bool imap_literal_head(struct scan *a, struct imap_literal *l);
bool imap_literal_allowed(struct session *s, struct scan *a, const struct imap_literal *l);
/* "+ OK" if it must be asked for; then exactly l->n bytes are to be read with conn_some, then imap_literal_done reads the line that
 * follows into the cursor. */
void imap_literal_go(struct session *s, const struct imap_literal *l);
void imap_literal_done(struct session *s, struct scan *a);
void imap_line_read(struct session *s,
                    struct str line); /* called with every line: notes the literal at its end */
void imap_literal_skip(struct session *s, uint64_t n);
/* A line was too long (GOT_LONG): if it ended with "+}", nobody knows how much of what follows is a literal: says BYE, and it is
 * the end. */
bool imap_line_lost(struct session *s, struct str line);
/* Flags: the system ones as bits, keywords as names; \Recent is passed over. `list`: in parentheses, else one or more apart by spaces. */
struct imap_flags {
        uint64_t system;
        struct str *keywords;
        unsigned n; /* at most 64 */
};
void imap_flags(struct session *s, struct scan *a, struct imap_flags *out);
void imap_flag_list(struct session *s, struct scan *a, struct imap_flags *out);
int64_t imap_date_time(struct scan *a); /* quoted; wall usec */
bool imap_date(struct session *s, struct scan *a, int *year, int *month,
               int *day); /* 1-Feb-1994, quoted or not */

/* --- set.c: sequence sets. Bounded: more ranges than IMAP_LITERALS_MOST can hold never come. --- */
struct imap_set {
        struct uid_range *ranges; /* as written; 0 stands for '*' */
        size_t n;
        bool saved; /* it was $ */
};
void imap_set(struct session *s, struct scan *a, struct imap_set *out);
/* The uids it means in the selected mailbox as the client knows it: sorted, joined; those of a UID set that are not there are left out.
 * false: a sequence number beyond the mailbox; the BAD has been given. Caller frees *out. */
bool imap_resolve(struct session *s, const struct imap_set *set, bool uid, struct uid_list *out);

/* --- write.c: onto a buffer, also on a worker thread --- */
enum imap_mode { MODE_UTF8 = 1 /* quoted strings may hold UTF-8 (rev2 or UTF8=ACCEPT) */ };
unsigned imap_mode(const struct session *s);
void put_string(struct buf *b, struct str v, unsigned mode);  /* quoted if it can be, else a literal */
void put_nstring(struct buf *b, struct str v, unsigned mode); /* p NULL: NIL */
void put_astring(struct buf *b, struct str v, unsigned mode); /* an atom if it can be */
void put_mailbox(struct buf *b, struct str name, unsigned mode);
void put_myrights(struct buf *b, struct session *s, struct str name,
                  unsigned rights); /* acl.c: "* MYRIGHTS name rights" CRLF */
void put_flags(struct buf *b, uint64_t flags, bool recent,
               const struct keyword_list *k);           /* with parentheses */
void put_uids(struct buf *b, const struct uid_list *l); /* "1:3,7" */
void put_date_time(struct buf *b, int64_t usec);        /* quoted; INTERNALDATE */

/* --- name.c: what a name means: a mailbox of one's own, or of another account below a namespace. --- */
#define IMAP_OTHERS "user/"
#define IMAP_SHARED "shared/"
/* owner and path live in the command's arena. false: it names no account that could be (answer -ENOENT). */
bool imap_locate(struct session *s, struct str name, struct str *owner, struct str *path);
/* One whose account was removed may still have a folder: nobody comes in there. */
bool imap_owner_exists(struct session *s, struct str owner);
/* The name under which the reader sees it. */
struct str imap_name_of(struct session *s, struct str owner, struct str path);
/* Both: opens the mailbox of that name. 0 or -errno (imap_trouble answers). */
[[nodiscard]] int imap_open(struct session *s, struct str name, unsigned needs, struct access *x);
/* And one that was open before: the selected one. -ESTALE also if its owner's account was removed. */
[[nodiscard]] int imap_open_again(struct session *s, const struct access_key *key, unsigned needs,
                                  struct access *x);

/* --- capability.c, update.c, select.c, idle.c --- */
void put_capabilities(struct buf *b, const struct session *s);
void imap_capabilities_read(struct session *s); /* what settings and the account switch off */
/* The selected mailbox, open. On failure the reply has been given (the mailbox has gone: BYE) and *rc is the handler's result. */
bool imap_selected_open(struct session *s, unsigned needs, struct access *x, int *rc);
/* Tells what has changed in the selected mailbox since it was last told: EXPUNGE or VANISHED (if allowed), EXISTS, RECENT, FLAGS, FETCH.
 * Costs nothing if nothing has. x may be NULL: opened if need be. */
void imap_updates(struct session *s, struct access *x, bool expunge);
const struct keyword_list *imap_keywords(struct session *s, struct access *x);
/* "* n FETCH (FLAGS (...) UID u MODSEQ (m))", with what is enabled; seq 0: UIDFETCH. */
void put_flags_fetch(struct buf *b, struct session *s, uint32_t seq, const struct placed *p,
                     const struct keyword_list *k);
void imap_unselect(struct session *s); /* says nothing */
void imap_enable(struct session *s, unsigned enabled);
/* For MODSEQ-aware commands (RFC 7162 §3.1): CONDSTORE is enabled by the first that uses it; tells HIGHESTMODSEQ if that is new. */
void imap_use_condstore(struct session *s);
int imap_done(struct session *s, struct str line); /* while IMAP_IDLING: DONE, or what is no DONE */
/* search_context.c: searches that are kept up (RFC 5267). What has gone must be told before it leaves the map, what is new or
 * changed after it has come into it: two calls if there is both; either may be NULL. imap_contexts_end when the mailbox is no
 * longer selected. */
void imap_contexts_update(struct session *s, struct access *x, const struct placed_list *changed,
                          const struct uid_list *gone);
void imap_contexts_end(struct session *s);
void imap_bell(struct session *s); /* woken by a bell: tells what IDLE or NOTIFY asked for */

/* --- serve.c, commands.c, login.c, notify.c --- */
extern const struct dialect imap_dialect;
void imap_run(struct session *s, struct scan a); /* the cursor stands behind the tag */
void imap_forget(struct session *s); /* all but the connection: STARTTLS, UNAUTHENTICATE, the end */
void imap_notify_forget(struct session *s);

/* --- the commands --- */
#define IMAP_COMMAND(name) int imap_##name(struct session *s, struct scan *a)
IMAP_COMMAND(capability);
IMAP_COMMAND(noop);
IMAP_COMMAND(logout);
IMAP_COMMAND(starttls);
IMAP_COMMAND(authenticate);
IMAP_COMMAND(login);
IMAP_COMMAND(unauthenticate);
IMAP_COMMAND(id);
IMAP_COMMAND(enable_command);
IMAP_COMMAND(compress);
IMAP_COMMAND(language);
IMAP_COMMAND(comparator);
IMAP_COMMAND(select);
IMAP_COMMAND(examine);
IMAP_COMMAND(close);
IMAP_COMMAND(unselect_command);
IMAP_COMMAND(check);
IMAP_COMMAND(idle);
IMAP_COMMAND(notify);
IMAP_COMMAND(create);
IMAP_COMMAND(delete);
IMAP_COMMAND(rename);
IMAP_COMMAND(subscribe);
IMAP_COMMAND(unsubscribe);
IMAP_COMMAND(list);
IMAP_COMMAND(lsub);
IMAP_COMMAND(status);
IMAP_COMMAND(namespace);
IMAP_COMMAND(getacl);
IMAP_COMMAND(setacl);
IMAP_COMMAND(deleteacl);
IMAP_COMMAND(listrights);
IMAP_COMMAND(myrights);
IMAP_COMMAND(getquota);
IMAP_COMMAND(getquotaroot);
IMAP_COMMAND(setquota);
IMAP_COMMAND(getmetadata);
IMAP_COMMAND(setmetadata);
IMAP_COMMAND(append);
IMAP_COMMAND(replace);
IMAP_COMMAND(fetch);
IMAP_COMMAND(store);
IMAP_COMMAND(copy);
IMAP_COMMAND(move);
IMAP_COMMAND(expunge);
IMAP_COMMAND(search);
IMAP_COMMAND(esearch);
IMAP_COMMAND(sort);
IMAP_COMMAND(thread);
IMAP_COMMAND(cancelupdate);
#undef IMAP_COMMAND
/* --- fetch.c, for others --- */
/* NOTIFY's MessageNew (RFC 5465 §5.2): these items ("(UID FLAGS)") of these letters, untagged; never sets \Seen. 0 or -errno;
 * -EINVAL: the items cannot be read. */
[[nodiscard]] int imap_fetch_new(struct session *s, struct access *x, struct str items,
                                 const struct uid_list *uids);
/* What it may hold in octets: its own, else the setting default-quota; 0: no limit. */
uint64_t imap_quota(const struct session *s, const struct account_entry *e);
/* How many octets the account may still take (its quota less what it has); UINT64_MAX: any number. Waits. */
[[nodiscard]] int imap_room(struct session *s, struct account *a, struct str owner, uint64_t *room);
