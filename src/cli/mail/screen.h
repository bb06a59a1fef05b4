/* The mail reader's screen: pages over one another (rows, a letter, its parts, folders, a letter being written), each with a table of keys from
 * which the line of help at the top and the page of `?` are made. Keys are mutt's. One fiber draws and waits for keys; the copy is brought in step
 * with the server by another meanwhile (sync.h), which wakes it.
 *
 *   screen.c            opened, accounts, what has changed meanwhile       screen_term.c      the terminal: keys, size, stopped, given back
 *   screen_draw.c       text in columns: the one way to the terminal      screen_ask.c       lines and answers typed at the bottom
 *   screen_index.c      a folder's rows, moving                           screen_rows.c      what they look like
 *   screen_order.c      their order, remembered                           screen_do.c        what is done to letters
 *   screen_move.c       to other folders, Trash, away for good            screen_folders.c   the folders, and which have news
 *   screen_letter.c     a letter                                          screen_lines.c     its lines: wrapped, quotes folded
 *   screen_parts.c      its parts: opened, saved                          screen_compose.c   a letter being written: the page
 *   screen_write.c      new, answers, forwards, drafts                    screen_find.c      orders, folding, limit, search
 *   screen_help.c       what the keys do                                  compose_book.c     addresses seen: completion
 *
 * Text of letters comes to the terminal only by draw_text, which is terminal_safe and then wcwidth: no byte of it is an escape. Programs of the
 * person's (editor, viewer) run while the screen is away, as do questions of others (terminal_ask). The terminal is given back as it was on every
 * way out: the end, a signal, a crash. What is printed on stderr meanwhile is kept and shown afterwards. */
#pragma once
#include "cli/mail/mail.h"

/* In client_run's fiber, m->copy open; another account may be open afterwards. path: the folder to begin in. An exit code. */
int screen_run(struct mail *m, struct str path);
