#include "store/account_sql.h"
#include "store/account_inside.h"

/* Every key begins with the account, a constant here. Numbers given out: see STATES.md.
 *
 *   account   one row: what rarely changes. boot, clean: the boot id of the last who wrote, and whether all have closed
 *             since. jumped: the modseq after the last jump; a client that knows only older ones starts anew.
 *             forgotten: up to this modseq, rows of gone may be missing. uidvalidity: the last one given
 *   mailbox   names. Path: the names from the top (parent 0), with '/' between. role as in RFC 8621 §2, or empty.
 *             created, changed: modseqs, for JMAP's Mailbox/changes
 *   counter   what changes with every letter, a row a mailbox; mailbox 0 is the account as a whole: its uidnext is the
 *             next letter, its modseq the last one given, count and octets are of letters, each once.
 *             safe: what uidnext was when last known to be durable; modsafe: the same of modseq, in row 0
 *   keyword   names of the flag bits from 8 up
 *   page      place = mailbox << 32 | first uid; data: 126 struct placed (account.h), in uid order, zeros behind
 *   letter    places: (mailbox, uid) u32 pairs, ascending; envelope and mime packed (mail/envelope.h, mail/mime.h).
 *             Shown as M%x of letter (EMAILID, RFC 8474 §5.1; JMAP Email id), T%x of thread (THREADID)
 *   body      data NULL: in the file bodies/%016x. uses: letters that share it. body is the number of its first letter
 *   reference hash: a message-id together with the base subject (account_thread.c); never removed
 *   thread    only where it holds more than its first letter: u32 letters, ascending
 *   gone      uid..last of the mailbox went at modseq; letter 0: never was there, a gap; uid 0: the mailbox itself
 *   filed     actions of the intake log that were carried out here, and the letter each became */
static const char schema[] =
    "CREATE TABLE account(account INTEGER PRIMARY KEY, name TEXT NOT NULL, boot TEXT NOT NULL, "
    "clean INTEGER NOT NULL, jumped INTEGER NOT NULL, forgotten INTEGER NOT NULL, uidvalidity INTEGER NOT "
    "NULL) STRICT;"
    "CREATE TABLE mailbox(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, parent INTEGER NOT NULL, "
    "name TEXT NOT NULL, role TEXT NOT NULL, uidvalidity INTEGER NOT NULL, subscribed INTEGER NOT NULL, "
    "place INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL, PRIMARY KEY(account, "
    "mailbox), "
    "UNIQUE(account, parent, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE counter(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, uidnext INTEGER NOT NULL, "
    "safe INTEGER NOT NULL, modseq INTEGER NOT NULL, modsafe INTEGER NOT NULL, count INTEGER NOT NULL, "
    "octets INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, PRIMARY KEY(account, "
    "mailbox)) "
    "STRICT, WITHOUT ROWID;"
    "CREATE TABLE keyword(account INTEGER NOT NULL, bit INTEGER NOT NULL, name TEXT NOT NULL, "
    "PRIMARY KEY(account, bit)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE page(account INTEGER NOT NULL, place INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE letter(account INTEGER NOT NULL, letter INTEGER PRIMARY KEY, body INTEGER NOT NULL, "
    "thread INTEGER NOT NULL, size INTEGER NOT NULL, received INTEGER NOT NULL, places BLOB NOT NULL, "
    "envelope BLOB NOT NULL, mime BLOB NOT NULL) STRICT;"
    "CREATE TABLE body(account INTEGER NOT NULL, body INTEGER PRIMARY KEY, uses INTEGER NOT NULL, data BLOB) "
    "STRICT;"
    "CREATE TABLE reference(account INTEGER NOT NULL, hash INTEGER PRIMARY KEY, thread INTEGER NOT NULL) "
    "STRICT;"
    "CREATE TABLE thread(account INTEGER NOT NULL, thread INTEGER PRIMARY KEY, letters BLOB NOT NULL) STRICT;"
    "CREATE TABLE gone(account INTEGER NOT NULL, modseq INTEGER NOT NULL, mailbox INTEGER NOT NULL, "
    "uid INTEGER NOT NULL, last INTEGER NOT NULL, letter INTEGER NOT NULL, at INTEGER NOT NULL, "
    "PRIMARY KEY(account, modseq, mailbox, uid)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE filed(account INTEGER NOT NULL, segment INTEGER NOT NULL, sequence INTEGER NOT NULL, "
    "number INTEGER NOT NULL, letter INTEGER NOT NULL, PRIMARY KEY(account, segment, sequence, number)) "
    "STRICT, WITHOUT ROWID;";

static const char *const statements[ACCOUNT_STATEMENTS] = {
        [ACCOUNT_READ] =
            "SELECT boot, clean, jumped, forgotten, uidvalidity, name FROM account WHERE account = ?1",
        [ACCOUNT_CLAIM] = "UPDATE account SET boot = ?2, clean = ?3 WHERE account = ?1",
        [ACCOUNT_JUMPED] = "UPDATE account SET jumped = ?2 WHERE account = ?1",
        [ACCOUNT_ADD] = "INSERT INTO account(account, name, boot, clean, jumped, forgotten, uidvalidity) "
                        "VALUES (?1, ?2, ?3, 0, 1, 1, ?4)",
        [ACCOUNT_FORGOTTEN] = "UPDATE account SET forgotten = ?2 WHERE account = ?1",
        [MAILBOX_ADD] =
            "INSERT INTO mailbox(account, mailbox, parent, name, role, uidvalidity, subscribed, place, "
            "created, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?2, ?7, ?7)",
        [MAILBOX_FIND] = "SELECT mailbox FROM mailbox WHERE account = ?1 AND parent = ?2 AND name = ?3",
        [MAILBOX_VIEW] = "SELECT m.uidvalidity, c.uidnext, c.count, c.octets, a.modseq "
                         "FROM mailbox m JOIN counter c ON c.account = m.account AND c.mailbox = m.mailbox "
                         "JOIN counter a ON a.account = m.account AND a.mailbox = 0 "
                         "WHERE m.account = ?1 AND m.mailbox = ?2",
        [MAILBOX_ALL] = "SELECT mailbox, name, uidvalidity FROM mailbox WHERE account = ?1 ORDER BY mailbox",
        [COUNTER_ADD] =
            "INSERT INTO counter(account, mailbox, uidnext, safe, modseq, modsafe, count, octets, unseen, "
            "deleted) VALUES (?1, ?2, 1, 1, ?3, ?3, 0, 0, 0, 0)",
        [COUNTER_READ] = "SELECT uidnext, safe, modseq, modsafe, count, octets, unseen, deleted "
                         "FROM counter WHERE account = ?1 AND mailbox = ?2",
        [COUNTER_WRITE] =
            "UPDATE counter SET uidnext = ?3, safe = ?4, modseq = ?5, modsafe = ?6, count = ?7, "
            "octets = ?8, unseen = ?9, deleted = ?10 WHERE account = ?1 AND mailbox = ?2",
        [COUNTER_NEXT] =
            "SELECT mailbox FROM counter WHERE account = ?1 AND mailbox > ?2 ORDER BY mailbox LIMIT 1",
        [PAGE_LAST] = "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN ?2 AND ?3 "
                      "ORDER BY place DESC LIMIT 1",
        [PAGE_OF] = "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN ?2 AND ?3 "
                    "ORDER BY place DESC LIMIT 1",
        [PAGE_RANGE] =
            "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN ?2 AND ?3 ORDER BY place",
        [PAGE_ADD] = "INSERT INTO page(account, place, data) VALUES (?1, ?2, ?3)",
        [PAGE_WRITE] = "UPDATE page SET data = ?3 WHERE account = ?1 AND place = ?2",
        [PAGE_DROP] = "DELETE FROM page WHERE account = ?1 AND place = ?2",
        [LETTER_ADD] =
            "INSERT INTO letter(account, letter, body, thread, size, received, places, envelope, mime) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [LETTER_READ] = "SELECT body, thread, size, places FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_FACTS] = "SELECT mime, envelope FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_BODY] = "SELECT body FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_PLACES] = "UPDATE letter SET places = ?3 WHERE account = ?1 AND letter = ?2",
        [LETTER_DROP] = "DELETE FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_ALL] = "SELECT letter, body, thread, size, places, mime FROM letter "
                       "WHERE account = ?1 AND letter > ?2 ORDER BY letter",
        [BODY_ADD] = "INSERT INTO body(account, body, uses, data) VALUES (?1, ?2, 1, ?3)",
        [BODY_READ] = "SELECT data FROM body WHERE account = ?1 AND body = ?2",
        [BODY_DROP] = "DELETE FROM body WHERE account = ?1 AND body = ?2 AND uses <= 1",
        [BODY_UNUSE] = "UPDATE body SET uses = uses - 1 WHERE account = ?1 AND body = ?2",
        [BODY_ALL] = "SELECT body, uses, length(data) FROM body WHERE account = ?1 ORDER BY body",
        [REFERENCE_ADD] =
            "INSERT INTO reference(account, hash, thread) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        [REFERENCE_READ] = "SELECT thread FROM reference WHERE account = ?1 AND hash = ?2",
        [THREAD_READ] = "SELECT letters FROM thread WHERE account = ?1 AND thread = ?2",
        [THREAD_WRITE] = "INSERT INTO thread(account, thread, letters) VALUES (?1, ?2, ?3) "
                         "ON CONFLICT(thread) DO UPDATE SET letters = excluded.letters",
        [THREAD_DROP] = "DELETE FROM thread WHERE account = ?1 AND thread = ?2",
        [THREAD_ALL] = "SELECT thread, letters FROM thread WHERE account = ?1 ORDER BY thread",
        [GONE_ADD] = "INSERT INTO gone(account, modseq, mailbox, uid, last, letter, at) "
                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        [GONE_SINCE] = "SELECT uid, last, letter, modseq FROM gone "
                       "WHERE account = ?1 AND modseq > ?2 AND mailbox = ?3 AND letter > 0",
        [GONE_OLDEST] = "SELECT modseq, at FROM gone WHERE account = ?1 ORDER BY modseq LIMIT 1",
        [GONE_PURGE] = "DELETE FROM gone WHERE account = ?1 AND modseq <= ?2",
        [FILED_ADD] =
            "INSERT INTO filed(account, segment, sequence, number, letter) VALUES (?1, ?2, ?3, ?4, ?5) "
            "ON CONFLICT DO NOTHING",
        [FILED_LETTER] =
            "SELECT letter FROM filed WHERE account = ?1 AND segment = ?2 AND sequence = ?3 AND number = ?4",
        [FILED_REMOVE] =
            "DELETE FROM filed WHERE account = ?1 AND segment = ?2 AND sequence = ?3 AND number = ?4",
        [FILED_NEXT] = "SELECT min(segment) FROM filed WHERE account = ?1 AND segment > ?2",
        [FILED_FORGET] = "DELETE FROM filed WHERE account = ?1 AND segment = ?2",
        [INTEGRITY] = "PRAGMA integrity_check(20)",
};

const struct db_store account_store = {
        .name = "account",
        .version = 1,
        .schema = schema,
        .statements = statements,
        .statement_count = ACCOUNT_STATEMENTS,
        .page_size = 4096,
        .opened = account_opened,
};
