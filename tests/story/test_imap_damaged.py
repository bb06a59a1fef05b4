"""Letters that the disk has spoilt: FETCH gives all the others, says NO, and never a literal of a wrong length."""
import glob
import sqlite3

import pytest

from imapwire import Soon, Wire, fetched
from pail import Pail

WHO = 'damaged@hill.com'
TEXT = b'From: jack@town.com\r\nSubject: number %d\r\n\r\nwater %d\r\n'
LARGE = b'Subject: large\r\n\r\n' + b'pail of water\r\n' * 20_000


@pytest.fixture(scope='module')
def spoilt():
    with Pail() as p:
        p.verb('account', 'add', WHO)
        p.verb('passwd', WHO, input='fetch\n')
        w = Wire(p.port(143))
        w.login(WHO, 'fetch')
        w.ok('APPEND INBOX', *[x for i in range(1, 200) for x in (' ', Soon(TEXT % (i, i)))], ' ', Soon(LARGE), ' ', Soon(LARGE))
        w.close()
        p.stop()
        path, = [f for f in glob.glob(f'{p.folder}/mail/*/account.db') if WHO in f]
        db = sqlite3.connect(path)
        db.execute("UPDATE letter SET mime = x'0102030405' WHERE letter IN (50, 201)")
        db.execute('DELETE FROM body WHERE body = 60')
        db.execute('UPDATE body SET data = substr(data, 1, 30) WHERE body = 70')
        db.commit()
        db.close()
        with open(path.replace('account.db', f'bodies/{200:016x}'), 'r+b') as f:
            f.seek(100)
            f.write(b'spoilt' * 20)
        p.start()
        w = Wire(p.port(143))
        w.login(WHO, 'fetch')
        w.ok('SELECT INBOX')
        yield p, w
        w.close()


def ask(w, items):
    status, code, told = w.command(f'FETCH 1:* (UID {items})')
    return status, code, fetched(told)


def test_structure(spoilt):
    _, w = spoilt
    status, code, found = ask(w, 'ENVELOPE BODYSTRUCTURE')
    assert status == 'NO' and code == 'CORRUPTION'
    assert sorted(found) == [n for n in range(1, 201) if n != 50]    # nor 201
    assert found[51]['ENVELOPE'][1] == b'number 51'


def test_bodies(spoilt):
    _, w = spoilt
    status, code, found = ask(w, 'BODY.PEEK[]')
    assert status == 'NO' and code == 'CORRUPTION'
    assert 60 not in found
    for n in range(1, 200):
        if n not in (60, 70):
            assert found[n]['BODY[]'] == TEXT % (n, n)
    assert (TEXT % (70, 70)).startswith(found[70]['BODY[]'])    # what is left of it, with its right length
    assert 'BODY[]' not in found.get(200, {})
    assert found[201]['BODY[]'] == LARGE    # whole letters need no structure


def test_parts(spoilt):
    _, w = spoilt
    status, code, found = ask(w, 'INTERNALDATE BODY.PEEK[1]')
    assert status == 'NO' and code == 'CORRUPTION'
    assert all(found[n]['BODY[1]'] == b'water %d\r\n' % n for n in range(1, 200) if n not in (50, 60, 70))


def test_flags_need_none_of_it(spoilt):
    _, w = spoilt
    status, _, found = ask(w, 'FLAGS RFC822.SIZE')
    assert status == 'OK' and len(found) == 201
