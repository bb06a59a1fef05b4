"""Letters of `pail mail` on their way: refused, kept, tried again, killed; never lost, never doubled unasked, one copy of each."""
import base64
import contextlib
import json
import os
import re
import signal
import threading

import pytest

from mail_screen import Home, Screen
from pail import until
from reader import Reader, Server
from sending_sink import ALL, STALL, Sink

PLAIN = ('AUTH PLAIN', '8BITMIME')


class Taking(Sink):
    """A submission server on this machine. Refuses: what to say at a stage."""

    def __init__(self, extensions=PLAIN, **more):
        self.instead, self.stalled = {}, threading.Event()
        super().__init__(contextlib.nullcontext(), '127.0.0.1', 0, extensions=extensions, answer=self.reply, **more)

    def __enter__(self):
        super().__enter__()
        self.port = self.listening.getsockname()[1]
        return self

    def reply(self, stage, session):
        said = self.instead.get(stage)
        said = said(session) if callable(said) else said
        if said == STALL:
            self.stalled.set()
        return said


def person(tmp_path, sink, who='out@hill.com'):
    """One whose incoming server is not asked."""
    reader = Reader(tmp_path)
    reader.account(who, Server(1, who, 'measure', submission=sink.port))
    return reader


def send(reader, subject, to='jill@hill.com', **how):
    return reader.json('send', '--to', to, '--subject', subject, '--body', '-', input='water\n', **how)


def outbox(reader):
    return [(row['subject'], row['flags']) for row in reader.json('outbox')['letters']]


def sent(reader):
    if 'Sent' not in [f['name'] for f in reader.json('folders')['folders']]:
        return []
    return [row['subject'] for row in reader.list('Sent')]


@pytest.mark.parametrize('extensions, stage', [(PLAIN, stage) for stage in ('connect', 'ehlo', 'mail', 'rcpt', 'data', 'text', 'quit')] +
                         [((*ALL, 'AUTH PLAIN'), stage) for stage in ('ehlo', 'text', 'quit')])
def test_killed_at_every_step(tmp_path, extensions, stage):
    """Before its end has left it waits; when nobody knows a person is asked; when it was taken it is only filed."""
    with Taking(extensions) as sink:
        reader = person(tmp_path, sink)
        sink.instead[stage] = STALL
        process = reader.start('send', '--to', 'jill@hill.com', '--subject', 'one', '--body', '-')
        process.stdin.write('water\n')
        process.stdin.close()
        until(f'the server keeps still at {stage}', sink.stalled.is_set)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sink.instead.clear()
        assert [subject for subject, _ in outbox(reader)] == ['one'] and sent(reader) == []
        if stage == 'text':
            assert outbox(reader) == [('one', [r'\Seen', '$SubmitPending'])]
            assert 'may have been sent' in reader.run('outbox', 'flush', code=69)
            assert not sink.letters and len(outbox(reader)) == 1
            uid = reader.json('outbox')['letters'][0]['uid']
            assert reader.json('outbox', 'send', uid)['sent'] == 1
        else:
            reader.json('outbox', 'flush')
        assert len(sink.letters) == 1 and sink.letters[0].subject() == 'one' and sink.letters[0].to == ['jill@hill.com']
        assert outbox(reader) == [] and sent(reader) == ['one']
        assert reader.json('outbox', 'flush')['sent'] == 0 and len(sink.letters) == 1


def test_a_connection_that_breaks_when_the_letter_was_handed_over(tmp_path):
    with Taking() as sink:
        reader = person(tmp_path, sink)
        sink.instead['text'] = 'drop'
        assert 'may have been sent' in reader.run('send', '--to', 'jill@hill.com', '--subject', 'one', '--body', '-', input='x\n', code=75)
        assert len(outbox(reader)) == 1
        sink.instead = {'mail': 'drop'}
        assert send(reader, 'two')['result'] == 'waiting'
        sink.instead = {}
        reader.run('outbox', 'flush', code=69)
        assert [letter.subject() for letter in sink.letters] == ['two'] and [subject for subject, _ in outbox(reader)] == ['one']


def test_some_are_refused(tmp_path):
    """Who has it does not get it again; it is one letter in Sent."""
    with Taking() as sink:
        reader = person(tmp_path, sink)
        sink.instead['rcpt'] = lambda session: '550 5.1.1 no bob here' if 'bob@' in session.heard[-1] else None
        said = reader.run('send', '--to', 'jill@hill.com, bob@hill.com', '--bcc', 'eve@hill.com', '--subject', 'all', '--body', '-', input='x\n', code=69)
        assert 'no bob here' in said and 'who has it: jill@hill.com, eve@hill.com' in said
        assert outbox(reader) == [('all', [r'\Seen', r'\Flagged'])] and sent(reader) == ['all']
        uid = reader.json('outbox')['letters'][0]['uid']
        assert 'no bob here' in reader.run('outbox', 'send', uid, code=69)
        uid = reader.json('outbox')['letters'][0]['uid']
        sink.instead.clear()
        assert reader.json('outbox', 'send', uid)['sent'] == 1
        assert [letter.to for letter in sink.letters] == [['jill@hill.com', 'eve@hill.com'], ['bob@hill.com']]
        assert sink.letters[0].text == sink.letters[1].text and b'eve@' not in sink.letters[0].text
        assert outbox(reader) == [] and sent(reader) == ['all']


def test_many_at_once_go_once(tmp_path):
    """Several send, and others empty Outbox meanwhile."""
    with Taking(seconds_a_letter=0.05) as sink:
        reader = person(tmp_path, sink)
        send(reader, 'first')
        processes = []
        for n in range(4):
            processes += [reader.start('send', '--to', 'jill@hill.com', '--subject', f'number {n}', '--body', '-'), reader.start('outbox', 'flush')]
        for process in processes:
            out, err = process.communicate('water\n')
            assert process.returncode == 0, out + err
        reader.json('outbox', 'flush')
        assert sorted(letter.subject() for letter in sink.letters) == sorted(sent(reader)) == ['first', *(f'number {n}' for n in range(4))]
        assert outbox(reader) == []


def test_a_wrong_password_is_no_fault_of_the_letter(tmp_path):
    with Taking() as sink:
        reader = person(tmp_path, sink)
        sink.instead['auth'] = '535 5.7.8 wrong password'
        said = reader.run('send', '--to', 'jill@hill.com', '--subject', 'one', '--body', '-', input='x\n', code=77)
        assert 'wrong password' in said and outbox(reader) == [('one', [r'\Seen'])]
        assert 'wrong password' in reader.run('outbox', 'flush', code=77)
        sink.instead.clear()
        assert reader.json('outbox', 'flush')['sent'] == 1 and len(sink.letters) == 1


# ---- the page ----

@pytest.fixture
def home(demo):
    made = []

    def make(who, sink, password='secret-of-them-9'):
        """Letters come from the demo, and go to the sink."""
        demo.verb('account', 'add', who)
        demo.verb('passwd', who, input='secret-of-them-9\n')
        made.append(Home(demo, who))
        made[-1].accounts((who, f'incoming = imap://{who}@127.0.0.1:{demo.port(143)}\noutgoing = submission://{who}@127.0.0.1:{sink.port}\n'
                                f'password = {password}'))
        return made[-1]
    yield make
    for one in made:
        one.remove()


def rows(home, folder):
    code, said = home.run('list', folder, '--json')
    return [(r['subject'], r['flags']) for r in json.loads(said)['letters']] if code == 0 else []


def test_refused_twice_on_the_page(home):
    """The server keeps the copy in step meanwhile."""
    with Taking() as sink:
        me = home('page@hill.com', sink)
        sink.instead['rcpt'] = '550 5.1.1 nobody of that name'
        with Screen(me) as s:
            s.shows('live', -3)
            s.type('mjill@hill.com\nFirst\n')
            s.shows('y:Send')
            for subject in ('First', 'Second', 'Third'):
                s.type('s')
                s.shows('Subject: ', -2)
                s.keys('C-u')
                s.type(f'{subject}\n')
                s.shows(f'Subject: {subject}')
                s.type('y')
                s.shows('Not sent: 550 nobody')
                assert rows(me, 'Outbox') == [(subject, [r'\Seen', r'\Flagged'])]
            s.shows('y:Send')
            s.type('qn')
            s.shows('given up')
            until('its copy has gone', lambda: rows(me, 'Outbox') == [])

            s.type('mjill@hill.com\nAgain\n')
            s.shows('y:Send')
            s.type('y')
            s.shows('Not sent: 550 nobody')
            s.type('p')
            s.shows('Kept in Drafts')
            assert rows(me, 'Outbox') == [] and [subject for subject, _ in rows(me, 'Drafts')] == ['Again']
            s.type('cDrafts\n')
            s.shows('Again')
            s.type('\n')
            s.shows('y:Send')
            s.type('y')
            s.shows('Not sent: 550 nobody')
            sink.instead.clear()
            s.type('y')
            s.shows('Sent: 250')
            assert rows(me, 'Outbox') == rows(me, 'Drafts') == [] and [subject for subject, _ in rows(me, 'Sent')] == ['Again']
            assert [letter.subject() for letter in sink.letters] == ['Again']


def test_one_refused_is_gone_on_with_from_outbox(home):
    with Taking() as sink:
        me = home('resumed@hill.com', sink)
        sink.instead['rcpt'] = lambda session: '550 5.1.1 no bob here' if 'bob@' in session.heard[-1] else None
        with Screen(me) as s:
            s.shows('live', -3)
            s.type('mjill@hill.com, bob@hill.com\nBoth\n')
            s.shows('y:Send')
            s.type('beve@hill.com\n')
            s.shows('Bcc: eve@hill.com')
            s.type('y')
            s.shows('who has it: jill@hill.com, eve@hill.com')
            os.kill(s.pid(), signal.SIGKILL)
            s.shows('left with 137')
        with Screen(me) as s:
            s.shows('live', -3)
            s.type('cOutbox\n')
            s.shows(re.compile('To .*Both'))
            s.type('e')
            s.shows('y:Send')
            assert 'eve@' not in s.text() and 'bob@hill.com' in s.text()
            s.type('t')
            s.shows('To: ', -2)
            s.keys('C-u')
            s.type('jill@hill.com, ben@hill.com\n')
            s.shows('To: jill@hill.com, ben@hill.com')
            s.type('y')
            s.shows('Sent: 250')
            assert [letter.to for letter in sink.letters] == [['jill@hill.com', 'eve@hill.com'], ['ben@hill.com']]
            assert rows(me, 'Outbox') == []


def test_a_wrong_password_is_asked_for_again_and_replaced(home):
    with Taking() as sink:
        sink.instead['auth'] = lambda session: '535 5.7.8 wrong password' if session.heard[-1].split()[-1] != right else None
        right = base64.b64encode(b'\0asked@hill.com\0secret-of-them-9').decode()
        me = home('asked@hill.com', sink, password='not this one\n# mine')
        assert me.run('sync')[0] == 77
        assert me.run('password', 'asked@hill.com', input='nor this one\n')[0] == 77
        with Screen(me, command='mail sync', shows='the password is refused') as s:
            s.type('still wrong\n')
            s.shows(re.compile('is refused.*is refused.*hill.com:', re.S))
            s.type('secret-of-them-9\n')
            s.shows('left with 0')
            with open(f'{me.path}/config/pail/mail') as f:
                text = f.read()
                assert text.count('password =') == 1 and 'password = secret-of-them-9\n' in text and '# mine\n' in text
        me.accounts(('asked@hill.com', open(f'{me.path}/config/pail/mail').read().split('\n', 1)[1].replace('secret-of-them-9', 'again not')))
        with Screen(me, shows='the password is refused') as s:
            s.type('\n')
            s.shows('offline')
            s.type('mjill@hill.com\nWith it\n')
            s.shows('y:Send')
            s.type('y')
            s.shows('the letter waits in Outbox')
            s.shows('  Outbox: 1')
            assert rows(me, 'Outbox') == [('With it', [r'\Seen'])]
            s.type('G')
            s.shows('the password is refused')
            s.type('secret-of-them-9\n')
            s.shows('live', -3)
            until('the letter has gone', lambda: len(sink.letters) == 1)
            with open(f'{me.path}/config/pail/mail') as f:
                assert 'password = secret-of-them-9\n' in f.read()
        assert me.run('password', 'asked@hill.com', '--forget')[0] == 0
        with open(f'{me.path}/config/pail/mail') as f:
            assert 'password' not in f.read()
        assert me.run('password', 'asked@hill.com', input='secret-of-them-9\n')[0] == 0
        assert me.run('sync')[0] == 0
