#include "settings_table.h"
#include "base/mem.h"
#include <confuse.h>
#include <stdio.h>

/* ---- the file ---- */

/* libconfuse's callbacks carry no pointer of ours; a process reads its settings in one thread. */
static struct {
        struct settings *settings;
        struct buf *why;
        const char *file;
} reading;

__attribute__((format(printf, 2, 0))) static void complain(cfg_t *cfg, const char *format, va_list args)
{
        if (reading.why->n)
                return; /* the first one says it */
        buf_printf(reading.why, "%s:%d: ", reading.file, cfg->line);
        buf_vprintf(reading.why, format, args);
}

static int take(cfg_t *cfg, cfg_opt_t *opt)
{
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1000);
        if (settings_set(reading.settings, str_of(cfg_opt_name(opt)), str_of(cfg_opt_getstr(opt)), &why) == 0)
                return 0;
        cfg_error(cfg, "%.*s", STR(buf_str(&why)));
        return -1;
}

int settings_read(struct settings *s, const char *file, struct buf *why)
{
        cfg_opt_t *options = mem_array(settings_table_count + 1, sizeof(*options));
        struct buf auto_buf said = { 0 };
        size_t n = 0;
        cfg_t *cfg;
        int rc;

        buf_init(&said, 2000);
        for (const struct setting *e = settings_table; e < settings_table + settings_table_count; e++)
                if (e->type != TITLE)
                        options[n++] = (cfg_opt_t)CFG_STR(e->name, 0, CFGF_NODEFAULT);
        options[n] = (cfg_opt_t)CFG_END();
        cfg = cfg_init(options, CFGF_NONE);
        if (!cfg)
                mem_die("out of memory");
        cfg_set_error_function(cfg, complain);
        for (size_t i = 0; i < n; i++)
                cfg_set_validate_func(cfg, options[i].name, take);
        reading.settings = s;
        reading.why = &said;
        reading.file = file;
        rc = cfg_parse(cfg, file);
        if (rc == CFG_FILE_ERROR)
                buf_printf(&said, "%s: %m", file);
        else if (rc != CFG_SUCCESS && !said.n)
                buf_printf(&said, "%s: cannot be read as settings", file);
        cfg_free(cfg);
        mem_free(options);
        buf_puts(why, buf_str(&said));
        return rc == CFG_SUCCESS ? 0 : -1;
}

/* ---- for people ---- */

static void put_range(struct buf *out, const struct setting *e)
{
        if (e->type == CHOICE)
                for (long i = 0; e->words[i]; i++)
                        buf_printf(out, "%s%s", i ? " | " : "", e->words[i]);
        else if (e->type == FLAG)
                buf_puts(out, S("yes | no"));
        else if (e->type == NUMBER)
                buf_printf(out, "%ld to %ld", e->least, e->most);
        else if (e->type == SIZE)
                buf_puts(out, S("bytes, or 10k, 50M, 1G"));
        else if (e->type == TIME || e->type == TIME_MS)
                buf_printf(out, "seconds, or %s10s, 5m, 2h, 1d", e->type == TIME_MS ? "500ms, " : "");
}

void settings_sample(struct buf *out)
{
        struct buf auto_buf range = { 0 };

        buf_init(&range, 1000);
        buf_puts(out,
                 S("# The settings of pail, each with its default. Take the # away and change the value;\n"
                   "# a running server reads the file anew on SIGHUP, but for what says that it is read at "
                   "start only.\n"));
        for (const struct setting *e = settings_table; e < settings_table + settings_table_count; e++) {
                if (e->type == TITLE) {
                        buf_printf(out, "\n## %s\n", e->name);
                        continue;
                }
                buf_clear(&range);
                put_range(&range, e);
                buf_printf(out, "\n# %s", e->help);
                if (range.n)
                        buf_printf(out, " (" PRS ")", STR(buf_str(&range)));
                if (e->when == AT_START)
                        buf_puts(out, S("; read at start only"));
                buf_printf(out, setting_is_text(e) ? "\n#%s = \"%s\"\n" : "\n#%s = %s\n", e->name, e->value);
        }
}

void settings_manual(struct buf *out)
{
        struct buf auto_buf range = { 0 };
        bool open = false;

        buf_init(&range, 1000);
        for (const struct setting *e = settings_table; e < settings_table + settings_table_count; e++) {
                if (e->type == TITLE) {
                        buf_printf(out, "%s.Ss %s\n.Bl -tag -width Ds\n", open ? ".El\n" : "", e->name);
                        open = true;
                        continue;
                }
                buf_clear(&range);
                put_range(&range, e);
                buf_printf(out, ".It Ic %s Li = %s%s%s\n%s", e->name, setting_is_text(e) ? "\\(dq" : "",
                           e->value, setting_is_text(e) ? "\\(dq" : "", e->help);
                if (range.n)
                        buf_printf(out, " (" PRS ")", STR(buf_str(&range)));
                buf_puts(out, e->when == AT_START ? S("; read at start only.\n") : S(".\n"));
        }
        buf_puts(out, S(".El\n"));
}
