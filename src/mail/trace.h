/* The fields a server adds: Return-Path and Received (RFC 5321 §4.4), and at submission a missing Date and Message-ID
 * (RFC 6409 §8). Lines stay below 78 columns where words allow it, and end with CRLF. Whatever the peer said (HELO,
 * names, addresses) is reduced to harmless bytes here: no line end, no field, no comment can be smuggled in. */
#pragma once
#include "base/buf.h"

struct trace {
        struct str helo;      /* as the client said it */
        struct str peer_name; /* reverse DNS, verified; empty: unknown */
        struct str peer;      /* "127.0.0.1", "::1" or the literal; empty: not from the network */
        struct str host;      /* our name there */
        struct str protocol;  /* trace_protocol */
        struct str tls;       /* "TLS1.3 AES_256_GCM"; empty: none */
        struct str user;      /* signed in as; not shown, only that somebody was (the protocol says so) */
        struct str id;        /* the session's or the letter's */
        struct str recipient; /* only if it is the only one (RFC 5321 §7.6), else empty */
        int64_t received;     /* wall clock, microseconds */
        int offset;           /* minutes east of Greenwich */
};

/* The "with" word: RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3. */
struct str trace_protocol(bool lmtp, bool extended, bool tls, bool signed_in, bool utf8);
bool trace_return_path(struct buf *out, struct str sender /* normal form; empty: <> */);
bool trace_received(struct buf *out, const struct trace *t);
/* The fields that the letter lacks, to be put before its header. unique: no two letters share it. */
bool trace_complete(struct buf *out, struct str letter, struct str host, struct str unique, int64_t received,
                    int offset);
