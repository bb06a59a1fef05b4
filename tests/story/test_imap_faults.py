"""A disk that is full while IMAP changes mailboxes: a clear NO for whom it concerns, nothing half done, and it goes on when
there is room again."""
import subprocess

from imapwire import Literal, Soon, Wire
from load import text_of
from pail import PEOPLE, Pail, until


def wire(pail, who='jill@hill.com'):
    w = Wire(pail.port(143))
    w.login(who, PEOPLE[who])
    return w


def contents(w, box):
    """Subjects, in order."""
    _, told = w.ok(f'SELECT {box}')
    if b'0 EXISTS' in told:
        return []
    return [items['ENVELOPE'][1].decode() for _, items in sorted(w.fetch('FETCH 1:* (UID ENVELOPE)').items())]


def test_below_the_reserve_nothing_is_appended_and_everything_else_goes_on():
    with Pail(settings={'disk-reserve': '1000t'}) as pail:
        w = wire(pail, 'bob@hamburger.edu')
        for literal in (Literal, Soon):
            assert w.command('APPEND INBOX ', literal(text_of('n1')))[0] == 'NO'
            assert w.said.startswith('[UNAVAILABLE]')
        w.ok('SELECT INBOX')
        w.ok('COPY 1 Archive')
        w.ok('STORE 1:* +FLAGS (\\Deleted)')
        w.ok('EXPUNGE')
        assert contents(w, 'INBOX') == []


def test_a_full_disk_loses_nothing_and_works_again_when_there_is_room(small_disk):
    with Pail(folder=str(small_disk / 'demo'), settings={'disk-reserve': 0}) as pail:
        w = wire(pail)
        there = []
        for i in range(2000):
            names = [f'n{i}', f'm{i}'][:1 + i % 2]
            status, _, _ = w.command('APPEND INBOX', *(x for n in names for x in (' ', (Soon, Literal)[i % 3 == 0](text_of(n)))))
            if status != 'OK':
                assert w.said.startswith(('[UNAVAILABLE]', '[LIMIT]')), w.said
                break
            there += names
        assert len(there) > 20 and status == 'NO'
        assert contents(w, 'INBOX') == there
        for n in range(1, 1000):        # copies take little, but not nothing
            if w.command('COPY 1:* Archive')[0] != 'OK':
                break
        copies = n - 1
        assert contents(w, 'Archive') == there * copies
        subprocess.run(['mount', '-o', 'remount,size=200m', small_disk], check=True)
        until('letters are accepted again', lambda: w.command('APPEND INBOX ', Soon(text_of('after')))[0] == 'OK')
        for again in range(2):
            assert contents(w, 'INBOX') == [*there, 'after']
            assert contents(w, 'Archive') == there * copies
            if not again:
                pail.kill()
                pail.start()
                w = wire(pail)
        pail.stop()
        assert pail.verb('check').returncode == 0
