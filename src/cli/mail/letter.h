/* A letter as a person reads it: the chosen header fields decoded, the text parts in reading order as UTF-8 (HTML as text with its links numbered,
 * format=flowed put together, every charset), attachments by name and size; lines with their depth of quoting. At most 16 MB of text is shown, 1,000
 * parts, 100 deep (mail/mime.h): the rest is said to be there. */
#pragma once
#include "cli/mail/copy.h"

struct letter_line {
        struct str text; /* UTF-8, as in the letter: show it by terminal_safe */
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
        struct buf raw; /* the whole letter */
        struct letter_line *lines;
        size_t line_count;
        struct letter_part *parts;
        size_t part_count;
        /* decoded fields a reply needs */
        struct str from, reply_to, to, cc, subject, date, message_id, references, in_reply_to, list_post;
};
enum { LETTER_ALL_FIELDS = 1, LETTER_PREFER_HTML = 2, LETTER_RAW = 4 };
[[nodiscard]] int letter_open(struct letter **out, struct copy *c, uint32_t letter, unsigned flags);
[[nodiscard]] int letter_parse(struct letter **out, struct str raw, unsigned flags); /* copied */
void letter_free(struct letter **l);
[[nodiscard]] int letter_part_bytes(const struct letter *l, unsigned number, struct buf *out); /* decoded */
/* A name that is safe to make in a folder: no '/', no control characters, no leading dot or blank, at most 200 bytes; never empty. */
void letter_file_name(const struct letter_part *p, struct buf *out);
/* Written to folder/name, or name (2), ...; never over another file. path: where. */
[[nodiscard]] int letter_save_part(const struct letter *l, unsigned number, const char *folder,
                                   struct buf *path);
