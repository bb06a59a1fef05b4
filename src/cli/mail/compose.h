/* A letter as a person writes it: a text with a header above it, as an editor shows it, and files; made to a MIME message. Text goes as
 * format=flowed UTF-8, 7bit, 8bit or quoted-printable as its lines need it; attachments by base64 or, where they are letters, as they are; names by
 * RFC 2231; never a line of more than 998 bytes, no bare CR or LF (mail/write.h).
 *
 *      compose.c          new, reply, forward, resume; to text and back      compose_message.c   to the bytes that are sent
 *      compose_attach.c   files and parts that go along                      compose_edit.c      the editor
 *      compose_head.c     the header's fields                                compose_bounce.c    another's letter, passed on
 *
 * In the header, beside the usual fields: `Attach: PATH` a file, `Attach: part:3 NAME` a part of the letter that is forwarded or gone on with,
 * `Inline: PATH` an image to be shown with the text. Other fields go as they are typed. */
#pragma once
#include "cli/mail/copy.h"
#include "cli/mail/letter.h"

struct draft {
        struct arena arena;
        struct buf
            head; /* "To: ...\nSubject: ...\n", UTF-8, as typed; Attach: PATH lines are files; Inline: PATH images in the text */
        struct buf body; /* UTF-8, lines by \n */
        struct str in_reply_to, references;
        uint32_t of_uid; /* the letter it answers, for \Answered; 0: none */
        struct str of_mailbox;
        const struct letter *forwarded; /* goes along as message/rfc822 */
        const struct letter *parts_of;  /* whose parts "Attach: part:N" means */
        uint32_t kept_uid;              /* its copy in Outbox, of a try before (outgo.h); 0: none */
        struct str had;                 /* who got it by that, normal form, by \n */
        char unique[33]; /* of its Message-ID and its parts' ends: the same however often it is tried */
        int64_t date;    /* wall usec, of its Date; 0: now */
        uint64_t tried;  /* hash of what was written, at that date */
};
enum { REPLY_ALL = 1, REPLY_LIST = 2, REPLY_QUOTE = 4 };
void draft_new(struct draft *d, const struct login *l); /* From, To, Subject; the signature */
void draft_reply(struct draft *d, const struct login *l, const struct letter *of, unsigned how);
void draft_forward(struct draft *d, const struct login *l, const struct letter *of, bool as_attachment);
void draft_free(struct draft *d);
/* compose_head.c */
struct str head_get(const struct draft *d, const char *name, struct arena *a);
void head_set(struct draft *d, const char *name,
              struct str value); /* empty: the field goes, unless it is To or Subject */
void head_add(struct draft *d, const char *name, struct str value);
bool head_drop(struct draft *d, const char *name, unsigned number); /* the n-th of that name, from 0 */

void draft_text(const struct draft *d, struct buf *out);                              /* for the editor */
[[nodiscard]] int draft_from_text(struct draft *d, struct str text, struct buf *why); /* and back */
[[nodiscard]] int draft_resume(struct draft *d,
                               const struct letter *saved); /* a letter in Drafts, to go on with */
/* To the bytes that are sent: adds Date, Message-ID, MIME. recipients: To, Cc, Bcc, each once; Bcc does not stay in the bytes. recipients NULL: for Drafts, Bcc stays and nobody need be named. -EINVAL: *why (an address, a
 * file that is not there). */
[[nodiscard]] int draft_message(const struct draft *d, const struct login *l, struct buf *message,
                                struct arena *a, struct str **recipients, size_t *n, struct str *sender,
                                struct buf *why);
/* Another's letter, passed on to `to`, as typed: Resent-Date, -From, -To and -Message-ID (RFC 5322 §3.6.6), and then the letter as it is, but for its
 * Return-Path and Bcc. normal: the recipients, by \n. -EINVAL: *why. */
[[nodiscard]] int compose_bounce(struct draft *d, const struct login *l, const struct letter *of,
                                 struct str to, struct buf *message, struct buf *normal, struct buf *why);
/* $VISUAL, $EDITOR or vi on a file of mode 0600, removed afterwards. 0, -ECANCELED: nothing was written; -EINTR, *why: the editor ended with an
 * error, and where what was written is kept. */
[[nodiscard]] int draft_edit(struct draft *d, struct buf *why);
/* Addresses seen in the copy's letters that begin with, or whose name has a word that begins with `typed`; those written to most first. */
[[nodiscard]] int compose_complete(struct copy *c, struct str typed, struct arena *a, struct str **list,
                                   size_t *n);
