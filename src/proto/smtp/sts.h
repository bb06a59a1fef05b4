/* MTA-STS (RFC 8461): a domain's wish that its mail travels by verified TLS only. Here is what needs no network; pure. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

struct sts_policy {
        bool enforce, testing; /* neither: "none" */
        struct str patterns;   /* "mx.example.org *.example.net" */
        uint64_t max_age;      /* seconds, at most a year */
};
/* The policy's text (§3.2). false: it makes no sense, and counts as none. */
bool sts_read(struct str text, struct arena *a, struct sts_policy *out);
/* Of the TXT records at _mta-sts.DOMAIN, as on the wire, the id of the policy (§3.1); p NULL: none, or more than one. */
struct str sts_id(const struct str *records, unsigned n, struct arena *a);
bool sts_allows(struct str patterns, struct str host);
