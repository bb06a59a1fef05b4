#include "store/directory_private.h"

/* Names are keys (mail/address.h address_key), targets are normal forms. `of_domain` is what stands behind the "@". */
static const char schema[] =
    "CREATE TABLE domain ("
    "  name TEXT NOT NULL PRIMARY KEY,"
    "  alias_of TEXT NOT NULL DEFAULT ''," /* another domain's name: all its addresses are that one's */
    "  catch_all TEXT NOT NULL DEFAULT ''" /* an account */
    ") STRICT;"
    "CREATE TABLE account ("
    "  name TEXT NOT NULL PRIMARY KEY,"
    "  of_domain TEXT NOT NULL,"
    "  number INTEGER NOT NULL," /* the order in which they came */
    "  quota INTEGER NOT NULL DEFAULT 0,"
    "  disabled INTEGER NOT NULL DEFAULT 0,"
    "  moved_to TEXT NOT NULL DEFAULT '',"
    "  forward_to TEXT NOT NULL DEFAULT ''," /* addresses by space */
    "  keep_copy INTEGER NOT NULL DEFAULT 1,"
    "  real_name TEXT NOT NULL DEFAULT '',"
    "  language TEXT NOT NULL DEFAULT '',"
    "  imap_disable TEXT NOT NULL DEFAULT ''" /* capabilities by space */
    ") STRICT;"
    "CREATE TABLE alias ("
    "  address TEXT NOT NULL, target TEXT NOT NULL, of_domain TEXT NOT NULL, PRIMARY KEY (address, target)"
    ") STRICT;"
    "CREATE TABLE list ("
    "  address TEXT NOT NULL PRIMARY KEY, of_domain TEXT NOT NULL,"
    "  title TEXT NOT NULL DEFAULT ''," /* List-Id's words */
    "  owner TEXT NOT NULL DEFAULT ''," /* gets what comes for -owner and -request; none: the domain's postmaster */
    "  max_size INTEGER NOT NULL DEFAULT 0," /* octets; 0: any */
    "  moderated INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE TABLE member (list TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (list, target)) STRICT;"
    "CREATE TABLE login (name TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL) STRICT;"
    "CREATE TABLE send_as (" /* an address, or @domain for all of a domain */
    "  account TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (account, address)"
    ") STRICT;";

#define ACCOUNT_COLUMNS                                                                                   \
        "name, quota, disabled, moved_to, forward_to, keep_copy, real_name, language, imap_disable FROM " \
        "account"

static const char *const statements[DIRECTORY_STATEMENTS] = {
        [ALL_DOMAINS] = "SELECT name, alias_of, catch_all FROM domain ORDER BY name",
        [ALL_ACCOUNTS] = "SELECT " ACCOUNT_COLUMNS " ORDER BY number, name",
        [ALL_ALIASES] = "SELECT address, target FROM alias ORDER BY address, target",
        [ALL_LISTS] = "SELECT address, title, owner, max_size, moderated FROM list ORDER BY address",
        [ALL_MEMBERS] = "SELECT list, target FROM member ORDER BY list, target",
        [ALL_LOGINS] = "SELECT name, account FROM login ORDER BY name",
        [ALL_GRANTS] = "SELECT account, address FROM send_as ORDER BY account, address",
        [GET_DOMAIN] = "SELECT alias_of FROM domain WHERE name = ?",
        [GET_ACCOUNT] = "SELECT " ACCOUNT_COLUMNS " WHERE name = ?",
        [GET_ALIAS] = "SELECT address FROM alias WHERE address = ? LIMIT 1",
        [GET_LIST] = "SELECT address, title, owner, max_size, moderated FROM list WHERE address = ?",
        [GET_MEMBER] = "SELECT list FROM member WHERE list = ? AND target = ?",
        [GET_LOGIN] = "SELECT account FROM login WHERE name = ?",
        [USES_OF_DOMAIN] = "SELECT name FROM account WHERE of_domain = ?1"
                           " UNION ALL SELECT address FROM alias WHERE of_domain = ?1"
                           " UNION ALL SELECT address FROM list WHERE of_domain = ?1"
                           " UNION ALL SELECT name FROM domain WHERE alias_of = ?1 ORDER BY 1 LIMIT 1",
        [MEMBERS_OF_LIST] = "SELECT count(*) FROM member WHERE list = ?",
        [PUT_DOMAIN] = "INSERT INTO domain (name, alias_of) VALUES (?, ?)",
        [DROP_DOMAIN] = "DELETE FROM domain WHERE name = ?",
        [SET_CATCH_ALL] = "UPDATE domain SET catch_all = ? WHERE name = ?",
        [PUT_ACCOUNT] = "INSERT INTO account (name, of_domain, number)"
                        " SELECT ?, ?, coalesce(max(number), 0) + 1 FROM account",
        [DROP_ACCOUNT] = "DELETE FROM account WHERE name = ?",
        [SET_ACCOUNT] =
            "UPDATE account SET quota = ?, disabled = ?, moved_to = ?, forward_to = ?, keep_copy = ?,"
            " real_name = ?, language = ?, imap_disable = ? WHERE name = ?",
        [CLEAR_CATCH_ALL] = "UPDATE domain SET catch_all = '' WHERE catch_all = ?",
        [PUT_ALIAS] =
            "INSERT INTO alias (address, target, of_domain) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [DROP_ALIAS] = "DELETE FROM alias WHERE address = ? AND target = ?",
        [DROP_ALIASES_OF] = "DELETE FROM alias WHERE address = ?",
        [DROP_ALIASES_TO] = "DELETE FROM alias WHERE target = ?",
        [PUT_LIST] = "INSERT INTO list (address, of_domain) VALUES (?, ?)",
        [SET_LIST] = "UPDATE list SET title = ?, owner = ?, max_size = ?, moderated = ? WHERE address = ?",
        [DROP_LIST] = "DELETE FROM list WHERE address = ?",
        [PUT_MEMBER] = "INSERT INTO member (list, target) VALUES (?, ?)",
        [DROP_MEMBER] = "DELETE FROM member WHERE list = ? AND target = ?",
        [DROP_MEMBERS_OF] = "DELETE FROM member WHERE list = ?",
        [DROP_MEMBERS_TO] = "DELETE FROM member WHERE target = ?",
        [PUT_LOGIN] = "INSERT INTO login (name, account) VALUES (?, ?)",
        [DROP_LOGIN] = "DELETE FROM login WHERE name = ? AND account = ?",
        [DROP_LOGINS_OF] = "DELETE FROM login WHERE account = ?",
        [PUT_GRANT] = "INSERT INTO send_as (account, address) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [DROP_GRANT] = "DELETE FROM send_as WHERE account = ? AND address = ?",
        [DROP_GRANTS_OF] = "DELETE FROM send_as WHERE account = ?",
};

static const char *const migrations[] = {
        [1] = "ALTER TABLE account ADD COLUMN imap_disable TEXT NOT NULL DEFAULT ''",
        [2] = "ALTER TABLE list ADD COLUMN title TEXT NOT NULL DEFAULT '';"
              "ALTER TABLE list ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
              "ALTER TABLE list ADD COLUMN max_size INTEGER NOT NULL DEFAULT 0;"
              "ALTER TABLE list ADD COLUMN moderated INTEGER NOT NULL DEFAULT 0",
};

const struct db_store directory_store = {
        .name = "directory",
        .version = 3,
        .schema = schema,
        .migrations = migrations,
        .statements = statements,
        .statement_count = DIRECTORY_STATEMENTS,
        .page_size = 4096,
};
