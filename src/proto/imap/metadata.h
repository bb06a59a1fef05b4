/* GETMETADATA's arguments and answer, for LIST too (RFC 9590). */
#pragma once
#include "proto/imap/imap.h"

enum { METADATA_ENTRIES_MOST = 1000, METADATA_ALL_BELOW = 255 };
struct metadata_query {
        struct str *entries; /* as given */
        size_t n;
        uint64_t max_size; /* UINT64_MAX: none */
        unsigned depth;    /* 0, 1, METADATA_ALL_BELOW */
        uint64_t longest;  /* out: of the values that were longer than max_size */
};
struct metadata_query metadata_query(void);
/* "(MAXSIZE n DEPTH d)", if it stands there; true: it did. */
bool metadata_options(struct session *s, struct scan *a, struct metadata_query *q);
/* "/entry" or "(/entry ...)" */
void metadata_entries(struct session *s, struct scan *a, struct metadata_query *q);
/* "* METADATA name (...)" CRLF; entries that are not there: NIL, unless a depth was asked for. x->mailbox 0 with name "": of the
 * server. 0 or -errno. */
[[nodiscard]] int put_metadata(struct buf *b, struct session *s, struct account *acc, uint32_t reader,
                               uint32_t mailbox, struct str name, struct metadata_query *q);
/* May whoever has these rights see annotations? (RFC 5464 §3.3) */
bool metadata_visible(unsigned rights);
