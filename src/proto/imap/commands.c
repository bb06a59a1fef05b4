#include "proto/imap/imap.h"
#include "proto/imap/capability.h"

#define SECRET_ALL (SECRET | NEEDS_TLS_FOR_SECRETS)

/* The commands. `offers`: the capability without which there is no such command. */
/* clang-format off */
static const struct command imap_commands[] = {
        /* verb            handler              where           needs                   s  synopsis */
        { "APPEND",        imap_append,         IMAP_INSIDE,    BODY,                   0, "APPEND mailbox [(flags)] [date-time] literal ..." },
        { "AUTHENTICATE",  imap_authenticate,   IMAP_STRANGER,  SECRET_RESPONSE,        0, "AUTHENTICATE mechanism [response]" },
        { "CAPABILITY",    imap_capability,     IMAP_ANY,       NO_ARGUMENT | NO_EXPUNGE, 0, "CAPABILITY" },
        { "CANCELUPDATE",  imap_cancelupdate,   IMAP_SELECTED,  NO_EXPUNGE,             0, "CANCELUPDATE \"tag\" ...", "CONTEXT=SEARCH" },
        { "CHECK",         imap_check,          IMAP_SELECTED,  NO_ARGUMENT,            0, "CHECK" },
        { "CLOSE",         imap_close,          IMAP_SELECTED,  NO_ARGUMENT | NO_UPDATES, 0, "CLOSE" },
        { "COMPRESS",      imap_compress,       IMAP_INSIDE,    LAST,                   0, "COMPRESS DEFLATE", "COMPRESS=DEFLATE" },
        { "COPY",          imap_copy,           IMAP_SELECTED,  HAS_UID | UID_ONLY,     0, "COPY set mailbox" },
        { "CREATE",        imap_create,         IMAP_INSIDE,    0,                      0, "CREATE mailbox [(USE (\\attribute))]" },
        { "DELETE",        imap_delete,         IMAP_INSIDE,    0,                      0, "DELETE mailbox" },
        { "DELETEACL",     imap_deleteacl,      IMAP_INSIDE,    0,                      0, "DELETEACL mailbox identifier", "ACL" },
        { "ENABLE",        imap_enable_command, IMAP_INSIDE,    NO_EXPUNGE,             0, "ENABLE capability ...", "ENABLE" },
        { "ESEARCH",       imap_esearch,        IMAP_INSIDE,    HAS_UID | NO_EXPUNGE,   0, "ESEARCH [IN (sources)] [RETURN (options)] [CHARSET name] keys", "MULTISEARCH" },
        { "EXAMINE",       imap_examine,        IMAP_INSIDE,    NO_UPDATES,             0, "EXAMINE mailbox [(parameters)]" },
        { "EXPUNGE",       imap_expunge,        IMAP_SELECTED,  HAS_UID,                0, "EXPUNGE, UID EXPUNGE set" },
        { "FETCH",         imap_fetch,          IMAP_SELECTED,  HAS_UID | UID_ONLY | NO_EXPUNGE, 0, "FETCH set items [(modifiers)]" },
        { "GETACL",        imap_getacl,         IMAP_INSIDE,    0,                      0, "GETACL mailbox", "ACL" },
        { "GETMETADATA",   imap_getmetadata,    IMAP_INSIDE,    0,                      0, "GETMETADATA [(options)] mailbox entries", "METADATA" },
        { "GETQUOTA",      imap_getquota,       IMAP_INSIDE,    0,                      0, "GETQUOTA root", "QUOTA" },
        { "GETQUOTAROOT",  imap_getquotaroot,   IMAP_INSIDE,    0,                      0, "GETQUOTAROOT mailbox", "QUOTA" },
        { "ID",            imap_id,             IMAP_ANY,       NO_EXPUNGE,             0, "ID (\"name\" \"value\" ...) or NIL", "ID" },
        { "IDLE",          imap_idle,           IMAP_INSIDE,    NO_ARGUMENT | NO_UPDATES, 0, "IDLE", "IDLE" },
        { "LANGUAGE",      imap_language,       IMAP_ANY,       NO_EXPUNGE,             0, "LANGUAGE [tag ...]", "LANGUAGE" },
        { "LIST",          imap_list,           IMAP_INSIDE,    0,                      0, "LIST [(selection)] reference pattern(s) [RETURN (options)]" },
        { "LISTRIGHTS",    imap_listrights,     IMAP_INSIDE,    0,                      0, "LISTRIGHTS mailbox identifier", "ACL" },
        { "LOGIN",         imap_login,          IMAP_STRANGER,  SECRET_ALL,             0, "LOGIN name password" },
        { "LOGOUT",        imap_logout,         IMAP_ANY,       NO_ARGUMENT | NO_UPDATES, 0, "LOGOUT" },
        { "LSUB",          imap_lsub,           IMAP_INSIDE,    0,                      0, "LSUB reference pattern", "IMAP4rev1" },
        { "MOVE",          imap_move,           IMAP_SELECTED,  HAS_UID | UID_ONLY,     0, "MOVE set mailbox", "MOVE" },
        { "MYRIGHTS",      imap_myrights,       IMAP_INSIDE,    0,                      0, "MYRIGHTS mailbox", "ACL" },
        { "NAMESPACE",     imap_namespace,      IMAP_INSIDE,    NO_ARGUMENT,            0, "NAMESPACE", "NAMESPACE" },
        { "NOOP",          imap_noop,           IMAP_ANY,       NO_ARGUMENT,            0, "NOOP" },
        { "NOTIFY",        imap_notify,         IMAP_INSIDE,    0,                      0, "NOTIFY SET [STATUS] (mailboxes (events)) ... or NOTIFY NONE", "NOTIFY" },
        { "RENAME",        imap_rename,         IMAP_INSIDE,    0,                      0, "RENAME mailbox new-name" },
        { "REPLACE",       imap_replace,        IMAP_SELECTED,  HAS_UID | UID_ONLY | BODY, 0, "REPLACE number mailbox [(flags)] [date-time] literal", "REPLACE" },
        { "SEARCH",        imap_search,         IMAP_SELECTED,  HAS_UID | UID_ONLY | NO_EXPUNGE, 0, "SEARCH [RETURN (options)] [CHARSET name] keys" },
        { "SELECT",        imap_select,         IMAP_INSIDE,    NO_UPDATES,             0, "SELECT mailbox [(parameters)]" },
        { "SETACL",        imap_setacl,         IMAP_INSIDE,    0,                      0, "SETACL mailbox identifier [+|-]rights", "ACL" },
        { "SETMETADATA",   imap_setmetadata,    IMAP_INSIDE,    0,                      0, "SETMETADATA mailbox (entry value ...)", "METADATA" },
        { "SETQUOTA",      imap_setquota,       IMAP_INSIDE,    0,                      0, "SETQUOTA root (resource limit ...)", "QUOTA" },
        { "SORT",          imap_sort,           IMAP_SELECTED,  HAS_UID | UID_ONLY | NO_EXPUNGE, 0, "SORT [RETURN (options)] (keys) charset search-keys", "SORT" },
        { "STARTTLS",      imap_starttls,       IMAP_STRANGER,  NO_ARGUMENT | LAST,     0, "STARTTLS", "STARTTLS" },
        { "STATUS",        imap_status,         IMAP_INSIDE,    0,                      0, "STATUS mailbox (items)" },
        { "STORE",         imap_store,          IMAP_SELECTED,  HAS_UID | UID_ONLY | NO_EXPUNGE, 0, "STORE set [(UNCHANGEDSINCE n)] [+|-]FLAGS[.SILENT] (flags)" },
        { "SUBSCRIBE",     imap_subscribe,      IMAP_INSIDE,    0,                      0, "SUBSCRIBE mailbox" },
        { "THREAD",        imap_thread,         IMAP_SELECTED,  HAS_UID | UID_ONLY | NO_EXPUNGE, 0, "THREAD algorithm charset search-keys" },
        { "UNAUTHENTICATE", imap_unauthenticate, IMAP_INSIDE,   NO_ARGUMENT | LAST | NO_UPDATES, 0, "UNAUTHENTICATE", "UNAUTHENTICATE" },
        { "UNSELECT",      imap_unselect_command, IMAP_SELECTED, NO_ARGUMENT | NO_UPDATES, 0, "UNSELECT", "UNSELECT" },
        { "UNSUBSCRIBE",   imap_unsubscribe,    IMAP_INSIDE,    0,                      0, "UNSUBSCRIBE mailbox" },
};
/* clang-format on */

static int unknown(struct session *s, struct str verb)
{
        (void)verb;
        return imap_bad(s, "there is no such command");
}

static int misplaced(struct session *s, const struct command *c)
{
        if (s->state == IMAP_STRANGER)
                return imap_bad(s, "%s: sign in first", c->verb);
        if (c->where == IMAP_STRANGER)
                return imap_bad(s, "%s: you are signed in already", c->verb);
        return imap_bad(s, "%s: select a mailbox first", c->verb);
}

static int need_tls(struct session *s, const struct command *c)
{
        return imap_no(
            s, "[PRIVACYREQUIRED] %s: a password may not travel in clear here; give STARTTLS first", c->verb);
}

static int need_login(struct session *s, const struct command *c)
{
        return misplaced(s, c);
}

static int argument(struct session *s, const struct command *c)
{
        return imap_bad(s, "%s stands alone on its line", c->verb);
}

static int too_many(struct session *s)
{
        imap_say(s, "BYE too many errors");
        s->ending = true;
        return OK;
}

/* STARTTLS with plaintext behind it: somebody in between may have put it there (CVE-2011-0411). */
static int pipelined(struct session *s, const struct command *c)
{
        s->ending = true;
        imap_bad(s, "nothing may follow %s before its reply", c->verb);
        imap_say(s, "BYE goodbye");
        return FAIL;
}

const struct dialect imap_dialect = {
        .commands = imap_commands,
        .count = sizeof(imap_commands) / sizeof(*imap_commands),
        .unknown = unknown,
        .misplaced = misplaced,
        .need_tls = need_tls,
        .need_login = need_login,
        .argument = argument,
        .too_many = too_many,
        .pipelined = pipelined,
};

/* Is the capability that brings this command switched on? */
static bool offered(const struct session *s, const struct command *c)
{
        unsigned found = c->offers ? capability_find(str_of(c->offers)) : CAPABILITIES;

        return found == CAPABILITIES || !(((const struct imap *)s)->off >> found & 1);
}

/* The columns that are IMAP's own; then the table's. The cursor stands behind the tag. */
void imap_run(struct session *s, struct scan a)
{
        struct imap *p = imap_of(s);
        struct scan ahead = a;
        struct str verb = scan_until(&ahead, " ");
        const struct command *c;

        p->uid = str_ieq(verb, S("UID"));
        if (p->uid) {
                scan_spaces(&ahead);
                a = ahead;
                verb = scan_until(&ahead, " ");
        }
        c = command_find(&imap_dialect, verb);
        if (c && !offered(s, c)) {
                command_hide(s, &imap_dialect, a.s);
                command_done(s, &imap_dialect, unknown(s, verb));
        } else if (p->uid && c && !(c->needs & HAS_UID)) {
                command_hide(s, &imap_dialect, str_from_at(a.s, a.at));
                command_done(s, &imap_dialect, imap_bad(s, "UID does not stand before %s", c->verb));
        } else if (c && !p->uid && c->needs & UID_ONLY && p->enabled & ENABLED_UIDONLY) {
                command_done(s, &imap_dialect,
                             imap_bad(s, "[UIDREQUIRED] only UID %s with UIDONLY", c->verb));
        } else {
                command_run_from(s, &imap_dialect, a);
        }
}
