"""The screen of `pail mail` on terminals of all kinds: small ones, old ones, those without UTF-8; what is pasted; what ends it while one writes."""
import json
import os
import re
import signal

import pytest

from mail_screen import Home, Screen
from pail import until

LETTER = ('From: Jack Frost <jack@town.com>\r\nTo: {who}\r\nSubject: {subject}\r\nMessage-ID: <{number}.town.com>\r\n{more}\r\n'
          'Will you fetch a pail of water?\r\n')


@pytest.fixture
def home(demo):
    made = []

    def make(who, copy=False):
        """copy: read by IMAP, from a copy in that home."""
        demo.verb('account', 'add', who)
        demo.verb('passwd', who, input='secret-of-them-9\n')
        made.append(Home(demo, who))
        if copy:
            made[-1].accounts((who, f'incoming = imap://{who}@127.0.0.1:{demo.port(143)}\npassword = secret-of-them-9'))
        return made[-1]
    yield make
    for one in made:
        one.remove()


def post(demo, who, *subjects, more='', first=0):
    for number, subject in enumerate(subjects, first):
        demo.send(LETTER.format(who=who, subject=subject, number=f'{who}-{number}', more=more).encode(), who)


def rows(home, folder='INBOX'):
    code, said = home.run('list', folder, '--json')
    return json.loads(said)['letters'] if code == 0 else []


@pytest.mark.parametrize('columns, height, more', [(20, 5, {}), (10, 4, {}), (80, 24, {'TERM': 'vt100'}), (300, 90, {'TERM': 'xterm'}), (80, 24, {'TERM': 'linux'})])
def test_every_page_on_every_terminal(demo, home, columns, height, more):
    """Drawn, resized in the middle, and left; nothing but what the terminal knows is sent to it."""
    who = f'size{columns}{more.get("TERM", "")}@hill.com'
    me = home(who)
    post(demo, who, 'Water', 'More water')
    with Screen(me, columns, height, shows='1' if columns < 50 else 'by received', **more) as s:
        s.shows(re.compile(r'\b1 .N'))
        for keys in ('\n', 'v', 'q', 'q', 'y', 'q', '?', 'q'):
            s.type(keys)
            s.shows(re.compile('q:(Quit|Back)'))
        for wide, high in ((30, 6), (15, 3), (120, 40), (columns, height)):
            s.tmux('resize-window', '-x', str(wide), '-y', str(high))
            s.keys('C-l')
            if high > 5 and wide > 20:
                s.shows('q:Quit', 0)
                s.shows(re.compile(r' 1  '), 1)
        s.type('q')
        s.shows('left with')
        assert s.is_usual()


def test_without_utf8_only_ascii_is_shown(demo, home):
    who = 'ascii@hill.com'
    me = home(who, copy=True)
    post(demo, who, '=?utf-8?q?Gr=C3=BC=C3=9Fe?=')
    until('it is here', lambda: me.run('sync') and rows(me))
    post(demo, who, '=?utf-8?q?Gr=C3=BC=C3=9Fe?=', more=f'In-Reply-To: <{who}-0.town.com>\r\n', first=1)
    until('both are here', lambda: me.run('sync') and len(rows(me)) == 2)
    with Screen(me, LANG='C') as s:
        s.type('ot')
        s.shows('`->Gr??e')
        s.type('q')
    with Screen(me, shows='by threads') as s:       # remembered
        s.shows('└─>Grüße')


def test_what_is_pasted_is_no_keys(demo, home):
    who = 'paste@hill.com'
    me = home(who)
    post(demo, who, 'Stays')
    with Screen(me) as s:
        s.shows('Stays')
        s.paste('d$y\nq\nm\n')
        s.shows('Pasted text is not taken for keys')
        assert rows(me)[0]['flags'] == []
        s.type('m')
        s.shows('To:', -2)
        s.paste('jill@hill.com,\njack@town.com\n')
        s.shows('jill@hill.com, jack@town.com', -2)
        s.type('\n')
        s.shows('Subject:', -2)
        s.paste('long ' * 5000)
        s.type('\n')
        s.shows('y:Send')
        s.shows('jill@hill.com')
        s.type('qn')
        s.type('dq')
        s.shows('to Trash?')
        s.paste('y')
        s.type('n')
        s.shows('left with 0')
    assert [r['subject'] for r in rows(me)] == ['Stays']


@pytest.mark.parametrize('how', ['C-c', signal.SIGTERM, signal.SIGHUP])
def test_a_letter_that_was_written_is_not_lost(home, how):
    me = home(f'kept-{str(int(how)) if how != "C-c" else "c"}@hill.com')
    with Screen(me) as s:
        s.type('mjill@hill.com\nWritten\n')
        s.shows('y:Send')
        if how == 'C-c':
            s.type('s')
            s.keys('C-c')           # the question
            s.shows('A letter, ready')
            s.keys('C-c')
            s.shows('Leave pail mail?')
            s.type('n')
            s.keys('C-c')
            s.shows('Leave pail mail?')
            s.type('y')
        else:
            os.kill(s.pid(), how)
        s.shows('left with ')
        assert s.is_usual()
    assert [r['subject'] for r in rows(me, 'Drafts')] == ['Written']


def test_ctrl_c_in_the_editor_is_the_editors(home):
    me = home('editor-c@hill.com')
    me.script('editor', 'trap "echo Interrupted. >> \\"$1\\"; exit 0" INT; echo ready; while :; do sleep 0.05; done')
    with Screen(me) as s:
        s.type('mjill@hill.com\nWater\n')
        s.shows('ready')
        s.keys('C-c')
        s.shows('y:Send')
        s.shows('Interrupted.')
        s.type('qn')
        s.shows('given up')


def test_orders_folders_and_the_keys_of_mutt(demo, home):
    who = 'keys@hill.com'
    me = home(who, copy=True)
    post(demo, who, *(f'Letter {n}' for n in range(40)))
    until('all are here', lambda: me.run('sync') and len(rows(me)) == 40)
    with Screen(me, 100, 24) as s:
        s.shows('live')
        s.type('=')
        s.shows(re.compile(r'  1 .N.*Letter 0 *$', re.M))
        s.type('w!')
        s.shows(re.compile(r'  1 !N'))
        s.type('W!')
        s.shows(re.compile(r'  1  N'))
        s.type('wr')
        s.type('Wn')
        s.shows(re.compile(r'  1  r'))
        s.type('zH')
        s.type('F')
        s.shows(re.compile(r' 22 !N'))
        s.type('M]F')
        s.shows(re.compile(r' !N.*\n', re.M))
        s.keys('Escape')
        s.type('t')
        s.shows('1 tagged')
        s.type(';t')
        s.shows_not('tagged]')
        s.keys('Escape')
        s.type('l')
        s.shows('All letters are shown')
        s.type('.')
        s.shows('New letters: INBOX (39)')
        s.type('!echo hello from the shell\n')
        s.shows('hello from the shell')
        s.type('\n')
        s.shows('q:Quit')
        s.type('Os')
        s.shows('by reverse subject')
        s.type('=sOther\ny')
        s.shows('moved to Other')
        s.type('cOther\n')
        s.shows('by received')
        s.type('q')
        s.shows('left with 0')
    with Screen(me, command='mail --folder Other', shows='Other') as s:
        s.shows('by received')
        s.type('cINBOX\n')
        s.shows('by reverse subject')
        s.type('q')
    with Screen(me, command='mail --folder Nowhere', shows='no such folder') as s:
        s.shows('left with 66')


def test_passed_on_as_it_is(demo, home):
    who = 'bounce@hill.com'
    me = home(who)
    post(demo, who, 'Pass me on', 'And me', more='X-Kept: yes\r\n')
    until('both are filed', lambda: len(rows(me)) == 2)
    with Screen(me) as s:
        s.type('T~A\n')
        s.shows('2 tagged')
        s.type(';b')
        s.shows('Pass on to:', -2)
        s.type('jill@hill.com\n')
        s.shows('Pass 2 letters on to jill@hill.com?')
        s.type('y')
        s.shows('2 letters passed on')
    code, said = me.run('bounce', str(rows(me)[0]['uid']), '--to', 'jill@hill.com', '--json')
    assert code == 0, said
    came = until('jill has them', lambda: (found := [t for t in demo.letters('jill@hill.com') if b'Resent-From:' in t])[2:] and found)
    for text in came:
        head, body = text.replace(b'\r\n', b'\n').split(b'\n\n', 1)
        assert b'\nResent-From: Bounce Hill <bounce@hill.com>\nResent-To: jill@hill.com\nResent-Message-ID: <' in head
        assert b'\nFrom: Jack Frost <jack@town.com>\n' in head and b'X-Kept: yes' in head and b'Resent-Date: ' in head
        assert head.count(b'Return-Path:') == 1 and b'Return-Path: <bounce@hill.com>' in head
        assert head.index(b'Resent-From') < head.index(b'\nFrom:') and b'pail of water?' in body
    assert me.run('bounce', '1', '--to', 'no address', '--json')[0] == 64
