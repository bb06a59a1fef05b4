/* Mail addresses, as SMTP writes them (RFC 5321 §4.1.2, with UTF-8 as RFC 6531 §3.3) and as header fields do
 * (RFC 5322 §3.4). Nothing here waits; what must be made new lies in the arena, the rest points into the input.
 *
 *      struct path from = scan_reverse_path(a, arena);
 *      struct str key, value;
 *      while (scan_parameter(a, &key, &value)) ...
 *      if (!scan_done(a)) return reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
 *      if (from.utf8 && !s->smtputf8) return reply(s, "553 5.6.7 ...");
 *      if (!address_key(arena, &from, &key)) return reply(s, "553 5.1.7 no such domain can exist");
 *
 * Four forms of one address: `text` is what was typed ("\"Jack\"@Town.com"); `local` and `domain` are its values
 * (Jack, Town.com); address_normal is the one to send to and to store (Jack@town.com: domain in lower-case A-labels,
 * local part quoted only where it must be); address_key is the one to compare by (jack@town.com). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/scan.h"

/* RFC 5321 §4.5.3.1.1-3; 254 is what is left of a path of 256 without its angle brackets. A local part longer than 64 is nobody's name, but what
 * servers make (SRS, VERP) often is, and comes back to them: it is read up to what the address may have. */
#define LOCAL_MAX   64
#define DOMAIN_MAX  255
#define ADDRESS_MAX 254

struct path {
        struct str local;  /* value, unquoted */
        struct str domain; /* as typed; "[127.0.0.1]" for a literal; empty only for <Postmaster> */
        struct str text;   /* as typed, without <> and source route */
        bool null;         /* <> */
        bool literal;      /* domain is an address literal */
        bool utf8;         /* something beyond ASCII: needs SMTPUTF8 */
};

/* After "MAIL FROM:" and "RCPT TO:". Spaces before the path are taken. Also understood: a path without <>, ending at
 * a space. A source route is read and forgotten. A bare local part is accepted by forward paths, if it is
 * "postmaster". What is wrong makes the cursor bad; then the path is empty. */
struct path scan_reverse_path(struct scan *a, struct arena *m);
struct path scan_forward_path(struct scan *a, struct arena *m);
/* Just the address, nothing around it: what a person types, what stands in ORCPT. */
[[nodiscard]] bool address_parse(struct arena *m, struct str text, struct path *out);

/* SP KEY [ "=" value ] -- RFC 5321 §4.1.2 esmtp-param. false at the end or when bad; key as typed, compare with
 * str_ieq. value is empty without "="; a value with "=" is never empty. */
bool scan_parameter(struct scan *a, struct str *key, struct str *value);

/* Domain -- RFC 5321 §4.1.2, labels of letters, digits, hyphens and UTF-8; no check of length beyond 255/63. */
bool domain_valid(struct str s);
/* "[127.0.0.1]", "[IPv6:::1]" or "[tag:what]" -- RFC 5321 §4.1.3 */
bool address_literal_valid(struct str s);
/* Lower-case A-labels (IDNA2008, libidn2), literals in lower case. false: no domain can be written so. */
[[nodiscard]] bool domain_normal(struct arena *m, struct str domain, struct str *out);
[[nodiscard]] bool address_normal(struct arena *m, const struct path *p, struct str *out);
[[nodiscard]] bool address_key(struct arena *m, const struct path *p, struct str *out);
/* local@domain with the local part quoted if it needs to be; without a domain only the local part. */
struct str address_write(struct arena *m, struct str local, struct str domain);
/* The two sides of the last "@" of a normal address or a key (local still quoted). false: there is none. */
bool address_split(struct str address, struct str *local, struct str *domain);

/* xtext -- RFC 3461 §4: "+" and two upper-case hex digits for what is not printable, for "+" and for "=". */
bool xtext_put(struct buf *out, struct str plain);
[[nodiscard]] bool xtext_get(struct buf *out, struct str xtext);

/* The addresses of a header field's raw value (folding, comments and obsolete forms as they come):
 *
 *      struct addresses list = addresses_of(field.value);
 *      struct address who;
 *      while (address_next(&list, arena, &who)) ...
 *
 * Garbage between two commas comes as one address with `kind` ADDRESS_BAD; it never stops the list. After 10,000
 * addresses (ADDRESSES_MAX) the list ends with `cut`. The work is linear in the field. */
#define ADDRESSES_MAX 10000

enum address_kind {
        ADDRESS_MAILBOX,
        ADDRESS_GROUP, /* "name:" -- what follows up to ADDRESS_GROUP_END is inside */
        ADDRESS_GROUP_END,
        ADDRESS_BAD,
};
struct address {
        enum address_kind kind;
        struct str
            name; /* display name without quotes; without one, the comment after the address; encoded words
                          * stay as they are (word_decode in mail/header.h reads them) */
        struct str local, domain; /* values */
        bool has_name;            /* there was one, even if empty */
};
struct addresses {
        struct str s;
        size_t at;
        unsigned count;
        bool in_group, cut;
};
struct addresses addresses_of(struct str raw);
bool address_next(struct addresses *list, struct arena *m, struct address *out);
