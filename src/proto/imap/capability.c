#include "proto/imap/imap.h"
#include "base/mem.h"
#include "proto/imap/capability.h"
#include "proto/sasl.h"

/* In the order of enum imap_capability. */
/* clang-format off */
const struct capability imap_capabilities[CAPABILITIES] = {
        [CAP_IMAP4REV1]          = { "IMAP4rev1", "3501", IMAP_ANY, "the protocol as most programs speak it" },
        [CAP_IMAP4REV2]          = { "IMAP4rev2", "9051", IMAP_ANY, "the protocol of 2021; ENABLE switches its replies on" },
        [CAP_LITERAL_PLUS]       = { "LITERAL+", "7888", IMAP_ANY, "literals without asking first" },
        [CAP_LITERAL_MINUS]      = { "LITERAL-", "7888", IMAP_ANY, "the same up to 4,096 octets" },
        [CAP_SASL_IR]            = { "SASL-IR", "4959", IMAP_STRANGER, "the first response with AUTHENTICATE" },
        [CAP_ID]                 = { "ID", "2971", IMAP_ANY, "who is talking" },
        [CAP_ENABLE]             = { "ENABLE", "5161", IMAP_ANY, "what changes replies is asked for" },
        [CAP_STARTTLS]           = { "STARTTLS", "9051", IMAP_STRANGER, "TLS on the plain port" },
        [CAP_IDLE]               = { "IDLE", "2177", IMAP_INSIDE, "changes are told as they happen" },
        [CAP_NAMESPACE]          = { "NAMESPACE", "2342", IMAP_INSIDE, "where others' mailboxes are found" },
        [CAP_UNSELECT]           = { "UNSELECT", "3691", IMAP_INSIDE, "leave a mailbox without expunging" },
        [CAP_CHILDREN]           = { "CHILDREN", "3348", IMAP_INSIDE, "which mailboxes have others below them" },
        [CAP_UIDPLUS]            = { "UIDPLUS", "4315", IMAP_INSIDE, "the uids that APPEND and COPY gave; UID EXPUNGE" },
        [CAP_MOVE]               = { "MOVE", "6851", IMAP_INSIDE, "letters change their mailbox at once" },
        [CAP_CONDSTORE]          = { "CONDSTORE", "7162", IMAP_INSIDE, "a modseq a letter; STORE only if unchanged" },
        [CAP_QRESYNC]            = { "QRESYNC", "7162", IMAP_INSIDE, "what has changed and gone since last time" },
        [CAP_ESEARCH]            = { "ESEARCH", "4731", IMAP_INSIDE, "RETURN (MIN MAX COUNT ALL)" },
        [CAP_SEARCHRES]          = { "SEARCHRES", "5182", IMAP_INSIDE, "$, the last result" },
        [CAP_WITHIN]             = { "WITHIN", "5032", IMAP_INSIDE, "OLDER and YOUNGER" },
        [CAP_SORT]               = { "SORT", "5256", IMAP_INSIDE, "sorted results" },
        [CAP_SORT_DISPLAY]       = { "SORT=DISPLAY", "5957", IMAP_INSIDE, "sorted by the names people see" },
        [CAP_ESORT]              = { "ESORT", "5267", IMAP_INSIDE, "SORT RETURN (...)" },
        [CAP_THREAD_REFERENCES]  = { "THREAD=REFERENCES", "5256", IMAP_INSIDE, "conversations" },
        [CAP_THREAD_ORDEREDSUBJECT] = { "THREAD=ORDEREDSUBJECT", "5256", IMAP_INSIDE, "conversations by subject" },
        [CAP_SPECIAL_USE]        = { "SPECIAL-USE", "6154", IMAP_INSIDE, "which mailbox is for drafts, sent, junk, ..." },
        [CAP_CREATE_SPECIAL_USE] = { "CREATE-SPECIAL-USE", "6154", IMAP_INSIDE, "the same when a mailbox is made" },
        [CAP_LIST_EXTENDED]      = { "LIST-EXTENDED", "5258", IMAP_INSIDE, "several patterns, what to select and return" },
        [CAP_LIST_STATUS]        = { "LIST-STATUS", "5819", IMAP_INSIDE, "LIST with STATUS" },
        [CAP_LIST_METADATA]      = { "LIST-METADATA", "9590", IMAP_INSIDE, "LIST with annotations" },
        [CAP_LIST_MYRIGHTS]      = { "LIST-MYRIGHTS", "8440", IMAP_INSIDE, "LIST with one's rights" },
        [CAP_STATUS_SIZE]        = { "STATUS=SIZE", "8438", IMAP_INSIDE, "octets of a mailbox" },
        [CAP_BINARY]             = { "BINARY", "3516", IMAP_INSIDE, "parts without their transfer encoding" },
        [CAP_MULTIAPPEND]        = { "MULTIAPPEND", "3502", IMAP_INSIDE, "many letters in an APPEND, all or none" },
        [CAP_CATENATE]           = { "CATENATE", "4469", IMAP_INSIDE, "a letter put together from parts that are here" },
        [CAP_REPLACE]            = { "REPLACE", "8508", IMAP_INSIDE, "a draft takes the place of the last one" },
        [CAP_APPENDLIMIT]        = { "APPENDLIMIT", "7889", IMAP_INSIDE, "how large a letter may be" },
        [CAP_COMPRESS]           = { "COMPRESS=DEFLATE", "4978", IMAP_INSIDE, "the connection deflated" },
        [CAP_UTF8_ACCEPT]        = { "UTF8=ACCEPT", "6855", IMAP_INSIDE, "UTF-8 in names and headers" },
        [CAP_QUOTA]              = { "QUOTA QUOTA=RES-STORAGE", "9208", IMAP_INSIDE, "how full the account is" },
        [CAP_ACL]                = { "ACL RIGHTS=texk", "4314", IMAP_INSIDE, "rights for others" },
        [CAP_METADATA]           = { "METADATA", "5464", IMAP_INSIDE, "annotations of mailboxes and account" },
        [CAP_NOTIFY]             = { "NOTIFY", "5465", IMAP_INSIDE, "changes in other mailboxes too" },
        [CAP_MULTISEARCH]        = { "MULTISEARCH", "7377", IMAP_INSIDE, "several mailboxes in one search" },
        [CAP_OBJECTID]           = { "OBJECTID", "8474", IMAP_INSIDE, "names that never change: MAILBOXID, EMAILID, THREADID" },
        [CAP_SAVEDATE]           = { "SAVEDATE", "8514", IMAP_INSIDE, "since when a letter lies here" },
        [CAP_PREVIEW]            = { "PREVIEW", "8970", IMAP_INSIDE, "the first words" },
        [CAP_PARTIAL]            = { "PARTIAL", "9394", IMAP_INSIDE, "results page by page" },
        [CAP_INPROGRESS]         = { "INPROGRESS", "9585", IMAP_INSIDE, "how far a long command is" },
        [CAP_UIDONLY]            = { "UIDONLY", "9586", IMAP_INSIDE, "no sequence numbers at all" },
        [CAP_MESSAGELIMIT]       = { "MESSAGELIMIT", "9738", IMAP_INSIDE, "at most so many letters a command" },
        [CAP_CONTEXT_SEARCH]     = { "CONTEXT=SEARCH", "5267", IMAP_INSIDE, "searches that are kept up to date" },
        [CAP_SEARCH_FUZZY]       = { "SEARCH=FUZZY", "6203", IMAP_INSIDE, "words nearly as asked, by relevancy" },
        [CAP_UNAUTHENTICATE]     = { "UNAUTHENTICATE", "8437", IMAP_INSIDE, "another user on the same connection" },
        [CAP_LANGUAGE]           = { "LANGUAGE", "5255", IMAP_ANY, "replies in German and French" },
        [CAP_I18NLEVEL]          = { "I18NLEVEL=1", "5255", IMAP_INSIDE, "case does not count in any script" },
};
/* clang-format on */

long imap_append_limit(const struct session *s)
{
        const struct settings *t = s->server->settings;

        return t->append_limit ? t->append_limit : t->max_letter_size;
}

/* Is it to be had here and now, whatever was switched off? */
static bool possible(const struct session *s, enum imap_capability c)
{
        const struct settings *t = s->server->settings;

        switch (c) {
        case CAP_LITERAL_PLUS: return t->imap_literal_plus;
        case CAP_LITERAL_MINUS: return !t->imap_literal_plus;
        case CAP_STARTTLS: return s->server->tls && !conn_has_tls(s->conn) && !conn_compressed(s->conn);
        case CAP_COMPRESS: return !((const struct imap *)s)->compressed;
        case CAP_MESSAGELIMIT: return t->message_limit > 0;
        default: return true;
        }
}

bool imap_can(const struct session *s, enum imap_capability c)
{
        const struct imap *p = (const struct imap *)s;

        return !(p->off >> c & 1) && (!s->conn || possible(s, c));
}

bool imap_can_rev2(const struct session *s, enum imap_capability c)
{
        return imap_can(s, c) || ((const struct imap *)s)->enabled & ENABLED_REV2;
}

unsigned capability_find(struct str word)
{
        struct str name, names;

        for (unsigned c = 0; c < CAPABILITIES; c++) {
                names = str_of(imap_capabilities[c].name);
                str_cut(&names, ' ', &name);
                if (word.n && str_ieq(word, name))
                        return c;
        }
        return CAPABILITIES;
}

bool capabilities_known(struct str list, struct str *unknown)
{
        while (list.n) {
                str_cut(&list, ' ', unknown);
                if (unknown->n && capability_find(*unknown) == CAPABILITIES)
                        return false;
        }
        return true;
}

/* What cannot be without another, as their RFCs say. */
static const struct {
        enum imap_capability off, too;
} together[] = {
        { CAP_CONDSTORE, CAP_QRESYNC },
        { CAP_SORT, CAP_SORT_DISPLAY },
        { CAP_SORT, CAP_ESORT },
        { CAP_ESEARCH, CAP_ESORT },
        { CAP_ESEARCH, CAP_SEARCHRES },
        { CAP_ESEARCH, CAP_CONTEXT_SEARCH },
        { CAP_ESEARCH, CAP_MULTISEARCH },
        { CAP_ESEARCH, CAP_PARTIAL },
        { CAP_SPECIAL_USE, CAP_CREATE_SPECIAL_USE },
        { CAP_LIST_EXTENDED, CAP_LIST_STATUS },
        { CAP_LIST_EXTENDED, CAP_LIST_METADATA },
        { CAP_LIST_EXTENDED, CAP_LIST_MYRIGHTS },
        { CAP_METADATA, CAP_LIST_METADATA },
        { CAP_ACL, CAP_LIST_MYRIGHTS },
};

static uint64_t bit(unsigned c)
{
        return (uint64_t)1 << c;
}

static void switch_off(struct imap *p, struct str list)
{
        struct str word;
        unsigned c;

        while (list.n) {
                str_cut(&list, ' ', &word);
                c = capability_find(word);
                if (c < CAPABILITIES)
                        p->off |= bit(c);
        }
        for (size_t i = 0; i < sizeof(together) / sizeof(*together); i++)
                if (p->off & bit(together[i].off))
                        p->off |= bit(together[i].too);
}

/* One of the two there must be. Without the first, the second needs no ENABLE (RFC 9051 Appendix E). */
static void settle_revision(struct imap *p)
{
        if (!(p->off & bit(CAP_IMAP4REV1)))
                return;
        if (p->off & bit(CAP_IMAP4REV2))
                p->off &= ~bit(CAP_IMAP4REV1);
        else
                p->enabled |= ENABLED_REV2;
}

void imap_capabilities_read(struct session *s)
{
        struct imap *p = imap_of(s);
        struct account_entry e;

        p->off = 0;
        switch_off(p, str_of(s->server->settings->imap_disable));
        if (s->account.n && s->server->directory &&
            !directory_account(s->server->directory, &s->command, s->account, &e))
                switch_off(p, e.imap_disable);
        settle_revision(p);
}

static void put_signins(struct buf *b, const struct session *s)
{
        struct str list = sasl_offered(s), word;

        while (list.n) {
                str_cut(&list, ' ', &word);
                if (word.n)
                        buf_printf(b, " AUTH=" PRS, STR(word));
        }
        if (!session_plaintext_ok(s))
                buf_puts(b, S(" LOGINDISABLED"));
}

void put_capabilities(struct buf *b, const struct session *s)
{
        buf_puts(b, S("CAPABILITY"));
        for (unsigned c = 0; c < CAPABILITIES; c++) {
                if (!(imap_capabilities[c].where & s->state) || !imap_can(s, c))
                        continue;
                buf_printf(b, " %s", imap_capabilities[c].name);
                if (c == CAP_APPENDLIMIT)
                        buf_printf(b, "=%ld", imap_append_limit(s));
                if (c == CAP_MESSAGELIMIT)
                        buf_printf(b, "=%ld", s->server->settings->message_limit);
        }
        if (s->state & IMAP_STRANGER)
                put_signins(b, s);
}

/* CAPABILITY -- RFC 9051 §6.1.1 */
int imap_capability(struct session *s, struct scan *a)
{
        struct buf b auto_buf;

        (void)a;
        buf_init(&b, 4096);
        put_capabilities(&b, s);
        imap_say(s, PRS, STR(buf_str(&b)));
        return imap_ok(s, "that is what there is");
}
