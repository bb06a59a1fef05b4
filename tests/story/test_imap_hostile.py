"""What somebody who has signed in must not be able to do to the server, or to learn from it."""
import os
import sqlite3

from imapwire import Literal, Wire
from pail import PEOPLE, Pail, until


def descriptors(pail):
    return sum(len(os.listdir(f'/proc/{pid}/fd')) for name, pid in pail.roles().items() if name.startswith('mail'))


def signed_in(pail, who, password=None):
    w = Wire(pail.port(143))
    w.login(who, password or PEOPLE[who])
    return w


def test_a_search_over_more_sources_and_mailboxes_than_memory_would_hold():
    with Pail() as pail:
        w = signed_in(pail, 'jill@hill.com')
        many = 3000
        for first in range(0, many, 500):
            w.socket.sendall(b''.join(b'c%d CREATE m/%d%s\r\n' % (i, i, b'x' * 200)
                                      for i in range(first, first + 500)))
            for _ in range(500):
                assert b' OK ' in w.response()
        names = ' '.join(f'q{i}' for i in range(900))
        status, _, told = w.command(f'ESEARCH IN (subtree ({names})) ALL')
        assert status == 'OK' and not told
        for i in range(300):
            w.command(f'SUBSCRIBE {i}{"s" * 1900}')
        again = ' '.join(['subscribed'] * 900)
        status, _, told = w.command(f'ESEARCH IN ({again}) ALL')
        assert status == 'OK' and not told
        assert not pail.events('role-died')


def test_letters_on_their_way_keep_no_descriptor_each():
    with Pail(settings={'workers': 1}) as pail:
        before = descriptors(pail)
        w = signed_in(pail, 'jill@hill.com')
        text = b'Subject: long\r\n\r\n' + b'x' * 70000
        w.socket.sendall(b'a APPEND INBOX' + b''.join(b' {%d+}\r\n' % len(text) + text for _ in range(200)))
        staged = os.path.join(pail.folder, 'mail', '.staged')
        until('all of them are there', lambda: os.path.isdir(staged) and len(os.listdir(staged)) > 199)
        assert descriptors(pail) < before + 50
        w.socket.sendall(b'\r\n')
        assert b'a OK' in w.response()


def test_nobody_gets_into_the_mailboxes_of_an_account_that_was_removed():
    with Pail(settings={'workers': 1}) as pail:
        pail.verb('account', 'add', 'gone@hill.com')
        pail.verb('passwd', 'gone@hill.com', input='fetch\n')
        owner = signed_in(pail, 'gone@hill.com', 'fetch')
        owner.command('APPEND INBOX ', Literal(b'Subject: one\r\n\r\n'))
        owner.command('SETACL INBOX jill@hill.com lrswi')
        watching, selected = signed_in(pail, 'jill@hill.com'), signed_in(pail, 'jill@hill.com')
        notify = 'NOTIFY SET STATUS (mailboxes user/gone@hill.com/INBOX (MessageNew MessageExpunge FlagChange))'
        assert watching.command(notify)[2]
        assert watching.command('ESEARCH IN (mailboxes user/gone@hill.com/INBOX) ALL')[2]
        selected.command('SELECT user/gone@hill.com/INBOX')
        pail.verb('account', 'remove', 'gone@hill.com')
        assert not watching.command(notify)[2]
        assert not watching.command('ESEARCH IN (mailboxes user/gone@hill.com/INBOX) ALL')[2]
        selected.socket.sendall(b'f NOOP\r\n')
        assert selected.response().startswith(b'* BYE')


def test_placements_out_of_order_end_nobody_elses_session():
    with Pail(settings={'workers': 1}) as pail:
        w = signed_in(pail, 'jill@hill.com')
        w.command('CREATE damaged')
        for i in range(5):
            w.command('APPEND damaged ', Literal(b'Subject: %d\r\n\r\nx\r\n' % i))
        pail.stop()
        db = sqlite3.connect(os.path.join(pail.folder, 'mail', 'jill@hill.com', 'account.db'))
        account, place, data = db.execute('SELECT account, place, data FROM page ORDER BY place DESC').fetchone()
        turned = data[32:64] + data[:32] + data[64:]
        db.execute('UPDATE page SET data = ? WHERE account = ? AND place = ?', (turned, account, place))
        db.commit()
        db.close()
        pail.start()
        w, other = signed_in(pail, 'jill@hill.com'), signed_in(pail, 'jack@town.com')
        for what in ('ESEARCH IN (mailboxes damaged) ALL', 'SELECT damaged', 'FETCH 1:* (FLAGS BODY.PEEK[])',
                     'SEARCH TEXT x', 'SORT (SUBJECT) UTF-8 ALL', 'STORE 1:* +FLAGS (\\Deleted)', 'COPY 1:* INBOX', 'EXPUNGE'):
            try:
                w.command(what)
            except ConnectionResetError:
                w = signed_in(pail, 'jill@hill.com')
                w.command('SELECT damaged')
        other.ok('NOOP')
        assert not pail.events('role-died')
