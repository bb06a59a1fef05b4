"""pail talk against servers that are out to spoil a terminal, to eat memory, or to be taken for another; and terminals, pipes and scripts that end."""
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unicodedata

import pexpect
import pytest

from pail import PAIL, PATIENCE
from sending_tls import Authority
from test_talk import Person, Server, home, talk     # noqa: F401 (a fixture)

with open(PAIL, 'rb') as program:
    MEMORY = (1200 if b'__asan_init' in program.read() else 100) * 1024     # KB

EVIL = [b'\x1b]0;owned\x07', b'\x1b[2J\x1b[31m', b'\xc2\x9b31m', b'\x9b31m', b'\x90q\x9c', b'\xe2\x80\xaetxt.exe', b'\xe2\x81\xa6', b'\xe2\x80\xa8',
        b'\x00\x08\x7f', b'\xff\xfe', b'\xc0\x9b', b'\xe0\x80\x9b', b'\xf0\x80\x80\x9b', b'\xed\xa0\x80', b'\xc2', b'a\rb\rc', b'\x1bP\x1b\\', b'\xef\xbf\xbe',
        b'\x0e\x0f\x05', b'\xf4\x90\x80\x80']


def harmless(shown):
    """What may be on a terminal: valid UTF-8, no control character but the ends of lines, nothing that turns an order."""
    for line in shown.decode('utf-8').split('\n'):
        bad = [c for c in line if c != '\t' and (unicodedata.category(c) in ('Cc', 'Zl', 'Zp') or c in '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069')]
        assert not bad, (line, bad)


def evil_lines(before, between=b'', after=b''):
    return b''.join(before + between + evil + after + b'\r\n' for evil in EVIL)


def test_nothing_raw_is_shown_or_kept(home, tmp_path):      # noqa: F811
    def ftp(s):
        with socket.create_server(('127.0.0.1', 0)) as data:
            port = data.getsockname()[1]
            s.say(evil_lines(b'220-') + b'220 FTP\r\n')
            s.hear()
            s.say(b'227 Entering (10,255,255,255,%d,%d)\r\n' % (port // 256, port % 256))
            s.hear()
            s.say(b'150 ' + EVIL[0] + b'\r\n')
            d, _ = data.accept()
            with d:
                d.sendall(evil_lines(b'') + b'x' * 100000 + EVIL[1])
            s.say(evil_lines(b'226-') + b'226 ok\r\n')
            s.hear()
            s.say(b'221 bye\r\n')

    saved = tmp_path / 'evil.dialog'
    done = talk(home, '127.0.0.1', f'ftp:{Server(ftp).port}', '--explain', '--save', saved, typed='PASV\nLIST\nQUIT\n')
    assert done.returncode == 0, done
    harmless(done.stdout)
    assert b'D: \\033]0;owned\\007' in done.stdout and b'not where it said' in done.stdout
    harmless(saved.read_bytes())
    others = {'pop3': (b'+OK ', b''), 'imap': (b'* OK ', b''), 'smtp': (b'220-', b'220 end\r\n')}
    for protocol, (before, last) in others.items():
        server = Server(lambda s: (s.say(evil_lines(before) + last), s.hear()))
        saved = tmp_path / f'{protocol}.dialog'
        done = talk(home, '127.0.0.1', f'{protocol}:{server.port}', '--save', saved, typed='X {5}\n')
        harmless(done.stdout)
        harmless(done.stderr)
        harmless(saved.read_bytes())
        file = tmp_path / 'differs.dialog'
        file.write_text(f'connect {protocol}\nS: something else\n')
        done = talk(home, '--replay', file, '127.0.0.1', Server(lambda s: (s.say(evil_lines(before)), s.hear())).port)
        harmless(done.stdout)
        assert done.returncode == 65


def measured(env, port, typed, *words):
    """Its exit code, and the KB that it needed at most."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as lines:
        lines.write(typed)
        lines.seek(0)
        child = subprocess.Popen([PAIL, 'talk', '127.0.0.1', port, *words], stdin=lines, stdout=out, stderr=out, env=env, start_new_session=True)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, used.ru_maxrss


@pytest.mark.parametrize('what', [b'x', b'250-more\r\n', b'\r', b'\xff\xfd\x01', b'\xff\xfa'])
def test_without_end(home, what):       # noqa: F811
    endless = what * (65536 // len(what))

    def script(s):
        s.say(b'220 ready\r\n')
        s.hear()
        for _ in range(10 * 1024 * 1024 // len(endless)):
            s.say(endless)

    code, used = measured(home, f'smtp:{Server(script).port}', b'EHLO x\nQUIT\n', '--explain')
    assert code == 76 and used < MEMORY, (code, used)


def test_data_without_end(home):        # noqa: F811
    def script(s):
        with socket.create_server(('127.0.0.1', 0)) as data:
            port = data.getsockname()[1]
            s.say(b'220 FTP\r\n')
            s.hear()
            s.say(b'229 (|||%d|)\r\n' % port)
            s.hear()
            s.say(b'150 ok\r\n')
            d, _ = data.accept()
            with d:
                for _ in range(300):
                    d.sendall(b'y' * 65536)
            s.say(b'226 ok\r\n')
            s.hear()
            s.say(b'221 bye\r\n')

    code, used = measured(home, f'ftp:{Server(script).port}', b'EPSV\nRETR x\nQUIT\n')
    assert code == 0 and used < MEMORY, (code, used)


@pytest.mark.parametrize('handshake', [b'', b'\x16\x03\x03', b'\x16\x03\x03\x40\x00' + b'\x02' * 100, b'\x15\x03\x03\x00\x02\x02\x28', b'250 no TLS\r\n' * 10])
def test_half_a_handshake(home, handshake):     # noqa: F811
    def script(s):
        s.say(b'220 x\r\n')
        s.hear()
        s.say(b'220 go\r\n')
        s.socket.recv(1)
        s.say(handshake)
        s.socket.shutdown(socket.SHUT_WR)
        while s.socket.recv(65536):
            pass

    done = talk(home, '127.0.0.1', f'smtp:{Server(script).port}', '--insecure', typed='STARTTLS\nAUTH PLAIN AGEAYg==\n')
    assert done.returncode == 76 and b'TLS with 127.0.0.1: ' in done.stderr, done
    assert b'AUTH' not in done.stdout and b'no TLS' not in done.stdout


def test_a_certificate_that_changes(home, tmp_path):        # noqa: F811
    first, second = (Authority(tmp_path / name, 'somebody').certificate('localhost') for name in ('a', 'b'))
    now = [first]

    def serve(listener):
        while True:
            conn, _ = listener.accept()
            try:
                with now[0].context().wrap_socket(conn, server_side=True) as s:
                    s.sendall(b'220 x\r\n')
                    s.recv(100)
                    s.sendall(b'221 bye\r\n')
            except OSError:
                pass

    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        me = Person(home, '127.0.0.1', port, '--tls')
        me.sees('fingerprint is ', 'Trust this certificate from now on (y/N)? ')
        me.types('y')
        me.sees('S: 220 x')
        me.types('QUIT')
        assert me.ends() == 0
        done = talk(home, '127.0.0.1', port, '--tls', typed='QUIT\n')
        assert done.returncode == 0 and b'S: 220 x' in done.stdout, done
        now[0] = second
        done = talk(home, '127.0.0.1', port, '--tls', typed='AUTH PLAIN AGEAYg==\n')
        assert done.returncode == 76 and b'S: ' not in done.stdout and b'C: ' not in done.stdout, done
        me = Person(home, '127.0.0.1', port, '--tls')
        me.sees('Somebody may be in between')
        me.types('n')
        assert me.ends() == 76


def chatter(s):
    s.say(b'220 ready\r\n')
    while s.hear():
        s.say(b'250 ok\r\n')


def endless_chatter(s):
    s.say(b'220 ready\r\n')
    while True:
        s.say(b'250-on and on\r\n' * 100)


def test_when_nobody_reads_what_it_says(home):      # noqa: F811
    server = Server(endless_chatter)
    child = subprocess.Popen([PAIL, 'talk', '127.0.0.1', str(server.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=home, start_new_session=True)
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(PATIENCE) != 0, 'it ends though the server does not, and its input neither'
    child.stdin.close()
    child.stderr.close()


def test_without_stdin(home):       # noqa: F811
    server = Server(chatter)
    done = subprocess.run(['sh', '-c', f'exec "$0" talk 127.0.0.1 smtp:{server.port} <&-', PAIL], env=home, capture_output=True, timeout=PATIENCE,
                          start_new_session=True)
    assert done.returncode == 0 and b'S: 220 ready' in done.stdout and server.heard == b'', done


def test_a_script_by_redirection_without_a_last_newline(home, tmp_path):    # noqa: F811
    script = tmp_path / 'script'
    script.write_bytes(b'EHLO x\r\nNOOP\nQUIT')
    server = Server(lambda s: [(s.hear(), s.say(line)) for line in (b'250 a\r\n', b'250 b\r\n', b'221 c\r\n')] if s.say(b'220 x\r\n') is None else 0)
    with open(script, 'rb') as lines:
        done = subprocess.run([PAIL, 'talk', '127.0.0.1', f'smtp:{server.port}'], stdin=lines, env=home, capture_output=True, timeout=PATIENCE,
                              start_new_session=True)
    assert done.returncode == 0 and server.heard == b'EHLO x\r\nNOOP\r\nQUIT\r\n', done


def test_a_terminal_that_changes_its_size_and_goes_away(home):      # noqa: F811
    server = Server(chatter)
    me = Person(home, '127.0.0.1', server.port)
    me.sees('S: 220 ready', 'C: ')
    me.child.send('NO')
    me.child.setwinsize(10, 20)
    me.sees('C: NO')        # drawn anew
    me.child.setwinsize(50, 300)
    me.sees('C: NO')
    me.types('OP')
    me.sees('S: 250 ok', 'C: ')
    assert server.heard == b'NOOP\r\n'
    me.child.kill(signal.SIGHUP)
    me.child.expect(pexpect.EOF)
    me.child.wait()
    assert me.child.signalstatus == signal.SIGHUP


def test_ctrl_c_while_a_certificate_is_asked_about(home, tmp_path):     # noqa: F811
    context = Authority(tmp_path / 'a', 'somebody').certificate('localhost').context()

    def script(s):
        try:
            context.wrap_socket(s.socket, server_side=True).recv(1)
        except ssl.SSLError:
            pass

    me = Person(home, '127.0.0.1', Server(script).port, '--tls')
    me.sees('(y/N)? ')
    me.child.sendintr()
    assert me.ends() == 76


def test_what_is_typed_while_data_comes(home):      # noqa: F811
    go_on = threading.Event()

    def script(s):
        with socket.create_server(('127.0.0.1', 0)) as data:
            port = data.getsockname()[1]
            s.say(b'220 FTP\r\n')
            s.hear()
            s.say(b'229 (|||%d|)\r\n' % port)
            s.hear()
            s.say(b'150 ok\r\n')
            d, _ = data.accept()
            with d:
                d.sendall(b'first\r\n')
                s.hear()
                s.hear()
                d.sendall(b'second\r\n')
                go_on.wait(PATIENCE)
            s.say(b'426 cut\r\n226 aborted\r\n200 as you like\r\n')
            s.hear()
            s.say(b'221 bye\r\n')

    server = Server(script)
    me = Person(home, '127.0.0.1', server.port)
    me.sees('S: 220 FTP')
    me.types('EPSV')
    me.sees('# a data connection to port')
    me.types('RETR x')
    me.sees('S: 150 ok', 'D: first')
    me.types('ABOR')
    me.types('PORT 127,0,0,1,200,200')
    me.sees('D: second')
    go_on.set()
    me.sees('S: 426 cut', 'S: 226 aborted', 'S: 200 as you like')
    me.types('QUIT')
    me.sees('S: 221 bye')
    assert me.ends() == 0
    assert server.heard == b'EPSV\r\nRETR x\r\nABOR\r\nPORT 127,0,0,1,200,200\r\nQUIT\r\n'


def test_a_long_line_of_a_script_is_one_line(home):     # noqa: F811
    heard = []
    server = Server(lambda s: (s.say(b'220 x\r\n'), heard.append(s.hear()), s.say(b'500 what?\r\n'), s.hear(), s.say(b'221 bye\r\n')))
    done = talk(home, '127.0.0.1', f'smtp:{server.port}', typed='NOOP ' + 'y' * 300000 + '\nQUIT\n')
    assert done.returncode == 0 and heard == [b'NOOP ' + b'y' * 300000 + b'\r\n']
