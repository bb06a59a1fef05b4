"""mutt and neomutt at a terminal: a person reads, flags, deletes, files, writes, and is told of what comes meanwhile."""
import os
import re

import pexpect
import pytest
from pail import PATIENCE, until
from programs import ca, person, write_private

ways = pytest.mark.parametrize('way', ['clear', 'STARTTLS', 'IMAPS'])
programs = pytest.mark.parametrize('program', ['mutt', 'neomutt'])


def water(n, body='hello jill'):
    return f'From: jack@town.com\r\nTo: jill@hill.com\r\nSubject: water-{n}.\r\n\r\n{body} {n}\r\n'.encode()


class Mutt:
    """One configuration; with mutt.open() as t: t is the terminal."""

    def __init__(self, demo, folder, who, program, way='clear', more=''):
        self.program, self.folder = program, folder
        scheme, port = ('imaps', demo.port(993)) if way == 'IMAPS' else ('imap', demo.port(143))
        (folder / 'home').mkdir()
        (folder / 'cache').mkdir()
        trust = ca(demo)
        self.config = write_private(folder / 'muttrc', f'''
set imap_user="{who}" imap_pass=fetch ssl_force_tls=no ssl_starttls={'yes' if way == 'STARTTLS' else 'no'}
set ssl_ca_certificates_file="{trust}" certificate_file="{folder}/certificates"
set folder="{scheme}://localhost:{port}/" spoolfile="+INBOX" record="+Sent" postponed="+Drafts" mbox="+Archive"
set smtp_url="smtp://{who}@localhost:{demo.port(587)}/" smtp_pass=fetch from="{who}" hostname=hill.com
set header_cache="{folder}/cache" imap_condstore=yes imap_qresync=yes imap_idle=yes
set timeout=1 mail_check=3600 imap_keepalive=3600 sort=mailbox-order delete=yes quit=yes move=no beep=no wait_key=no
set confirmappend=no confirmcreate=no postpone=yes recall=no abort_unmodified=no abort_nosubject=no copy=yes mark_old=no
set editor="sh -c 'echo I will fetch it >>$0'" fast_reply=yes
set index_format="%4C <%Z> %s" crypt_use_gpgme=no crypt_autosign=no
{more}
''')

    def open(self, *words, box=None):
        options = ['-n', '-F', str(self.config), *(['-f', box] if box else []), '-d', '4']
        if self.program == 'neomutt':
            options += ['-l', str(self.folder / 'home' / 'debug')]
        env = {'HOME': str(self.folder / 'home'), 'TERM': 'vt100', 'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8'}
        return Terminal(self.program, [*options, *words], timeout=PATIENCE, encoding='utf-8', env=env, dimensions=(40, 100),
                        logfile=open(self.folder / 'screen', 'w'))

    def conversation(self):
        """What it said and heard, as it notes itself."""
        path = self.folder / 'home' / ('debug0' if self.program == 'neomutt' else '.muttdebug0')
        return path.read_text(errors='replace')


class Terminal(pexpect.spawn):
    def leave(self):
        self.send('q')
        self.expect(pexpect.EOF)
        self.close()
        assert self.exitstatus == 0

    def shows(self, text):
        """Only what differs is written to a terminal: so it is asked to write all anew, until the text is there."""
        def look():
            self.send('\x0c')
            return self.expect_exact([text, pexpect.TIMEOUT], timeout=2) == 0
        until(f'{text} is on the screen', look)

    def line(self, text):
        """Over what the line has in it already."""
        self.send('\x15' + text + '\r')


@pytest.fixture
def who(demo, request):
    return person(demo, re.sub(r'\W+', '-', request.node.name))


def flags(i, subject):
    """Of the letter with this subject, fresh from the server; None: it is gone."""
    i.noop()
    uids = i.uid('SEARCH', 'SUBJECT', f'"{subject}."')[1][0].split()
    if not uids:
        return None
    told = i.uid('FETCH', uids[0].decode(), '(FLAGS)')[1][0]
    return told and set(re.search(r'FLAGS \(([^)]*)\)', told.decode()).group(1).split()) - {'\\Recent'}


@ways
@programs
def test_a_reader_at_a_terminal(demo, tmp_path, who, program, way):
    i = demo.imap(who, 'fetch')
    for n in range(1, 6):
        i.append('INBOX', None, None, water(n, 'a needle' if n == 4 else 'hello jill'))
    i.select()
    t = Mutt(demo, tmp_path, who, program, way).open()
    t.shows('water-5.')
    t.send('1\r')
    t.send('\r')
    t.shows('hello jill 1')                      # opened, read
    t.send('i')
    t.send('2\r')
    t.send('F')                                         # flagged
    t.send('3\r')
    t.send('d$')                                        # deleted, and synchronised
    until('2 is flagged', lambda: flags(i, 'water-2') == {'\\Flagged'})
    until('1 is read', lambda: flags(i, 'water-1') == {'\\Seen'})
    until('3 is gone', lambda: flags(i, 'water-3') is None)
    t.send('l')
    t.line('=b needle')                                 # the server searches
    t.shows('water-4.')
    t.send('C')
    t.line('+Archive')
    until('it is copied', lambda: '1' in i.status('Archive', '(MESSAGES)')[1][0].decode())
    t.send('l')
    t.line('all')
    t.shows('water-1.')
    t.send('1\r')
    t.send('s')
    t.line('+Neu/Entwürfe')                             # a mailbox that is made for it
    t.send('$')
    until('1 is filed', lambda: flags(i, 'water-1') is None)
    assert b'MESSAGES 1' in i.status('"Neu/Entw&APw-rfe"', '(MESSAGES)')[1][0]
    i.append('INBOX', None, None, water(6))
    t.shows('water-6.')                          # told by IDLE: it asks for nothing by itself
    i.store('1', '+FLAGS', '(\\Deleted)')
    i.expunge()
    t.send('$')
    t.leave()
    assert flags(i, 'water-2') is None and flags(i, 'water-6') == set()
    i.logout()


@programs
def test_a_writer_at_a_terminal(demo, tmp_path, who, program):
    t = Mutt(demo, tmp_path, who, program).open()
    i = demo.imap(who, 'fetch')
    t.send('m')
    t.expect_exact('To:')
    t.line(who)
    t.expect_exact('Subject:')
    t.line('from the well')
    t.expect_exact('Fcc')
    t.send('P')
    until('the draft is kept', lambda: b'MESSAGES 1' in i.status('Drafts', '(MESSAGES)')[1][0])
    i.select('Drafts', readonly=True)
    assert b'\\Draft' in i.fetch('1', '(FLAGS)')[1][0]
    t.send('R')
    t.expect_exact('Fcc')
    t.send('y')
    until('it is sent', lambda: b'MESSAGES 1' in i.status('INBOX', '(MESSAGES)')[1][0])
    until('it is kept', lambda: b'MESSAGES 1' in i.status('Sent', '(MESSAGES)')[1][0])
    until('the draft is gone', lambda: b'MESSAGES 0' in i.status('Drafts', '(MESSAGES)')[1][0])
    t.shows('from the well')
    t.leave()
    i.select('Sent', readonly=True)
    text = i.fetch('1', '(FLAGS BODY.PEEK[])')[1][0]
    assert b'I will fetch it' in text[1] and b'\\Seen' in text[0]
    i.logout()


@pytest.mark.parametrize('sync', ['qresync', 'condstore', 'neither'])
@programs
def test_what_changed_while_the_reader_was_away(demo, tmp_path, who, program, sync):
    """The header cache is brought up to the truth, by QRESYNC, by CONDSTORE, or by all flags."""
    i = demo.imap(who, 'fetch')
    for n in range(1, 31):
        i.append('INBOX', None, None, water(n))
    i.select()
    mutt = Mutt(demo, tmp_path, who, program, more={
        'qresync': '', 'condstore': 'set imap_qresync=no', 'neither': 'set imap_qresync=no imap_condstore=no'}[sync])
    t = mutt.open()
    t.shows('water-30.')
    t.leave()
    i.store('3,4,5', '+FLAGS.SILENT', '(\\Deleted)')
    i.expunge()
    i.uid('STORE', '7', '+FLAGS', '(\\Flagged)')
    i.append('INBOX', '(\\Answered)', None, water(31))
    t = mutt.open()
    t.shows('water-31.')
    t.send('l')
    t.line('~F')
    t.shows('water-7.')
    t.send('T')
    t.line('~A')
    t.send(';')
    t.send('s')
    t.line('+Archive')                      # what is shown as flagged is that letter and no other
    t.send('$')
    until('it is filed', lambda: b'MESSAGES 1' in i.status('Archive', '(MESSAGES)')[1][0])
    t.send('l')
    t.line('all')
    t.shows('water-31.')
    t.leave()
    i.select()
    assert i.uid('SEARCH', 'ALL')[1][0].split() == [b'%d' % n for n in range(1, 32) if n not in (3, 4, 5, 7)]
    i.select('Archive')
    assert flags(i, 'water-7') >= {'\\Flagged'}
    said = mutt.conversation()
    assert ('ENABLE QRESYNC' in said) == ('VANISHED' in said) == (sync == 'qresync')
    assert ('CHANGEDSINCE' in said) == (sync != 'neither')
    i.logout()
