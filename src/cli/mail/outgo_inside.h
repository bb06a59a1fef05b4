/* What outgo's files share. */
#pragma once
#include "cli/mail/outgo.h"

/* A letter of Outbox, taken apart. */
struct outgoing {
        struct arena arena;
        struct str wire;   /* what travels */
        struct str sender; /* normal form */
        struct smtp_rcpt *to;
        bool *has; /* of each: the server has taken it */
        unsigned count;
        bool utf8;
        /* where it lies, so that it can be marked */
        struct copy *copy;
        uint32_t uid;
        bool handed_over; /* it is marked so */
};
enum fate { FATE_SENT, FATE_LATER, FATE_DENIED /* the password */, FATE_REFUSED, FATE_UNKNOWN };

/* outgo_kept.c. All wait. */
enum state { WAITS, HANDED_OVER, TAKEN, REFUSED }; /* outgo.h */
enum { MESSAGE_MOST = 256 << 20 };
#define LOCK_PATIENCE (120 * SECOND)
/* A descriptor: whoever closes it gives the lock back. -EBUSY: until the deadline another had it. */
[[nodiscard]] int kept_lock(struct copy *c, const struct login *l, nsec deadline);
[[nodiscard]] int kept_make(struct copy *c);
[[nodiscard]] int kept_list(struct copy *c, struct placed_list *list, enum state **states); /* on the heap */
[[nodiscard]] int kept_look(struct copy *c, uint32_t uid, enum state *s); /* -ENOENT: it is there no longer */
[[nodiscard]] int kept_mark(struct copy *c, uint32_t uid, enum state s);
/* In the place of `before`, in one transaction; 0: of none. */
[[nodiscard]] int kept_file(struct copy *c, uint32_t before, struct str text, enum state s, uint32_t *uid);
[[nodiscard]] int kept_remove(struct copy *c, uint32_t uid);
[[nodiscard]] int kept_read(struct copy *c, uint32_t letter, struct buf *text);
[[nodiscard]] int kept_flag(struct access *x, uint32_t uid, enum flags_how how, uint64_t flags);
[[nodiscard]] int kept_to_sent(struct copy *c, const struct login *l,
                               struct outgoing *o); /* unless it lies there */

/* outgo.c: before the letter's end leaves. -errno: it must not. */
[[nodiscard]] int outgo_hand_over(struct outgoing *o);
void outgo_taken(struct outgoing *o); /* by all */
/* outgo_submit.c: tries it. The worst that became of any; result->said is about that one. Waits. */
enum fate outgo_try(struct login *l, struct outgoing *o, struct outgo_result *result);
