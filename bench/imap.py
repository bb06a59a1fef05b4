"""The IMAP benches: one mailbox of many letters read, searched and changed over one connection; pail, Dovecot with Maildir, Dovecot
with mdbox in turn, the same letters in all of them, warm and cold."""
import json
import os
import statistics
import time
from contextlib import ExitStack

from measure import drop_page_cache, number, quiet, until
from peers import Dovecot
from under_test import Pail

ROUNDS = 3

# step, what it is called, how many times as fast as Maildir it is asked to be, warm; None: not asked
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
    ('search_unseen', 'SEARCH UNSEEN', None),
    ('sort', 'SORT (SUBJECT)', None),
    ('thread', 'THREAD REFERENCES', None),
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


def octets(folder):
    """What the files take, in blocks."""
    return sum(os.lstat(os.path.join(path, name)).st_blocks * 512 for path, _, names in os.walk(folder) for name in names)


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
            for server in servers[1:]:
                server.stop()
            self.disk(pail)

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

    def disk(self, pail):
        """The same letters, and nothing else, in a fresh pail and in Dovecot's mdbox with its zstd."""
        build, theirs = self.bench.build, None
        with Pail(build, 'disk', 1) as fresh:
            self.bench.load.steps(fresh, ['fill'], **self.options(fresh))
            self.indexed(fresh)
            fresh.stop()
            folder = f'{fresh.folder}/mail/{fresh.account % 0}'
            index = octets(f'{folder}/search')
            ours = octets(folder) - index
        if self.bench.peers:
            with Dovecot(build, 1, store='mdbox', settings='mail_plugins = zlib\nplugin {\n  zlib_save = zstd\n}\n'
                         'mail_fsync = never') as mdbox:
                self.bench.load.steps(mdbox, ['fill'], **self.options(mdbox))
                theirs = octets(f'{mdbox.root}/var/vmail/u0')
        peer = 'Dovecot, mdbox with zstd'
        what = f'IMAP, {self.letters:,} letters of 4 KB on disk'
        self.bench.table.row(what, 'MB', [ours / 1e6], [theirs / 1e6] if theirs else None, peer, 1, less=True)
        self.bench.table.row(f'{what}, the text index apart', 'MB', [index / 1e6])

    def report(self, pail, servers):
        head = ['step', *(f'{server.title}, ms' for server in servers), *(f'{server.title}, CPU' for server in servers),
                'asked: of Maildir, met']
        for state, least in (('warm', None), ('cold', 2)):
            rows = []
            for name, title, promise in READ + CHANGE:
                if not title or (pail.title, state, name) not in self.found:
                    continue
                figures = [self.found.get((server.title, state, name)) for server in servers]
                wall = [statistics.median(x[0] for x in f) for f in figures]
                cpu = [statistics.median(x[1] for x in f) for f in figures]
                factor = least or promise
                met = ''
                if promise and len(servers) > 1:
                    met = f'1/{factor} ' + ('yes' if wall[0] <= wall[1] / factor else '**no**')
                    met += '' if cpu[0] <= cpu[1] / (1 if least else promise) else ', CPU **no**'
                rows.append([title, *map(number, wall), *map(number, cpu), met])
            if rows:
                self.bench.table.table(f'IMAP, {self.letters:,} letters of 4 KB, {state}', head, rows)
        logins = [statistics.median(x[0] for x in self.found[server.title, 'warm', 'login']) for server in servers]
        print('  login, ms: ' + ', '.join(f'{s.title} {number(ms)}' for s, ms in zip(servers, logins)), flush=True)
