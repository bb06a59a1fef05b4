/* A letter on its way: by submission with AUTH (RFC 6409, 8314), or by `pail send` on the server itself. It is filed in the copy's mailbox "Outbox"
 * first, which is not brought to the server; then sent, filed in Sent, and taken out of Outbox. There its first field is Bcc with all who are still to
 * get it; that field does not travel.
 *
 *      state in Outbox     its flags               what outgo_flush does, and the next sync
 *      waits               \Seen                   sends it
 *      handed over         $SubmitPending          the end of the letter may have left, and no answer came: nobody knows. Not sent
 *                                                  again unless a person says so (outgo_send; outgo_again)
 *      taken               $Submitted              files it in Sent, where it may lie already, and takes it out; never sends it
 *      refused             \Flagged                leaves it alone: a person has to look at it
 *
 * Each step is durable before the next one: a kill or a power cut leaves one of these states, or the same letter in Sent and "taken". Whoever got it is no
 * longer in the copy's Bcc: when some were refused, a new copy for those takes the place of the old one in one transaction. A letter that is sent anew from
 * where it was written replaces its copy the same way, so that there is never more than one. The words are RFC 5550's.
 *
 * One process, and one fiber of it, empties Outbox at a time: it holds a lock on the folder of the copy. */
#pragma once
#include "cli/mail/compose.h"

struct outgo_result {
        char said[1024]; /* the server's last words */
        bool waits;      /* no network, or the password is wrong: it goes later */
        bool denied;     /* the password is wrong */
};
/* 0: it has gone, or waits. Else *why; if it is kept in Outbox then d->kept_uid is its number there, and it is replaced when d is sent again. */
[[nodiscard]] int outgo_send(struct copy *c, struct login *l, struct draft *d, struct outgo_result *result,
                             struct buf *why);
/* Another's letter, as it is, to other people: with Resent fields before it (RFC 5322 §3.6.6). As outgo_send. */
[[nodiscard]] int outgo_bounce(struct copy *c, struct login *l, const struct letter *of, struct str to,
                               struct outgo_result *result, struct buf *why);
/* What waits. *why names what stays: also where it returns 0. */
[[nodiscard]] int outgo_flush(struct copy *c, struct login *l, unsigned *sent, struct buf *why);
/* Refused ones, and those handed over, wait again. -ENOENT: there are none. */
[[nodiscard]] int outgo_again(struct copy *c, struct login *l, const struct uid_list *uids);
/* A letter of Outbox to go on with: who got it already is not written to again. -EPERM: it is another's, that was passed on. */
[[nodiscard]] int outgo_resume(struct draft *d, const struct letter *kept, uint32_t uid);
void outgo_forget(struct copy *c,
                  struct draft *d); /* its copy in Outbox goes: it is given up, or kept elsewhere */
#define OUTBOX S("Outbox")
