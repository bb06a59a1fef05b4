/* The lines of this process's conversations, for whoever watches (`pail watch`, later a page): as they pass, whether or not TLS protects them on the
 * wire; secrets are "****" (conn_hide, conn_secret), bodies a number.
 *
 *      taps_watch(t, fd, &wanted)    -- takes fd, a SOCK_SEQPACKET socket: a record a message, until the other side closes it
 *      taps_tell(t, &record)         -- from the taps of connections; never waits
 *      taps_each(t, fn, context)     -- the supervisor's, who hands every watcher on to a role that is started later
 *
 * A watcher that reads too slowly loses records and is told how many. With no watcher there are no taps in connections, and all it costs is
 * one branch where a session begins. What connects sessions to this is proto/session_tap.c, letters that leave smtp/carrier.c. */
#pragma once
#include "base/buf.h"
#include "net/addr.h"

enum tap_what {
        TAP_BEGIN = 1, /* of a conversation; who began to watch later sees none */
        TAP_LINE,      /* text */
        TAP_BODY,      /* `number` octets */
        TAP_TLS,       /* from here on; text: "TLSv1.3" */
        TAP_DATA, /* FTP's data connection, text: "opened with ADDRESS, port N", "opened, TLS, with ...", "used again with ..."; "closed", "kept"
                     (MODE B and C keep it): `number` octets of the file or list, which `from` has sent */
        TAP_END,
        TAP_LOST, /* `number` records, here; nothing else is set */
        TAP_GONE, /* the supervisor: the role `text` has ended, which was `process`, and its conversations with it */
        TAP_BACK, /* the supervisor: another one runs in its place, and is watched */
};
struct tap_record {
        enum tap_what what;
        char from;        /* 'S' or 'C' */
        bool outgoing;    /* we are the client */
        bool cut;         /* there was more of the text */
        int64_t at;       /* microseconds since 1970; set by taps_tell */
        uint32_t process; /* of the role that tells; set by taps_tell unless it is */
        struct str session, protocol /* "smtp", "imaps" */, account /* empty: nobody yet */, text;
        struct addr peer, local;
        uint64_t number;
};
enum { TAP_TEXT_MOST = 8192, TAP_RECORD_MOST = 12 * 1024 };
/* The other side of the socket: false: that is no record. Strings point into the message. */
[[nodiscard]] bool tap_unpack(struct str message, struct tap_record *r);

/* Empty: any. address: of either side, a list as addr_in_list has it. protocol: "smtp" is submission too, "pop3" pop3s, and so on. With an account,
 * conversations in which nobody has signed in are told too: whoever asked waits until it is known whose they are. */
struct tap_wanted {
        struct str address, account, protocol, session;
};
void tap_wanted_pack(struct buf *out, const struct tap_wanted *w);
[[nodiscard]] bool tap_wanted_unpack(struct str body, struct tap_wanted *w);
bool tap_wants(const struct tap_wanted *w, const struct tap_record *r);

struct taps;
/* changed: somebody has begun to watch, or the last one has gone; may be NULL. */
struct taps *taps_new(void (*changed)(void *context), void *context);
void taps_free(struct taps **t);
bool taps_watch(struct taps *t, int fd,
                const struct tap_wanted *w); /* false: too many watch already, or nonsense: fd is closed */
/* wanted: as tap_wanted_pack has it. */
void taps_each(const struct taps *t, void (*fn)(void *context, int fd, struct str wanted), void *context);
bool taps_on(const struct taps *t); /* NULL: nobody */
void taps_tell(struct taps *t, struct tap_record *r);
