/* Where a domain's mail goes: the setting `routes`, one rule for each domain, the first that fits counts.
 *
 *      "hamburger.edu=127.0.0.4:20025  .example.org=hold  crepes.fr=direct  lists.example=lmtp:127.0.0.1:24  *=relay.example.net:587"
 *
 * domain, ".domain" (all below it), "*". What it leads to: `direct` (MX), `hold`, `lmtp:HOST[:PORT]`, or [smtp:|smtp+tls:|smtps:]HOST[:PORT] (one
 * server for all: relay mode; smtp+tls: is STARTTLS or nothing, smtps: TLS from the first byte, both with a certificate for that name). Without a rule: direct; in the demo: hold. User and password of a relay stand in a file (setting
 * relay-passwords: "HOST USER PASSWORD" a line), read by the supervisor's eyes only and passed on to the sender. Domains of our own are delivered to
 * ourselves, by SMTP, like everybody's. Pure. */
#pragma once
#include "net/addr.h"
#include "net/tls_wanted.h"

enum route_kind { ROUTE_DIRECT, ROUTE_RELAY, ROUTE_LMTP, ROUTE_HOLD, ROUTE_SELF };
struct route {
        enum route_kind kind;
        struct str host; /* name or address */
        uint16_t port;
        bool ruled;       /* a rule says so; false: `otherwise` */
        bool tls_at_once; /* smtps: */
        bool tls_must;    /* smtp+tls: */
};
/* *why: which word makes no sense. For the settings' check. */
bool routes_valid(struct str routes, struct str *why);
/* The strings of *out point into routes. */
struct route route_for(struct str routes, struct str domain, enum route_kind otherwise);
