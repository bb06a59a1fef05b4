/* What binds a message to a thread: the hashes of the message-ids it names and of its base subject (RFC 5256 §2.1).
 * The hashes are stored on disk: SipHash-2-4 under a key of sixteen zero bytes, never 0, so 0 can mean "none". */
#pragma once
#include "base/arena.h"

#define THREAD_REFS_MAX 100
#define THREAD_FIELD_MAX \
        (32 * 1024) /* bytes of one field that are looked at: the first, of References the last */

struct thread_keys {
        uint64_t own; /* Message-ID; 0: it has none */
        uint64_t refs
            [THREAD_REFS_MAX]; /* References, then In-Reply-To; each once, without own; of more, the last */
        unsigned n;
        uint64_t subject; /* base subject; 0: empty */
        bool reply;       /* the subject had "Re:", "Fwd:" or the like */
};
/* letter: the message, or at least its header. The arena is for scratch: at most 512 KB, for ordinary
 * letters some times their References and Subject. */
void thread_keys_of(struct thread_keys *k, struct arena *m, struct str letter);
uint64_t thread_hash(struct str s);
/* The next message-id in a field's raw value, without <> and white space; false: no more. */
bool message_id_next(struct str *value, struct arena *m, struct str *id);
/* RFC 5256 §2.1 on a raw Subject: decoded to UTF-8, "Re:", "[list]", "(fwd)" taken off. */
struct str base_subject(struct arena *m, struct str raw, bool *reply);
