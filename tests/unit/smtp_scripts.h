/* The conversations of test_smtp.c, as transcripts. */
#pragma once
#include "proto/session.h"

static const struct addr here = { .family = 4, .ip = { 127, 0, 0, 1 } };
static const struct addr elsewhere = { .family = 4, .ip = { 192, 0, 2, 7 } };

/* clang-format off */
#define TO_JILL "C: MAIL FROM:<jack@town.com>\nS: 250*\nC: RCPT TO:<jill@hill.com>\nS: 250*\n"
#define HELLO   "S: 220*\nC: HELO town.com\nS: 250*\n"
#define EHLO                                                                                                           \
        "S: 220*\nC: EHLO town.com\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\n"            \
        "S: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\n"
#define JILL "C: AUTH PLAIN AGppbGwAdHVtYmxpbmc=\nS: 235 2.7.0 *\n"
#define BYE  "C: QUIT\nS: 221*\nend\n"

static const struct {
        const char *name;
        const struct addr *peer;
        enum protocol protocol;
        const char *script;
} scripts[] = {
        { "lecture", &elsewhere, PROTOCOL_SMTP,
          "S: 220 hill.com SMTP service ready\n"
          "C: HELO town.com\n"
          "S: 250 hill.com Hello town.com, pleased to meet you\n"
          "C: MAIL FROM: <jack@town.com>\n"
          "S: 250 <jack@town.com>... Sender ok\n"
          "C: RCPT TO: <jill@hill.com>\n"
          "S: 250 <jill@hill.com>... Recipient ok\n"
          "C: DATA\n"
          "S: 354 Enter mail, end with \".\" on a line by itself\n"
          "C: From: jack@town.com\nC: To: jill@hill.com\nC: Subject: Please fetch me a pail of water\nC: \n"
          "C: Jill, I'm not feeling up to hiking today.\nC: ..dot\nC: .\n"
          "S: 250 Message accepted for delivery\n"
          "C: QUIT\n"
          "S: 221 hill.com closing connection\nend\n" },
        { "without <>, and spellings of lecture 49", &elsewhere, PROTOCOL_SMTP,
          HELLO "C: MAIL FROM: jack@town.com\nS: 250 <jack@town.com>... Sender ok\n"
                "C: RCPT TO: jill@hill.com\nS: 250 <jill@hill.com>... Recipient ok\nC: RSET\nS: 250 *\n"
                "C: VERFY jill\nS: 252 *\nC: SMOL FROM:<jack@town.com>\nS: 250 *\nC: rset\nS: 250 *\n"
                "C: SMAL FROM:<jack@town.com>\nS: 250 *\nC: RSET\nS: 250 *\n"
                "C: SAML FROM:<jack@town.com>\nS: 250 *\nC: RSET\nS: 250 *\n"
                "C: SEND FROM:<jack@town.com>\nS: 450 <jack@town.com>... *\nC: TURN\nS: 502 TURN *\n" BYE },
        { "extensions", &elsewhere, PROTOCOL_SMTP,
          "S: 220*\nC: EHLO town.com\nS: 250-hill.com Hello town.com, pleased to meet you\nS: 250-PIPELINING\n"
          "S: 250-ENHANCEDSTATUSCODES\nS: 250-SIZE 65536\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-DSN\nS: 250-LIMITS RCPTMAX=100\n"
          "S: 250-CHUNKING\nS: 250-VRFY\nS: 250-EXPN\nS: 250-HELP\nS: 250 ETRN\n"
          "C: MAIL FROM:<jack@town.com> SIZE=100 BODY=8BITMIME SMTPUTF8 AUTH=<>\nS: 250 2.1.0 <jack@town.com>... Sender ok\n"
          "C: RCPT TO:<jill@hill.com>\nS: 250 2.1.5 <jill@hill.com>... Recipient ok\nC: RSET\nS: 250 2.0.0 *\n"
          "C: QUIT\nS: 221 2.0.0 hill.com closing connection\nend\n" },
        { "syntax", &elsewhere, PROTOCOL_SMTP,
          "S: 220*\nC: HELO\nS: 501 Syntax: HELO host\nC: EHLO a b\nS: 501 Syntax*\nC: HELO <script>\nS: 501*\n"
          "C: FOO\nS: 500 5.5.1 *\nC: EHLO [127.0.0.1]\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\n"
          "S: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250 ETRN\n"
          "C: MAIL jack\nS: 501 5.5.4 *\nC: MAIL FROM:<jack@>\nS: 501 5.1.7 *\nC: MAIL FROM:<a@b> FOO=1\nS: 555 5.5.4 *\n"
          "C: MAIL FROM:<a@b> SIZE=x\nS: 501 5.5.4 *\nC: MAIL FROM:<a@b> SIZE=1 SIZE=2\nS: 501 5.5.4 *\n"
          "C: MAIL FROM:<a@b> BODY=BINARYMIME\nS: 501 5.5.4 *\nC: MAIL FROM:<a@b>\nS: 250*\n"
          "C: RCPT jill\nS: 501 5.5.4 *\nC: RCPT TO:<\"\"@hill.com>\nS: 501 5.1.3 *\n"
          "C: RCPT TO:<jill@hill.com> NOTIFY=NEVER,SUCCESS\nS: 501 5.5.4 *\nC: DATA now\nS: 501 5.5.4 *\n"
          "C: RSET\nS: 250*\nC: MAIL FROM:<j\xc3\xbc@b>\nS: 553 5.6.7 *\n" BYE },
        { "control characters, 8 bit", &elsewhere, PROTOCOL_SMTP,
          HELLO "raw \"MAIL FROM:<a\\0@b>\\r\\n\"\nS: 501*\nraw \"NOOP \xff\\r\\n\"\nS: 501*\n"
                "raw \"HELO town.com\\n\"\nS: 500 Bare LF: end lines with CRLF (nc -C)\n" BYE },
        { "order", &elsewhere, PROTOCOL_SMTP,
          "S: 220*\nC: MAIL FROM:<a@b>\nS: 503 5.5.1 *\nC: AUTH PLAIN\nS: 503*\nC: NOOP\nS: 250*\nC: RSET\nS: 250*\n"
          "C: HELO town.com\nS: 250*\n"
          "C: RCPT TO:<jill@hill.com>\nS: 503 *\nC: DATA\nS: 503 *\nC: MAIL FROM:<a@b>\nS: 250*\nC: MAIL FROM:<a@b>\nS: 503*\n"
          "C: DATA\nS: 503 *\nC: RCPT TO:<nobody@hill.com>\nS: 550 <nobody@hill.com>... User unknown\n"
          "C: DATA\nS: 554 No valid recipients\nC: RCPT TO:<jill@hill.com>\nS: 250*\n"
          "C: HELO again.town.com\nS: 250*\nC: DATA\nS: 503*\n" BYE },
        { "who gets it", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\nC: MAIL FROM:<>\nS: 250 2.1.0 <>... Sender ok\nC: RCPT TO:<x@away.example>\nS: 550 5.7.1 *Relaying denied\n"
               "C: RCPT TO:<jill%away.example@town.org>\nS: 550 5.7.1 *\nC: RCPT TO:<nobody@hill.com>\nS: 550 5.1.1 *\n"
               "C: RCPT TO:<old@hill.com>\nS: 551 5.1.6 *please try <new@away.example>\n"
               "C: RCPT TO:<bob@hill.com>\nS: 251 2.1.5 <bob@hill.com>... User not local; the message will be forwarded\n"
               "C: RCPT TO:<Postmaster>\nS: 250 *\nC: RSET\nS: 250*\n"
               "C: MAIL FROM:<jack@town.com> SIZE=1001\nS: 250*\nC: RCPT TO:<full@hill.com>\nS: 552 5.2.2 *\n"
               "C: RCPT TO:<JILL+shop@HILL.com>\nS: 250*\nC: RSET\nS: 250*\n"
               "C: MAIL FROM:<a@b> SIZE=65537\nS: 552 5.3.4 *\nC: MAIL FROM:<a@b> SIZE=99999999999999999999\nS: 5*\n" BYE },
        { "backup MX", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\nC: ETRN away.example\nS: 459 4.7.1 *\nC: ETRN all.example\nS: 251 2.0.0 *\nC: ETRN Some.example\nS: 251 2.0.0 *\n"
               "C: ETRN\nS: 501 5.5.4 *\nC: ETRN a b\nS: 501 5.5.4 *\nC: MAIL FROM:<a@b>\nS: 250*\n"
               "C: RCPT TO:<any@all.example>\nS: 250*\nC: RCPT TO:<Jack@SOME.example>\nS: 250*\n"
               "C: RCPT TO:<any@some.example>\nS: 550 5.7.1 *\nC: RCPT TO:<any@below.all.example>\nS: 550 5.7.1 *\n"
               "C: RCPT TO:<jack%some.example@away.example>\nS: 550 5.7.1 *\nC: RSET\nS: 250*\n" BYE },
        { "back to a list", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\nC: MAIL FROM:<>\nS: 250*\nC: RCPT TO:<friends-bounces+Jack=town.com@hill.com>\nS: 250 2.1.5 *\n"
               "C: RCPT TO:<friends-bounces+mallory=away.example@hill.com>\nS: 550 5.1.1 *No member*\n"
               "C: RCPT TO:<friends-bounces@hill.com>\nS: 250 2.1.5 *\nC: RCPT TO:<friends@hill.com>\nS: 550 5.7.1 *\n"
               "C: RCPT TO:<nobody-bounces+jack=town.com@hill.com>\nS: 550 5.1.1 *\nC: RSET\nS: 250*\nC: MAIL FROM:<a@b>\nS: 250*\n"
               "C: RCPT TO:<friends-bounces+jack=town.com@hill.com>\nS: 550 5.7.1 *\n" BYE },
        { "help", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\nC: HELP\nS: 211-2.0.0 Commands:\nS: 211-*HELO*\nS: 211-*\nS: 211-*\nS: 211-*TURN*\nS: 211 2.0.0 *\n"
               "C: HELP mail\nS: 214 2.0.0 MAIL FROM:*\nC: HELP SMOL\nS: 504 5.5.4 *\nC: HELP me\nS: 504*\n" BYE },
        { "pipelining", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\n"
               "raw \"RSET\\r\\nMAIL FROM:<a@b>\\r\\nRCPT TO:<x@y.z>\\r\\nRCPT TO:<jill@hill.com>\\r\\nDATA\\r\\n\"\n"
               "S: 250*\nS: 250*\nS: 550*\nS: 250*\nS: 354*\n"
               "raw \"Subject: p\\r\\n\\r\\nx\\r\\n.\\r\\nMAIL FROM:<a@b>\\r\\nQUIT\\r\\n\"\nS: 250*\nS: 250*\nS: 221*\nend\n" },
        { "chunks", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\nC: BDAT 3\nraw \"x\\r\\n\"\nS: 503 5.5.1 *\n" TO_JILL
               "C: BDAT\nS: 501 5.5.4 *\nC: BDAT 14\nraw \"Subject: c\\r\\n\\r\\n\"\nS: 250 2.0.0 14 octets received\n"
               "C: DATA\nS: 503 5.5.1 *\nC: MAIL FROM:<a@b>\nS: 503*\n"
               "raw \"BDAT 4\\r\\n.\\r\\n.BDAT 5 LAST\\r\\n\\r\\n.\\r\\n\"\nS: 250*\nS: 250 2.0.0 Message*\n" BYE },
        { "chunks that make a letter", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\n" TO_JILL "raw \"BDAT 13\\r\\nSubject: c\\r\\n\\rBDAT 5\\r\\n\\n.\\r\\n.\"\nS: 250*\nS: 250*\n"
               "raw \"BDAT 2\\r\\n\\r\\nBDAT 0 LAST\\r\\n\"\nS: 250*\nS: 250 2.0.0 Message accepted for delivery\n"
               "C: BDAT 0 LAST\nS: 503*\n" TO_JILL "C: BDAT 3\nraw \"a\\r\\n\"\nS: 250*\nC: RSET\nS: 250*\n"
               "C: DATA\nS: 503*\n" BYE },
        { "a failed chunk", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\n" TO_JILL "raw \"BDAT 3\\r\\na\\nbBDAT 2 LAST\\r\\n\\r\\n\"\nS: 250*\nS: 550 5.6.11 *\n" TO_JILL
               "C: RSET\nS: 250*\nC: BDAT 70000000\nS: 503*\nend\n" },
        { "sign-in", &here, PROTOCOL_SUBMISSION,
          EHLO "S: 250-ETRN\nS: 250 AUTH *PLAIN LOGIN\nC: MAIL FROM:<jill@hill.com>\nS: 530 5.7.0 *\nC: VRFY jill\nS: 252*\n"
               "C: AUTH\nS: 501 5.5.4 *\nC: AUTH FOO\nS: 504 5.5.4 *\nC: AUTH PLAIN !\nS: 501 5.5.2 *\n"
               "C: AUTH PLAIN =\nS: 535 5.7.8 *\nC: AUTH LOGIN\nS: 334 UGFzc3dvcmQ6\nC: *\nS: 501 5.7.0 *\n"
               "C: AUTH LOGIN\nS: 334 *\nC: d3Jvbmc=\nS: 535 5.7.8 *\nC: AUTH LOGIN\nS: 334 *\nC: ====\nS: 501 5.5.2 *\n"
               "C: AUTH PLAIN\nS: 334 \nC: IXR1bWJsaW5n\nS: 334 dj0x\nC: \nS: 235 2.7.0 *\n"
               "C: AUTH PLAIN\nS: 503 5.5.1 *\nC: MAIL FROM:<jack@town.com>\nS: 553 5.7.1 *\n"
               "C: MAIL FROM:<Jill+x@hill.com>\nS: 250*\nC: AUTH PLAIN\nS: 503*\nC: RCPT TO:<x@away.example>\nS: 250 2.1.5 *\n"
               "C: DATA\nS: 354*\nC: From: jack@town.com\nC: \nC: .\nS: 553 5.7.1 *\n"
               "C: MAIL FROM:<jill@hill.com>\nS: 250*\nC: RCPT TO:<x@away.example>\nS: 250*\n"
               "C: DATA\nS: 354*\nC: from: Jill <jill@hill.com>, water@hill.com\nC: \nC: .\nS: 250*\n"
               "C: EHLO town.com\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\nS: 250-*\n"
               "S: 250-*\nS: 250-*\nS: 250-*\nS: 250 ETRN\n" BYE },
        { "no passwords in clear", &elsewhere, PROTOCOL_SUBMISSION,
          EHLO "S: 250 ETRN\nC: AUTH PLAIN AGppbGwAdHVtYmxpbmc=\nS: 538 5.7.11 *\n" BYE },
        { "no sign-in on 25", &here, PROTOCOL_SMTP, EHLO "S: 250 ETRN\nC: AUTH PLAIN AGppbGwAdHVtYmxpbmc=\nS: 502 5.5.1 *\n" BYE },
        { "verify and expand", &here, PROTOCOL_SUBMISSION,
          EHLO "S: 250-ETRN\nS: 250 AUTH*\nC: EXPN friends@hill.com\nS: 252 2.0.0 *\n" JILL
               "C: VRFY\nS: 501*\nC: VRFY jill\nS: 250 2.1.5 Jill Hill <jill@hill.com>\nC: VRFY <water@hill.com>\nS: 250*<jill@hill.com>\n"
               "C: VRFY bob@hill.com\nS: 251 2.1.5 *<bob@away.example>\nC: VRFY old@hill.com\nS: 551 5.1.6 *<new@away.example>\n"
               "C: VRFY nobody@hill.com\nS: 550 5.1.1 *\nC: VRFY a@b.example\nS: 252*\nC: VRFY j\xc3\xbc@hill.com\nS: 550 5.6.7*\n"
               "C: VRFY j\xc3\xbc@hill.com SMTPUTF8\nS: 550 5.1.1*\n"
               "C: EXPN friends@hill.com\nS: 250-2.1.5 <jack@town.com>\nS: 250 2.1.5 Jill Hill <jill@hill.com>\n" BYE },
        { "STARTTLS", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\nC: STARTTLS\nS: 454 4.7.0 *\nC: STARTTLS now\nS: 501*\nraw \"STARTTLS\\r\\nNOOP\\r\\n\"\nS: 503 5.5.1 *\nend\n" },
        { "loops", &elsewhere, PROTOCOL_SMTP,
          EHLO "S: 250 ETRN\n" TO_JILL "C: DATA\nS: 354*\nC: Received: a\nC: received: b\nC: RECEIVED: c\nC: \nC: x\nC: .\n"
               "S: 554 5.4.6 *\n" TO_JILL
               "C: DATA\nS: 354*\nC: Received: a\nC: Received: b\nC: \nC: Received: c\nC: .\nS: 250*\n" BYE },
        { "errors without end", &elsewhere, PROTOCOL_SMTP,
          HELLO "C: A\nS: 500*\nC: B\nS: 500*\nC: C\nS: 500*\nC: D\nS: 500*\nC: E\nS: 500*\nC: F\nS: 500*\nC: G\nS: 500*\nC: H\nS: 500*\n"
                "C: I\nS: 500*\nC: J\nS: 500*\nC: K\nS: 500*\nC: L\nS: 500*\nC: M\nS: 500*\nC: N\nS: 500*\nC: O\nS: 500*\nC: P\nS: 500*\n"
                "C: Q\nS: 500*\nC: R\nS: 500*\nC: S\nS: 500*\nC: T\nS: 500*\nS: 421 hill.com too many errors*\nend\n" },
};

/* clang-format on */
