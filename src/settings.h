/* Settings: one table in settings.c (name, type, default, least, most, one line of help). The sample file and the
 * manual page are printed from it. Parsed by the supervisor (libconfuse), handed to the roles packed; a role gets a
 * const struct. Times are in seconds unless the name says otherwise, sizes in bytes. */
#pragma once
#include "base/buf.h"

enum plaintext_login { PLAINTEXT_LOOPBACK, PLAINTEXT_NEVER, PLAINTEXT_ALWAYS };

enum data_tls_reuse { REUSE_OFF, REUSE_PREFER, REUSE_REQUIRE };

struct settings {
        /* who and where */
        char *host_name;  /* what we greet with where host_names says nothing */
        char *host_names; /* "127.0.0.2=town.com 127.0.0.5=mta13.adelphia.net": a name per local address */
        char *data;       /* the folder */
        char *listen;     /* addresses, by space: "127.0.0.1 127.0.0.2", "0.0.0.0 ::" */
        long smtp_port, submission_port, submissions_port, pop3_port, pop3s_port, imap_port,
            imaps_port;                     /* 0: off */
        long ftp_port, ftps_port;           /* control connections */
        long ftp_data_port, ftps_data_port; /* where active data connections come from; 0: any port */
        char *tls_certificate, *tls_key;    /* PEM files; empty: the ones in the data folder */
        long workers;                       /* mail processes, and as many for files; 0: one a core */
        /* sign-in */
        long plaintext_login; /* enum plaintext_login */
        bool auth_on_25;
        bool offer_scram; /* list SCRAM among the mechanisms, and keep what it needs of every new password */
        char *trusted_addresses;  /* never slowed, never banned, besides loopback */
        long ban_after;           /* failures from one address before it is refused */
        long ban_first, ban_most; /* the growing time */
        long signin_delay_ms;     /* first delay after a failure; doubles, at most 5 s */
        /* SMTP */
        long max_letter_size;
        long max_recipients;
        long max_received;  /* Received: fields before it is a loop */
        long data_min_rate; /* bytes a second over data_rate_window, else 451 */
        long data_rate_window;
        long smtp_command_timeout, smtp_data_timeout;
        long max_errors; /* bad commands before 421 */
        bool refuse_own_sender_from_strangers;
        bool refuse_unmarked_8bit;
        char *bare_lf_mended; /* addresses whose bare LF is mended */
        char *subaddress_separator;
        /* sending */
        char *routes;                                /* proto/smtp/route.h */
        bool hold_unrouted;                          /* the demo: what has no rule is held */
        char *relay_passwords;                       /* file: "HOST USER PASSWORD" a line */
        char *resolver, *trust_anchors, *stub_zones; /* net/dns.h */
        char *tls_authorities;                       /* file; empty: the system's */
        bool dane, mta_sts;
        long sender_connections; /* at once, all together */
        long sender_connections_per_domain;
        long sender_reply_timeout;
        long retry_first, retry_most; /* between attempts */
        long max_queue_time;          /* then it is given up */
        long delay_notice_after;      /* 0: no notices */
        char *send_from;              /* own addresses to send from, by space */
        long lmtp_port, atrn_port;
        char *relay_for; /* domains we are backup MX for: accepted, passed on to the better MX */
        long history_days, history_size;
        /* POP3 */
        long pop3_command_timeout;
        /* IMAP */
        long imap_command_timeout; /* autologout (RFC 9051 §5.4) */
        long imap_login_timeout;   /* the same before sign-in */
        long append_limit;         /* APPENDLIMIT (RFC 7889); 0: as max_letter_size */
        bool imap_literal_plus;    /* LITERAL+; else LITERAL- (RFC 7888) */
        char *imap_disable;        /* capabilities switched off for all, by space */
        long message_limit;        /* MESSAGELIMIT (RFC 9738); 0: none */
        /* FTP */
        long ftp_passive_low, ftp_passive_high; /* ports of PASV and EPSV, shared out among the processes */
        char *ftp_public_address;               /* told by PASV, behind NAT; empty: the local address */
        bool ftp_anonymous;
        bool ftp_foreign_data;   /* data connections with a third host (RFC 959 §5.2, figure 3) */
        long ftp_data_tls_reuse; /* enum data_tls_reuse */
        bool ftp_private_data;   /* data only with PROT P */
        long ftp_command_timeout, ftp_login_timeout;
        long ftp_data_timeout; /* a transfer that does not move so long is given up */
        long ftp_rate_account, ftp_rate_address,
            ftp_rate_anonymous;           /* bytes a second, of a process; 0: any */
        long ftp_connections_per_account; /* of a process; 0: any number */
        char *ftp_code_page;              /* of TYPE E */
        char *ftp_xferlog;                /* file; empty: none */
        /* files */
        bool files_durable;    /* syncs before 226 */
        long files_keep_parts; /* of uploads that broke off */
        long files_quota;      /* bytes an account; 0: none */
        bool shared_quota;     /* an account's quota counts its letters and its files together */
        /* connections */
        long max_connections;             /* a process */
        long max_connections_per_address; /* a process; trusted and loopback addresses are exempt */
        long park_after_ms;               /* < 0: never */
        /* store */
        long max_open_accounts; /* a process */
        long disk_reserve;      /* bytes that must stay free, else 452 */
        long segment_size;      /* of the intake log */
        long max_log_size;      /* all segments together, else 452 */
        long settle_after;      /* a segment older than this is settled */
        long default_quota;     /* bytes an account; 0: none */
};

/* Defaults for every field. */
void settings_default(struct settings *s);
/* 0, or -1 and a sentence ("pail.conf:12: workers: 500 is more than 256") appended to *why. */
[[nodiscard]] int settings_read(struct settings *s, const char *file, struct buf *why);
/* One "name = value", from the command line or a test. Same result. */
[[nodiscard]] int settings_set(struct settings *s, struct str name, struct str value, struct buf *why);
/* Do the two differ in what is read at start only? Appends the names. */
bool settings_need_restart(const struct settings *running, const struct settings *fresh, struct buf *names);
/* What is read at start only stays as it is in `running`. */
void settings_keep(struct settings *fresh, const struct settings *running);
void settings_pack(const struct settings *s, struct buf *out);
[[nodiscard]] bool settings_unpack(struct settings *s, struct str packed);
void settings_free(struct settings *s);
void settings_sample(
    struct buf *out); /* the sample file: every setting, its help and default, commented out */
void settings_manual(struct buf *out); /* the same as mdoc for the manual page */
