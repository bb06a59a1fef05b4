/* A mail folder of its own for tests of the account store, and letters to put into it. */
#pragma once
#include "unit.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/account.h"
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define JILL S("jill@hill.com")

static inline int fixture_remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
        (void)s;
        (void)type;
        (void)f;
        return remove(path);
}

static inline void fixture_remove(const char *folder)
{
        nftw(folder, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct accounts *fixture_open(const char *folder, long max_open)
{
        int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct accounts *a = NULL;

        assert_true(dir >= 0);
        assert_int_equal(accounts_open(&a, dir, max_open), 0);
        return a;
}

/* A letter of about `size` octets that no other number has. */
static inline void fixture_letter(struct buf *out, unsigned number, size_t size)
{
        buf_clear(out);
        buf_printf(out,
                   "From: <jack@town.com>\r\nTo: <jill@hill.com>\r\nSubject: pail %u\r\n"
                   "Message-ID: <%u@town.com>\r\n\r\n",
                   number, number);
        while (out->n < size)
                buf_printf(out, "Please fetch me a pail of water, jill, number %u.\r\n", number);
}

static inline struct filing fixture_filing(struct str text)
{
        return (struct filing){ .mailbox = INBOX, .received = 1000000, .text = text, .staged_dir = -1 };
}

/* Files letter `number` as action (segment, number, 0). */
static inline struct filing fixture_file(struct account *a, uint64_t segment, unsigned number, size_t size)
{
        struct buf text;
        struct filing f;

        buf_init(&text, size + 1000);
        fixture_letter(&text, number, size);
        f = fixture_filing(buf_str(&text));
        f.segment = segment;
        f.sequence = number;
        assert_int_equal(account_file(a, &f, 1), 0);
        assert_int_equal(f.error, 0);
        f.text = S("");
        buf_free(&text);
        return f;
}
