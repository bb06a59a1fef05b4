/* The outbox's SQL. */
#include "store/outbox_inside.h"

/* letter: text NULL means the file bodies/%016x of its number. number: no number is given twice. told: what its sender has been told, enum
 * told.
 * destination: what shares connections; ready: nothing is to be done before (wall usec), NEVER if nothing waits.
 * recipient: number and kind are the action's (mail/envelope.h); state: enum recipient_state; next 0: at once. */
#define SCHEMA_1                                                                                            \
        "CREATE TABLE number(name TEXT NOT NULL PRIMARY KEY, next INTEGER NOT NULL) STRICT;"                \
        "INSERT INTO number(name, next) VALUES ('letter', 1);"                                              \
        "CREATE TABLE letter(letter INTEGER PRIMARY KEY, sender TEXT NOT NULL, received INTEGER NOT NULL, " \
        "size INTEGER NOT NULL, envelope BLOB NOT NULL, text BLOB) STRICT;"                                 \
        "CREATE TABLE recipient(letter INTEGER NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL, "  \
        "address TEXT NOT NULL, original TEXT NOT NULL, parameters TEXT NOT NULL, reason TEXT NOT NULL, "   \
        "PRIMARY KEY(letter, number)) STRICT, WITHOUT ROWID;"                                               \
        "CREATE TABLE filed(segment INTEGER NOT NULL, sequence INTEGER NOT NULL, letter INTEGER NOT NULL, " \
        "PRIMARY KEY(segment, sequence)) STRICT, WITHOUT ROWID;"
#define SCHEMA_2                                                                                            \
        "ALTER TABLE letter ADD COLUMN told INTEGER NOT NULL DEFAULT 0;"                                    \
        "CREATE INDEX letter_told ON letter(told, received);"                                               \
        "CREATE TABLE destination(destination INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, "             \
        "ready INTEGER NOT NULL, rests INTEGER NOT NULL, failures INTEGER NOT NULL, reason TEXT NOT NULL) " \
        "STRICT;"                                                                                           \
        "CREATE INDEX destination_ready ON destination(ready);"                                             \
        "ALTER TABLE recipient ADD COLUMN sender TEXT NOT NULL DEFAULT '';"                                 \
        "ALTER TABLE recipient ADD COLUMN destination INTEGER NOT NULL DEFAULT 0;"                          \
        "ALTER TABLE recipient ADD COLUMN state INTEGER NOT NULL DEFAULT 1;"                                \
        "ALTER TABLE recipient ADD COLUMN next INTEGER NOT NULL DEFAULT 0;"                                 \
        "ALTER TABLE recipient ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;"                             \
        "ALTER TABLE recipient ADD COLUMN status TEXT NOT NULL DEFAULT '';"                                 \
        "ALTER TABLE recipient ADD COLUMN answer TEXT NOT NULL DEFAULT '';"                                 \
        "ALTER TABLE recipient ADD COLUMN peer TEXT NOT NULL DEFAULT '';"                                   \
        "CREATE INDEX recipient_due ON recipient(destination, state, next);"                                \
        "CREATE INDEX recipient_condemned ON recipient(letter) WHERE state = 3;"                            \
        "CREATE TABLE bounce(list TEXT NOT NULL, member TEXT NOT NULL, count INTEGER NOT NULL, last "       \
        "INTEGER NOT NULL, "                                                                                \
        "PRIMARY KEY(list, member)) STRICT, WITHOUT ROWID;"                                                 \
        "CREATE TABLE attempt(letter INTEGER NOT NULL, at INTEGER NOT NULL, destination INTEGER NOT NULL, " \
        "peer TEXT NOT NULL, conversation TEXT NOT NULL, PRIMARY KEY(letter, at, destination)) STRICT, "    \
        "WITHOUT ROWID;"
/* policy: MTA-STS (RFC 8461), as it was fetched; expires: wall usec. */
#define SCHEMA_3                                                                                   \
        "CREATE TABLE policy(domain TEXT NOT NULL PRIMARY KEY, id TEXT NOT NULL, expires INTEGER " \
        "NOT NULL, text TEXT NOT NULL) STRICT, WITHOUT ROWID;"

/* Only what is held stands there, so that nobody else's way in or out costs more. */
#define SCHEMA_4 "CREATE INDEX recipient_held ON recipient(letter) WHERE state = 2;"

static const char *const migrations[] = { [1] = SCHEMA_2, [2] = SCHEMA_3, [3] = SCHEMA_4 };

#define RECIPIENT_COLUMNS "number, address, original, parameters, reason, sender, attempts, answer, peer"

static const char *const statements[OUTBOX_STATEMENTS] = {
        [NEXT] = "SELECT next FROM number WHERE name = 'letter'",
        [NEXT_WRITE] = "UPDATE number SET next = ?1 WHERE name = 'letter'",
        [LETTER_ADD] = "INSERT INTO letter(letter, sender, received, size, envelope, text) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        [LETTER_READ] = "SELECT envelope, size, received, text FROM letter WHERE letter = ?1",
        [LETTER_TOLD] = "UPDATE letter SET told = ?2 WHERE letter = ?1 AND told <> ?2",
        [LETTER_EMPTY] = "SELECT 1 FROM recipient WHERE letter = ?1 LIMIT 1",
        [LETTER_DROP] = "DELETE FROM letter WHERE letter = ?1",
        [RECIPIENT_ADD] = "INSERT INTO recipient(letter, number, kind, address, original, parameters, "
                          "reason, sender, destination, state) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        [RECIPIENT_AGAIN] =
            "UPDATE recipient SET next = ?3, attempts = attempts + 1, status = ?4, answer = ?5, peer = ?6, "
            "reason = ?5 WHERE letter = ?1 AND number = ?2 AND state = 1",
        [RECIPIENT_HOLD] = "UPDATE recipient SET state = 2, reason = ?3 WHERE letter = ?1 AND number = ?2",
        [RECIPIENT_DROP] = "DELETE FROM recipient WHERE letter = ?1 AND number = ?2",
        [RECIPIENTS_DROP] = "DELETE FROM recipient WHERE letter = ?1",
        [RECIPIENTS_DUE] =
            "SELECT letter, " RECIPIENT_COLUMNS " FROM recipient "
            "WHERE destination = ?1 AND state = 1 AND next <= ?2 ORDER BY next, letter, number",
        [RECIPIENTS_STATE] =
            "SELECT " RECIPIENT_COLUMNS " FROM recipient WHERE letter = ?1 AND state = ?2 ORDER BY number",
        [DUE_NEXT] = "SELECT next, letter, number FROM recipient WHERE destination = ?1 AND state = 1 ORDER "
                     "BY next, letter, number",
        [OVERDUE_LETTERS] =
            "SELECT letter FROM letter l WHERE told = ?1 AND received < ?2 AND EXISTS "
            "(SELECT 1 FROM recipient r WHERE r.letter = l.letter AND r.state = 1) ORDER BY received",
        [CONDEMNED_LETTERS] = "SELECT DISTINCT letter FROM recipient WHERE state = 3",
        [DESTINATION_FIND] = "SELECT destination, ready, rests FROM destination WHERE name = ?1",
        [DESTINATION_ADD] =
            "INSERT INTO destination(name, ready, rests, failures, reason) VALUES (?1, ?2, 0, 0, '')",
        [DESTINATION_READ] = "SELECT ready, rests FROM destination WHERE destination = ?1",
        [DESTINATION_READY] = "UPDATE destination SET ready = ?2 WHERE destination = ?1",
        [DESTINATION_SERVED] = "UPDATE destination SET ready = ?2 WHERE destination = ?1 AND ready < ?2",
        [DESTINATION_REST] = "UPDATE destination SET rests = ?2, failures = CASE ?2 WHEN 0 THEN 0 ELSE "
                             "failures + 1 END, reason = ?3, "
                             "ready = ?2 WHERE destination = ?1",
        [DESTINATIONS_DROP] = "DELETE FROM destination WHERE NOT EXISTS (SELECT 1 FROM recipient r WHERE "
                              "r.destination = destination.destination) AND rests < ?1",
        [DESTINATIONS] = "SELECT destination FROM destination",
        [DESTINATIONS_DUE] = "SELECT destination, name, rests, failures, reason FROM destination WHERE ready "
                             "<= ?1 ORDER BY ready LIMIT ?2",
        [DESTINATIONS_NEXT] = "SELECT min(ready) FROM destination WHERE ready > ?1",
        [DESTINATION_NAME] = "SELECT name FROM destination WHERE destination = ?1",
        [DESTINATIONS_WAKE] =
            "UPDATE destination SET ready = max(?2, rests) WHERE ready > max(?2, rests) AND destination IN "
            "(SELECT destination FROM recipient WHERE letter = ?1 AND state = 1)",
        [DESTINATIONS_RETRY] = "UPDATE destination SET ready = 0, rests = 0 WHERE destination IN "
                               "(SELECT destination FROM recipient WHERE letter = ?1 AND state = 1)",
        [ATTEMPT_ADD] = "INSERT OR REPLACE INTO attempt(letter, at, destination, peer, conversation) VALUES "
                        "(?1, ?2, ?3, ?4, ?5)",
        [ATTEMPTS_TRIM] = "DELETE FROM attempt WHERE letter = ?1 AND at NOT IN "
                          "(SELECT at FROM attempt WHERE letter = ?1 ORDER BY at DESC LIMIT 8)",
        [ATTEMPTS] = "SELECT a.at, d.name, a.peer, a.conversation FROM attempt a LEFT JOIN destination d "
                     "ON d.destination = a.destination WHERE a.letter = ?1 ORDER BY a.at",
        [ATTEMPTS_DROP] = "DELETE FROM attempt WHERE letter = ?1",
        [FILED_ADD] = "INSERT INTO filed(segment, sequence, letter) VALUES (?1, ?2, ?3)",
        [FILED_HAS] = "SELECT letter FROM filed WHERE segment = ?1 AND sequence = ?2",
        [FILED_SEGMENTS] = "SELECT DISTINCT segment FROM filed",
        [FILED_FORGET] = "DELETE FROM filed WHERE segment = ?1",
        [LETTERS] = "SELECT letter, sender, received, size FROM letter WHERE letter > ?1 ORDER BY letter",
        [LETTERS_TO] = "SELECT letter, sender, received, size FROM letter l WHERE letter > ?1 AND EXISTS "
                       "(SELECT 1 FROM recipient r WHERE r.letter = l.letter AND r.destination = "
                       "(SELECT destination FROM destination WHERE name = ?2)) ORDER BY letter",
        [LETTERS_TO_FEW] =
            "SELECT letter, sender, received, size FROM letter WHERE +letter > ?1 AND letter IN "
            "(SELECT letter FROM recipient WHERE destination = "
            "(SELECT destination FROM destination WHERE name = ?2)) ORDER BY letter",
        [LETTERS_HELD] =
            "SELECT l.letter, l.sender, l.received, l.size FROM recipient r CROSS JOIN letter l ON "
            "l.letter = r.letter WHERE r.state = 2 AND r.letter > ?1 GROUP BY r.letter ORDER BY r.letter",
        [RECIPIENTS_TO] = "SELECT count(*) FROM (SELECT 1 FROM recipient WHERE destination = "
                          "(SELECT destination FROM destination WHERE name = ?1) LIMIT ?2)",
        [LETTER] = "SELECT sender, received, size, text FROM letter WHERE letter = ?1",
        [RECIPIENTS] = "SELECT r.number, r.address, r.state, r.attempts, max(r.next, coalesce(d.rests, 0)), "
                       "CASE WHEN r.state = 1 AND d.rests > 0 THEN d.reason ELSE r.reason END "
                       "FROM recipient r LEFT JOIN destination d ON d.destination = r.destination "
                       "WHERE r.letter = ?1 ORDER BY r.number",
        [ORDER_STATE] = "UPDATE recipient SET state = ?3, next = 0 WHERE letter = ?1 AND number = ?2",
        [NUMBERS] = "SELECT (SELECT count(*) FROM letter), (SELECT count(*) FROM recipient), "
                    "(SELECT count(*) FROM recipient WHERE state = 2), (SELECT count(*) FROM destination "
                    "WHERE ready < ?1), "
                    "(SELECT min(received) FROM letter)",
        [ALL_RECIPIENTS] = "SELECT letter, number, address FROM recipient WHERE destination = 0 LIMIT 100",
        [RECIPIENT_DESTINATION] = "UPDATE recipient SET destination = ?3 WHERE letter = ?1 AND number = ?2",
        [BOUNCED] = "INSERT INTO bounce(list, member, count, last) VALUES (?1, ?2, 1, ?3) "
                    "ON CONFLICT(list, member) DO UPDATE SET count = count + 1, last = ?3",
        [BOUNCES] = "SELECT member, count, last FROM bounce WHERE list = ?1 ORDER BY member",
        [POLICY_PUT] = "INSERT OR REPLACE INTO policy(domain, id, expires, text) VALUES (?1, ?2, ?3, ?4)",
        [POLICY_READ] = "SELECT id, expires, text FROM policy WHERE domain = ?1 AND expires > ?2",
        [POLICIES_DROP] = "DELETE FROM policy WHERE expires <= ?1",
        [INTEGRITY] = "PRAGMA integrity_check(20)",
        [LOST_RECIPIENTS] =
            "SELECT DISTINCT letter FROM recipient WHERE letter NOT IN (SELECT letter FROM letter)",
        [LETTERS_WITHOUT] = "SELECT letter FROM letter WHERE letter NOT IN (SELECT letter FROM recipient)",
        [LOST_DESTINATIONS] = "SELECT DISTINCT letter FROM recipient WHERE destination NOT IN (SELECT "
                              "destination FROM destination)",
};

enum { ROWS = 100 };

/* In schema 1 a recipient had no destination. */
static int migrated(struct db *d, unsigned version)
{
        struct {
                uint64_t letter, number;
                struct str address;
        } rows[ROWS];
        auto_arena struct arena a;
        size_t n = 1;
        int rc = 0;

        arena_init(&a, 64 << 20);
        while (version == 1 && n && rc >= 0) {
                struct db_row q = db_query(d, ALL_RECIPIENTS);

                arena_reset(&a);
                for (n = 0; n < ROWS && db_next(&q); n++) {
                        rows[n].letter = db_u64(&q, 0);
                        rows[n].number = db_u64(&q, 1);
                        rows[n].address = arena_str(&a, db_text(&q, 2));
                }
                rc = db_end(&q);
                for (size_t i = 0; i < n && rc >= 0; i++) {
                        uint64_t id;

                        rc = outbox_destination_of(d, rows[i].address, 0, &id);
                        if (rc < 0)
                                break;
                        q = db_query(d, RECIPIENT_DESTINATION);
                        db_bind_u64(&q, 1, rows[i].letter);
                        db_bind_u64(&q, 2, rows[i].number);
                        db_bind_u64(&q, 3, id);
                        rc = db_exec(&q);
                }
        }
        return rc;
}

const struct db_store outbox_store = {
        .name = "outbox",
        .version = 4,
        .schema = SCHEMA_1 SCHEMA_2 SCHEMA_3 SCHEMA_4,
        .migrations = migrations,
        .migrated = migrated,
        .statements = statements,
        .statement_count = OUTBOX_STATEMENTS,
        .page_size = 4096,
};
