/* Lists, and letters that go on. */
#include "proto/smtp/smtp.h"
#include "base/codec.h"
#include "mail/header.h"
#include "mail/srs.h"
#include "mail/trace.h"
#include "run/log.h"

static struct str domain_of(struct str address)
{
        return str_from_at(address, str_rfind(address, '@') + 1);
}

static struct str local_of(struct str address)
{
        return str_sub(address, 0, str_rfind(address, '@'));
}

/* ---- to a list ---- */

/* Its members get what they would get of any letter, but sent by the list; held, all of it waits in the outbox. */
static void prepare(struct letter *l, struct letter_list *list, const struct resolved *who)
{
        list->actions = arena_array(&l->arena, struct action, who->count);
        list->count = who->count;
        for (unsigned i = 0; i < who->count; i++) {
                struct action *t = &list->actions[i];

                *t = who->actions[i];
                t->number = i;
                if (list->entry.moderated) {
                        if (t->kind == ACTION_FILE)
                                t->address = t->account;
                        t->kind = ACTION_SEND;
                        t->flags = ACTION_HELD;
                        t->reason =
                            arena_printf(&l->arena, "a letter to the list " PRS " waits to be approved",
                                         STR(list->address));
                }
                if (t->kind == ACTION_SEND)
                        t->sender = verp_write(&l->arena, list->address, t->address);
        }
}

static int too_many(struct session *s)
{
        return smtp_refuse(s, "452 4.5.3 Too many lists: send to them in another transaction");
}

/* A report to a list would come back to it as another. */
static int to_list(struct session *s, const struct path *to, const struct resolved *who)
{
        struct letter *l = &smtp_of(s)->letter;
        struct letter_list *list = &l->lists[l->list_count];

        if (!l->sender.n)
                return smtp_refuse(s, "550 5.7.1 <" PRS ">... A list takes no reports", STR(to->text));
        if (who->list_entry.max_size && l->declared > who->list_entry.max_size)
                return smtp_refuse(s, "552 5.2.3 <" PRS ">... This list takes letters of at most %llu octets",
                                   STR(to->text), (unsigned long long)who->list_entry.max_size);
        for (unsigned i = 0; i < l->list_count; i++)
                if (str_ieq(l->lists[i].address, who->list))
                        return smtp_reply(s, "250 2.1.5 <" PRS ">... Recipient ok", STR(to->text));
        if (l->list_count == LETTER_LISTS)
                return too_many(s);
        *list = (struct letter_list){
                .address = who->list,
                .bounces = arena_printf(&l->arena, PRS "-bounces@" PRS, STR(local_of(who->list)),
                                        STR(domain_of(who->list))),
                .id =
                    arena_printf(&l->arena, PRS "." PRS, STR(local_of(who->list)), STR(domain_of(who->list))),
                .entry = who->list_entry,
        };
        prepare(l, list, who);
        l->list_count++;
        l->recipients++;
        l->recipient = arena_str(&l->arena, to->text);
        s->state = SMTP_RCPT;
        return smtp_reply(s, "250 2.1.5 <" PRS ">... Recipient ok", STR(to->text));
}

/* ---- back to a list ---- */

/* As the list has him, so that strangers fill no table with names of their own. p NULL: no member. */
static struct str member_of(struct session *s, struct str list, struct str said)
{
        struct letter *l = &smtp_of(s)->letter;
        struct resolved who;

        if (!said.n)
                return said;
        if (directory_resolve(s->server->directory, &l->arena, local_of(list), domain_of(list), &who) < 0)
                return (struct str){ 0 };
        for (unsigned i = 0; i < who.count; i++) {
                const struct action *t = &who.actions[i];
                struct str address = t->kind == ACTION_FILE ? t->account : t->address;

                if (str_ieq(address, said))
                        return address;
        }
        return (struct str){ 0 };
}

/* friends-bounces+alice=crepes.fr@hill.com. Whoever writes there counts, if it is a report: from <>. */
static bool to_bounces(struct session *s, const struct path *to, int *rc)
{
        struct letter *l = &smtp_of(s)->letter;
        struct str list, member;
        struct list_entry entry;

        if (!verp_read(&l->arena, to->local, to->domain, &list, &member) ||
            directory_list(s->server->directory, &l->arena, list, &entry) < 0)
                return false;
        if (l->sender.n) {
                *rc = smtp_refuse(s, "550 5.7.1 <" PRS ">... Only reports come here; the list is <" PRS ">",
                                  STR(to->text), STR(list));
                return true;
        }
        member = member_of(s, list, member);
        if (!member.p) {
                *rc = smtp_refuse(s, "550 5.1.1 <" PRS ">... No member of that list", STR(to->text));
                return true;
        }
        l->bounce = (struct letter_bounce){ list, member };
        l->recipients++;
        l->recipient = arena_str(&l->arena, to->text);
        s->state = SMTP_RCPT;
        *rc = smtp_reply(s, "250 2.1.5 <" PRS ">... Recipient ok", STR(to->text));
        return true;
}

/* friends-owner@ and friends-request@ are people: the owner, or the domain's postmaster. *who becomes theirs. */
static bool to_owner(struct session *s, const struct path *to, struct resolved *who)
{
        static const char *const ends[] = { "-owner", "-request" };
        struct letter *l = &smtp_of(s)->letter;
        struct list_entry entry;
        struct str local, domain;

        for (unsigned i = 0; i < 2; i++) {
                struct str end = str_of(ends[i]), list;

                if (to->local.n <= end.n || !str_ieq(str_from_at(to->local, to->local.n - end.n), end))
                        continue;
                list = arena_printf(&l->arena, PRS "@" PRS, STR(str_sub(to->local, 0, to->local.n - end.n)),
                                    STR(to->domain));
                if (directory_list(s->server->directory, &l->arena, list, &entry) < 0)
                        continue;
                if (!entry.owner.n || !address_split(entry.owner, &local, &domain)) {
                        local = S("postmaster");
                        domain = to->domain;
                }
                return directory_resolve(s->server->directory, &l->arena, local, domain, who) == 0 &&
                       who->standing == STANDING_OK;
        }
        return false;
}

/* What comes back for a letter that went on from here. */
static bool to_forwarded(struct session *s, const struct path *to, struct resolved *who)
{
        struct letter *l = &smtp_of(s)->letter;
        struct str back =
            s->server->srs_key.n ? srs_reverse(&l->arena, s->server->srs_key, to->local, wall_usec()) : S("");
        struct str local, domain;

        if (!back.n || !address_split(back, &local, &domain))
                return false;
        if (directory_resolve(s->server->directory, &l->arena, local, domain, who) < 0)
                return false;
        if (who->standing != STANDING_FOREIGN)
                return who->standing == STANDING_OK;
        who->standing = STANDING_OK;
        who->count = 1;
        who->actions = arena_new(&l->arena, struct action);
        *who->actions = (struct action){ .kind = ACTION_SEND,
                                         .address = back,
                                         .reason = S("a report for what was forwarded") };
        return true;
}

bool list_takes(struct session *s, const struct path *to, struct resolved *who, int *rc)
{
        if (who->standing == STANDING_OK && who->list.n) {
                *rc = to_list(s, to, who);
                return true;
        }
        if (who->standing != STANDING_UNKNOWN)
                return false;
        if (to_bounces(s, to, rc))
                return true;
        if (!to_owner(s, to, who) && !(smtp_of(s)->letter.sender.n == 0 && to_forwarded(s, to, who)))
                *who = (struct resolved){ .standing = STANDING_UNKNOWN };
        return false;
}

/* ---- going on ---- */

void list_forwards(struct session *s, struct resolved *who)
{
        struct letter *l = &smtp_of(s)->letter;
        struct str local, domain, ours = S("");

        if (!l->sender.n || !s->server->srs_key.n || !address_split(l->sender, &local, &domain) ||
            directory_is_local(s->server->directory, domain))
                return;
        for (unsigned i = 0; i < who->count; i++) {
                if (who->actions[i].kind != ACTION_SEND)
                        continue;
                if (!ours.n)
                        ours = who->account.n ? domain_of(who->account) : str_of(s->host);
                who->actions[i].sender =
                    srs_forward(&l->arena, s->server->srs_key, l->sender, ours, wall_usec());
        }
}

/* ---- the letter ---- */

bool list_circle(const struct letter *l, struct str head)
{
        struct header h = header_of(head);
        struct field f;

        while (l->list_count && header_next(&h, &f)) {
                if (!str_ieq(f.name, S("List-Id")))
                        continue;
                for (unsigned i = 0; i < l->list_count; i++) {
                        size_t at = str_rfind(f.value, '<');

                        if (at != STR_NONE && str_istarts(str_from_at(f.value, at + 1), l->lists[i].id))
                                return true;
                }
        }
        return false;
}

void list_leave_out(struct letter *l)
{
        for (unsigned i = 0; i < l->list_count; i++) {
                struct letter_list *list = &l->lists[i];
                unsigned kept = 0;

                for (unsigned k = 0; k < list->count; k++)
                        if (!letter_has(l, &list->actions[k]))
                                list->actions[kept++] = list->actions[k];
                list->count = kept;
        }
}

/* RFC 2919, 2369 */
void list_fields(struct buf *out, const struct letter_list *list)
{
        struct str local = local_of(list->address), domain = domain_of(list->address);

        if (list->entry.title.n && ascii_only(list->entry.title))
                buf_printf(out, "List-Id: " PRS "\r\n <" PRS ">\r\n", STR(list->entry.title), STR(list->id));
        else
                buf_printf(out, "List-Id: <" PRS ">\r\n", STR(list->id));
        buf_printf(out, "List-Post: <mailto:" PRS ">\r\n", STR(list->address));
        buf_printf(out, "List-Owner: <mailto:" PRS "-owner@" PRS ">\r\n", STR(local), STR(domain));
        buf_printf(out, "List-Unsubscribe: <mailto:" PRS "-request@" PRS "?subject=unsubscribe>\r\n",
                   STR(local), STR(domain));
        buf_puts(out, S("Precedence: list\r\n"));
}

bool list_too_long(const struct smtp *s)
{
        const struct letter *l = &s->letter;

        for (unsigned i = 0; i < l->list_count; i++)
                if (l->lists[i].entry.max_size && s->reception.r.size > l->lists[i].entry.max_size)
                        return true;
        return false;
}

void list_bounced(struct smtp *s)
{
        const struct letter_bounce *b = &s->letter.bounce;

        if (!b->list.n)
                return;
        log_event("list-bounce", "session=%s list=%s member=%s", s->session.id, log_str(b->list),
                  log_str(b->member));
        if (outbox_bounced(s->session.server->outbox, b->list, b->member, wall_usec()) < 0)
                log_warn("list-bounce", "list=%s what=\"it could not be counted\"", log_str(b->list));
}
