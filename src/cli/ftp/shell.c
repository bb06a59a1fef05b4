/* Programs and folders on this side: lcd, !, pipes, the pager. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "cli/shell.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* $SHELL, in the folder that lcd has gone to. */
static int spawn(struct console *c, const char *command, int in, int out)
{
        const char *shell = getenv("SHELL");

        progress_away();
        fflush(c->out);
        return shell_start(&(struct shell){ .program = shell && *shell ? shell : NULL,
                                            .command = command,
                                            .folder = c->folder,
                                            .in = in,
                                            .out = out });
}

int program_begin(struct console *c, const char *command, bool write, int *fd, int *pid)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        *pid = spawn(c, command, write ? ends[0] : -1, write ? -1 : ends[1]);
        close(ends[write ? 0 : 1]);
        *fd = ends[write ? 1 : 0];
        if (*pid < 0)
                close(*fd);
        return *pid < 0 ? *pid : 0;
}

int program_end(int pid)
{
        int fd = pidfd_open(pid, 0);

        if (fd >= 0) {
                (void)!terminal_await(fd, NEVER); /* cancelled: then the wait below is the one that counts */
                close(fd);
        }
        return shell_wait(pid);
}

int do_shell(struct console *c, int argc, char **argv)
{
        struct str rest = str_trim(c->rest);
        char *command = rest.n ? mem_string(rest) : NULL;
        int pid, code;

        (void)argc;
        (void)argv;
        pid = spawn(c, command, -1, -1);
        mem_free(command);
        if (pid < 0)
                return say_errno(c, pid, "!");
        code = program_end(pid);
        c->stopped = false; /* Ctrl-C was for the program */
        return code;
}

/* ---- folders ---- */

static void show_folder(struct console *c)
{
        char link[64], path[PATH_ROOM];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", c->folder);
        n = readlink(link, path, sizeof(path) - 1);
        path[n > 0 ? n : 0] = 0;
        fputs("Local directory now: ", c->out);
        put_safe(c->out, path);
        fputc('\n', c->out);
}

int do_lcd(struct console *c, int argc, char **argv)
{
        const char *home = getenv("HOME"), *to = argc > 1 ? argv[1] : home ? home : "/";
        auto_buf struct buf path = { 0 };
        int fd;

        buf_init(&path, PATH_ROOM);
        if (to[0] == '~' && (to[1] == '/' || !to[1]) && home) {
                buf_printf(&path, "%s%s", home, to + 1);
                if (!buf_u8(&path, 0))
                        return say_errno(c, -ENAMETOOLONG, to);
                to = path.p;
        }
        fd = openat(c->folder, to, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return say_errno(c, -errno, to);
        close(c->folder);
        c->folder = fd;
        if (c->verbose)
                show_folder(c);
        return EX_OK;
}

int do_lpwd(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        show_folder(c);
        return EX_OK;
}

int do_lmkdir(struct console *c, int argc, char **argv)
{
        (void)argc;
        return mkdirat(c->folder, argv[1], 0777) < 0 ? say_errno(c, -errno, argv[1]) : EX_OK;
}

/* ---- looking at things: arguments are quoted for the shell ---- */

static void quote(struct buf *b, const char *word)
{
        buf_puts(b, S(" '"));
        for (; *word; word++)
                if (*word == '\'')
                        buf_puts(b, S("'\\''"));
                else
                        buf_u8(b, (uint8_t)*word);
        buf_u8(b, '\'');
}

static int run_with(struct console *c, const char *program, int argc, char **argv)
{
        struct buf auto_buf b = { 0 };
        int pid;

        buf_init(&b, LINE_MOST);
        buf_puts(&b, str_of(program));
        for (int i = 1; i < argc; i++)
                quote(&b, argv[i]);
        buf_u8(&b, 0);
        if (b.full)
                return say_fail(c, EX_USAGE, "line", "too long");
        pid = spawn(c, b.p, -1, -1);
        if (pid < 0)
                return say_errno(c, pid, program);
        pid = program_end(pid);
        c->stopped = false;
        return pid;
}

int do_lls(struct console *c, int argc, char **argv)
{
        return run_with(c, terminal_is(STDOUT_FILENO) ? "ls -C" : "ls", argc, argv);
}

int do_lpage(struct console *c, int argc, char **argv)
{
        const char *pager = getenv("PAGER");

        return run_with(c, pager && *pager ? pager : "less", argc, argv);
}

/* page FILE, less FILE: through the pager, which is no terminal's enemy: what `less` shows it makes safe itself. */
int do_page(struct console *c, int argc, char **argv)
{
        const char *pager = getenv("PAGER");
        char command[PATH_ROOM];
        int code = EX_OK;

        snprintf(command, sizeof(command), "|%s", pager && *pager ? pager : "less");
        for (int i = 1; i < argc && code == EX_OK && !c->stopped; i++)
                code = fetch_file(&(struct fetch){
                    .site = c->site, .remote = argv[i], .dir = -1, .name = command, .quiet = true });
        return code;
}
