/* Names and namespaces (RFC 2342): one's own mailboxes at the top, those of others below user/ACCOUNT/, a domain's shared
 * folders below shared/DOMAIN/. */
#include "proto/imap/imap.h"

#include <errno.h>

#define SHARED_ACCOUNT "shared@" /* whose mailboxes a domain's shared folders are */

unsigned imap_mode(const struct session *s)
{
        unsigned enabled = ((const struct imap *)s)->enabled;

        return enabled & (ENABLED_REV2 | ENABLED_UTF8) ? MODE_UTF8 : 0;
}

bool imap_locate(struct session *s, struct str name, struct str *owner, struct str *path)
{
        struct str rest, first;

        *path = name;
        *owner = s->account;
        if (str_starts(name, S(IMAP_OTHERS))) {
                rest = str_from_at(name, sizeof(IMAP_OTHERS) - 1);
                str_cut(&rest, '/', &first);
                *path = rest;
                if (str_find(first, '@') != STR_NONE)
                        *owner = arena_lower(&s->command, first);
                else if (directory_signin(s->server->directory, &s->command, first, owner))
                        return false;
        } else if (str_starts(name, S(IMAP_SHARED))) {
                rest = str_from_at(name, sizeof(IMAP_SHARED) - 1);
                str_cut(&rest, '/', &first);
                *path = rest;
                *owner = arena_printf(&s->command, SHARED_ACCOUNT PRS, STR(arena_lower(&s->command, first)));
        }
        if (str_istarts(*path, INBOX) && path->n == INBOX.n)
                *path = INBOX;
        return owner->n > 0 && path->n > 0;
}

struct str imap_name_of(struct session *s, struct str owner, struct str path)
{
        if (str_eq(owner, s->account))
                return path;
        if (str_starts(owner, S(SHARED_ACCOUNT)))
                return arena_printf(&s->command, IMAP_SHARED PRS "/" PRS,
                                    STR(str_from_at(owner, sizeof(SHARED_ACCOUNT) - 1)), STR(path));
        return arena_printf(&s->command, IMAP_OTHERS PRS "/" PRS, STR(owner), STR(path));
}

bool imap_owner_exists(struct session *s, struct str owner)
{
        struct account_entry e;

        return str_eq(owner, s->account) || !directory_account(s->server->directory, &s->command, owner, &e);
}

int imap_open(struct session *s, struct str name, unsigned needs, struct access *x)
{
        struct str owner, path;

        *x = (struct access){ 0 };
        if (!imap_locate(s, name, &owner, &path) || !imap_owner_exists(s, owner))
                return -ENOENT;
        return access_open(x, s->server->accounts, s->account, owner, path, needs);
}

uint64_t imap_quota(const struct session *s, const struct account_entry *e)
{
        return e->quota ? e->quota : (uint64_t)s->server->settings->default_quota;
}

int imap_open_again(struct session *s, const struct access_key *key, unsigned needs, struct access *x)
{
        *x = (struct access){ 0 };
        if (!imap_owner_exists(s, str_of(key->owner)))
                return -ESTALE;
        return access_again(x, s->server->accounts, s->account, key, needs);
}

int imap_room(struct session *s, struct account *a, struct str owner, uint64_t *room)
{
        struct account_entry e;
        uint64_t octets, quota;
        int rc = directory_account(s->server->directory, &s->command, owner, &e);

        *room = UINT64_MAX;
        if (rc)
                return rc == -ENOENT ? 0 : rc; /* an account without an entry has no quota */
        quota = imap_quota(s, &e);
        if (!quota)
                return 0;
        rc = account_taken(a, &octets);
        if (!rc)
                *room = quota > octets ? quota - octets : 0;
        return rc;
}
