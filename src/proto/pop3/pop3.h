/* The POP3 server (RFC 1939, 2449, 2595, 3206, 5034, 6856). Others need only pop3_kind; the rest is what its files
 * share.
 *
 *   serve.c   the table of commands, the conversation, what the table finds wrong
 *   login.c   USER PASS APOP: who it is, and the mailbox as it stands at that moment
 *   auth.c    AUTH: the SASL exchange
 *   capa.c    CAPA STLS UTF8 NOOP
 *   lang.c    LANG, and every reply in German and French
 *   list.c    the frozen list: STAT LIST UIDL LAST
 *   ahead.c   letters read before they are asked for
 *   retr.c    RETR TOP
 *   dele.c    DELE RSET QUIT
 *
 * A session sees the mailbox as it stood at sign-in, whatever others do meanwhile: a message's number is its place in
 * what account_list says for that view, including what has gone since. The list is built when first needed and given
 * back when the session parks; building it again gives the same places. What stays while parked: the account's name,
 * the view, one bit a message once something is marked. */
#pragma once
#include "proto/command.h"
#include "proto/language.h"
#include "proto/session.h"
#include "store/account.h"

extern const struct session_kind pop3_kind;

enum pop3_state {
        POP3_AUTHORIZATION = 1,
        POP3_NAMED = 2, /* USER was given */
        POP3_TRANSACTION = 4,
        POP3_STRANGER = POP3_AUTHORIZATION | POP3_NAMED,
        POP3_ALWAYS = POP3_STRANGER | POP3_TRANSACTION,
};

struct ahead;
struct pop3 {
        struct session session;
        char *name;     /* from USER; heap */
        uint64_t stamp; /* makes the greeting's APOP stamp unique */
        uint8_t language;
        bool utf8; /* UTF8 was given: letters with UTF-8 headers may be sent */

        /* the mailbox at sign-in */
        struct mailbox_view view;
        uint8_t *marks; /* DELE: a bit a message; NULL: none */
        uint32_t marked;
        uint64_t marked_octets;
        uint32_t last;     /* for LAST: the highest number accessed */
        uint32_t expected; /* the next number, if they are asked for one after another */

        /* only while awake */
        struct placed *list; /* view.count entries; letter 0: gone */
        struct ahead *ahead;
};
static inline struct pop3 *pop3_of(struct session *s)
{
        return (struct pop3 *)s;
}

/* Replies: one line, in the session's language. Return the handler's result: OK, and for pop3_no FAIL, which counts
 * as an error of the peer's; pop3_sorry is the -ERR that is not their fault. */
int pop3_ok(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int pop3_no(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int pop3_sorry(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern const struct dialect pop3_dialect;
struct str pop3_stamp(const struct pop3 *p, char room[static 320]); /* <...@host> */

/* lang.c: the text in the session's language; the English one is the key. */
const char *pop3_text(const struct pop3 *p, const char *english) __attribute__((format_arg(2)));
extern const struct translation pop3_translations[]; /* ends with NULL */

/* login.c: what every way of signing in ends with; answers. */
int pop3_enter(struct session *s, enum signin_result result, struct str account);
void pop3_forget(struct session *s); /* everything the peer has said so far, for STLS */

/* list.c */
/* The list, built if need be: 0, or -errno with the reply given. Waits. */
int pop3_list_open(struct session *s);
/* One or two numbers and the end of the line. false: something else stands there. */
bool pop3_numbers(struct scan *a, uint32_t *first, uint32_t *second);
/* Message `number`, neither gone nor marked, or NULL and *rc is the result of the reply given. Waits. */
struct placed *pop3_message(struct session *s, uint32_t number, int *rc);
int pop3_gone(struct session *s, uint32_t number); /* the reply for a message that somebody else removed */
int pop3_trouble(struct session *s, int error);    /* the reply when the store says -errno */
bool pop3_marked(const struct pop3 *p, uint32_t index); /* index: number - 1 */
void pop3_unmark(struct pop3 *p);
uint32_t pop3_count(const struct pop3 *p); /* messages not marked */
uint64_t pop3_octets(const struct pop3 *p);

/* ahead.c */
enum { POP3_WHOLE_MOST = 64 << 10 }; /* letters up to this size are read whole, larger ones in pieces */
/* The letter at `index`, at most POP3_WHOLE_MOST long: from what was read ahead, or read now, and if numbers come in
 * sequence the next ones too. *text is valid until the next call. 0, -ENOENT it is gone, -errno. Waits. */
int ahead_letter(struct pop3 *p, uint32_t index, struct str *text);
void ahead_drop(struct ahead **a); /* at parking and at the end; does not wait */

/* The commands */
int pop3_user(struct session *s, struct scan *a);
int pop3_pass(struct session *s, struct scan *a);
int pop3_apop(struct session *s, struct scan *a);
int pop3_auth(struct session *s, struct scan *a);
int pop3_capa(struct session *s, struct scan *a);
int pop3_stls(struct session *s, struct scan *a);
int pop3_utf8(struct session *s, struct scan *a);
int pop3_lang(struct session *s, struct scan *a);
int pop3_noop(struct session *s, struct scan *a);
int pop3_stat(struct session *s, struct scan *a);
int pop3_list(struct session *s, struct scan *a);
int pop3_uidl(struct session *s, struct scan *a);
int pop3_last(struct session *s, struct scan *a);
int pop3_retr(struct session *s, struct scan *a);
int pop3_top(struct session *s, struct scan *a);
int pop3_dele(struct session *s, struct scan *a);
int pop3_rset(struct session *s, struct scan *a);
int pop3_quit(struct session *s, struct scan *a);
