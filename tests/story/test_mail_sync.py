"""What keeps a copy in step when it was killed at the worst moment, and when servers give numbers again that they must not give again."""
import contextlib
import random
import socketserver
import sqlite3
import threading

import pytest

from imap_liar import Liar
from reader import Reader, letter
from test_mail_commands import account


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path)


# ---- filed here, and killed before that was noted ----

@contextlib.contextmanager
def not_noted(reader, address, table):
    """Letters become durable here, but no row of sync.db that says so: what a kill between the two leaves."""
    db = sqlite3.connect(f'{reader.folder}/data/pail/mail/{address}/sync.db')
    db.execute(f"CREATE TRIGGER killed BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'killed'); END")
    db.commit()
    yield
    db.execute('DROP TRIGGER killed')
    db.commit()
    db.close()


def names(numbers):
    return [f'<{n}@town.com>' for n in sorted(numbers)]


def uid_of(reader, number, folder='INBOX'):
    return next(r['uid'] for r in reader.list(folder) if r['subject'] == f'water {number}')


@pytest.mark.parametrize('long', [False, True])
def test_letters_moved_and_removed_before_their_rows_were_written(demo, reader, long):
    server = account(demo, f'window{long:d}@hill.com')
    there = server.imap()
    there.create('Aside')       # before INBOX in no order, and behind it
    there.create('Zoo')
    there.logout()
    reader.account('window@hill.com', server)
    server.fill([letter(n) for n in (1, 2, 3, 4, 5, 6, 7, 8)])
    reader.json('sync')
    more = 'x' * 100000 if long else ''
    server.fill([letter(n, more) for n in (11, 12, 13, 14, 15)])
    with not_noted(reader, 'window@hill.com', 'letter'):
        assert reader.start('sync').wait() != 0
    assert [name for name, _ in reader.state()] == sorted(names([1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15]))
    reader.run('delete', uid_of(reader, 11), '--purge')
    reader.run('move', uid_of(reader, 12), 'Aside')
    reader.run('move', uid_of(reader, 13), 'Zoo')
    reader.run('flag', uid_of(reader, 14), '+flagged')
    with not_noted(reader, 'window@hill.com', 'letter'):    # and once more
        reader.start('sync').wait()
    said = [reader.json('sync'), reader.json('sync')]
    for folder, numbers in (('INBOX', [1, 2, 3, 4, 5, 6, 7, 8, 14, 15]), ('Aside', [12]), ('Zoo', [13])):
        assert [name for name, _ in server.state(folder)] == sorted(names(numbers)), folder
        assert [name for name, _ in reader.state(folder)] == sorted(names(numbers)), folder
    assert dict(server.state())['<14@town.com>'] == dict(reader.state())['<14@town.com>'] == (r'\Flagged',)
    assert not any(said[1][k] for k in ('fetched', 'sent', 'moved', 'removed-here', 'removed-there')), said


@pytest.mark.parametrize('keep', ['yes', 'no'])
def test_pop3_letters_removed_before_they_were_noted(demo, reader, keep):
    server = account(demo, f'popwindow{keep}@hill.com')
    reader.account('popwindow@hill.com', server, how='pop3', more=f'keep = {keep}\n')
    server.fill([letter(1)])
    reader.json('sync')
    server.fill([letter(n) for n in (2, 3, 4)])
    with not_noted(reader, 'popwindow@hill.com', 'uidl'):
        assert reader.start('sync').wait() != 0
    assert [name for name, _ in reader.state()] == names([1, 2, 3, 4])
    reader.run('delete', uid_of(reader, 3), '--purge')
    reader.run('move', uid_of(reader, 4), 'Archive')
    assert reader.json('sync')['fetched'] == 0
    reader.json('sync')
    assert [name for name, _ in reader.state()] == names([1, 2])
    assert [name for name, _ in reader.state('Archive')] == names([4])
    assert [name for name, _ in server.state()] == (names([1, 2, 3, 4]) if keep == 'yes' else [])


# ---- UIDLs given again (RFC 1939 §7 forbids it) ----

class Pop3:
    """letters: [(UIDL, bytes)]. The connection of a test: QUIT removes what was marked. `top`: is there TOP? `heard`: all commands."""

    def __init__(self, letters=(), top=True):
        self.letters, self.top, self.heard, self.refuse_quit = list(letters), top, [], False
        liar = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    liar.serve(self)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.server = Threads(('127.0.0.1', 0), Handler)
        self.port = self.submission = None
        self.pop3_port, self.user, self.password = self.server.server_address[1], 'jill', 'measure'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, h):
        letters, gone = list(self.letters), set()
        h.wfile.write(b'+OK ready\r\n')
        while line := h.rfile.readline(1000):
            words = line.decode().split()
            verb, at = words[0].upper(), int(words[1]) - 1 if words[1:] and words[1].isdigit() else None
            self.heard.append(verb)
            told = b'+OK\r\n'
            if verb == 'CAPA':
                told = b'+OK\r\nUSER\r\nUIDL\r\n' + (b'TOP\r\n' if self.top else b'') + b'.\r\n'
            elif verb in ('LIST', 'UIDL'):
                told += b''.join(b'%d %s\r\n' % (n + 1, b'%d' % len(text) if verb == 'LIST' else uidl.encode()) for n, (uidl, text) in enumerate(letters))
                told += b'.\r\n'
            elif verb == 'RETR':
                told += letters[at][1] + b'.\r\n'
            elif verb == 'TOP':
                told = told + letters[at][1].split(b'\r\n\r\n')[0] + b'\r\n\r\n.\r\n' if self.top else b'-ERR no such thing\r\n'
            elif verb == 'DELE':
                gone.add(at)
            elif verb == 'QUIT':
                if not self.refuse_quit:
                    self.letters = [one for n, one in enumerate(letters) if n not in gone]
            elif verb not in ('USER', 'PASS', 'NOOP', 'STAT'):
                told = b'-ERR no such thing\r\n'
            h.wfile.write(told)
            if verb == 'QUIT':
                return


@pytest.mark.parametrize('top', [True, False])
@pytest.mark.parametrize('keep', ['yes', 'no'])
def test_a_uidl_given_again(reader, keep, top):
    """To a letter of another size, and to one of the same size; the second can be told from the first by its header alone."""
    with Pop3([('a', letter(1)), ('b', letter(2)), ('c', letter(3))], top) as server:
        reader.account('jill@hill.com', server, how='pop3', more=f'keep = {keep}\n')
        assert reader.json('sync')['fetched'] == 3
        assert len(server.letters) == (3 if keep == 'yes' else 0)
        server.letters = [('a', letter(11, 'of another size')), ('b', letter(5)), ('c', letter(3))]
        assert len(letter(5)) == len(letter(2))
        reader.json('sync')
        seen = [1, 2, 3, 5, 11] if top or keep == 'no' else [1, 2, 3, 11]     # without TOP nobody can tell 5 from 2, but nothing is removed
        assert [name for name, _ in reader.state()] == sorted(names(seen))
        assert len(server.letters) == (3 if keep == 'yes' else 0)
        assert reader.json('sync')['fetched'] == 0
        assert [name for name, _ in reader.state()] == sorted(names(seen))


def test_many_uidls_given_again_are_found_by_those_at_the_end(reader):
    with Pop3([(f'{n}', letter(100 + n)) for n in range(100)]) as server:
        reader.account('jill@hill.com', server, how='pop3', more='keep = yes\n')
        assert reader.json('sync')['fetched'] == 100
        server.heard.clear()
        assert reader.json('sync')['fetched'] == 0
        assert server.heard.count('TOP') == 32 and 'RETR' not in server.heard
        server.letters = [(f'{n}', letter(300 + n)) for n in range(100)]
        assert reader.json('sync')['fetched'] == 100
        assert [name for name, _ in reader.state()] == names([*range(100, 200), *range(300, 400)])


def test_what_was_not_removed_is_looked_at_before_it_is(reader):
    """The server forgets a DELE, and then another letter lies under that UIDL."""
    with Pop3([('a', letter(1)), ('b', letter(2))]) as server:
        reader.account('jill@hill.com', server, how='pop3', more='keep = no\n')
        server.refuse_quit = True
        assert reader.json('sync')['fetched'] == 2
        server.refuse_quit = False
        server.letters[1] = ('b', letter(5))
        assert reader.json('sync')['fetched'] == 1
        assert server.letters == []
        assert [name for name, _ in reader.state()] == names([1, 2, 5])


def test_two_letters_of_one_uidl(reader):
    with Pop3([('a', letter(1)), ('a', letter(2, 'longer than the other'))]) as server:
        reader.account('jill@hill.com', server, how='pop3', more='keep = yes\n')
        assert reader.json('sync')['fetched'] == 2
        assert reader.json('sync')['fetched'] == 0
        assert [name for name, _ in reader.state()] == names([1, 2])


# ---- uids given again under one UIDVALIDITY (RFC 9051 §2.3.1.1 forbids it) ----

def test_a_uid_given_again(reader):
    with Liar() as server:
        server.folders['INBOX'] = {n: letter(n) for n in (1, 2, 3, 4)}
        reader.account('jill@hill.com', server)
        assert reader.json('sync')['fetched'] == 4
        reader.json('sync')
        server.folders['INBOX'] = {1: letter(1), 2: letter(22, 'another one'), 3: letter(3)}
        reader.json('sync')
        assert {'<1@town.com>', '<22@town.com>', '<3@town.com>'} <= {name for name, _ in reader.state()}
        assert '<4@town.com>' not in dict(reader.state())
        assert server.appended == 1     # 2 may be nowhere else: it goes there again


def test_a_uid_given_again_whose_letter_was_removed_here(reader):
    with Liar() as server:
        server.folders['INBOX'] = {n: letter(n) for n in (1, 2, 3)}
        reader.account('jill@hill.com', server)
        reader.json('sync')
        reader.run('delete', uid_of(reader, 2), '--purge')
        server.folders['INBOX'][2] = letter(22, 'another one')
        reader.json('sync')
        assert [name for name, _ in reader.state()] == names([1, 22, 3]) or sorted(n for n, _ in reader.state()) == sorted(names([1, 3, 22]))
        assert not any(r'\Deleted' in line for line in server.heard)


def test_sizes_that_change_are_no_other_letters(reader):
    with Liar() as server:
        server.folders['INBOX'] = {n: letter(n) for n in (1, 2, 3)}
        reader.account('jill@hill.com', server)
        reader.json('sync')
        server.instead = lambda verb, line: ([f'* {n} FETCH (UID {n} FLAGS () INTERNALDATE "20-Nov-2026 10:00:00 +0000" RFC822.SIZE 7)\r\n'
                                              for n in (1, 2, 3)] if verb == 'UID FETCH' and 'RFC822.SIZE' in line else None)
        said = reader.json('sync')
        assert not any(said[k] for k in ('fetched', 'sent', 'removed-here', 'removed-there')) and server.appended == 0
        assert [name for name, _ in reader.state()] == names([1, 2, 3])


# ---- killed, changed, killed ----

@pytest.mark.parametrize('seed', range(2))
def test_changed_between_kills(demo, reader, seed):
    """No whole pass comes between a kill and what a person does: nothing comes back, nothing is doubled, nothing lost."""
    like = random.Random(seed)
    server = account(demo, f'between{seed}@hill.com')
    there = server.imap()
    there.create('Work')
    there.logout()
    reader.account('between@hill.com', server)
    server.fill([letter(1)])
    reader.json('sync')
    expected, number, kills, flagged = {1}, 1, 0, set()
    for _ in range(3):
        fresh = range(number + 1, number + 61)
        number = fresh[-1]
        server.fill([letter(n, 'x' * like.randrange(20000)) for n in fresh])
        expected |= set(fresh)
        for after in (0.03, 0.05, 0.08, 0.15, 0.3):
            kills += reader.killed_sync(like.uniform(after / 2, after))
            here = {int(r['subject'].removeprefix('water ')): r['uid'] for r in reader.list()}
            some = like.sample(sorted(here), min(9, len(here)))
            if len(some) < 9:
                continue
            reader.run('flag', ','.join(str(here[n]) for n in some[0:3]), '+flagged')
            reader.run('move', ','.join(str(here[n]) for n in some[3:6]), 'Work')
            reader.run('delete', ','.join(str(here[n]) for n in some[6:9]), '--purge')
            flagged |= set(some[0:3])
            expected -= set(some[6:9])
    reader.json('sync')
    reader.json('sync')
    assert server.state() == reader.state() and server.state('Work') == reader.state('Work')
    both = {name: flags for folder in ('INBOX', 'Work') for name, flags in server.state(folder)}
    assert len(server.state()) + len(server.state('Work')) == len(both), 'doubled'
    assert sorted(both) == sorted(names(expected))
    assert all(r'\Flagged' in both[name] for name in names(flagged & expected))
    print(f'{kills} kills came in time')


# ---- many folders ----

def test_many_folders(demo, reader):
    server = account(demo, 'thousand@hill.com')
    there = server.imap()
    paths = [f'Lists/{n:03}' for n in range(150)] + [f'Lists/{n:03}/Old' for n in range(0, 150, 10)] + ['A', 'A/B/C', 'A-B', '&AOQ-/&APY-']
    for path in paths:
        there.create(path)
    there.logout()
    for n in (3, 140):
        server.fill([letter(n)], f'Lists/{n:03}')
    reader.account('thousand@hill.com', server)
    for after in (0.02, 0.05, 0.1):
        reader.killed_sync(after)
    assert reader.json('sync')['fetched'] <= 2
    here = {f['name'] for f in reader.json('folders')['folders']}
    assert {p.replace('&AOQ-/&APY-', 'ä/ö') for p in paths} <= here and {'A/B', 'ä'} <= here
    assert [name for name, _ in reader.state('Lists/003') + reader.state('Lists/140')] == ['<3@town.com>', '<140@town.com>']
    said = reader.json('sync')
    assert not any(said[k] for k in ('fetched', 'sent', 'moved', 'removed-here', 'removed-there')), said
    server.fill([letter(7)], 'Lists/070')
    there = server.imap()
    there.delete('Lists/100/Old')
    there.logout()
    assert reader.json('sync')['fetched'] == 1
    assert 'Lists/100/Old' not in {f['name'] for f in reader.json('folders')['folders']}


def test_empty_folders_are_not_selected(reader):
    with Liar() as server:
        server.folders = {'INBOX': {1: letter(1)}, **{f'F{n}': {} for n in range(50)}, 'Full': {1: letter(2)}}

        def status(verb, line):
            if verb != 'STATUS':
                return None
            name = line.split(' ')[1].strip('"')
            count = len(server.folders[name])
            return [f'* STATUS "{name}" (MESSAGES {count} UIDNEXT {count + 1} UIDVALIDITY 7 UNSEEN 0)\r\n']

        server.instead = status
        reader.account('jill@hill.com', server)
        assert reader.json('sync')['fetched'] == 2
        assert sorted(line.split(' ')[1].strip('"') for line in server.heard if line.startswith('SELECT')) == ['Full', 'INBOX']
        server.folders['F7'][1] = letter(3)
        assert reader.json('sync')['fetched'] == 1
        assert [name for name, _ in reader.state('F7')] == names([3])


def test_folders_that_are_gone_when_they_are_listed_again(reader):
    """A folder made here is made there, so all are listed once more; and then some are missing."""
    with Liar() as server:
        server.folders = {'INBOX': {1: letter(1)}, **{f'F{n}': {1: letter(10 + n)} for n in range(6)}}
        reader.account('jill@hill.com', server)
        reader.json('sync')
        reader.run('move', uid_of(reader, 1), 'Archive')
        asked = []

        def fewer(verb, line):
            if verb != 'LIST':
                return None
            asked.append(line)
            return [f'* LIST () "/" "{name}"\r\n' for name in server.folders if len(asked) == 1 or name not in ('F2', 'F5')]

        server.instead = fewer
        reader.json('sync')
        assert len(asked) == 2
        assert [name for name, _ in reader.state('Archive') + reader.state('F2') + reader.state('F5')] == names([1]) + names([12]) + names([15])


def test_a_servers_outbox_is_not_ours(reader):
    with Liar() as server:
        server.folders = {'INBOX': {}, 'Outbox': {1: letter(1)}}
        reader.account('jill@hill.com', server, more='outgoing = submission://jill@127.0.0.1:1\n')
        assert reader.json('send', '--to', 'jack@town.com', '--subject', 'later', '--body', '-', input='x\n')['result'] == 'waiting'
        reader.json('sync')
        reader.json('sync')
        assert server.appended == 0 and [r['subject'] for r in reader.json('outbox')['letters']] == ['later']
