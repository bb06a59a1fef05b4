/* A letter as a person reads it: the chosen header fields decoded, the text parts in reading order as UTF-8 (HTML as text, what its links point to
 * below; format=flowed put together, every charset), attachments by name and size; lines with their depth of quoting. Of an alternative the best part
 * that is text is shown. At most 16 MB of text and 1,000 parts are shown; that something was left out is said. Pure, but for letter_open and
 * letter_save_part.
 *
 *      letter.c        opened, fields, parts and their bytes      letter_text.c   the text parts as lines
 *      letter_links.c  what HTML's links point to                 letter_save.c   attachments to files */
#pragma once
#include "mail/mime.h"
#include "store/account.h"

struct letter_line {
        struct str text; /* UTF-8, without quote marks; as in the letter: show it by terminal_safe */
        unsigned quoted; /* depth */
        bool flowed;     /* may be wrapped anew */
        enum { LINE_HEADER, LINE_TEXT, LINE_PART, LINE_SIGNATURE } kind;
};
struct letter_part {
        struct str type, name; /* "text/plain"; name decoded, may be empty */
        uint64_t size;
        unsigned number; /* MIME part, in reading order, from 1 */
        bool attachment, text, letter /* message/rfc822 */;
        struct str content_id;
};
struct letter {
        struct arena arena;
        struct mime mime;
        struct buf raw; /* the whole letter */
        struct letter_line *lines;
        size_t line_count, line_room;
        struct letter_part *parts;
        size_t part_count;
        /* decoded fields a reply needs */
        struct str from, reply_to, to, cc, subject, date, message_id, references, in_reply_to, list_post;
};
enum { LETTER_ALL_FIELDS = 1, LETTER_PREFER_HTML = 2, LETTER_RAW = 4 };
[[nodiscard]] int letter_open(struct letter **out, struct account *a, uint32_t letter, unsigned flags);
[[nodiscard]] int letter_parse(struct letter **out, struct str raw, unsigned flags); /* copied */
void letter_free(struct letter **l);
[[nodiscard]] int letter_part_bytes(const struct letter *l, unsigned number, struct buf *out); /* decoded */
/* A name that is safe to make in a folder: no '/', no control characters, no leading dot or blank, at most 200 bytes; never empty. */
void letter_file_name(const struct letter_part *p, struct buf *out);
/* Written to folder/name, or name (2), ...; never over another file. path: where. */
[[nodiscard]] int letter_save_part(const struct letter *l, unsigned number, const char *folder,
                                   struct buf *path);
