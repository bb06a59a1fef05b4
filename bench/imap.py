"""The IMAP benches: one mailbox of many letters read, searched and changed over one connection; pail, Dovecot with Maildir, Dovecot
with mdbox in turn, the same letters in all of them, warm and cold."""
import json
import os
import statistics
import time
from contextlib import ExitStack

from measure import quiet, until
from peers import Dovecot
from under_test import Pail

ROUNDS = 3

# step, what it is called, the least ratio against Maildir warm ('slower' is never promised)
READ = [
    ('select', 'SELECT', 1),
    ('uid_flags', 'FETCH 1:* (UID FLAGS)', 1),
    ('structure', 'FETCH 1:* (ENVELOPE BODYSTRUCTURE)', 1),
    ('bodies', 'FETCH 1:* BODY.PEEK[]', 1),
    ('search_subject', 'SEARCH SUBJECT', 1),
    ('search_body_rare', 'SEARCH BODY, a rare word', 50),
    ('search_body_common', 'SEARCH BODY, a word in every letter', 50),
    ('search_text_rare', 'SEARCH TEXT, a rare word', 50),
    ('search_text_common', 'SEARCH TEXT, a word in every letter', 50),
    ('search_unseen', 'SEARCH UNSEEN', 1),
    ('sort', 'SORT (SUBJECT)', 1),
    ('thread', 'THREAD REFERENCES', 1),
]
CHANGE = [
    ('select', None, None),
    ('store_add', 'STORE 1:* +FLAGS', 1),
    ('store_remove', 'STORE 1:* -FLAGS.SILENT', 1),
    ('append', 'APPEND of 1,000, one after another', 1),
    ('copy', 'COPY of 10,000', 5),
    ('select_copied', None, None),
    ('move', 'MOVE of 10,000', 1),
    ('select_moved', None, None),
    ('expunge', 'EXPUNGE of half of 10,000', 1),
]


def drop_page_cache():
    try:
        with open('/proc/sys/vm/drop_caches', 'w') as f:
            os.sync()
            f.write('3')
    except OSError as why:
        raise RuntimeError(f'the page cache stays: {why}') from why


class Imap:
    def __init__(self, bench, letters):
        self.bench, self.letters = bench, letters
        self.found = {}     # (server title, state, step): [(ms, cpu)]

    def options(self, server):
        return {'port': server.imap, 'user': server.account % 0, 'password': server.password, 'letters': self.letters,
                'size': 4096}

    def take(self, server, state, steps):
        quiet(server)
        got = self.bench.load.steps(server, [s[0] for s in steps], **self.options(server))
        for name, figures in got.items():
            self.found.setdefault((server.title, state, name), []).append(figures)

    def run(self):
        with ExitStack() as stack:
            build = self.bench.build
            pail = stack.enter_context(Pail(build, 'imap', 1))
            servers = [pail]
            if self.bench.peers:
                for store in ('maildir', 'mdbox'):
                    servers.append(stack.enter_context(Dovecot(build, 1, store=store)))
                    servers[-1].title += f', {"Maildir" if store == "maildir" else store}'
            for server in servers:
                print(f'filling {server.title} with {self.letters} letters', flush=True)
                if server is not pail:
                    server.synced(False)
                self.bench.load.steps(server, ['fill'], **self.options(server))
                if server is pail:
                    self.indexed(pail)
                else:
                    server.synced(True)
            for turn in range(ROUNDS + 1):      # the first only warms up
                for server in servers:
                    self.take(server, 'warm' if turn else 'first', READ)
            for turn in range(ROUNDS):
                for server in servers:
                    server.stop()
                drop_page_cache()
                for server in servers:
                    server.__enter__() if server is not pail else server.start()
                for server in servers:
                    self.take(server, 'cold', READ[:4] + READ[5:6])
            for server in servers:
                self.take(server, 'warm', CHANGE)
            self.report(pail, servers)

    def indexed(self, pail):
        """pail's text index comes behind the letters; what it costs is told apart."""
        cpu, began = pail.cpu(), time.monotonic()

        def state():
            return json.loads(pail.verb('account', 'show', pail.account % 0, '--json'))

        until('the text index is whole', lambda: state()['indexed'] >= self.letters, 0.2)
        quiet(pail)
        ms, s = (pail.cpu() - cpu) * 1e3 / self.letters, state()
        print(f'  text index: {ms:.3f} ms of CPU a letter, {time.monotonic() - began:.1f} s, '
              f'{s["index_octets"] / 1e6:.1f} MB for {s["octets"] / 1e6:.1f} MB of letters', flush=True)

    def report(self, pail, servers):
        peers = servers[1:]
        for state in ('warm', 'cold'):
            for name, title, promise in READ + CHANGE:
                ours = self.found.get((pail.title, state, name))
                if not title or not ours:
                    continue
                for peer in peers or [None]:
                    theirs = self.found.get((peer.title, state, name)) if peer else None
                    wanted = None
                    if peer and 'Maildir' in peer.title:
                        wanted = 1 / promise if state == 'warm' else 1 / 2
                    what = f'IMAP, {self.letters:,} letters, {state}: {title}'
                    beside = f' beside {peer.title}' if peer and 'mdbox' in peer.title else ''
                    self.bench.table.row(what + beside, 'ms', [x[0] for x in ours], [x[0] for x in theirs] if theirs else None,
                                         peer.title if peer else '', wanted, less=True)
                    self.bench.table.row(what + beside, 'ms of CPU', [x[1] for x in ours],
                                         [x[1] for x in theirs] if theirs else None, peer.title if peer else '', None, less=True)
        print('  login, ms: ' + ', '.join(
            f'{server.title} {statistics.median(x[0] for x in self.found[server.title, "warm", "login"]):.2f}'
            for server in servers), flush=True)
