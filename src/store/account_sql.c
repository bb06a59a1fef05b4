#include "store/account_sql.h"
#include "store/account_inside.h"

/* Every key begins with the account, a constant here. Numbers given out: see STATES.md.
 *
 *   account   one row: what rarely changes. boot, clean: the boot id of the last who wrote, and whether all have closed
 *             since. jumped: the modseq after the last jump; a client that knows only older ones starts anew.
 *             forgotten: up to this modseq, rows of gone may be missing. uidvalidity: the last one given;
 *             mailboxes: the next mailbox's number
 *   mailbox   names. Path: the names from the top (parent 0), with '/' between. role as in RFC 8621 §2, or empty.
 *             created, changed: modseqs, for JMAP's Mailbox/changes. selectable 0: only a name above others.
 *             subscribed: was of use in schema 1; `subscription` has taken its place
 *   counter   what changes with every letter, a row a mailbox; mailbox 0 is the account as a whole: its uidnext is the
 *             next letter, its modseq the last one given, count and octets are of letters, each once.
 *             safe: what uidnext was when last known to be durable; modsafe: the same of modseq, in row 0.
 *             reserved: numbers below it may be given out although they run far ahead of safe; that was made durable.
 *             recent: the first uid that is \Recent for the owner. changes: change_ring.c
 *   keyword   names of the flag bits from 8 up
 *   page      place = mailbox << 32 | first uid; data: 126 struct placed (account.h), in uid order, zeros behind
 *   letter    places: where it was filed: u32 mailbox, u32 uid, or empty; counts as long as `placing` says nothing of
 *             the letter. envelope and mime packed (mail/envelope.h, mail/mime.h).
 *             Shown as M%x of letter (EMAILID, RFC 8474 §5.1; JMAP Email id), T%x of thread (THREADID)
 *   body      data NULL: in the file bodies/%016x. uses: letters that share it. body is the number of its first letter
 *   reference hash: a message-id together with the base subject (account_thread.c); never removed
 *   thread    only where it holds more than its first letter: u32 letters, ascending
 *   placing   of letters that were copied or moved, all their places: first: a letter; data: (letter, mailbox, uid)
 *             u32 triples in that order, up to 336 a row, from letter `first` up to the next row's
 *   doomed    letters (u32 each) without a place, on their way out, or in: not counted any more (yet); removed by the
 *             background after `until` (seconds)
 *   gone      went at modseq: uid of the mailbox, which was letter, and the (uid, letter) u32 pairs in more, ascending,
 *             the last of them last. letter 0: uid..last never were there, a gap; uid 0: the mailbox itself
 *   acl       who may do what, bits of access.h; identifier with '-' before it: may not. mailbox 0: at the top, and what
 *             new mailboxes there inherit
 *   subscription  names as the owner's clients wrote them, those of other people's mailboxes too
 *   annotation    RFC 5464; mailbox 0: of the account; reader: whose /private/ it is
 *   reader    numbers of other people who read here
 *   seen      \Seen of such a reader: bits of 4,096 uids, from piece * 4096
 *   visit     the first uid that is \Recent for such a reader
 *   filed     actions of the intake log that were carried out here, and the letter each became */
#define SCHEMA_2_TABLES                                                                                      \
        "CREATE TABLE placing(account INTEGER NOT NULL, first INTEGER PRIMARY KEY, data BLOB NOT NULL) "     \
        "STRICT;"                                                                                            \
        "CREATE TABLE doomed(account INTEGER NOT NULL, number INTEGER PRIMARY KEY, until INTEGER NOT NULL, " \
        "letters BLOB NOT NULL) STRICT;"                                                                     \
        "CREATE TABLE reader(account INTEGER NOT NULL, reader INTEGER NOT NULL, name TEXT NOT NULL, "        \
        "PRIMARY KEY(account, reader), UNIQUE(account, name)) STRICT, WITHOUT ROWID;"                        \
        "CREATE TABLE seen(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, reader INTEGER NOT NULL, "    \
        "piece INTEGER NOT NULL, bits BLOB NOT NULL, PRIMARY KEY(account, mailbox, reader, piece)) STRICT, " \
        "WITHOUT ROWID;"                                                                                     \
        "CREATE TABLE visit(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, reader INTEGER NOT NULL, "   \
        "recent INTEGER NOT NULL, PRIMARY KEY(account, mailbox, reader)) STRICT, WITHOUT ROWID;"

/* Rights, subscriptions, annotations (store/mailbox.h). */
#define SCHEMA_2_NAMES                                                                                    \
        "CREATE TABLE acl(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, identifier TEXT NOT NULL, " \
        "rights INTEGER NOT NULL, PRIMARY KEY(account, mailbox, identifier)) STRICT, WITHOUT ROWID;"      \
        "CREATE TABLE subscription(account INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(account, "   \
        "name)) "                                                                                         \
        "STRICT, WITHOUT ROWID;"                                                                          \
        "CREATE TABLE annotation(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, reader INTEGER NOT " \
        "NULL, "                                                                                          \
        "entry TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(account, mailbox, reader, entry)) STRICT;"

static const char schema[] =
    "CREATE TABLE account(account INTEGER PRIMARY KEY, name TEXT NOT NULL, boot TEXT NOT NULL, "
    "clean INTEGER NOT NULL, jumped INTEGER NOT NULL, forgotten INTEGER NOT NULL, uidvalidity INTEGER NOT "
    "NULL, mailboxes INTEGER NOT NULL DEFAULT 1) STRICT;"
    "CREATE TABLE mailbox(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, parent INTEGER NOT NULL, "
    "name TEXT NOT NULL, role TEXT NOT NULL, uidvalidity INTEGER NOT NULL, subscribed INTEGER NOT NULL, "
    "place INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL, "
    "selectable INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(account, "
    "mailbox), "
    "UNIQUE(account, parent, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE counter(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, uidnext INTEGER NOT NULL, "
    "safe INTEGER NOT NULL, modseq INTEGER NOT NULL, modsafe INTEGER NOT NULL, count INTEGER NOT NULL, "
    "octets INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, "
    "deleted_octets INTEGER NOT NULL DEFAULT 0, reserved INTEGER NOT NULL DEFAULT 0, "
    "recent INTEGER NOT NULL DEFAULT 1, changes BLOB NOT NULL DEFAULT x'', PRIMARY KEY(account, mailbox)) "
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
    "more BLOB, PRIMARY KEY(account, modseq, mailbox, uid)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE filed(account INTEGER NOT NULL, segment INTEGER NOT NULL, sequence INTEGER NOT NULL, "
    "number INTEGER NOT NULL, letter INTEGER NOT NULL, PRIMARY KEY(account, segment, sequence, number)) "
    "STRICT, WITHOUT ROWID;" SCHEMA_2_TABLES SCHEMA_2_NAMES;

/* From schema 1: a letter lay in one place only, so nothing is to be packed anew. */
static const char schema_2[] =
    "ALTER TABLE counter ADD COLUMN deleted_octets INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE counter ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE counter ADD COLUMN recent INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE counter ADD COLUMN changes BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE gone ADD COLUMN more BLOB;" SCHEMA_2_TABLES
    "ALTER TABLE mailbox ADD COLUMN selectable INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE account ADD COLUMN mailboxes INTEGER NOT NULL DEFAULT 1;"
    "UPDATE account SET mailboxes = (SELECT max(mailbox) + 1 FROM mailbox);" SCHEMA_2_NAMES
    "INSERT INTO subscription(account, name) SELECT account, name FROM mailbox WHERE subscribed = 1;";

static const char *const migrations[] = { [1] = schema_2 };

static const char *const statements[ACCOUNT_STATEMENTS] = {
        [ACCOUNT_READ] =
            "SELECT boot, clean, jumped, forgotten, uidvalidity, name FROM account WHERE account = ?1",
        [ACCOUNT_CLAIM] = "UPDATE account SET boot = ?2, clean = ?3 WHERE account = ?1",
        [ACCOUNT_JUMPED] = "UPDATE account SET jumped = ?2, mailboxes = mailboxes + 1000, "
                           "uidvalidity = uidvalidity + 1000 WHERE account = ?1",
        [ACCOUNT_ADD] = "INSERT INTO account(account, name, boot, clean, jumped, forgotten, uidvalidity) "
                        "VALUES (?1, ?2, ?3, 0, 1, 1, ?4)",
        [ACCOUNT_FORGOTTEN] = "UPDATE account SET forgotten = ?2 WHERE account = ?1",
        [MAILBOX_ADD] =
            "INSERT INTO mailbox(account, mailbox, parent, name, role, uidvalidity, subscribed, place, "
            "created, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?2, ?7, ?7)",
        [MAILBOX_FIND] =
            "SELECT mailbox, selectable FROM mailbox WHERE account = ?1 AND parent = ?2 AND name = ?3",
        [MAILBOX_VIEW] = "SELECT m.uidvalidity, c.uidnext, c.count, c.octets, a.modseq "
                         "FROM mailbox m JOIN counter c ON c.account = m.account AND c.mailbox = m.mailbox "
                         "JOIN counter a ON a.account = m.account AND a.mailbox = 0 "
                         "WHERE m.account = ?1 AND m.mailbox = ?2",
        [MAILBOX_VALID] = "SELECT uidvalidity FROM mailbox WHERE account = ?1 AND mailbox = ?2",
        [MAILBOX_ALL] = "SELECT mailbox, name, uidvalidity FROM mailbox WHERE account = ?1 ORDER BY mailbox",
        [COUNTER_ADD] =
            "INSERT INTO counter(account, mailbox, uidnext, safe, modseq, modsafe, count, octets, unseen, "
            "deleted) VALUES (?1, ?2, 1, 1, ?3, ?3, 0, 0, 0, 0)",
        [COUNTER_READ] =
            "SELECT uidnext, safe, modseq, modsafe, count, octets, unseen, deleted, "
            "deleted_octets, reserved, recent, changes FROM counter WHERE account = ?1 AND mailbox = ?2",
        [COUNTER_WRITE] =
            "UPDATE counter SET uidnext = ?3, safe = ?4, modseq = ?5, modsafe = ?6, count = ?7, "
            "octets = ?8, unseen = ?9, deleted = ?10, deleted_octets = ?11, reserved = ?12, recent = ?13, "
            "changes = ?14 WHERE account = ?1 AND mailbox = ?2",
        [COUNTER_NEXT] =
            "SELECT mailbox FROM counter WHERE account = ?1 AND mailbox > ?2 ORDER BY mailbox LIMIT 1",
        [PAGE_LAST] = "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN ?2 AND ?3 "
                      "ORDER BY place DESC LIMIT 1",
        [PAGE_OF] = "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN ?2 AND ?3 "
                    "ORDER BY place DESC LIMIT 1",
        [PAGE_RANGE] =
            "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN ?2 AND ?3 ORDER BY place",
        [PAGE_FROM] = "SELECT place, data FROM page WHERE account = ?1 AND place BETWEEN coalesce((SELECT "
                      "max(place) FROM page WHERE place BETWEEN ?2 AND ?3), ?2) AND ?4 ORDER BY place",
        [PAGE_AFTER] = "SELECT place, data FROM page WHERE account = ?1 AND place > ?2 AND place <= ?3 "
                       "ORDER BY place LIMIT 1",
        [PAGE_ADD] = "INSERT INTO page(account, place, data) VALUES (?1, ?2, ?3)",
        [PAGE_WRITE] = "UPDATE page SET data = ?3 WHERE account = ?1 AND place = ?2",
        [PAGE_DROP] = "DELETE FROM page WHERE account = ?1 AND place = ?2",
        [LETTER_ADD] =
            "INSERT INTO letter(account, letter, body, thread, size, received, places, envelope, mime) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [LETTER_READ] = "SELECT body, thread, size, places FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_FACTS] = "SELECT mime, envelope FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_BODY] = "SELECT body FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_TEXT] = "SELECT l.letter, l.size, l.received, l.mime, l.body, b.data FROM letter l "
                        "LEFT JOIN body b ON b.account = l.account AND b.body = l.body "
                        "WHERE l.account = ?1 AND l.letter BETWEEN ?2 AND ?3 ORDER BY l.letter",
        [LETTER_WHOLE] = "SELECT l.body, l.received, l.envelope, b.data FROM letter l JOIN body b ON "
                         "b.account = l.account AND b.body = l.body WHERE l.account = ?1 AND l.letter = ?2",
        [LETTER_STAMP] = "SELECT size, received FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_NUMBERS] = "SELECT letter FROM letter WHERE account = ?1 AND letter BETWEEN ?2 AND ?3 "
                           "ORDER BY letter LIMIT ?4",
        [LETTER_DROP] = "DELETE FROM letter WHERE account = ?1 AND letter = ?2",
        [LETTER_ALL] = "SELECT letter, body, thread, size, places, mime FROM letter "
                       "WHERE account = ?1 AND letter > ?2 ORDER BY letter",
        [BODY_ADD] = "INSERT INTO body(account, body, uses, data) VALUES (?1, ?2, 1, ?3)",
        [BODY_READ] = "SELECT data FROM body WHERE account = ?1 AND body = ?2",
        [BODY_DROP] = "DELETE FROM body WHERE account = ?1 AND body = ?2 AND uses <= 1",
        [BODY_UNUSE] = "UPDATE body SET uses = uses - 1 WHERE account = ?1 AND body = ?2",
        [BODY_USES] = "SELECT data IS NULL, uses FROM body WHERE account = ?1 AND body = ?2",
        [BODY_ALL] = "SELECT body, uses, length(data) FROM body WHERE account = ?1 ORDER BY body",
        [REFERENCE_ADD] =
            "INSERT INTO reference(account, hash, thread) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        [REFERENCE_READ] = "SELECT thread FROM reference WHERE account = ?1 AND hash = ?2",
        [THREAD_READ] = "SELECT letters FROM thread WHERE account = ?1 AND thread = ?2",
        [THREAD_WRITE] = "INSERT INTO thread(account, thread, letters) VALUES (?1, ?2, ?3) "
                         "ON CONFLICT(thread) DO UPDATE SET letters = excluded.letters",
        [THREAD_DROP] = "DELETE FROM thread WHERE account = ?1 AND thread = ?2",
        [THREAD_ALL] = "SELECT thread, letters FROM thread WHERE account = ?1 ORDER BY thread",
        [GONE_ADD] = "INSERT INTO gone(account, modseq, mailbox, uid, last, letter, at, more) "
                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        [GONE_SINCE] = "SELECT uid, last, letter, modseq, more FROM gone "
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
        [PLACING_OF] = "SELECT first, data FROM placing WHERE account = ?1 AND first <= ?2 "
                       "ORDER BY first DESC LIMIT 1",
        [PLACING_NEXT] = "SELECT first, data FROM placing WHERE account = ?1 AND first > ?2 "
                         "ORDER BY first LIMIT 1",
        [PLACING_WRITE] = "INSERT INTO placing(account, first, data) VALUES (?1, ?2, ?3) "
                          "ON CONFLICT(first) DO UPDATE SET data = excluded.data",
        [PLACING_DROP] = "DELETE FROM placing WHERE account = ?1 AND first = ?2",
        [DOOMED_ADD] = "INSERT INTO doomed(account, number, until, letters) "
                       "SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3 FROM doomed",
        [DOOMED_NEXT] = "SELECT number, until, letters FROM doomed WHERE account = ?1 AND number > ?2 "
                        "ORDER BY number LIMIT 1",
        [DOOMED_WRITE] = "UPDATE doomed SET letters = ?3 WHERE account = ?1 AND number = ?2",
        [DOOMED_DROP] = "DELETE FROM doomed WHERE account = ?1 AND number = ?2",
        [SEEN_ALL] = "SELECT piece, bits FROM seen WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 "
                     "ORDER BY piece",
        [SEEN_OF] =
            "SELECT bits FROM seen WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 AND piece = ?4",
        [SEEN_READERS] = "SELECT reader, piece, bits FROM seen WHERE account = ?1 AND mailbox = ?2",
        [SEEN_AFTER] = "SELECT reader, piece FROM seen WHERE account = ?1 AND mailbox = ?2 AND "
                       "(reader, piece) > (?3, ?4) ORDER BY reader, piece",
        [SEEN_WRITE] = "INSERT INTO seen(account, mailbox, reader, piece, bits) VALUES (?1, ?2, ?3, ?4, ?5) "
                       "ON CONFLICT(account, mailbox, reader, piece) DO UPDATE SET bits = excluded.bits",
        [SEEN_FORGET] = "DELETE FROM seen WHERE account = ?1 AND mailbox = ?2",
        [VISIT_READ] = "SELECT recent FROM visit WHERE account = ?1 AND mailbox = ?2 AND reader = ?3",
        [VISIT_WRITE] = "INSERT INTO visit(account, mailbox, reader, recent) VALUES (?1, ?2, ?3, ?4) "
                        "ON CONFLICT(account, mailbox, reader) DO UPDATE SET recent = excluded.recent",
        [VISIT_FORGET] = "DELETE FROM visit WHERE account = ?1 AND mailbox = ?2",
        [KEYWORD_ALL] = "SELECT bit, name FROM keyword WHERE account = ?1 ORDER BY bit",
        [KEYWORD_ADD] = "INSERT INTO keyword(account, bit, name) VALUES (?1, ?2, ?3)",
        [FACTS_RANGE] = "SELECT letter, thread, body, size, received, mime, envelope FROM letter "
                        "WHERE account = ?1 AND letter BETWEEN ?2 AND ?3 ORDER BY letter",
        [DATES_RANGE] = "SELECT letter, thread, body, size, received FROM letter "
                        "WHERE account = ?1 AND letter BETWEEN ?2 AND ?3 ORDER BY letter",
        [COUNTER_FORGET] = "DELETE FROM counter WHERE account = ?1 AND mailbox = ?2",
        [MAILBOX_ROW] =
            "SELECT parent, uidvalidity, selectable, role FROM mailbox WHERE account = ?1 AND mailbox = ?2",
        [MAILBOX_CHILD] = "SELECT mailbox FROM mailbox WHERE account = ?1 AND parent = ?2 LIMIT 1",
        [MAILBOX_COUNT] = "SELECT count(*) FROM mailbox WHERE account = ?1",
        [MAILBOX_LIST] = "SELECT mailbox, parent, name, role, uidvalidity, selectable, created, changed "
                         "FROM mailbox WHERE account = ?1 ORDER BY mailbox",
        [MAILBOX_NEW] = "INSERT INTO mailbox(account, mailbox, parent, name, role, uidvalidity, subscribed, "
                        "place, created, changed, selectable) "
                        "VALUES (?1, ?2, ?3, ?4, '', ?5, 0, ?2, ?7, ?7, ?6)",
        [MAILBOX_TOUCH] = "UPDATE mailbox SET changed = ?3 WHERE account = ?1 AND mailbox = ?2",
        [MAILBOX_SELECTABLE] =
            "UPDATE mailbox SET selectable = 1, uidvalidity = ?3 WHERE account = ?1 AND mailbox = ?2",
        [MAILBOX_MOVE] = "UPDATE mailbox SET parent = ?3, name = ?4, changed = ?5 "
                         "WHERE account = ?1 AND mailbox = ?2",
        [MAILBOX_ADOPT] = "UPDATE mailbox SET parent = ?3, changed = ?4 WHERE account = ?1 AND parent = ?2",
        [MAILBOX_DROP] = "DELETE FROM mailbox WHERE account = ?1 AND mailbox = ?2",
        [NUMBERS_READ] = "SELECT mailboxes, uidvalidity FROM account WHERE account = ?1",
        [NUMBERS_WRITE] = "UPDATE account SET mailboxes = ?2, uidvalidity = ?3 WHERE account = ?1",
        [ROLE_FIND] = "SELECT mailbox FROM mailbox WHERE account = ?1 AND role = ?2",
        [ROLE_SET] = "UPDATE mailbox SET role = ?3 WHERE account = ?1 AND mailbox = ?2",
        [COUNTER_DROP] = "DELETE FROM counter WHERE account = ?1 AND mailbox = ?2",
        [READER_FIND] = "SELECT reader FROM reader WHERE account = ?1 AND name = ?2",
        [READER_ADD] =
            "INSERT INTO reader(account, reader, name) SELECT ?1, coalesce(max(reader), 0) + 1, ?2 "
            "FROM reader WHERE account = ?1 ON CONFLICT DO NOTHING",
        [ACL_OF] = "SELECT identifier, rights FROM acl WHERE account = ?1 AND mailbox = ?2 "
                   "ORDER BY identifier",
        [ACL_ALL] = "SELECT mailbox, identifier, rights FROM acl WHERE account = ?1",
        [ACL_COUNT] = "SELECT count(*) FROM acl WHERE account = ?1 AND identifier = ?2",
        [ACL_NAMED] = "SELECT identifier, count(*) FROM acl WHERE account = ?1 AND identifier NOT LIKE '-%' "
                      "GROUP BY identifier ORDER BY identifier",
        [ACL_COPY] = "INSERT INTO acl(account, mailbox, identifier, rights) "
                     "SELECT account, ?3, identifier, rights FROM acl WHERE account = ?1 AND mailbox = ?2",
        [ACL_WRITE] = "INSERT INTO acl(account, mailbox, identifier, rights) VALUES (?1, ?2, ?3, ?4) "
                      "ON CONFLICT(account, mailbox, identifier) DO UPDATE SET rights = excluded.rights",
        [ACL_REMOVE_ONE] = "DELETE FROM acl WHERE account = ?1 AND mailbox = ?2 AND identifier = ?3",
        [ACL_DROP] = "DELETE FROM acl WHERE account = ?1 AND mailbox = ?2",
        [SUBSCRIPTION_ALL] = "SELECT name FROM subscription WHERE account = ?1 ORDER BY name",
        [SUBSCRIPTION_COUNT] = "SELECT count(*) FROM subscription WHERE account = ?1",
        [SUBSCRIPTION_ADD] = "INSERT INTO subscription(account, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [SUBSCRIPTION_DROP] = "DELETE FROM subscription WHERE account = ?1 AND name = ?2",
        [ANNOTATION_ALL] = "SELECT entry, value, reader FROM annotation "
                           "WHERE account = ?1 AND mailbox = ?2 AND reader IN (0, ?3) ORDER BY entry",
        [ANNOTATION_COUNT] = "SELECT count(CASE WHEN mailbox = ?2 AND reader = ?3 THEN 1 END), "
                             "coalesce(sum(length(value) + 100), 0) FROM annotation WHERE account = ?1",
        [ANNOTATION_WRITE] =
            "INSERT INTO annotation(account, mailbox, reader, entry, value) VALUES (?1, ?2, ?3, ?4, ?5) "
            "ON CONFLICT(account, mailbox, reader, entry) DO UPDATE SET value = excluded.value",
        [ANNOTATION_REMOVE] =
            "DELETE FROM annotation WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 AND entry = ?4",
        [ANNOTATION_DROP] = "DELETE FROM annotation WHERE account = ?1 AND mailbox = ?2",
        [INTEGRITY] = "PRAGMA integrity_check(20)",
};

const struct db_store account_store = {
        .name = "account",
        .version = 2,
        .schema = schema,
        .migrations = migrations,
        .migrated = account_migrated,
        .statements = statements,
        .statement_count = ACCOUNT_STATEMENTS,
        .page_size = 4096,
        .opened = account_opened,
};
