"""curl, fetchmail, getmail, imapfilter and Python's imaplib read mail where it lies."""
import imaplib
import os
import re
import ssl
import subprocess
import time
import zlib

import pexpect
import pytest
from pail import PATIENCE, Pail, until
from programs import ca, letter, person, run, write_private

ways = pytest.mark.parametrize('way', ['clear', 'STARTTLS', 'IMAPS'])


@pytest.fixture
def who(demo, request):
    return person(demo, f'reader-{zlib.crc32(request.node.name.encode())}')


def crlf(text):
    return text.replace(b'\n', b'\r\n')


def fill(demo, who, count=3, box='INBOX', flags=None):
    """Appends letter(1) to letter(count)."""
    i = demo.imap(who, 'fetch')
    for n in range(1, count + 1):
        assert i.append(box, flags, None, crlf(letter(n)))[0] == 'OK'
    i.logout()


# ---- the demo's table ----

def test_the_lines_that_the_demo_prints_work_as_they_stand():
    """Each line of the table pasted into a shell."""
    with Pail() as pail:
        lines = {line.split()[0]: line.split(None, 2)[2] for line in pail.table
                 if re.match(r'\S+ +127\.0\.0\.1:\d+ ', line)}
        assert list(lines) == ['SMTP', 'submission', 'submissions', 'POP3', 'POP3S', 'IMAP', 'IMAPS', 'FTP', 'FTPS']
        assert run('sh', '-c', lines['submission']) == run('sh', '-c', lines['submissions']) == ''
        until('jill has both', lambda: pail.count('jill@hill.com') == 2)
        for service in ('POP3', 'POP3S', 'IMAP', 'IMAPS'):
            said = run('sh', '-c', lines[service])
            assert said.endswith('Subject: hello\r\n\r\nhello jill\r\n') and 'Return-Path: <jack@town.com>\r\n' in said
        assert 'Jack and Jill' in run('sh', '-c', lines['FTP'])
        assert [line.split()[-1] for line in run('sh', '-c', lines['FTPS']).splitlines()] == ['business', 'personal', 'school']
        telnet = pexpect.spawn(lines['SMTP'], timeout=PATIENCE, encoding='utf-8')
        telnet.expect_exact('220 hill.com SMTP service ready')
        telnet.send('QUIT\r')
        telnet.expect_exact('221 ')
        telnet.expect(pexpect.EOF)


# ---- curl ----

class Curl:
    def __init__(self, demo, who, way):
        scheme, port = ('imaps', 993) if way == 'IMAPS' else ('imap', 143)
        self.url = f'{scheme}://localhost:{demo.port(port)}/'
        self.options = ['curl', '-sS', '--cacert', ca(demo), '-u', f'{who}:fetch', '--max-time', str(PATIENCE)]
        if way == 'STARTTLS':
            self.options.append('--ssl-reqd')

    def __call__(self, path, *words, good=(0,), then=()):
        """`then`: path and options of what follows on the same connection."""
        command = [*self.options, *words, self.url + path]
        if then:
            command += ['--next', *self.options[1:], *then[1:], self.url + then[0]]
        done = subprocess.run(command, capture_output=True, timeout=2 * PATIENCE)
        assert done.returncode in good, done.stderr
        return done.stdout


@ways
@pytest.mark.parametrize('auth', ['', 'AUTH=PLAIN', 'AUTH=LOGIN'])
def test_curl(demo, tmp_path, who, way, auth):
    curl = Curl(demo, who, way)
    if auth:
        curl.options += ['--login-options', auth]
    path = tmp_path / 'letter'
    texts = [crlf(letter(n)) for n in (1, 2, 3)] + [crlf(letter(4, 300_000))]
    for text in texts:
        path.write_bytes(text)
        curl('INBOX', '-T', str(path))                                          # APPEND
    assert b'* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n' in curl('')
    assert b'* LSUB () "/" Drafts\r\n' in curl('', '-X', 'LSUB "" "*"')
    for n, text in enumerate(texts, 1):
        assert curl(f'INBOX;MAILINDEX={n}') == text                             # FETCH n BODY[]
        assert curl(f'INBOX;UID={n}') == text
    assert curl('INBOX;UID=1;SECTION=TEXT') == texts[0].partition(b'\r\n\r\n')[2]
    assert curl('INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)') == b'Subject: letter 2\r\n\r\n'
    assert curl('INBOX;UID=4;SECTION=HEADER.FIELDS%20(SUBJECT)', then=('INBOX;UID=1;SECTION=1',)) == \
        b'Subject: letter 4\r\n\r\n' + texts[0].partition(b'\r\n\r\n')[2]
    assert curl('INBOX?SUBJECT%20%22letter%203%22') == b'* SEARCH 3\r\n'
    assert curl('INBOX?UNSEEN') == b'* SEARCH\r\n'                              # BODY[] has set \\Seen
    assert curl('INBOX', '-X', 'STORE 1 +FLAGS (\\Flagged \\Deleted)') == \
        b'* 1 FETCH (FLAGS (\\Seen \\Flagged \\Deleted))\r\n'
    assert b'* 1 EXPUNGE\r\n' in curl('INBOX', '-X', 'EXPUNGE')
    assert curl('INBOX', '-X', 'FETCH 1:* (UID)') == b'* 1 FETCH (UID 2)\r\n* 2 FETCH (UID 3)\r\n* 3 FETCH (UID 4)\r\n'
    curl('', '-X', 'CREATE Keep')
    curl('INBOX', '-X', 'UID MOVE 2 Keep')
    assert b'* STATUS Keep (MESSAGES 1 UNSEEN 0)\r\n' in curl('', '-X', 'STATUS Keep (MESSAGES UNSEEN)')
    assert curl('Keep', '-X', 'STORE 1 +FLAGS.SILENT \\Deleted', then=('Keep', '-X', 'EXPUNGE')) == b'* 1 EXPUNGE\r\n'
    curl('No%20such', '-X', 'NOOP', good=(78, 9, 67))
    curl('INBOX;UID=99', good=(78,))
    curl('INBOX;UIDVALIDITY=5;UID=2', good=(78,))                               # other numbers than it remembers


def test_curl_hears_of_a_letter_by_idle(demo, tmp_path, who):
    """It shows what comes, and gives up when its time is over."""
    curl = Curl(demo, who, 'clear')
    shown = (tmp_path / 'shown').open('wb+')
    running = subprocess.Popen([*curl.options, '-N', '-v', '-X', 'IDLE', curl.url + 'INBOX'], stdin=subprocess.DEVNULL,
                               stdout=shown, stderr=subprocess.STDOUT)
    try:
        until('it idles', lambda: re.search(rb'^< \+ ', (tmp_path / 'shown').read_bytes(), re.M))
        demo.send('Subject: come\r\n\r\nhello\r\n', [who])
        until('it is told', lambda: b'* 1 EXISTS\r\n' in (tmp_path / 'shown').read_bytes())
    finally:
        running.terminate()
        running.wait(PATIENCE)


# ---- fetchmail and getmail ----

FETCHMAIL = {'clear': (143, "sslproto ''"), 'STARTTLS': (143, 'sslproto tls1.2+ sslcertck sslcertfile "{ca}"'),
             'IMAPS': (993, 'ssl sslcertck sslcertfile "{ca}"')}


def fetchmail(demo, home, who, way, words, mda=True):
    port, tls = FETCHMAIL[way]
    home.mkdir(mode=0o700, exist_ok=True)
    into = home / 'mbox'
    where = f'mda "cat >>{into}; echo >>{into}"' if mda else f'smtphost localhost/{demo.port(25)} smtpname alice@crepes.fr'
    config = write_private(home / 'rc', f'poll localhost port {demo.port(port)} protocol imap auth password\n'
                           f'  user "{who}" password fetch {tls.format(ca=ca(demo))} {words}\n  {where}\n')
    return ['fetchmail', '-f', str(config), '--nosyslog', '--invisible', '-v', '--idfile', str(home / 'ids')], into


def environment(home):
    return {**os.environ, 'HOME': str(home), 'FETCHMAILHOME': str(home), 'LC_ALL': 'C.UTF-8'}


@ways
@pytest.mark.parametrize('keep', ['keep', 'nokeep'])
def test_fetchmail(demo, tmp_path, who, way, keep):
    fill(demo, who)
    home = tmp_path / 'home'
    command, into = fetchmail(demo, home, who, way, keep)
    run(*command, env=environment(home))
    texts = [letter(n).partition(b'\n\n')[2] for n in (1, 2, 3)]
    assert all(into.read_bytes().replace(b'\r', b'').count(text) == 1 for text in texts)
    i = demo.imap(who, 'fetch')
    assert i.select()[1] == ([b'3'] if keep == 'keep' else [b'0'])
    i.append('INBOX', None, None, crlf(letter(4)))
    run(*command, env=environment(home))                    # the new one only
    texts.append(letter(4).partition(b'\n\n')[2])
    assert all(into.read_bytes().replace(b'\r', b'').count(text) == 1 for text in texts)
    i.logout()


def test_fetchmail_brings_it_from_imap_to_smtp(demo, tmp_path, who):
    fill(demo, who)
    before = demo.count('alice@crepes.fr')
    command, _ = fetchmail(demo, tmp_path / 'home', who, 'clear', 'nokeep', mda=False)
    run(*command, env=environment(tmp_path / 'home'))
    until('alice has them', lambda: demo.count('alice@crepes.fr') == before + 3)
    assert demo.count(who, 'fetch') == 0
    for n, text in enumerate(demo.letters('alice@crepes.fr')[-3:], 1):
        assert text.endswith(crlf(letter(n).partition(b'\n\n')[2]))


def test_fetchmail_idles(demo, tmp_path, who):
    """It stays, and brings each letter as it comes."""
    home = tmp_path / 'home'
    command, into = fetchmail(demo, home, who, 'clear', 'nokeep idle')
    shown = tmp_path / 'shown'
    with shown.open('wb') as out:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(home))
    try:
        for n in (1, 2):
            until(f'it idles, {n}', lambda: shown.read_bytes().count(b'> A') and
                  len(re.findall(rb'IMAP> \S+ IDLE', shown.read_bytes())) >= n)
            demo.send(f'Subject: number {n}\r\n\r\nhello {n}\r\n', [who])
            until(f'letter {n} is brought', lambda: into.exists() and b'hello %d' % n in into.read_bytes())
        until('they are gone', lambda: demo.count(who, 'fetch') == 0)
    finally:
        running.terminate()
        running.wait(PATIENCE)


@pytest.mark.parametrize('way', ['clear', 'IMAPS'])
@pytest.mark.parametrize('keep', [True, False], ids=['keep', 'delete'])
def test_getmail(demo, tmp_path, who, way, keep):
    fill(demo, who)
    into = tmp_path / 'letters'
    into.mkdir()
    kind, port = ('SimpleIMAPSSLRetriever', 993) if way == 'IMAPS' else ('SimpleIMAPRetriever', 143)
    tls = f'ca_certs = {ca(demo)}\n' if way == 'IMAPS' else ''
    config = write_private(tmp_path / 'rc', f'[retriever]\ntype = {kind}\nserver = localhost\nport = {demo.port(port)}\n'
                           f'username = {who}\npassword = fetch\nmailboxes = ("INBOX", "Sent")\n{tls}'
                           '[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n'
                           f'arguments = ("-c", "cat >$(mktemp {into}/XXXXXX)")\n'
                           f'[options]\ndelete = {str(not keep).lower()}\nread_all = false\ndelivered_to = false\n'
                           'received = false\n')
    for _ in range(2):
        run('getmail', '--getmaildir', tmp_path, '--rcfile', config)
        found = sorted(f.read_bytes().replace(b'\r', b'').partition(b'\n\n')[2] for f in into.iterdir())
        assert found == sorted(letter(n).partition(b'\n\n')[2] for n in (1, 2, 3))
    assert demo.count(who, 'fetch') == (3 if keep else 0)


# ---- imapfilter ----

@ways
def test_imapfilter(demo, tmp_path, who, way):
    fill(demo, who, 6)
    tls = {'clear': f'port = {demo.port(143)}', 'STARTTLS': f'port = {demo.port(143)}',
           'IMAPS': f'port = {demo.port(993)}, ssl = "auto"'}[way]
    config = write_private(tmp_path / 'filter.lua', f'''
options.timeout = {PATIENCE}
options.starttls = {'true' if way == 'STARTTLS' else 'false'}
options.certificates = true
options.create = true
a = IMAP {{ server = 'localhost', username = '{who}', password = 'fetch', {tls} }}
found = a.INBOX:contain_subject('letter 2') + a.INBOX:contain_body('no such word')
found:move_messages(a['Filed/Zwei'])
three = a.INBOX:is_unseen() * a.INBOX:contain_subject('letter 3')
three:mark_flagged()
a.INBOX:match_header('Subject: letter 4'):copy_messages(a.Archive)
five = a.INBOX:is_smaller(100000) * a.INBOX:contain_subject('letter 5')
five:delete_messages()
a.INBOX:contain_subject('letter 6'):add_flags({{'$Work', '\\\\Seen'}})
total, recent, unseen, uidnext = a.INBOX:check_status()
print('total', total, 'unseen', unseen, 'uidnext', uidnext)
''')
    said = run('imapfilter', '-t', ca(demo), '-c', config, env={**os.environ, 'HOME': str(tmp_path)})
    assert 'total\t4\tunseen\t3\tuidnext\t7' in said
    i = demo.imap(who, 'fetch')
    i.select('Filed/Zwei')
    assert i.search(None, 'SUBJECT', '"letter 2"')[1] == [b'1']
    i.select('Archive')
    assert i.search(None, 'SUBJECT', '"letter 4"')[1] == [b'1']
    i.select()
    told = dict(re.findall(r'UID (\d+) FLAGS \(([^)]*)\)', ' '.join(x.decode() for x in i.fetch('1:*', '(UID FLAGS)')[1])))
    assert {uid: set(flags.split()) - {'\\Recent'} for uid, flags in told.items()} == {
        '1': set(), '3': {'\\Flagged'}, '4': set(), '6': {'$Work', '\\Seen'}}
    i.logout()


# ---- Python's imaplib ----

@ways
def test_every_method_of_imaplib(demo, who, way):
    trust = ssl.create_default_context(cafile=ca(demo))
    if way == 'IMAPS':
        i = imaplib.IMAP4_SSL('localhost', demo.port(993), ssl_context=trust, timeout=PATIENCE)
    else:
        i = imaplib.IMAP4('localhost', demo.port(143), timeout=PATIENCE)
        if way == 'STARTTLS':
            assert i.starttls(trust)[0] == 'OK'
    assert 'IMAP4REV1' in i.capabilities and i.noop()[0] == 'OK'
    with pytest.raises(imaplib.IMAP4.error):
        i.login(who, 'wrong')
    if way == 'clear':
        assert i.authenticate('PLAIN', lambda _: f'\0{who}\0fetch'.encode())[0] == 'OK'
    else:
        assert i.login(who, 'fetch')[0] == 'OK'
    assert b'UIDPLUS' in i.capability()[1][0] and i.namespace()[1][0].startswith(b'(("" "/"))')
    assert i.create('Lists/pail')[0] == i.subscribe('Lists/pail')[0] == i.create('Work')[0] == 'OK'
    assert i.rename('Work', 'Trade')[0] == i.unsubscribe('Trade')[0] == 'OK'
    assert any(b'"/" Lists/pail' in line for line in i.list()[1]) and len(i.list('""', 'Lists/%')[1]) == 1
    assert not any(b'Trade' in line for line in i.lsub()[1])
    date = imaplib.Time2Internaldate(time.time() - 86400)
    for n in (1, 2, 3):
        status, said = i.append('Trade', '(\\Seen $Work)' if n == 2 else None, date, crlf(letter(n)))
        assert status == 'OK' and re.search(rb'\[APPENDUID \d+ %d\]' % n, said[0])
    assert i.status('Trade', '(MESSAGES UNSEEN UIDNEXT)')[1] == [b'Trade (MESSAGES 3 UIDNEXT 4 UNSEEN 2)']
    assert i.select('Trade') == ('OK', [b'3']) and i.response('UIDNEXT') == ('UIDNEXT', [b'4'])
    assert i.recent()[1] == [b'3'] and i.check()[0] == 'OK'
    assert i.fetch('2', '(BODY.PEEK[])')[1][0][1] == crlf(letter(2))
    assert imaplib.Internaldate2tuple(i.fetch('1', '(INTERNALDATE)')[1][0])
    assert set(imaplib.ParseFlags(i.fetch('2', '(FLAGS)')[1][0])) == {b'\\Seen', b'$Work', b'\\Recent'}
    assert i.search(None, 'SUBJECT', '"letter 3"')[1] == [b'3'] and i.search('UTF-8', 'UNSEEN')[1] == [b'1 3']
    i.literal = 'crème'.encode()
    found = i.search('UTF-8', 'BODY')[1][0].split()
    assert found == [b'%d' % n for n in (1, 2, 3) if 'crème'.encode() in letter(n)]
    assert i.sort('(REVERSE SUBJECT)', 'UTF-8', 'ALL')[1] == [b'3 2 1']
    assert i.thread('REFERENCES', 'UTF-8', 'ALL')[1] == [b'(1)(2)(3)']
    assert i.uid('SORT', '(DATE)', 'UTF-8', 'ALL')[1] == [b'1 2 3'] and i.uid('THREAD', 'ORDEREDSUBJECT', 'UTF-8', 'ALL')[1]
    assert i.store('1', '+FLAGS', '\\Deleted')[0] == 'OK' and i.copy('2:3', 'Lists/pail')[0] == 'OK'
    assert i.expunge() == ('OK', [b'1'])
    assert i.xatom('MOVE', '2', 'INBOX')[0] == 'OK'
    assert i.unselect()[0] == i.select('Lists/pail', readonly=True)[0] == 'OK'
    assert i.store('1', '+FLAGS', '\\Deleted')[0] == 'NO'
    assert i.close()[0] == i.delete('Trade')[0] == 'OK'
    assert i.setacl('Lists/pail', 'jack@town.com', 'lr')[0] == 'OK'
    assert b'jack@town.com' in i.getacl('Lists/pail')[1][0] and i.myrights('Lists/pail')[1][0].startswith(b'Lists/pail l')
    assert i.deleteacl('Lists/pail', 'jack@town.com')[0] == 'OK'
    assert i.getquotaroot('INBOX')[0] == 'OK'
    with pytest.raises(imaplib.IMAP4.error):
        i.getannotation('INBOX', '*', '*')                  # the old draft of METADATA: there is no such command
    with pytest.raises(imaplib.IMAP4.error):
        i.proxyauth('jack@town.com')
    assert i.xatom('ID', 'NIL')[0] == 'OK'
    assert i.enable('UTF8=ACCEPT')[0] == 'OK' and i.utf8_enabled
    assert i.create('"Entwürfe 台北"')[0] == 'OK' and any('Entwürfe 台北'.encode() in line for line in i.list()[1])
    assert i.append('"Entwürfe 台北"', None, None, 'Subject: 水\r\n\r\nhello\r\n'.encode())[0] == 'OK'
    assert i.select('"Entwürfe 台北"')[1] == [b'1'] and b'Subject: \xe6\xb0\xb4' in i.fetch('1', '(RFC822)')[1][0][1]
    assert i.logout()[0] == 'BYE'


def test_a_password_of_the_programs_own_ends_when_it_is_removed(demo, who):
    made = demo.verb('passwd', who, '--app', 'imaplib', '--scope', 'imap').stdout.split()[-1]
    i = demo.imap(who, made)
    assert i.select()[0] == 'OK'
    demo.verb('passwd', who, '--remove', 'imaplib')
    again = imaplib.IMAP4('localhost', demo.port(143), timeout=PATIENCE)
    with pytest.raises(imaplib.IMAP4.error):
        again.login(who, made)
    again.shutdown()
