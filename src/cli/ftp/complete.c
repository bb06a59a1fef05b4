/* The Tab key: commands, names there, names here, bookmarks; which, the table of commands says. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH (10 * SECOND) /* a listing is believed for so long */
enum { ARENA_MOST = 64 * 1024 * 1024 };

/* The last listing: Tab is pressed more than once. */
static struct {
        struct arena arena;
        const struct site *site;
        char folder[PATH_ROOM], asked[PATH_ROOM];
        struct ftp_entry *list;
        size_t n;
        nsec until;
} last;

static void commands(struct str word, struct buf *names)
{
        for (unsigned i = 0; i < ftp_verb_count; i++)
                if (str_istarts(str_of(ftp_verbs[i].name), word))
                        buf_printf(names, "%s\n", ftp_verbs[i].name);
}

static bool listed(struct site *s, struct str folder)
{
        struct ftp_answer answer;
        size_t unsafe;
        int rc;

        if (last.site == s && last.until > now() && !strcmp(last.folder, s->folder) &&
            str_eq(str_of(last.asked), folder))
                return true;
        if (folder.n >= PATH_ROOM)
                return false;
        last.until = 0;
        arena_finish(&last.arena);
        arena_init(&last.arena, ARENA_MOST);
        mem_copy(last.asked, PATH_ROOM, folder);
        last.asked[folder.n] = 0;
        snprintf(last.folder, sizeof(last.folder), "%s", s->folder);
        s->hush++;
        rc = ftp_client_entries(s->client, last.asked, &last.arena, &last.list, &last.n, &unsafe, &answer);
        s->hush--;
        last.site = s;
        last.until = rc == 0 ? now() + FRESH : 0;
        return rc == 0;
}

static void remote(struct console *c, struct str word, struct buf *names)
{
        size_t slash = str_rfind(word, '/');
        struct str folder = slash == STR_NONE ? S("") : str_sub(word, 0, slash + 1);
        struct str start = str_from_at(word, folder.n);

        if (!c->site->client || !c->site->logged_in || !listed(c->site, folder))
                return;
        for (size_t i = 0; i < last.n; i++)
                if (str_starts(last.list[i].name, start) &&
                    (start.n || !str_starts(last.list[i].name, S("."))))
                        buf_printf(names, PRS PRS "%s\n", STR(folder), STR(last.list[i].name),
                                   last.list[i].kind == FTP_ENTRY_FOLDER ? "/" : "");
}

static void local(struct console *c, struct str word, struct buf *names)
{
        size_t slash = str_rfind(word, '/');
        struct str folder = slash == STR_NONE ? S("") : str_sub(word, 0, slash + 1);
        struct str start = str_from_at(word, folder.n);
        char *path = folder.n ? mem_string(folder) : mem_string(S("."));
        int fd = openat(c->folder, path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        mem_free(path);
        while (dir && (e = readdir(dir))) {
                struct str name = str_of(e->d_name);
                struct stat st;

                if (!str_starts(name, start) || (!start.n && name.p[0] == '.') ||
                    str_find(name, '\n') != STR_NONE)
                        continue;
                buf_printf(names, PRS PRS "%s\n", STR(folder), STR(name),
                           fstatat(fd, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode) ? "/" : "");
        }
        if (dir)
                closedir(dir);
        else if (fd >= 0)
                close(fd);
}

/* A word as far as it is typed: a quote may still be open. */
static struct str typed_word(struct str s, struct arena *a)
{
        static const char *const ends[] = { "", "\"", "'" };
        char **words;

        for (unsigned i = 0; i < 3; i++) {
                int n = words_of(arena_printf(a, PRS "%s", STR(s), ends[i]), &words, a);

                if (n >= 0)
                        return n ? str_of(words[0]) : S("");
        }
        return s;
}

void complete_line(void *console, struct str line, size_t word, struct buf *names)
{
        struct console *c = console;
        struct arena auto_arena a = { 0 };
        const struct ftp_verb *v;
        struct str start;
        char **words;
        bool ambiguous;
        size_t last_letter;
        int n;

        arena_init(&a, ARENA_MOST);
        start = typed_word(str_from_at(line, word), &a);
        n = words_of(str_sub(line, 0, word), &words, &a);
        if (n <= 0) {
                commands(start, names);
                return;
        }
        if (n > 1 &&
            (!strcmp(words[0], "proxy") || !strcmp(words[0], "queue"))) { /* their words are a command */
                words++;
                n--;
        }
        v = verb_find(words[0], &ambiguous);
        if (!v || !*v->complete)
                return;
        last_letter = strlen(v->complete) - 1;
        switch (v->complete[(size_t)n - 1 < last_letter ? (size_t)n - 1 : last_letter]) {
        case 'c': commands(start, names); break;
        case 'r': remote(c, start, names); break;
        case 'l': local(c, start, names); break;
        default: break;
        }
}
