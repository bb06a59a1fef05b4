/* What replies mean, for who is learning them. The words are ours; where the text of a reply says more, the text is right. */
#include "cli/follow.h"

struct meaning {
        const char *code, *words;
};

/* RFC 5321 §4.2, RFC 3207, RFC 4954, RFC 3030, RFC 7504 */
static const struct meaning smtp[] = {
        { "211", "its state, or help" },
        { "214", "help" },
        { "220", "ready" },
        { "221", "goodbye: it hangs up" },
        { "235", "signed in" },
        { "250", "done" },
        { "251", "not here, but it sends the letter on" },
        { "252", "it does not say whether that address exists, and would take the letter" },
        { "334", "its challenge: the next line is the answer, in base64" },
        { "354", "now the letter, and a line with a dot alone at its end" },
        { "421", "not now, and it hangs up; try again later" },
        { "432", "the password has to be changed first" },
        { "450", "that mailbox cannot be used just now; try again later" },
        { "451", "something failed on its side; try again later" },
        { "452", "no room just now, or too many recipients; try again later" },
        { "454", "TLS or the sign-in cannot be done just now" },
        { "455", "it cannot take these parameters just now" },
        { "500", "it does not know this command" },
        { "501", "the command is known, what stands behind it is wrong" },
        { "502", "it knows the command and does not do it" },
        { "503", "not in this order" },
        { "504", "it does not do this with that parameter" },
        { "521", "this host takes no mail at all" },
        { "523", "the letter is larger than the recipient's limit" },
        { "530", "sign in, or start TLS, first" },
        { "534", "this way to sign in is too weak" },
        { "535", "wrong name or password" },
        { "538", "this way to sign in needs TLS" },
        { "550", "refused: no such mailbox, or not for you" },
        { "551", "not here: the text says where" },
        { "552", "too large, or the mailbox is full" },
        { "553", "that is no address it can use" },
        { "554", "refused, for good" },
        { "555", "it does not know these parameters" },
        { "556", "that domain takes no mail" },
        { "2", "done" },
        { "3", "so far good: go on" },
        { "4", "not now: the same may work later" },
        { "5", "refused: the same will fail again" },
        { 0 },
};

/* RFC 959 §4.2, RFC 2228, RFC 3659, RFC 4217 */
static const struct meaning ftp[] = {
        { "110", "a restart marker" },
        { "120", "ready in some minutes" },
        { "125", "the data connection is open, the transfer begins" },
        { "150", "it opens the data connection, then the transfer begins" },
        { "200", "done" },
        { "202", "needless here" },
        { "211", "its state, or what it can do" },
        { "212", "the state of a folder" },
        { "213", "the size, time or state of a file" },
        { "214", "help" },
        { "215", "the kind of system it is" },
        { "220", "ready" },
        { "221", "goodbye: it hangs up" },
        { "225", "the data connection is open, nothing is being transferred" },
        { "226", "the transfer is complete, the data connection closes" },
        { "227", "it listens for data: address and port, six numbers" },
        { "229", "it listens for data: the port" },
        { "230", "signed in" },
        { "232", "signed in, by the certificate" },
        { "234", "go ahead: the TLS handshake comes now" },
        { "235", "go on with the security exchange" },
        { "250", "done" },
        { "257", "the name of a folder, in quotes" },
        { "331", "the name is fine; now the password" },
        { "332", "now an account (ACCT)" },
        { "334", "go on with the security exchange" },
        { "350", "so far good: the next command completes it" },
        { "421", "not now, and it hangs up" },
        { "425", "no data connection came about" },
        { "426", "the data connection broke: the transfer is not complete" },
        { "430", "wrong name or password" },
        { "431", "it cannot do that kind of security just now" },
        { "434", "that host is not served here" },
        { "450", "that file cannot be had just now" },
        { "451", "something failed on its side" },
        { "452", "no room just now" },
        { "500", "it does not know this command" },
        { "501", "the command is known, what stands behind it is wrong" },
        { "502", "it knows the command and does not do it" },
        { "503", "not in this order" },
        { "504", "it does not do this with that parameter" },
        { "521", "not with data in clear, or not with data under TLS" },
        { "522", "not with this kind of network, or the data connection must have TLS" },
        { "530", "sign in first, or the sign-in failed" },
        { "532", "an account (ACCT) is needed to store files" },
        { "533", "it wants that command protected" },
        { "534", "it does not do that kind of security" },
        { "536", "it does not do that level of protection" },
        { "550", "no such file, or not for you" },
        { "551", "the page type is not known" },
        { "552", "over the limit: no more room" },
        { "553", "that file name is not allowed" },
        { "1", "it begins; another reply will end it" },
        { "2", "done" },
        { "3", "so far good: go on" },
        { "4", "not now: the same may work later" },
        { "5", "refused: the same will fail again" },
        { 0 },
};

/* RFC 1939 §3, RFC 2449 §8, RFC 3206, RFC 6856 */
static const struct meaning pop3[] = {
        { "-ERR [IN-USE]", "no: another session has the mailbox" },
        { "-ERR [LOGIN-DELAY]", "no: too soon after the last sign-in" },
        { "-ERR [SYS/TEMP]", "no: something failed on its side; later it may work" },
        { "-ERR [SYS/PERM]", "no: something is wrong on its side until somebody repairs it" },
        { "-ERR [AUTH]", "no: wrong name or password" },
        { "-ERR [UTF8]", "no: that letter needs UTF8 mode" },
        { "-ERR", "no" },
        { "+OK", "yes" },
        { "+", "its challenge: the next line is the answer, in base64" },
        { 0 },
};

/* RFC 9051 §7; "*" or a tag before it is left out. */
static const struct meaning imap[] = {
        { "OK [ALERT]", "the person must be shown this" },
        { "OK [PERMANENTFLAGS",
          "the flags that stay when the session ends; \\* means that new ones may be made" },
        { "OK [UIDVALIDITY", "the number that tells whether UIDs kept from before still hold" },
        { "OK [UIDNEXT", "the UID that the next new letter will have" },
        { "OK [UNSEEN", "the first letter that was not read" },
        { "OK [HIGHESTMODSEQ", "the last change in this mailbox has this number" },
        { "OK [READ-ONLY]", "done; the mailbox may be looked at, not changed" },
        { "OK [READ-WRITE]", "done; the mailbox may be changed" },
        { "OK [APPENDUID", "done: the letter's new UID" },
        { "OK [COPYUID", "done: which UIDs became which" },
        { "OK [CAPABILITY", "and what it can do" },
        { "OK [MAILBOXID", "its name for good, whatever it is called" },
        { "OK", "done" },
        { "NO [AUTHENTICATIONFAILED]", "wrong name or password" },
        { "NO [PRIVACYREQUIRED]", "start TLS first" },
        { "NO [NONEXISTENT]", "there is no such mailbox" },
        { "NO [TRYCREATE]", "there is no such mailbox; it may be created" },
        { "NO [ALREADYEXISTS]", "there is one already" },
        { "NO [OVERQUOTA]", "no room left for this account" },
        { "NO [NOPERM]", "you may not do that" },
        { "NO [UNAVAILABLE]", "something it needs is away just now" },
        { "NO [INUSE]", "somebody else has it just now" },
        { "NO [LIMIT]", "over a limit" },
        { "NO", "it understood, and cannot or will not" },
        { "BAD", "it did not understand: the command or its order is wrong" },
        { "BYE", "it hangs up" },
        { "PREAUTH", "ready, and you are signed in already" },
        { "CAPABILITY", "what it can do" },
        { "ENABLED", "what is switched on now" },
        { "LIST", "a mailbox, with its attributes and the sign between names" },
        { "LSUB", "a mailbox that is subscribed to" },
        { "STATUS", "numbers of a mailbox" },
        { "ESEARCH", "what was found" },
        { "SEARCH", "what was found" },
        { "FLAGS", "the flags that there are in this mailbox" },
        { "NAMESPACE", "where one's own mailboxes are, others' and shared ones" },
        { "VANISHED", "these UIDs are gone" },
        { "QUOTA", "how much is used, and how much may be" },
        { 0 },
};
/* "* 12 EXISTS" */
static const struct meaning imap_numbers[] = {
        { "EXISTS", "so many letters are in the mailbox" },
        { "RECENT", "so many of them are new to this session" },
        { "EXPUNGE", "that letter is gone; those behind it move up by one" },
        { "FETCH", "facts of that letter" },
        { 0 },
};

static const char *look(const struct meaning *m, struct str line)
{
        for (; m->code; m++)
                if (str_istarts(line, str_of(m->code)))
                        return m->words;
        return NULL;
}

static const char *explain_imap(struct str line)
{
        struct str first;
        uint64_t n;

        if (str_eq(line, S("+")) || str_starts(line, S("+ ")))
                return "go on: it waits for the rest";
        if (!str_cut(&line, ' ', &first))
                return NULL;
        if (!str_eq(first, S("*")))
                return look(imap, line);
        if (str_u64(str_sub(line, 0, str_find(line, ' ')), &n)) {
                str_cut(&line, ' ', &first);
                return look(imap_numbers, line);
        }
        return str_istarts(line, S("OK")) && !str_istarts(line, S("OK [")) ? "ready, or a note"
                                                                           : look(imap, line);
}

const char *explain_reply(enum talk_protocol p, struct str line)
{
        bool code = line.n >= 3;

        for (size_t i = 0; i < 3 && code; i++)
                code = line.p[i] >= '0' && line.p[i] <= '9';
        switch (p) {
        case TALK_SMTP: return code ? look(smtp, line) : NULL;
        case TALK_FTP: return code ? look(ftp, line) : NULL;
        case TALK_POP3: return look(pop3, line);
        case TALK_IMAP: return explain_imap(line);
        case TALK_UNKNOWN: break;
        }
        return NULL;
}
