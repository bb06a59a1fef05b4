/* The structure of a message (RFC 2045-2049, 2183, 2231), found in one pass over its bytes and kept packed beside it,
 * so that BODYSTRUCTURE and ENVELOPE (RFC 9051 §7.5.2) are answered without reading the message again.
 *
 *      struct mime m;
 *      mime_init(&m);
 *      mime_parse(&m, letter);         // the same struct may parse one letter after another
 *      mime_pack(&m, &packed);
 *      mime_finish(&m);
 *
 * Parts stand in a flat array, parents before children: parts[0] is the message. A multipart's children are its body
 * parts; a message/rfc822 (or message/global) part has one child, the root of the message inside. Offsets count from
 * the message's first byte. Strings point into the letter (or, after mime_unpack, into the packed bytes) or into the
 * struct's own arena: they live until the letter goes or the next call with this struct.
 *
 * Whatever the input, time is linear and memory below 16 MB. Beyond the limits the structure ends and `cut` is set:
 * deeper parts stay leaves, further parts and parameters are not listed. The offsets that are given are always right. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

#define MIME_DEPTH_MAX        64
#define MIME_PARTS_MAX        10000
#define MIME_FIELD_PARAMS_MAX 100           /* parameters read from one field */
#define MIME_PARAMS_MAX       10000         /* all together */
#define MIME_HEADER_MAX       (1024 * 1024) /* bytes of one part's header in which fields are looked for */
#define MIME_STRINGS_MAX      (256 * 1024) /* bytes of all strings together; those that do not fit are left out */
#define MIME_HELD_MAX         998          /* longest envelope field whose text is held */
#define MIME_PACKED_MAX       (2 * 1024 * 1024) /* a buf with this maximum holds every packed form */
#define MIME_NONE             UINT32_MAX

struct mime_param {
        struct str
            name; /* lower case. RFC 2231 pieces are joined: name*0, name*1 -> name; with encoding -> name* */
        struct str
            value; /* unquoted; of name*: charset'language'%XX text, mime_filename and mime_param_text decode */
};
struct mime_params {
        uint32_t first, count; /* in mime.params */
};

enum mime_envelope_field {
        MIME_DATE,
        MIME_SUBJECT,
        MIME_FROM,
        MIME_SENDER,
        MIME_REPLY_TO,
        MIME_TO,
        MIME_CC,
        MIME_BCC,
        MIME_IN_REPLY_TO,
        MIME_MESSAGE_ID,
        MIME_REFERENCES,
        MIME_ENVELOPE_FIELDS
};
struct mime_field {
        uint64_t at; /* raw value (mail/header.h) in the message: at, n */
        uint32_t n;
        bool present;
        bool held; /* text holds it; values over MIME_HELD_MAX must be read from the message */
        struct str text;
};
struct mime_envelope {
        struct mime_field fields[MIME_ENVELOPE_FIELDS]; /* the first of each name */
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_part {
        uint32_t parent; /* index, MIME_NONE for parts[0] */
        uint32_t
            envelope; /* index in mime.envelopes: parts[0] and the child of each MIME_MESSAGE; else MIME_NONE */
        enum mime_kind kind;          /* MIME_MULTIPART and MIME_MESSAGE only if its children are listed */
        uint8_t depth;                /* 0 for parts[0] */
        uint64_t header, body, end;   /* offsets: header [header, body), body [body, end) */
        uint32_t header_lines, lines; /* line ends in each */
        struct str type, subtype;     /* lower case; text/plain if not given, message/rfc822 in a digest */
        bool has_type;                /* it was given and could be read */
        struct mime_params params;
        struct str encoding;    /* lower case, "7bit" if not given */
        struct str disposition; /* lower case; empty: not given, as with all below */
        struct mime_params disposition_params;
        struct str id, description, md5, language, location; /* unfolded, encoded words as they are */
};

struct mime {
        struct mime_part *parts;
        uint32_t count;
        struct mime_param *params;
        uint32_t param_count;
        struct mime_envelope *envelopes;
        uint32_t envelope_count;
        uint64_t size; /* of the message */
        bool cut;      /* a limit was met */
        bool has_8bit; /* a byte over 127 in a header: the message needs SMTPUTF8 (RFC 6532) */
        struct arena arena;
        uint32_t part_room, param_room, envelope_room; /* allocated */
        size_t strings;                                /* bytes of strings so far */
};

void mime_init(struct mime *m);
void mime_finish(struct mime *m);
void mime_parse(struct mime *m, struct str letter);
/* The packed form: a version, then numbers of variable length; its layout stands in mime_pack.c. false: out is full. */
bool mime_pack(const struct mime *m, struct buf *out);
/* false: damaged or of a newer version; then *m is empty (count 0). Reads untrusted bytes. */
[[nodiscard]] bool mime_unpack(struct mime *m, struct str packed);

/* The packed form part by part, without building the tree: what mime_unpack builds it from, and what BODYSTRUCTURE is
 * written from. Needs no memory; parents come before their children.
 *
 *      struct mime_walk w;
 *      mime_walk_begin(&w, packed);
 *      while (mime_walk_next(&w))
 *              use(&w.part);
 *      if (w.bad) ...          // damaged: what was given may be wrong
 */
struct mime_walk {
        struct mime_part part;                 /* parent is an index; params and envelope are here: */
        struct str params, disposition_params; /* mime_walk_param takes them out one by one */
        bool has_envelope;
        struct mime_envelope envelope; /* only `present` of those that are not */
        uint64_t size;
        bool cut, has_8bit;
        bool bad;
        uint32_t count, index; /* parts in all; given so far */
        /* its own */
        struct unpack u;
        uint32_t params_seen;
        uint8_t depth;                 /* of the last part */
        uint8_t kinds[MIME_DEPTH_MAX]; /* of the last part of each depth */
        uint32_t at[MIME_DEPTH_MAX];   /* its index */
};
bool mime_walk_begin(struct mime_walk *w, struct str packed); /* false: w->bad */
bool mime_walk_next(struct mime_walk *w);                     /* false: the end, or w->bad */
bool mime_walk_param(struct str *packed, struct mime_param *out);

/* A parameter's value in UTF-8: name* decoded (RFC 2231 §4) if it is there, else name with encoded words decoded as
 * some programs write them against RFC 2047 §5; false: neither. */
bool mime_param_text(const struct mime *m, struct mime_params list, struct arena *a, struct str name,
                     struct str *out);
/* The raw value of a plain parameter ("charset", "boundary"), empty if there is none. */
struct str mime_param(const struct mime *m, struct mime_params list, struct str name);
/* The file name of a part, from Content-Disposition, else from Content-Type's name; in UTF-8, empty if none. It is
 * what a stranger wrote: it may hold slashes. */
struct str mime_filename(const struct mime *m, const struct mime_part *p, struct arena *a);
