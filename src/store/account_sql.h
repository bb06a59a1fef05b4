/* The SQL of an account's file, all of it; in what PostgreSQL also understands (ARCHITECTURE.md). The tables are
 * described in account_sql.c. */
#pragma once
#include "store/db.h"

enum account_statement {
        ACCOUNT_READ,
        ACCOUNT_CLAIM,
        ACCOUNT_JUMPED,
        ACCOUNT_ADD,
        ACCOUNT_FORGOTTEN,
        MAILBOX_ADD,
        MAILBOX_FIND,
        MAILBOX_VIEW,
        MAILBOX_ALL,
        COUNTER_ADD,
        COUNTER_READ,
        COUNTER_WRITE,
        COUNTER_NEXT,
        PAGE_LAST,
        PAGE_OF,
        PAGE_RANGE,
        PAGE_ADD,
        PAGE_WRITE,
        PAGE_DROP,
        LETTER_ADD,
        LETTER_READ,
        LETTER_FACTS,
        LETTER_BODY,
        LETTER_PLACES,
        LETTER_DROP,
        LETTER_ALL,
        BODY_ADD,
        BODY_READ,
        BODY_DROP,
        BODY_UNUSE,
        BODY_ALL,
        REFERENCE_ADD,
        REFERENCE_READ,
        THREAD_READ,
        THREAD_WRITE,
        THREAD_DROP,
        THREAD_ALL,
        GONE_ADD,
        GONE_SINCE,
        GONE_OLDEST,
        GONE_PURGE,
        FILED_ADD,
        FILED_LETTER,
        FILED_REMOVE,
        FILED_NEXT,
        FILED_FORGET,
        INTEGRITY,
        ACCOUNT_STATEMENTS
};

#define ACCOUNT_ID 1 /* the account in its own file */

extern const struct db_store account_store;
