/* The handlers of FTP's commands, for commands.c and the files that have them. */
#pragma once
#include "proto/ftp/ftp.h"

#define FTP_HANDLER(name) int ftp_##name(struct session *s, struct scan *a)
/* login.c, tls.c */
FTP_HANDLER(user);
FTP_HANDLER(pass);
FTP_HANDLER(acct);
FTP_HANDLER(rein);
FTP_HANDLER(quit);
FTP_HANDLER(host);
FTP_HANDLER(auth);
FTP_HANDLER(pbsz);
FTP_HANDLER(prot);
FTP_HANDLER(ccc);
/* feat.c */
FTP_HANDLER(feat);
FTP_HANDLER(opts);
FTP_HANDLER(lang);
FTP_HANDLER(clnt);
FTP_HANDLER(csid);
FTP_HANDLER(syst);
FTP_HANDLER(help);
FTP_HANDLER(noop);
/* path.c, facts.c, site.c, hash.c */
FTP_HANDLER(cwd);
FTP_HANDLER(cdup);
FTP_HANDLER(pwd);
FTP_HANDLER(smnt);
FTP_HANDLER(mkd);
FTP_HANDLER(rmd);
FTP_HANDLER(dele);
FTP_HANDLER(rnfr);
FTP_HANDLER(rnto);
FTP_HANDLER(size);
FTP_HANDLER(mdtm);
FTP_HANDLER(mlst);
FTP_HANDLER(mfmt);
FTP_HANDLER(mff);
FTP_HANDLER(mfct);
FTP_HANDLER(avbl);
FTP_HANDLER(site);
FTP_HANDLER(hash);
FTP_HANDLER(xcrc);
FTP_HANDLER(xmd5);
FTP_HANDLER(xsha1);
FTP_HANDLER(xsha256);
FTP_HANDLER(xsha512);
FTP_HANDLER(comb);
/* list.c */
FTP_HANDLER(list);
FTP_HANDLER(nlst);
FTP_HANDLER(mlsd);
FTP_HANDLER(stat); /* with a path: a listing in the reply; without: the session, and the transfer that runs */
/* coding.c */
FTP_HANDLER(type);
FTP_HANDLER(stru);
FTP_HANDLER(mode);
FTP_HANDLER(allo);
FTP_HANDLER(rest);
FTP_HANDLER(rang);
/* data.c */
FTP_HANDLER(port);
FTP_HANDLER(pasv);
FTP_HANDLER(eprt);
FTP_HANDLER(epsv);
/* transfer.c */
FTP_HANDLER(retr);
FTP_HANDLER(stor);
FTP_HANDLER(stou);
FTP_HANDLER(appe);
FTP_HANDLER(abor);
