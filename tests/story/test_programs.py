"""The programs people use: each sends a letter, or reads one, in clear and by TLS that it verifies with D/ca.pem."""
import email
import mailbox
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import uuid

import pexpect
import pytest
from pail import PATIENCE, PEOPLE, until

BODY = 'Jack and Jill\n.went up the hill\n..\nto fetch a pail\n'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return tmp_path_factory.mktemp('programs')


@pytest.fixture
def token():
    return uuid.uuid4().hex


def run(*command, input=None, good=(0,), **more):
    done = subprocess.run([str(word) for word in command], input=input, capture_output=True, text=True,
                          timeout=PATIENCE, **more)
    assert done.returncode in good, f'{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}'
    return done.stdout


def ca(pail):
    return os.path.join(pail.folder, 'ca.pem')


def letter(token, to='jill@hill.com'):
    return f'From: jack@town.com\nTo: {to}\nSubject: {token}\n\n{BODY}'


def arrived(pail, token, who='jill@hill.com'):
    """The one letter with that subject, as its lines."""
    def look():
        return [text for text in pail.letters(who) if b'Subject: ' + token.encode() in text]
    [text] = until(f'the letter {token} is there', look)
    assert BODY.encode().replace(b'\n', b'\r\n') in text
    return text.decode()


def write_private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def allow(pail, who, auth):
    """Two ways to sign in need the password kept in a form of their own."""
    if auth.startswith('scram') or auth == 'apop':
        pail.verb('passwd', who, '--scram', '--apop', input=PEOPLE[who] + '\n')


# ---- who sends ----

# what travels, and what the Received: line must then say of it (RFC 3848)
SWAKS = [
    (25, [], 'ESMTP'),
    (25, ['--tls'], 'ESMTPS'),
    (587, ['--auth', 'PLAIN'], 'ESMTPA'),
    (587, ['--auth', 'LOGIN'], 'ESMTPA'),
    (587, ['--tls', '--auth', 'PLAIN'], 'ESMTPSA'),
    (465, ['--tls-on-connect', '--auth', 'LOGIN'], 'ESMTPSA'),
]


@pytest.mark.parametrize('port, options, protocol', SWAKS)
def test_swaks_sends(demo, token, port, options, protocol):
    if '--auth' in options:
        options = [*options, '--auth-user', 'jack', '--auth-password', 'crown']
    if any(o.startswith('--tls') for o in options):
        options = [*options, '--tls-verify', '--tls-ca-path', ca(demo)]
    run('swaks', '--server', '127.0.0.1', '--port', demo.port(port), '--helo', 'town.com', '--from', 'jack@town.com',
        '--to', 'jill@hill.com', '--data', letter(token), *options)
    assert f' with {protocol} ' in arrived(demo, token).replace('\r\n\t', ' ').replace('\r\n ', ' ')


MSMTP = [
    (25, 'tls off', 'off', 'ESMTP'),
    (587, 'tls off', 'plain', 'ESMTPA'),
    (587, 'tls on', 'plain', 'ESMTPSA'),
    (587, 'tls on', 'login', 'ESMTPSA'),
    (587, 'tls on', 'scram-sha-256', 'ESMTPSA'),
    (587, 'tls off', 'scram-sha-1', 'ESMTPA'),
    (465, 'tls on\ntls_starttls off', 'scram-sha-256', 'ESMTPSA'),
]


@pytest.mark.parametrize('port, tls, auth, protocol', MSMTP)
def test_msmtp_sends(demo, files, token, port, tls, auth, protocol):
    allow(demo, 'jack@town.com', auth)
    trust = f'tls_trust_file {ca(demo)}\n' if 'tls on' in tls else ''
    config = write_private(files / 'msmtprc', f'account default\nhost localhost\nport {demo.port(port)}\n{tls}\n'
                           f'{trust}auth {auth}\nuser jack\npassword crown\nfrom jack@town.com\ndomain town.com\n')
    run('msmtp', '-C', config, 'jill@hill.com', input=letter(token))
    assert f' with {protocol} ' in arrived(demo, token).replace('\r\n\t', ' ').replace('\r\n ', ' ')


@pytest.mark.parametrize('scheme, port, options', [
    ('smtp', 25, []),
    ('smtp', 587, ['--ssl-reqd', '-u', 'jack:crown']),
    ('smtp', 587, ['--ssl-reqd', '-u', 'jack:crown', '--login-options', 'AUTH=LOGIN']),
    ('smtps', 465, ['-u', 'jack:crown', '--login-options', 'AUTH=PLAIN']),
])
def test_curl_sends_many_letters_on_one_connection(demo, files, token, scheme, port, options):
    url = f'{scheme}://localhost:{demo.port(port)}/town.com'
    command = ['curl']
    for i in range(10):
        path = files / f'letter-{i}'
        path.write_bytes(letter(f'{token}-{i}-').replace('\n', '\r\n').encode())
        command += ['--next'] if i else []
        command += ['-sS', '-v', '--cacert', ca(demo), *options, '--mail-from', 'jack@town.com',
                    '--mail-rcpt', 'jill@hill.com', '-T', path, url]
    run(*command)
    for i in range(10):
        arrived(demo, f'{token}-{i}-')


def test_smtplib_sends_by_starttls_and_by_tls(demo, token):
    trust = ssl.create_default_context(cafile=ca(demo))
    with smtplib.SMTP('localhost', demo.port(587), timeout=PATIENCE) as s:
        s.starttls(context=trust)
        s.login('jack@town.com', 'crown')
        s.sendmail('jack@town.com', ['jill@hill.com', 'jill+shop@hill.com'], letter(token + '-a'))
        s.sendmail('jack@town.com', ['jill@hill.com'], letter(token + '-b'))
    with smtplib.SMTP_SSL('localhost', demo.port(465), timeout=PATIENCE, context=trust) as s:
        s.ehlo()
        s.user, s.password = 'jack@town.com', 'crown'
        assert s.auth('LOGIN', s.auth_login)[0] == 235
        s.sendmail('jack@town.com', ['jill@hill.com'], letter(token + '-c'))
    for end in 'abc':
        arrived(demo, f'{token}-{end}')


def test_a_wrong_password_and_a_wrong_name_are_answered_alike(demo):
    answers = set()
    for name, password in (('jack', 'clown'), ('nobody', 'crown')):
        with demo.smtp(port=587) as s, pytest.raises(smtplib.SMTPAuthenticationError) as e:
            s.login(name, password)
        answers.add((e.value.smtp_code, e.value.smtp_error))
    assert len(answers) == 1 and answers.pop()[0] == 535


def test_a_program_that_does_not_know_our_authority_refuses_us(demo, token):
    out = subprocess.run(['curl', '-sS', f'pop3s://localhost:{demo.port(995)}/', '-u', 'jill:tumbling'],
                         capture_output=True, text=True, timeout=PATIENCE)
    assert out.returncode == 60, out.stderr     # CURLE_PEER_FAILED_VERIFICATION


# ---- who reads ----

@pytest.fixture
def three(demo, token):
    """alice's mailbox with three letters and nothing else; what the reader must find."""
    p = demo.pop3('alice@crepes.fr')
    for i in range(p.stat()[0]):
        p.dele(i + 1)
    p.quit()
    subjects = [f'{token}-{i}' for i in range(3)]
    for subject in subjects:
        demo.send(letter(subject, 'alice@crepes.fr').replace('\n', '\r\n'), ['alice@crepes.fr'])
    until('three letters', lambda: demo.count('alice@crepes.fr') == 3)
    return subjects


def assert_all_there(texts, subjects):
    found = {}
    for text in texts:
        m = email.message_from_string(text) if isinstance(text, str) else email.message_from_bytes(text)
        found[m['Subject']] = m.get_payload().replace('\r\n', '\n').strip()
    assert found == {subject: BODY.strip() for subject in subjects}


def mbox_texts(path):
    return [m.as_bytes() for m in mailbox.mbox(path)]


READ = {
    'plain': dict(port=110, tls=False, implicit=False),
    'STLS': dict(port=110, tls=True, implicit=False),
    'TLS': dict(port=995, tls=True, implicit=True),
}
readers = pytest.mark.parametrize('way', READ)
keeps = pytest.mark.parametrize('keep', [True, False], ids=['keep', 'delete'])


def left(demo, keep):
    assert demo.count('alice@crepes.fr') == (3 if keep else 0)


@readers
@keeps
@pytest.mark.parametrize('auth', ['user', 'apop', 'plain', 'login', 'scram-sha-1', 'scram-sha-256'])
def test_mpop_reads(demo, files, three, way, keep, auth):
    w = READ[way]
    allow(demo, 'alice@crepes.fr', auth)
    into = files / three[0]
    tls = (f'tls on\ntls_starttls {"off" if w["implicit"] else "on"}\ntls_trust_file {ca(demo)}\n'
           if w['tls'] else 'tls off\n')
    config = write_private(files / 'mpoprc', f'account default\nhost localhost\nport {demo.port(w["port"])}\n{tls}'
                           f'auth {auth}\nuser alice\npassword rabbit\ndelivery mbox {into}\n'
                           f'uidls_file {into}.uidls\nkeep {"on" if keep else "off"}\n')
    run('mpop', '-C', config)
    assert_all_there(mbox_texts(into), three)
    left(demo, keep)
    run('mpop', '-C', config)       # what was read is not read again
    assert_all_there(mbox_texts(into), three)
    assert len(mbox_texts(into)) == 3


@readers
@keeps
def test_fetchmail_reads(demo, files, three, way, keep):
    w = READ[way]
    home = files / f'{three[0]}-home'
    home.mkdir(mode=0o700)
    into = home / 'mbox'
    tls = ('ssl ' if w['implicit'] else '') + f'sslcertck sslcertfile "{ca(demo)}"' if w['tls'] else "sslproto ''"
    config = write_private(home / 'rc', f'poll localhost port {demo.port(w["port"])} protocol pop3 uidl auth password\n'
                           f'  user alice password rabbit {tls} {"keep" if keep else "nokeep"} fetchall\n'
                           f'  mda "cat >>{into}; echo >>{into}"\n')
    write_private(home / 'empty', '')
    run('fetchmail', '-f', config, '--nosyslog', '--invisible', '--idfile', home / 'ids',
        env={**os.environ, 'HOME': str(home), 'FETCHMAILHOME': str(home)})
    text = into.read_bytes()
    for subject in three:
        assert text.count(b'Subject: ' + subject.encode()) == 1
    assert text.replace(b'\r', b'').count(BODY.encode()) == 3
    left(demo, keep)


@pytest.mark.parametrize('way', ['plain', 'TLS'])     # getmail6 has no STLS
@keeps
def test_getmail_reads(demo, files, three, way, keep):
    w = READ[way]
    home = files / f'{three[0]}-getmail'
    into = home / 'letters'
    into.mkdir(parents=True)
    kind = 'SimplePOP3SSLRetriever' if w['tls'] else 'SimplePOP3Retriever'
    tls = f'ca_certs = {ca(demo)}\n' if w['tls'] else ''
    config = write_private(home / 'getmailrc', f'[retriever]\ntype = {kind}\nserver = localhost\n'
                           f'port = {demo.port(w["port"])}\nusername = alice\npassword = rabbit\n{tls}'
                           '[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n'
                           f'arguments = ("-c", "cat >$(mktemp {into}/XXXXXX)")\n'
                           f'[options]\ndelete = {str(not keep).lower()}\nread_all = false\ndelivered_to = false\n'
                           'received = false\n')
    for _ in range(2):      # what was read is not read again
        run('getmail', '--getmaildir', home, '--rcfile', config)
        assert_all_there([f.read_bytes() for f in into.iterdir()], three)
        assert len(list(into.iterdir())) == 3
    left(demo, keep)


@readers
@pytest.mark.parametrize('auth', ['', 'AUTH=PLAIN', 'AUTH=LOGIN'])
def test_curl_reads(demo, three, way, auth):
    w = READ[way]
    url = f'{"pop3s" if w["implicit"] else "pop3"}://localhost:{demo.port(w["port"])}'
    options = ['-sS', '-u', 'alice:rabbit', '--cacert', ca(demo)]
    if w['tls'] and not w['implicit']:
        options.append('--ssl-reqd')
    if auth:
        options += ['--login-options', auth]
    assert run('curl', *options, url + '/').split('\n')[0].startswith('1 ')
    assert_all_there([run('curl', *options, f'{url}/{i + 1}') for i in range(3)], three)
    for _ in three:
        run('curl', *options, '-X', 'DELE', '-l', f'{url}/1')   # it signs off: the letter is gone
    left(demo, keep=False)


@readers
def test_poplib_reads(demo, three, way):
    w = READ[way]
    trust = ssl.create_default_context(cafile=ca(demo))
    if w['implicit']:
        p = poplib.POP3_SSL('localhost', demo.port(995), context=trust, timeout=PATIENCE)
    else:
        p = poplib.POP3('localhost', demo.port(110), timeout=PATIENCE)
        if w['tls']:
            p.stls(context=trust)
    assert 'UIDL' in p.capa() and 'TOP' in p.capa()
    p.user('alice')
    p.pass_('rabbit')
    assert p.stat()[0] == 3
    assert_all_there([b'\r\n'.join(p.retr(i + 1)[1]) for i in range(3)], three)
    assert len(set(p.uidl()[1])) == 3
    assert p.top(1, 1)[1][-1] == BODY.split('\n')[0].encode()
    p.dele(2)
    p.rset()
    p.dele(1)
    p.quit()
    assert demo.count('alice@crepes.fr') == 2


# ---- by hand ----

def test_telnet_typed_by_hand_is_the_lectures_session(demo, token):
    """A person at a terminal: each line is answered before the next is typed."""
    t = pexpect.spawn('telnet', ['127.0.0.1', str(demo.port(25))], timeout=PATIENCE, encoding='utf-8', echo=False)
    for typed, answered in (
            (None, '220 hill.com SMTP service ready'),
            ('HELO town.com', '250 hill.com Hello town.com, pleased to meet you'),
            ('MAIL FROM: <jack@town.com>', '250 <jack@town.com>... Sender ok'),
            ('RCPT TO: <jill@hill.com>', '250 <jill@hill.com>... Recipient ok'),
            ('DATA', '354 Enter mail, end with "." on a line by itself'),
            (f'Subject: {token}\r\r' + BODY.replace('\n.', '\n..').replace('\n', '\r') + '.',
             '250 Message accepted for delivery'),
            ('QUIT', '221 hill.com closing connection')):
        if typed:
            t.send(typed + '\r')
        t.expect_exact(answered)
    t.expect(pexpect.EOF)
    assert arrived(demo, token).startswith('Return-Path: <jack@town.com>\r\n')


def test_netcat_that_ends_lines_with_lf_is_told_how_to_do_better(demo):
    with socket.create_connection(('127.0.0.1', demo.port(25)), timeout=PATIENCE) as s:
        f = s.makefile('rb')
        f.readline()
        s.sendall(b'HELO town.com\n')
        line = f.readline()
        assert line.startswith(b'500 ') and b'end lines with CRLF (nc -C)' in line
