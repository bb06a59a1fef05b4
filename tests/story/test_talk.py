"""pail talk: by hand and by script against the demo, saved and played again; and against servers that are out to spoil a terminal."""
import os
import socket
import subprocess
import threading

import pexpect
import pytest

from pail import PAIL, PATIENCE

RUNNER = os.path.join(os.path.dirname(os.path.abspath(PAIL)), 'tests', 'dialog', 'dialog')


@pytest.fixture
def home(tmp_path):
    return {**os.environ, 'HOME': str(tmp_path), 'XDG_CONFIG_HOME': str(tmp_path / 'config'), 'XDG_DATA_HOME': str(tmp_path / 'data')}


def talk(env, *words, typed=''):
    """From a script: no terminal anywhere, so nobody can be asked."""
    return subprocess.run([PAIL, 'talk', *map(str, words)], input=typed.encode(), env=env, capture_output=True, timeout=PATIENCE,
                          start_new_session=True)


class Person:
    """Somebody at a terminal."""

    def __init__(self, env, *words):
        self.child = pexpect.spawn(PAIL, ['talk', *map(str, words)], env={**env, 'TERM': 'xterm', 'LANG': 'C.UTF-8'}, timeout=PATIENCE,
                                   encoding='utf-8', dimensions=(24, 200))
        self.heard = ''

    def sees(self, *lines):
        for line in lines:
            self.child.expect_exact(line)
            self.heard += self.child.before + self.child.after

    def types(self, line):
        self.child.send(line + '\r')

    def ends(self):
        self.child.expect(pexpect.EOF)
        self.child.wait()
        self.heard += self.child.before
        self.child.close()
        assert self.child.signalstatus is None, self.child.signalstatus
        return self.child.exitstatus


class Server:
    """Says what it is told to, to one client; what that says is in `heard`."""

    def __init__(self, script):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b''
        self.thread = threading.Thread(target=self.run, args=(script,), daemon=True)
        self.thread.start()

    def run(self, script):
        self.socket, _ = self.listener.accept()
        self.lines = self.socket.makefile('rb')
        try:
            script(self)
        except OSError:
            pass            # the client had enough
        for closing in (self.lines, self.socket):
            closing.close()

    def say(self, text):
        self.socket.sendall(text)

    def hear(self):
        line = self.lines.readline()
        self.heard += line
        return line


SCRIPT = ['HELO town.com', 'MAIL FROM:<jack@town.com>', 'RCPT TO:<jill@hill.com>', 'DATA', 'Subject: {name} and *', '',
          '.a dot at the begin', '.', 'QUIT']


def test_a_letter_by_script_saved_and_played(demo, home, tmp_path):
    saved = tmp_path / 'letter.dialog'
    done = talk(home, '127.0.0.1', demo.base + 25, '--explain', '--dot-stuff', '--save', saved, typed='\n'.join(SCRIPT) + '\n')
    assert done.returncode == 0, done
    said = done.stdout.decode()
    assert 'S: 354 Enter mail' in said and '# now the letter' in said and 'S: 250 Message accepted for delivery' in said
    text = saved.read_text()
    assert 'C: ..a dot at the begin\n' in text and 'connect smtp 127.0.0.1\n' in text
    assert oct(saved.stat().st_mode & 0o777) == '0o600'
    for _ in range(2):
        again = talk(home, '--replay', saved, '127.0.0.1', demo.base + 25)
        assert again.returncode == 0 and b'as expected' in again.stdout, again
    runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, str(saved)], capture_output=True, text=True)
    assert runner.returncode == 0, runner.stdout
    assert talk(home, '127.0.0.1', demo.base + 25, '--save', saved).returncode == 73, 'it must not be written over'


def test_a_replay_says_where_it_differs(demo, home, tmp_path):
    file = tmp_path / 'wrong.dialog'
    file.write_text('connect smtp\nS: 220 *\nC: NOOP\nS: 250 not this\nC: HELO x\nS: 250 *\nC: QUIT\nS: 221 *\nS: more\n')
    done = talk(home, '--replay', file, '127.0.0.1', demo.base + 25)
    assert done.returncode == 65
    said = done.stdout.decode().splitlines()
    assert said[0].startswith(f'{file}:4: expected "250 not this", got "250 ')
    assert said[1] == f'{file}:9: expected "more", got the end of the connection'
    assert len(said) == 3


def test_secrets_are_in_no_file(demo, home, tmp_path):
    pop3, imap, smtp = (tmp_path / f'{name}.dialog' for name in ('pop3', 'imap', 'smtp'))
    done = talk(home, '127.0.0.4', demo.base + 110, '--save', pop3, typed='USER bob\nPASS hungry\nSTAT\nUIDL\nQUIT\n')
    assert done.returncode == 0 and b'hungry' not in done.stdout
    assert talk(home, '127.0.0.1', demo.base + 143, '--save', imap, '--ca', f'{demo.folder}/ca.pem',
                typed='a STARTTLS\nb LOGIN jill {8}\ntumbling\nc NOOP\nd LOGOUT\n').returncode == 0
    assert talk(home, '127.0.0.1', f'submissions:{demo.base + 465}', '--save', smtp, '--insecure',
                typed='EHLO x\nAUTH PLAIN\nAGJvYgBodW5ncnk=\nAUTH PLAIN AGJvYgBodW5ncnk=\nQUIT\n').returncode == 0
    assert 'C: PASS {password}\n' in pop3.read_text() and 'hungry' not in pop3.read_text()
    assert 'starttls\n' in imap.read_text() and 'C: {password}\n' in imap.read_text() and 'tumbling' not in imap.read_text()
    assert smtp.read_text().count('{secret}') == 2 and 'AGJv' not in smtp.read_text()
    for file, port, secret in ((pop3, 110, 'hungry'), (imap, 143, 'tumbling'), (smtp, 465, 'AGJvYgBodW5ncnk=')):
        host = '127.0.0.4' if port == 110 else '127.0.0.1'
        again = talk(home, '--replay', file, host, demo.base + port, *(['--tls'] if port == 465 else []), '--insecure', typed=secret + '\n')
        assert again.returncode == 0, again
        runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, '--variable', f'password={secret}',
                                 '--variable', f'secret={secret}', str(file)], capture_output=True, text=True)
        assert runner.returncode == 0, runner.stdout


def test_by_hand_with_tls_and_trust_on_first_use(demo, home):
    me = Person(home, '127.0.0.1', demo.base + 25, '--explain')
    me.sees('S: 220 hill.com')
    me.types('EHLO town.com')
    me.sees('S: 250-STARTTLS', 'S: 250 ')
    me.types('STARTTLS')
    me.sees('fingerprint is ', 'Trust this certificate from now on (y/N)? ')
    me.types('y')
    me.sees('# TLSv1.')
    me.types('NOOP')
    me.sees('S: 250 2.0.0')
    me.types('QUIT')
    me.sees('S: 221 2.0.0', 'goodbye', 'the connection is closed')
    assert me.ends() == 0
    done = talk(home, '127.0.0.1', demo.base + 25, typed='EHLO x\nSTARTTLS\nNOOP\nQUIT\n')
    assert done.returncode == 0 and b'# TLSv1' in done.stdout, 'it was said yes to'
    done = talk(home, '127.0.0.1', f'submissions:{demo.base + 465}', typed='NOOP\nQUIT\n')
    assert done.returncode == 76 and b'--insecure' in done.stderr and b'C: NOOP' not in done.stdout, 'another port is another row'


def test_a_line_being_typed_is_not_torn(home):
    more = threading.Event()

    def script(s):
        s.say(b'220 ready\r\n')
        more.wait(PATIENCE)
        s.say(b'421 in the middle of it\r\n')
        assert s.hear() == b'NOOP and more\r\n'
        s.say(b'250 got it\r\n')
        s.hear()

    server = Server(script)
    me = Person(home, '127.0.0.1', server.port)
    me.sees('S: 220 ready', 'C: ')
    me.child.send('NOOP and')
    me.sees('NOOP and')
    more.set()
    me.sees('\r\x1b[K', 'S: 421 in the middle of it', 'C: NOOP and')
    me.types(' more')
    me.sees('S: 250 got it')
    me.child.sendeof()
    assert me.ends() == 0
    assert server.heard == b'NOOP and more\r\n'


def test_ctrl_c_drops_the_line_and_twice_ends(home):
    server = Server(lambda s: (s.say(b'220 ready\r\n'), s.hear(), s.say(b'250 ok\r\n'), s.hear()))
    me = Person(home, '127.0.0.1', server.port)
    me.sees('S: 220 ready', 'C: ')
    me.child.send('DELE everything')
    me.sees('everything')
    me.child.sendintr()
    me.sees('^C', 'C: ')
    me.types('NOOP')
    me.sees('S: 250 ok', 'C: ')
    me.child.sendintr()
    me.sees('^C', 'C: ')
    me.child.sendintr()
    assert me.ends() == 0
    assert server.heard == b'NOOP\r\n'


def test_nothing_raw_reaches_the_terminal(home, tmp_path):
    evil = b'220 \x1b]0;owned\x07\x1b[2J \xc2\x9b31m \xe2\x80\xaetxt.exe \x00\x08 \xff\xfe bad\r\n'
    server = Server(lambda s: (s.say(evil), s.hear(), s.say(b'250 ' + evil), s.hear()))
    saved = tmp_path / 'evil.dialog'
    me = Person(home, '127.0.0.1', server.port, '--save', saved)
    me.sees('S: 220 \\033]0;owned\\007\\033[2J \\23331m <U+202E>txt.exe \\000\\010')
    me.types('QUIT')
    me.sees('S: 250 220 \\033')
    me.child.sendeof()
    me.ends()
    for raw in ('\x1b]', '\x1b[2J', '\x07', '\x9b', '\u202e', '\x08'):
        assert raw not in me.heard.replace('\x1b[K', ''), repr(raw)
    assert b'\x1b' not in saved.read_bytes() and b'\x00' not in saved.read_bytes()


def test_a_line_without_end(home):
    go_on = threading.Event()

    def script(s):
        s.say(b'220 ready\r\nlogin: ')
        go_on.wait(PATIENCE)
        s.say(b'x' * 300000)
        s.say(b'\r\n250 over\r\n')
        s.hear()

    server = Server(script)
    me = Person(home, '127.0.0.1', server.port)
    me.sees('S: login: ', 'has not ended yet')
    go_on.set()
    me.sees('S: 250 over')
    me.types('QUIT')
    assert me.ends() == 0


def test_a_reply_without_end_ends_with_the_server(home):
    def script(s):
        s.say(b'220 ready\r\n')
        s.hear()
        for n in range(20000):
            s.say(b'250-line %d\r\n' % n)

    done = talk(home, '127.0.0.1', Server(script).port, typed='EHLO x\n')
    assert done.returncode == 76, 'EHLO was never answered'
    assert b'250-line 19999' in done.stdout


def test_telnet_is_answered_and_hidden(home):
    heard = []

    def script(s):
        s.say(b'\xff\xfd\x18\xff\xfb\x01\xff\xfd\x18' b'220 re\xff\xf1ady \xff\xfa\x18\x01\xff\xf0now\r\n')
        heard.append(s.socket.recv(6, socket.MSG_WAITALL))
        s.hear()
        s.say(b'221 bye\r\n')

    done = talk(home, '127.0.0.1', Server(script).port, typed='QUIT\n')
    assert heard == [b'\xff\xfc\x18\xff\xfe\x01'], 'WONT and DONT, each once'
    assert b'S: 220 ready now\n' in done.stdout and done.returncode == 0


def test_starttls_that_is_refused_or_followed_by_text(home):
    refused = Server(lambda s: (s.say(b'220 x\r\n'), s.hear(), s.say(b'454 not now\r\n'), s.hear(), s.say(b'221 bye\r\n')))
    done = talk(home, '127.0.0.1', refused.port, typed='STARTTLS\nQUIT\n')
    assert refused.heard == b'STARTTLS\r\nQUIT\r\n' and done.returncode == 0
    injected = Server(lambda s: (s.say(b'220 x\r\n'), s.hear(), s.say(b'220 go\r\n250 injected\r\n'), s.hear()))
    done = talk(home, '127.0.0.1', injected.port, typed='STARTTLS\nAUTH PLAIN AGEAYg==\n')
    assert done.returncode == 76 and b'AGEA' not in injected.heard and b'injected' not in done.stdout


def test_nobody_there(home):
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
    done = talk(home, '127.0.0.1', port)
    assert done.returncode == 69 and b'refused' in done.stderr.lower()
    assert talk(home, '127.0.0.1').returncode == 64
    for service in ('gopher', 'gopher:70', 'smtp:', 'smtp:x', '70000', '0'):
        assert talk(home, '127.0.0.1', service).returncode == 64, service
