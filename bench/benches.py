"""The benches, one function each. Every one runs pail and its peer in turn, in the same minutes, three rounds, and
gives the medians; what was promised stands beside what was measured."""
import os
import time
from contextlib import ExitStack

from clients import FtpClients, MailClients
from ftp import Ftp
from imap import Imap
from measure import ESTABLISHED, quiet, sockets
from peers import Dovecot, Postfix
from sending import Sending
from under_test import Pail

ROUNDS = 3


class Bench:
    def __init__(self, build, load, table, peers, scale=1.0):
        self.build, self.load, self.table, self.peers, self.scale = build, load, table, peers, scale

    def count(self, n):
        return max(50, int(n * self.scale))

    # ---- SMTP: until the last letter is filed, not only accepted

    def smtp_rounds(self, title, letters, peer_letters, size, sessions, promise, cpu_promise=None, **options):
        accounts = 100
        letters, peer_letters = self.count(letters), self.count(peer_letters)
        pail_rate, pail_cpu, pail_all, peer_rate, peer_cpu, peer_title = [], [], [], [], [], ''
        options.update(size=size, sessions=sessions, accounts=accounts)
        with ExitStack() as stack:
            pail = stack.enter_context(Pail(self.build, 'smtp', accounts))
            postfix = stack.enter_context(Postfix(self.build, accounts)) if self.peers else None
            has = {i: pail.count(i) for i in range(accounts)}    # and every password is known to the keeper
            for _ in range(ROUNDS):
                quiet(pail, *([postfix] if postfix else []))
                cpu, began = pail.cpu(), time.monotonic()
                self.load.run('smtp', port=pail.smtp, account=pail.account, letters=letters, **options)
                for i in range(letters):
                    has[i % accounts] += 1
                pail.wait_filed(has)
                pail_rate.append(letters / (time.monotonic() - began))
                pail_cpu.append((pail.cpu() - cpu) * 1e3 / letters)
                time.sleep(1)   # the text index begins when an account was left alone
                quiet(pail)
                pail_all.append((pail.cpu() - cpu) * 1e3 / letters)
                if not postfix:
                    continue
                peer_title = postfix.title
                before = postfix.filed()
                cpu, began = postfix.cpu(), time.monotonic()
                self.load.run('smtp', port=postfix.smtp, account=postfix.account, letters=peer_letters, **options)
                postfix.wait_filed(before + peer_letters)
                peer_rate.append(peer_letters / (time.monotonic() - began))
                peer_cpu.append((postfix.cpu() - cpu) * 1e3 / peer_letters)
        self.table.row(title, 'letters filed a second', pail_rate, peer_rate, peer_title, promise)
        self.table.row(title, 'ms of CPU a letter', pail_cpu, peer_cpu, peer_title, cpu_promise, less=True)
        self.table.row(title, 'ms of CPU a letter until it is in the text index', pail_all, peer_cpu, peer_title, None, less=True)

    def smtp_keep(self):
        self.smtp_rounds('SMTP, 1 KB, 50 sessions, many letters a connection', 20000, 1500, 1024, 50, 15, 1 / 20)

    def smtp_new(self):
        self.smtp_rounds('SMTP, 1 KB, 50 sessions, a connection a letter', 10000, 1000, 1024, 50, 10, per_connection=1)

    def smtp_100k(self):
        for sessions in (10, 50):
            self.smtp_rounds(f'SMTP, 100 KB, {sessions} sessions', 3000, 600, 102400, sessions, 4)

    # ---- sending

    def relay(self):
        Sending(self).relay(20000, 1500, 1024, 50)

    def queue(self):
        Sending(self).queue(1000000, 512)

    # ---- POP3

    def pop3(self):
        letters, size = self.count(10000), 4096
        with ExitStack() as stack:
            pail = stack.enter_context(Pail(self.build, 'pop3', 1))
            dovecot = stack.enter_context(Dovecot(self.build, 1)) if self.peers else None
            self.load.run('smtp', port=pail.smtp, account=pail.account, letters=letters, size=size, sessions=50,
                          accounts=1)
            pail.wait_filed({0: letters})
            if dovecot:
                dovecot.fill(0, letters, size)
            for tls in (False, True):
                self.pop3_read(pail, dovecot, tls)

    def pop3_read(self, pail, dovecot, tls):
        servers = [pail] + ([dovecot] if dovecot else [])
        found = {}
        for rounds in range(ROUNDS + 1):    # the first only warms up
            for in_flight in (1, 16):
                for server in servers:
                    quiet(server)
                    options = {'tls': True} if tls else {}
                    got = self.load.run('pop3', port=server.pop3s if tls else server.pop3, user=server.account % 0,
                                        password=server.password, in_flight=in_flight, **options)
                    for key, value in got.items():
                        if rounds:
                            found.setdefault((server, in_flight if key.startswith('retr') else 1, key), []).append(value)
        peer = dovecot.title if dovecot else ''

        def row(title, unit, in_flight, key, promise, per=False):
            ours, theirs = found[pail, in_flight, key], found.get((dovecot, in_flight, key))
            self.table.row(f'POP3, 10,000 letters of 4 KB{", TLS" if tls else ""}: {title}', unit, ours, theirs, peer,
                           promise, less=per)

        row('PASS', 'ms', 1, 'login_ms', 1 / 10 if not tls else None, True)
        row('PASS, STAT and UIDL', 'ms', 1, 'open_ms', None, True)
        row('RETR one after another', 'a second', 1, 'retr_per_second', 2 if not tls else None)
        row('RETR, 16 in flight', 'a second', 16, 'retr_per_second', 1.5)

    # ---- sign-ins a second, the cost of the password taken out: pail remembers it, Dovecot compares plain text

    def signin(self, imap=False):
        accounts = 100
        with ExitStack() as stack:
            pail = stack.enter_context(Pail(self.build, 'signin', accounts))
            dovecot = stack.enter_context(Dovecot(self.build, accounts)) if self.peers else None
            for how, options in (('', {}), (', TLS', {'tls': True}), (', TLS resumed', {'tls': True, 'resume': True})):
                self.signin_rounds(pail, dovecot, accounts, how, options, imap)

    def signin_rounds(self, pail, dovecot, accounts, how, options, imap):
        rate, cpu = {}, {}
        for rounds in range(ROUNDS + 1):    # the first only warms up
            for server in [pail] + ([dovecot] if dovecot else []):
                n = self.count(600 if server is dovecot else 4000 if options else 10000)
                quiet(server)
                before = server.cpu()
                got = self.load.run('signin', port=port_of(server, imap, options), letters=n, account=server.account,
                                    accounts=accounts, sessions=8, password=server.password, **options,
                                    **({'imap': True} if imap else {}))
                if rounds:
                    rate.setdefault(server, []).append(got['per_second'])
                    cpu.setdefault(server, []).append((server.cpu() - before) * 1e3 / n)
        title = f'{"IMAP sign-in and LOGOUT" if imap else "POP3 sign-in and QUIT"}{how}, 8 at once'
        peer = f'{dovecot.title}, fast set-up' if dovecot else ''
        self.table.row(title, 'a second', rate[pail], rate.get(dovecot), peer, 10 if how != ', TLS resumed' else None)
        self.table.row(title, 'ms of CPU each', cpu[pail], cpu.get(dovecot), peer)

    # ---- many who are signed in and silent

    def imap_signin(self):
        self.signin(imap=True)

    def idle(self, imap=False):
        connections, peer_connections, each = self.count(10000 if imap else 5000), self.count(500), 100
        with ExitStack() as stack:
            pail = stack.enter_context(Pail(self.build, f'idle{connections}', connections, keep=True))
            if pail.fresh:
                print(f'filling {connections} accounts with {each} letters each (kept for the next time)', flush=True)
                self.load.run('smtp', port=pail.smtp, account=pail.account, letters=connections * each, size=512,
                              sessions=50, accounts=connections)
                quiet(pail)
                pail.wait_filed({i: each for i in range(0, connections, 97)})  # each costs a look at a password
                pail.filled()
                pail.stop()     # what filling needed is not what waiting needs
                pail.start()
            dovecot = None
            if self.peers:  # in its default set-up: what the promised figures were measured with
                dovecot = stack.enter_context(Dovecot(self.build, peer_connections, fast=False))
                for i in range(peer_connections):
                    dovecot.fill(i, each, 512, once=True)
            servers = {pail: connections}
            if dovecot:
                servers[dovecot] = peer_connections
            quiet(*servers)
            empty = {server: server.pss() for server in servers}
            for tls in (False, True):
                self.idle_minute(servers, empty, tls, imap)

    def imap_idle(self):
        self.idle(imap=True)

    def idle_minute(self, servers, empty, tls, imap):
        options = {'tls': True} if tls else {}
        if imap:
            options['imap'] = True
        held = [self.load.hold(port=port_of(server, imap, tls), letters=n, account=server.account,
                               accounts=n, password=server.password, **options) for server, n in servers.items()]
        time.sleep(15)      # the sessions have yet to park
        quiet(*servers)
        cpu, began = {server: server.cpu() for server in servers}, time.monotonic()
        time.sleep(60)
        cpu = {server: (server.cpu() - cpu[server]) / (time.monotonic() - began) * 100 for server in servers}
        for server, n in servers.items():
            stand = sockets(port_of(server, imap, tls), ESTABLISHED)
            if stand != n:
                raise RuntimeError(f'{server.title}: of {n} connections {stand} stand')
        per = {server: (server.pss() - empty[server]) / n for server, n in servers.items()}
        for client in held:
            client.stdin.close()
            client.wait()
        pail, connections = next(iter(servers.items()))
        dovecot, peer_connections = list(servers.items())[-1]
        dovecot = None if dovecot is pail else dovecot
        title = f'{connections} {"IMAP sessions in IDLE" if imap else "idle POP3 connections"}{", TLS" if tls else ""}'
        peer = f'{dovecot.title}, default set-up, {peer_connections} connections' if dovecot else ''
        self.table.row(title, 'KB PSS each', [per[pail]], [per[dovecot]] if dovecot else None, peer,
                       ('most', 28 if tls else 4))
        self.table.row(title, '% of a core', [cpu[pail]], [cpu[dovecot]] if dovecot else None, peer)

    # ---- IMAP

    def imap(self):
        Imap(self, self.count(10000)).run()

    def imap_large(self):
        Imap(self, self.count(100000)).run()

    # ---- FTP

    def ftp_large(self):
        Ftp(self).run_large()

    def ftp_tls(self):
        Ftp(self).run_large(tls=True)

    def ftp_files(self):
        Ftp(self).run_small()

    def ftp_list(self):
        Ftp(self).run_lists()

    def ftp_session(self):
        Ftp(self).run_sessions()

    def ftp_idle(self):
        Ftp(self).run_idle()

    def ftp_deflate(self):
        Ftp(self).run_deflate()

    # ---- the clients

    def ftp_mirror(self):
        FtpClients(self).mirror()

    def ftp_get(self):
        FtpClients(self).get()

    def mail_open(self):
        MailClients(self).open()

    def mail_sync(self):
        MailClients(self).sync()

    # ---- nobody there

    def empty(self):
        ready, pss = [], []
        with Pail(self.build, 'empty', 0) as pail:
            for _ in range(ROUNDS):
                pail.stop()
                ready.append(pail.start() * 1e3)
                quiet(pail)
                pss.append(pail.pss() / 1e3)
        theirs, title = None, ''
        if self.peers:
            with Postfix(self.build, 1) as postfix, Dovecot(self.build, 1) as dovecot:
                theirs, title = [(postfix.pss() + dovecot.pss()) / 1e3], f'{postfix.title} and {dovecot.title}'
        cores = len(os.sched_getaffinity(0))
        self.table.row(f'The empty server, all processes on {cores} cores', 'MB PSS', pss, theirs, title, ('most', 30))
        self.table.row('`pail demo` on an existing folder until it is ready', 'ms', ready, None, '', ('most', 300))


def port_of(server, imap, tls):
    if imap:
        return server.imaps if tls else server.imap
    return server.pop3s if tls else server.pop3


ALL = ['smtp-keep', 'smtp-new', 'smtp-100k', 'pop3', 'signin', 'idle', 'imap', 'imap-large', 'imap-signin', 'imap-idle',
       'ftp-large', 'ftp-tls', 'ftp-files', 'ftp-list', 'ftp-session', 'ftp-idle', 'ftp-deflate', 'relay', 'queue', 'ftp-mirror',
       'ftp-get', 'mail-open', 'mail-sync', 'empty']
