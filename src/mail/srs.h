/* The sender of a forwarded letter, so that SPF holds at the next host: SRS0=HHHH=TT=domain=local@forwarder, SRS1 for what was rewritten
 * already (Shevek's scheme, as postsrsd and libsrs2 have it). The hash keeps strangers from relaying bounces through us. Pure.
 * And VERP: list-bounces+local=domain@list's domain; without the member where that would be longer than an address may be.
 *
 * Addresses are normal ones (mail/address.h), and what is made of one that is quoted is quoted as a whole. A `local` to be read is its value. */
#pragma once
#include "base/arena.h"
struct str srs_forward(struct arena *a, struct str key, struct str sender, struct str our_domain,
                       int64_t now); /* empty sender stays empty */
/* Whom a bounce to that address is for; p NULL: no SRS address, a wrong hash, or older than 21 days. */
struct str srs_reverse(struct arena *a, struct str key, struct str local, int64_t now);
struct str verp_write(struct arena *a, struct str list, struct str member);
bool verp_read(struct arena *a, struct str local, struct str domain, struct str *list, struct str *member);
