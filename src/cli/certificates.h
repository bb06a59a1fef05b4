/* A certificate authority of one's own, and a server certificate signed by it: for the demo, and for init until the
 * owner has a better one. ECDSA P-256, valid ten years (the authority) and two (the server). PEM files; keys 0600. */
#pragma once
#include "base/buf.h"

/* Writes the four files. An authority that is there already is used again. 0, or -1 and a sentence in *why. */
[[nodiscard]] int certificates_make(const char *ca_file, const char *ca_key_file, const char *chain_file,
                                    const char *key_file, struct str owner, const struct str *names,
                                    size_t name_count, const struct str *addresses, size_t address_count,
                                    struct buf *why);
