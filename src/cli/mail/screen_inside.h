/* What screen's files share. */
#pragma once
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include "cli/mail/compose.h"
#include "cli/mail/letter.h"
#include "cli/mail/outgo.h"
#include "cli/mail/screen.h"
#include "cli/mail/sync.h"
#include "cli/mail/view.h"
#include "run/fiber.h"
#include "run/loop.h"

#include <curses.h>

enum { /* keys: characters of Unicode, and these */
       KEY_NONE = 0,
       KEY_META = 0x200000, /* with a character: Esc before it */
       KEY_CODE = 0x400000, /* with curses' KEY_...: a key of the keyboard's that is no character */
       KEY_PASTED = KEY_CODE | 0xE001, /* what is pasted follows; term_key's own */
       KEY_PASTE_END = KEY_CODE | 0xE002,
       KEY_ENDED = 0x800000 /* there is no terminal any more, or somebody asks us to leave */
};
#define KEY_CTRL(c) ((c)&31)

enum look {
        LOOK_PLAIN,
        LOOK_BAR,
        LOOK_CURSOR,
        LOOK_HEADER,
        LOOK_QUOTE,
        LOOK_QUOTE2,
        LOOK_DIM,
        LOOK_NEW,
        LOOK_FLAG,
        LOOK_ERROR
};

struct screen;
enum done { STAY, LEAVE };
struct key {
        int code;
        const char *shown, *hint; /* "Esc v"; a word for the line of help, NULL: not there */
        const char *help;
        enum done (*act)(struct screen *s);
};
struct keys { /* of a page: tables, looked through in order; ended by NULL */
        const char *title;
        const struct key *tables[4];
};

struct folder_row {
        char *path, *role;
        uint32_t mailbox, uidnext, count, unseen;
        bool only_name;
};
struct screen {
        struct mail *mail;
        struct sync *sync;
        enum sync_state sync_state;
        char sync_words[160], message[400];
        bool message_bad;
        /* the terminal */
        struct waitlist wake;
        bool changed, resized, ended, colors, tick, asking, ascii, typing;
        struct timer timer;
        const char *question; /* of sync's fiber, which waits */
        char answer;
        struct waitlist answered;
        /* the folder */
        char *path, *before; /* the one before it */
        struct view *view;
        uint64_t stamp; /* change_stamp, when the folders were read */
        size_t at, top;
        uint32_t uid; /* of the row at; 0: none */
        enum view_order order;
        bool backwards, all_folded, prefix /* ; was typed */, leaving, switched;
        uint32_t *tags; /* ascending */
        size_t tag_n;
        char *pattern, *limited, *sought; /* searched for in rows; what is limited to; in a letter */
        char *saved_to, *saved_in;        /* the last folder that letters, and files went to */
        /* pages that are open */
        struct pager *pager;
        struct parts *parts;
        struct writing *writing;
        struct folder_row *folders;
        size_t folder_n, folder_at;
        char temporary[64]; /* the folder of opened attachments; empty: none yet */
};

/* ---- screen_term.c ---- */
[[nodiscard]] int term_open(struct screen *s, struct buf *why);
void term_close(void);
int term_key(struct screen *s); /* waits; KEY_NONE: something else is to be seen to */
void term_show(void);           /* what was drawn */
void term_away(void);           /* for another program; screen_term's own lock: it may wait */
void term_back(void);
void term_stop(struct screen *s); /* Ctrl-Z */
unsigned term_rows(void);
unsigned term_columns(void);
unsigned term_room(void); /* rows between the line of help and the bar */
bool term_is_ascii(void);

/* ---- screen_draw.c ---- */
void draw_text(int y, int x, unsigned width, struct str text, enum look look); /* cut, filled with blanks */
void draw_printf(int y, int x, unsigned width, enum look look, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void draw_help(const struct keys *k);
void draw_bar(struct str text);            /* last line but one */
void draw_message(const struct screen *s); /* the last line */
/* How many bytes of s, which is safe already, fit into so many columns; between words if it can be. */
size_t draw_fit(struct str s, unsigned width, bool words);
unsigned draw_width(struct str s);
size_t draw_char(struct str s, wchar_t *c, unsigned *columns); /* bytes */

/* ---- screen_ask.c ---- */
typedef void complete_fn(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n);
enum {
        ASK_COMMA = 1 /* only what stands behind the last comma is completed */,
        ASK_OFFERED = 2 /* what stands there goes when one types */
};
/* answer holds what stands there first. false: Ctrl-G, Ctrl-C. */
bool ask_line(struct screen *s, const char *question, struct buf *answer, complete_fn *complete,
              unsigned how);
char ask_letter(struct screen *s, const char *question,
                const char *letters); /* 0: Ctrl-G; Enter: the first */
void complete_file(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n);
void complete_address(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n);
void complete_folder(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n);

/* ---- screen.c ---- */
void say(struct screen *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_bad(struct screen *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_now(struct screen *s, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* before what takes long */
int screen_key(
    struct screen *s); /* as term_key, and sees to what has changed, questions, Ctrl-Z and Ctrl-L */
enum done screen_do(struct screen *s, const struct keys *k,
                    int key); /* looks the key up; LEAVE: the page ends */
enum done screen_accounts(struct screen *s);
void keep_string(char **to, struct str s);

/* ---- screen_index.c ---- */
[[nodiscard]] int index_open(struct screen *s, struct str path);
void index_close(struct screen *s);
void index_page(struct screen *s);
void index_look(struct screen *s); /* what has changed */
void index_go(struct screen *s, size_t at);
void index_next(struct screen *s); /* to the next that is not deleted */
bool index_row(struct screen *s,
               struct view_row *row); /* the current one; strings live as long as the view */
unsigned index_room(void);            /* rows of the terminal for letters */
bool is_tagged(const struct screen *s, uint32_t uid);
void tag(struct screen *s, uint32_t uid, bool on);
extern const struct key letter_keys[]; /* of the rows and of a letter: screen_do.c */

/* ---- screen_rows.c ---- */
void rows_draw(struct screen *s);
void rows_bar(struct screen *s);

/* ---- screen_order.c: the order chosen for a folder is known the next time ---- */
void order_known(struct screen *s, struct str path, enum view_order *order, bool *backwards);
void order_keep(struct screen *s);
const char *order_name(enum view_order o);

/* ---- screen_find.c ---- */
enum done find_show_limit(struct screen *s);
enum done find_sort_forwards(struct screen *s);
enum done find_sort_backwards(struct screen *s);
enum done find_fold_thread(struct screen *s);
enum done find_fold_all(struct screen *s);
enum done find_limit(struct screen *s);
enum done find_search_forwards(struct screen *s);
enum done find_search_backwards(struct screen *s);
enum done find_next(struct screen *s);

/* ---- screen_do.c, screen_move.c ---- */
void targets(struct screen *s, struct uid_list *list); /* the row, or the tagged ones behind ; */
int set_flags(struct screen *s, const struct uid_list *list, enum flags_how how, uint64_t flags);
bool is_role(struct screen *s, const char *role); /* is the open folder the one with it? */
enum done do_save(struct screen *s);
enum done do_copy(struct screen *s);
enum done do_purge(struct screen *s);
bool purge_asked(struct screen *s); /* on leaving. false: stay */

/* ---- screen_folders.c ---- */
void folders_load(struct screen *s, bool tell); /* tell: says where letters have come */
void folders_free(struct screen *s);
enum done folders_page(struct screen *s);
enum done folders_change(struct screen *s); /* asks for one */
enum done folders_drafts(struct screen *s);
enum done folders_news(struct screen *s); /* said */
const struct folder_row *folders_role(const struct screen *s, const char *role);

/* ---- screen_letter.c, screen_lines.c, screen_parts.c ---- */
enum done letter_page(struct screen *s);
void letter_show(struct screen *s, struct letter *l, const char *title); /* one that lies in another */
struct shown_line {
        uint32_t from, n; /* in text */
        enum look look;
        uint16_t quoted;
};
struct lines {
        struct buf text; /* safe */
        struct shown_line *list;
        size_t n, room;
};
enum { LINES_FOLD = 1 };
void lines_make(struct lines *out, const struct letter *l, unsigned width, unsigned how);
void lines_text(struct lines *out, struct str text, unsigned width); /* of no letter */
void lines_free(struct lines *l);
void lines_draw(const struct lines *l, size_t at, int y, unsigned width);
enum done parts_page(struct screen *s, const struct letter *l);
enum done do_parts(struct screen *s);
/* A file of this run's own folder, which only we may read; false: said why. path: ended by NUL. */
bool temporary_file(struct screen *s, struct str name, struct str bytes, struct buf *path);
void temporary_remove(struct screen *s);
void run_away(struct screen *s, const char *command, char *argument,
              bool read_it); /* the screen is away meanwhile */

/* ---- screen_write.c, screen_compose.c ---- */
enum done write_new(struct screen *s);
enum done write_reply(struct screen *s);
enum done write_reply_all(struct screen *s);
enum done write_reply_list(struct screen *s);
enum done write_forward(struct screen *s);
enum done write_bounce(struct screen *s);
enum done write_resume(struct screen *s);
struct writing {
        struct draft draft;
        struct letter *of;  /* what it answers, forwards or goes on with */
        uint32_t draft_uid; /* in Drafts: goes when the letter does */
        char *draft_path;
        struct lines lines;
        size_t top;
        bool edited, of_outbox;
};
void compose_page(struct screen *s, struct writing *w);
bool ask_field(struct screen *s, struct writing *w, const char *name, const char *question,
               bool address); /* false: given up */

/* ---- screen_help.c ---- */
void help_page(struct screen *s, const struct keys *k);
