"""The screen of `pail mail`, in a terminal of tmux's: what a person types, what stands there then."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest

from mail_screen import Home, Screen
from pail import PAIL, PATIENCE, Pail, until

LETTER = b"""From: Jack Frost <jack@town.com>
To: %s
Subject: %s

I am not feeling up to hiking.

> first quoted line
> second quoted line
> third quoted line

Will you fetch a pail of water?
"""


def wire(text):
    return text.replace(b'\n', b'\r\n')


@pytest.fixture(scope='module')
def pail():
    with Pail() as p:
        yield p


@pytest.fixture
def home(pail, request):
    made = []

    def make(*addresses):
        for address in addresses:
            pail.verb('account', 'add', address)
            pail.verb('passwd', address, input='secret-of-them-9\n')
        made.append(Home(pail, *addresses))
        return made[-1]
    yield make
    for one in made:
        one.remove()


def send(pail, to, subject, body=LETTER):
    pail.send(wire(body % (to.encode(), subject.encode())), to)


def test_a_letter_is_read_answered_and_deleted(pail, home):
    who = 'screen-day@hill.com'
    person = home(who)
    send(pail, who, 'Hiking today')
    send(pail, who, 'Hiking tomorrow')
    with Screen(person) as s:
        s.shows('2 of 2, 2 new')
        assert 'q:Quit' in s.rows()[0] and '?:Help' in s.rows()[0]
        s.type('\n')
        s.shows('> second quoted line')
        assert 'q:Back' in s.rows()[0]
        s.type('T')
        s.shows('[3 quoted lines: T shows them]')
        s.shows_not('> second')
        s.type('h')
        s.shows('Received: from town.com')
        s.type('j')
        s.shows('INBOX 2 of 2')
        s.type('q')
        s.shows(re.compile(r'2 of 2\]'))

        s.type('m')
        s.shows('To:', -2)
        s.type('fros\t')
        s.shows('Jack Frost <jack@town.com>', -2)
        s.keys('C-u')
        s.type(f'{who}\nFrom the screen\n')
        s.shows('Written in the editor.')
        s.shows('y:Send')
        s.type('y')
        s.shows(re.compile(r'\bN\b.*From the screen'))
        s.type('c')
        s.shows('Open folder')
        s.type('Sen\t\n')
        s.shows(re.compile(r'To screen-day@.*From the screen'))
        s.type('cINB\t\n')
        s.shows('Hiking today')

        s.keys('=')
        s.type('d')
        s.shows(re.compile(r'1  D .*Hiking today'))
        s.type('$')
        s.shows('Move 1 deleted letter to Trash?')
        s.type('y')
        s.shows('1 letter moved to Trash')
        s.shows_not('Hiking today')
        s.type('y')
        s.shows(re.compile(r'1\s+Trash'))
        s.type('q')
        s.type('q')
        s.shows('left with 0')
        assert s.is_usual()


def test_a_draft_is_kept_gone_on_with_and_sent(pail, home):
    who = 'screen-draft@hill.com'
    person = home(who)
    with open(f'{person.path}/files/drawing.txt', 'w') as f:
        f.write('a drawing')
    with Screen(person) as s:
        s.type(f'm{who}\nNot yet\n')
        s.shows('y:Send')
        s.type('adraw\t\n')
        s.shows('Attach: drawing.txt')
        s.type('p')
        s.shows('Kept in Drafts')
        s.type('cDraf\t\n')
        s.shows('Not yet')
        s.type('\n')
        s.shows(re.compile(r'Attach: part:\d drawing.txt'))
        s.type('s')
        s.keys('C-u')
        s.type('Now it is\n')
        s.shows('Subject: Now it is')
        s.type('y')
        s.shows('[0 of 0')
        s.type('cINBOX\n')
        s.shows(re.compile('N@.*Now it is'))
        s.type('\nv')
        s.shows('drawing.txt')
        s.type('j\n')
        s.shows('a drawing')
        s.type('qs')
        s.shows('Save in folder')
        s.keys('C-u')
        s.type(f'{person.path}/files\n')
        s.shows('Saved: ')
        with open(f'{person.path}/files/drawing (2).txt') as f:
            assert f.read() == 'a drawing'


def test_news_limits_tags_and_accounts(pail, home):
    first, second = 'screen-one@hill.com', 'screen-two@hill.com'
    person = home(first, second)
    for n in range(5):
        send(pail, first, f'Number {n}')
    send(pail, second, 'For the second')
    with Screen(person) as s:
        s.shows('5 of 5')
        send(pail, first, 'Just come')
        s.shows('1 new letter in INBOX')
        s.shows('Just come')
        s.type('l~s number\n')
        s.shows('[5 of 6')
        s.type('lall\n')
        s.shows('[6 of 6')
        s.type('T~s "number 3" | ~s "number 4"\n')
        s.shows('2 tagged')
        s.keys('\\;')
        s.type('s')
        s.shows('Move to folder:')
        s.type('Hills/2026\n')
        s.shows('Make it?')
        s.type('y')
        s.shows('2 letters moved to Hills/2026')
        s.shows('[4 of 4')
        s.type('/just\n')
        s.shows('1 found')
        s.type('or')
        s.shows('by received')
        s.type('A2')
        s.shows('For the second')
        s.shows(second)
        s.tmux('resize-window', '-x', '60', '-y', '12')
        s.shows(second, 10)
        s.type('q')
        s.shows('left with 0')


def test_another_server_and_a_question_meanwhile(pail, home):
    """By IMAP: shown from the copy, live by IDLE; what is done here is done there; a password that is asked for on the way."""
    first, second = 'screen-imap@hill.com', 'screen-asked@hill.com'
    person = home(first, second)
    with open(f'{person.path}/config/pail/mail', 'w') as f:
        for who, password in ((first, 'password = secret-of-them-9\n'), (second, '')):
            f.write(f'[{who}]\nincoming = imap://{who}@127.0.0.1:{pail.port(143)}\noutgoing = submission://{who}@127.0.0.1:{pail.port(587)}\n{password}\n')
    send(pail, second, 'Asked for')
    with Screen(person) as s:
        s.shows('live', -3)
        send(pail, first, 'By IDLE')
        s.shows('1 new letter in INBOX')
        s.type('d')
        s.shows(re.compile('D .*By IDLE'))
        box = pail.imap(first, 'secret-of-them-9')
        box.select('INBOX', readonly=True)
        until('the mark is at the server', lambda: b'Deleted' in box.fetch('1', '(FLAGS)')[1][0])
        box.logout()
        s.type('A2')
        s.shows('to Trash?')
        s.type('n')
        s.shows(f'Password of {second}:')
        s.type('secret-of-them-9\n')
        s.shows('Asked for')
        s.shows('live', -3)
        s.type('A1')
        s.shows(first, -3)
        s.type('x')
        s.shows('left with 0')
        assert s.is_usual()


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGSEGV, signal.SIGINT])
def test_the_terminal_is_given_back(pail, home, signo):
    person = home(f'screen-end-{int(signo)}@hill.com')
    with Screen(person) as s:
        assert not s.is_usual()
        os.kill(s.pid(), signo)
        s.shows('left with ')
        assert s.is_usual()


def test_it_stops_and_goes_on(pail, home):
    person = home('screen-stop@hill.com')
    send(pail, 'screen-stop@hill.com', 'Still here')
    with Screen(person) as s:
        s.type('q')
        s.shows('left with 0')
        s.type('set -m\n')
        s.begin()
        s.keys('C-z')
        s.shows('Stopped')
        assert s.is_usual()
        s.type('fg\n')
        s.shows('Still here')
        s.shows('by received')


# What a letter must never bring to a terminal. Curses itself sends only CSI sequences, charsets and modes.
HOSTILE = [
    b'From: =?utf-8?q?a=1B]0;owned=07?= <e@town.com>\r\nSubject: \x1b]0;owned\x07 \xc2\x9d0;owned\xc2\x9c =?utf-8?q?=1B[5m=E2=80=AEtxt?=\r\n\r\n'
    b'\x1b]52;c;b3duZWQ=\x07\x1b[5m\x9b5m\x1bP1$r\x1b\\ \xff\xfe \x1b[?1000h\x0e\x0f\x08\x7f\r\n' + b'a' + b'\xcc\x81' * 5000 + b'\r\n',
    b'Subject: names\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
    b'--b\r\nContent-Type: application/x\r\nContent-Disposition: attachment; filename*=utf-8\'\'..%2F..%2F%1B%5D0;owned%07%0A.sh\r\n\r\nx\r\n--b--\r\n',
    b'Subject: many\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n' + b'--b\r\n\x1b]0;owned: x\r\n\r\nx\r\n' * 20000 + b'--b--\r\n',
    b'Subject: deep\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n' +
    b''.join(b'--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n' % (i - 1, i) for i in range(1, 2000)) + b'--b1999\r\n\r\n\x1b]0;owned\x07\r\n',
    b'Subject: long\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n' + (b'=1B]0;owned=07' * 5 + b'=\r\n') * 150000 + b'\r\n',
]


class Recorded:
    """Every byte that goes to the terminal."""

    def __init__(self, home):
        self.bytes = b''
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(f'{home.path}/files')
            os.execvpe(PAIL if os.path.isabs(PAIL) else os.path.join(here, PAIL), ['pail', 'mail'], home.environment(TERM='xterm-256color'))
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))

    def read(self, until_text):
        end = time.monotonic() + PATIENCE
        seen = b''
        while until_text not in re.sub(rb'\x1b\[[0-9;?]*[A-Za-z]|\x1b\(B', b'', seen):
            assert time.monotonic() < end and select.select([self.terminal], [], [], PATIENCE)[0], seen[-2000:]
            piece = os.read(self.terminal, 65536)
            seen += piece
            self.bytes += piece

    def keys(self, keys, until_text):
        os.write(self.terminal, keys + b'\x0c')     # drawn anew, so that all of it comes
        self.read(until_text)

    def end(self):
        os.kill(self.process, signal.SIGTERM)
        status = os.waitpid(self.process, 0)[1]
        os.close(self.terminal)
        return status


here = os.getcwd()


def test_no_letter_reaches_the_terminal_raw(pail, home):
    who = 'screen-hostile@hill.com'
    person = home(who)
    for letter in HOSTILE:
        pail.send(b'To: ' + who.encode() + b'\r\n' + letter, who)
    box = pail.imap(who, 'secret-of-them-9')
    until('all are filed', lambda: int(box.select('INBOX', readonly=True)[1][0]) == len(HOSTILE))
    box.logout()
    r = Recorded(person)
    r.read(b'received')
    for n in range(len(HOSTILE)):
        r.keys(b'%d\n\n' % (n + 1), b'INBOX %d of %d' % (n + 1, len(HOSTILE)))
        r.keys(b'v', b'Parts: ')
        r.keys(b'q', b'INBOX %d of' % (n + 1))
        for key in (b'h', b'T', b'\\'):
            r.keys(key + b'?', b'Help')
            r.keys(b'q', b'INBOX %d of' % (n + 1))
        r.keys(b'q', b'received')
    assert os.WTERMSIG(r.end()) == signal.SIGTERM
    for evil in (b'\x1b]', b'\x9b', b'\x1bP', b'\x1b[5m', b'\x1b[?1000h', '\u202e'.encode(), '\x9d'.encode(), b'\x7f', b'\x07'):
        plain = re.sub(rb'[\xc2-\xf4][\x80-\xbf]+', lambda m: m[0] if m[0] == evil else b'', r.bytes)
        assert evil not in plain, evil
    assert not os.listdir(f'{person.path}/files')
    assert r'\033]52;c;' in r.bytes.decode(errors='replace')
