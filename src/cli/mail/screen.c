#include "base/mem.h"
#include "cli/mail/screen_inside.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define TICK \
        (2 * \
         SECOND) /* another process may file letters: a look now and then, which costs a number if nothing is new */

void keep_string(char **to, struct str s)
{
        char *new = mem_string(s);

        mem_free(*to);
        *to = new;
}

/* ---- said in the last line ---- */

__attribute__((format(printf, 3, 0))) static void say_any(struct screen *s, bool bad, const char *format,
                                                          va_list args)
{
        vsnprintf(s->message, sizeof s->message, format, args);
        s->message_bad = bad;
}

void say(struct screen *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say_any(s, false, format, args);
        va_end(args);
}

void say_bad(struct screen *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say_any(s, true, format, args);
        va_end(args);
}

void say_now(struct screen *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        say_any(s, false, format, args);
        va_end(args);
        draw_message(s);
        term_show();
        s->message[0] = 0;
}

/* ---- what happens meanwhile ---- */

static void on_change(void *context)
{
        struct screen *s = context;

        s->changed = true;
        wake_all(&s->wake);
}

static void on_tick(struct timer *t)
{
        struct screen *s = (struct screen *)((char *)t - offsetof(struct screen, timer));

        s->tick = true;
        wake_all(&s->wake);
        timer_set(t, now() + TICK);
}

static void on_state(void *context, enum sync_state state, const char *words)
{
        struct screen *s = context;

        s->sync_state = state;
        snprintf(s->sync_words, sizeof s->sync_words, "%s", words);
        s->tick = true;
        wake_all(&s->wake);
}

/* In sync's fiber: the screen's asks, this one waits. */
static bool on_ask(void *context, const char *question)
{
        struct screen *s = context;

        s->answer = 0;
        s->question = question;
        wake_all(&s->wake);
        while (s->question && wait_on(&s->answered, "an answer", NEVER) == 0) {
        }
        s->question = NULL;
        return s->answer == 'y';
}

static void see_to_question(struct screen *s)
{
        struct buf auto_buf text = { 0 };

        buf_init(&text, 4096);
        buf_printf(&text, "%s (no/yes): ", s->question);
        buf_u8(&text, 0);
        s->answer = ask_letter(s, text.p, "ny");
        s->question = NULL;
        wake_all(&s->answered);
}

/* Whoever changed something, in whatever process. */
static bool is_news(struct screen *s)
{
        struct access x = { 0 };
        uint64_t stamp =
            copy_access(s->mail->copy, &x, INBOX, RIGHT_READ) == 0 ? change_stamp(&x) : s->stamp + 1;
        bool news = stamp != s->stamp;

        access_close(&x);
        s->stamp = stamp;
        return news;
}

int screen_key(struct screen *s)
{
        int key = term_key(s);

        if (s->question) {
                see_to_question(s);
                return KEY_NONE;
        }
        if (key == KEY_NONE && (s->changed || s->tick)) {
                bool news = is_news(s) || s->changed;

                s->changed = s->tick = false;
                if (news) {
                        folders_load(s, true);
                        index_look(s);
                }
        }
        switch (key) {
        case KEY_CTRL('z'): term_stop(s); return KEY_NONE;
        case KEY_CTRL('l'): clearok(stdscr, true); return KEY_NONE;
        case KEY_CTRL('c'):
                if (ask_letter(s, "Leave pail mail? (yes/no): ", "yn") != 'y')
                        return KEY_NONE;
                s->ended = true;
                return KEY_ENDED;
        case KEY_ENDED: s->ended = true; return key;
        default:
                if (key != KEY_NONE)
                        s->message[0] = 0;
                return key;
        }
}

enum done screen_do(struct screen *s, const struct keys *k, int key)
{
        if (key == KEY_ENDED)
                return LEAVE;
        if (key == '?') {
                help_page(s, k);
                return STAY;
        }
        for (const struct key *const *table = k->tables; key != KEY_NONE && *table; table++)
                for (const struct key *one = *table; one->code; one++)
                        if (one->code == key) {
                                enum done done = one->act(s);

                                s->prefix = key == ';' && s->prefix;
                                return done;
                        }
        if (key != KEY_NONE && !s->message[0])
                say(s, "Nothing is done by this key. ? shows those that do something.");
        s->prefix = s->prefix && key == KEY_NONE;
        return STAY;
}

/* ---- accounts ---- */

static void begin_sync(struct screen *s, bool drawn)
{
        struct sync_says says = { .state = on_state, .ask = on_ask, .context = s };
        struct login *l = s->mail->login;
        const char *password;
        bool known = true;

        s->sync_state = SYNC_OFF;
        s->sync_words[0] = 0;
        if (l->how == INCOMING_STORE)
                return;
        if (!l->known) { /* what asks for it wants the terminal for itself */
                if (drawn)
                        term_away();
                known = login_password(l, &password);
                if (drawn)
                        term_back();
        }
        if (!known)
                say(s, "There is no password: the copy is shown as it is.");
        else if (sync_start(&s->sync, s->mail->copy, l, &says) < 0)
                say_bad(s, "The copy cannot be kept in step with the server: out of memory");
}

static int begin_account(struct screen *s, struct str path)
{
        copy_on_change(s->mail->copy, on_change, s);
        folders_load(s, false);
        return index_open(s, path);
}

static void end_account(struct screen *s)
{
        sync_stop(&s->sync);
        copy_on_change(s->mail->copy, NULL, NULL);
        index_close(s);
        folders_free(s);
        mem_free(s->before);
        mem_free(s->saved_to);
        s->before = s->saved_to = NULL;
}

static void change_account(struct screen *s, struct login *to)
{
        struct login *from = s->mail->login;
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 1024);
        end_account(s);
        copy_close(&s->mail->copy);
        s->mail->login = to;
        rc = copy_open(&s->mail->copy, to, &why);
        if (rc < 0) {
                say_bad(s, PRS, STR(buf_str(&why)));
                buf_clear(&why);
                s->mail->login = from;
                rc = copy_open(&s->mail->copy, from, &why);
        } else {
                say(s, "%s", to->address);
        }
        if (rc == 0)
                rc = begin_account(s, INBOX);
        if (rc == 0)
                begin_sync(s, true);
        else
                s->ended = true;
        s->switched = true;
}

enum done screen_accounts(struct screen *s)
{
        struct logins *all = &s->mail->logins;
        struct buf auto_buf question = { 0 };
        char letters[10] = { 0 };
        size_t n = all->n < 9 ? all->n : 9;
        char chosen;

        if (n < 2) {
                say(s, "There is one account only. Others are added by: pail mail add ADDRESS");
                return STAY;
        }
        buf_init(&question, 4096);
        for (size_t i = 0; i < n; i++) {
                letters[i] = (char)('1' + i);
                buf_printf(&question, "%zu %s%s  ", i + 1, all->list[i].address,
                           &all->list[i] == s->mail->login ? " (this)" : "");
        }
        buf_printf(&question, "Account: ");
        buf_u8(&question, 0);
        chosen = ask_letter(s, question.p, letters);
        if (!chosen || &all->list[chosen - '1'] == s->mail->login || !purge_asked(s))
                return STAY;
        change_account(s, &all->list[chosen - '1']);
        return LEAVE;
}

/* ---- from the beginning to the end ---- */

int screen_run(struct mail *m, struct str path)
{
        struct screen s = { .mail = m, .timer.fire = on_tick };
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 1024);
        rc = begin_account(&s, path);
        if (rc < 0) {
                fputs("pail mail: ", stderr);
                terminal_put(stderr, path);
                fprintf(stderr, ": %s\n", rc == -ENOENT ? "there is no such folder" : strerror(-rc));
                index_close(&s);
                folders_free(&s);
                return EX_NOINPUT;
        }
        if (m->login->how != INCOMING_STORE && !m->login->known) {
                const char *password;

                (void)login_password(m->login, &password); /* asked before the screen stands */
        }
        rc = term_open(&s, &why);
        if (rc == 0) {
                curs_set(0);
                if (m->login->known || m->login->how == INCOMING_STORE)
                        begin_sync(&s, true);
                else
                        say(&s, "There is no password: the copy is shown as it is.");
                timer_set(&s.timer, now() + TICK);
                index_page(&s);
                timer_stop(&s.timer);
                if (s.sync)
                        say_now(&s, "Leaving...");
        }
        end_account(&s);
        temporary_remove(&s);
        term_close();
        mem_free(s.pattern);
        mem_free(s.limited);
        mem_free(s.sought);
        mem_free(s.saved_in);
        if (rc < 0)
                fprintf(stderr, "pail mail: " PRS "\n", STR(buf_str(&why)));
        return rc < 0 ? EX_USAGE : EX_OK;
}
