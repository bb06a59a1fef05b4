"""What a peer, a verb or the wrong moment must not be able to do to the server."""
import os
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading

import pytest
from pail import PAIL, PATIENCE, Pail, until


class Line:
    """A bare connection: what a mail program would never say."""

    def __init__(self, pail, port):
        self.socket = socket.create_connection(('127.0.0.1', pail.port(port)), timeout=PATIENCE)
        self.file = self.socket.makefile('rb')

    def say(self, text):
        self.socket.sendall(text + b'\r\n')
        return self.hear()

    def hear(self):
        """A reply, with all its lines."""
        while True:
            line = self.file.readline()
            if line[3:4] != b'-' or not line[:3].isdigit():
                return line


def died(pail):
    """Roles that ended otherwise than by a signal of ours."""
    return [line for line in pail.events('role-died') if 'signal=9' not in line]


# ---- what a session holds while the keeper behind it changes ----

def test_the_keeper_is_replaced_in_the_middle_of_an_exchange(pail):
    sessions = [Line(pail, 587) for _ in range(8)]
    for s in sessions:
        assert s.hear().startswith(b'220')
        assert s.say(b'EHLO town.com').startswith(b'250')
        assert s.say(b'AUTH LOGIN').startswith(b'334')
    before = pail.roles()['keeper']
    os.kill(before, signal.SIGKILL)
    pail.restarted('keeper', before)
    until('the new one serves', lambda: len(pail.events('sandbox')) > 1 and 'keeper' in pail.roles())
    for s in sessions:
        assert s.say(b'amFjaw==')[:3] in (b'454', b'501')
        assert s.say(b'NOOP').startswith(b'250')
        assert s.say(b'AUTH PLAIN AGphY2sAY3Jvd24=')[:3] in (b'235', b'454')
    assert not died(pail)


def test_settings_are_replaced_in_the_middle_of_a_letter(pail):
    sessions = [Line(pail, 25) for _ in range(4)]
    for s in sessions:
        assert s.hear().startswith(b'220')
        for command in (b'HELO town.com', b'MAIL FROM:<jack@town.com>', b'RCPT TO:<jill@hill.com>'):
            assert s.say(command).startswith(b'250')
        assert s.say(b'DATA').startswith(b'354')
    for n in range(1, 5):       # a role keeps the last ones, not all there ever were
        pail.process.send_signal(signal.SIGHUP)
        until('they are read again', lambda: len(pail.events('reread')) >= n)
        assert verb_asks(pail, DIRECTORY_CHANGED)[:2] == struct.pack('=H', DIRECTORY_CHANGED)
    for s in sessions:
        assert s.say(b'Subject: late\r\n\r\nbut whole\r\n.').startswith(b'250')
    until('all are filed', lambda: pail.count('jill@hill.com') == 4)
    assert not died(pail)


# ---- who may talk to the supervisor, and who talks nonsense ----

DIRECTORY_CHANGED, _, STATUS, SET_SECRET, SECRETS, BANS, UNBAN = range(1, 8)     # role/control.h


def verb(pail):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(PATIENCE)
    s.connect(f'{pail.folder}/control.sock')
    return s


def message(kind, body=b''):
    return struct.pack('=HHI', kind, 0, 1) + body


def verb_asks(pail, kind, body=b''):
    with verb(pail) as s:
        s.send(message(kind, body))
        return s.recv(20000)


@pytest.mark.parametrize('what', [
    message(99),                # a kind of a later version
    message(100),               # ROLE_READY, which only roles may say
    message(103, b'\0\0\0\0'),
    b'abc',
    message(STATUS, b'x' * 20000),
])
def test_a_verb_that_talks_nonsense_is_hung_up_on(demo, what):
    before = demo.roles()
    with verb(demo) as s:
        s.send(what)
        assert s.recv(100) == b''
    assert b'keeper pid=' in verb_asks(demo, STATUS)     # others are served
    assert demo.roles() == before and not died(demo)


@pytest.mark.parametrize('kind', [SET_SECRET, SECRETS, BANS, UNBAN])
def test_a_question_that_the_keeper_cannot_read_is_answered(demo, kind):
    before = demo.roles()
    assert verb_asks(demo, kind, b'\xff')[:2] == struct.pack('=H', kind)
    assert demo.roles() == before and not died(demo)


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root to become somebody else')
def test_only_root_and_the_owner_may_ask(demo):
    script = 'import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])'
    done = subprocess.run(['setpriv', '--reuid=1', '--regid=1', '--clear-groups', '/usr/bin/python3', '-c', script,
                           f'{demo.folder}/control.sock'], capture_output=True, text=True)
    assert 'PermissionError' in done.stderr


# ---- asked to end at the wrong moment ----

@pytest.mark.parametrize('lines', range(1, 8))
def test_term_while_it_starts(pail, lines):
    """After so many lines of its log: the roles are in the middle of opening what they need."""
    pail.stop()
    command = [PAIL, 'demo', '--dir', pail.folder, '--base-port', str(pail.base), '--set', 'workers=2']
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        log = [process.stderr.readline() for _ in range(lines)]
        process.send_signal(signal.SIGTERM)
        log += process.stderr.readlines()
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM), ''.join(log)     # at first nobody listens for it yet
    assert not [line for line in log if 'event=role-died' in line or 'rror' in line], ''.join(log)
    pail.start()


def test_a_client_silent_in_its_handshake_does_not_keep_the_server_from_ending(pail):
    silent = [socket.create_connection(('127.0.0.1', pail.port(995)), timeout=PATIENCE) for _ in range(4)]
    before = len(pail.log)
    pail.stop()
    assert not [line for line in pail.log[before:] if 'killed' in line]
    for s in silent:
        s.close()


def test_a_client_that_never_reads_does_not_keep_the_server_from_ending(pail):
    pail.send('Subject: long\r\n\r\n' + 70 * 'a' + '\r\n' + 20000 * (70 * 'b' + '\r\n'), ['jill@hill.com'])
    until('it is filed', lambda: pail.count('jill@hill.com') == 1)
    s = Line(pail, 110)
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert s.hear().startswith(b'+OK')
    s.socket.sendall(b'USER jill\r\nPASS tumbling\r\n' + 200 * b'RETR 1\r\n')

    def stuck():
        pail.process.send_signal(signal.SIGQUIT)
        return [line for line in pail.log if 'waiting for output' in line]
    until('it waits for the client', stuck)
    before = len(pail.log)
    pail.stop()
    assert not [line for line in pail.log[before:] if 'killed' in line]


# ---- a keeper that cannot start ----

def test_tls_comes_when_the_keeper_does(pail):
    pail.stop()
    secrets = f'{pail.folder}/secrets/secrets.db'
    os.rename(secrets, secrets + '.kept')
    with open(secrets, 'w') as f:
        f.write('no database')

    def mend():
        pail.event('ticket-key', since=before)
        os.rename(secrets + '.kept', secrets)
    before = len(pail.log)
    helper = threading.Thread(target=mend)
    helper.start()
    pail.start('--set', 'workers=1')
    helper.join()
    with socket.create_connection(('127.0.0.1', pail.port(995)), timeout=PATIENCE) as s:
        trust = ssl.create_default_context(cafile=f'{pail.folder}/ca.pem')
        with trust.wrap_socket(s, server_hostname='localhost') as t:
            assert t.recv(100).startswith(b'+OK')


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root, who is lured')
def test_root_follows_no_link_that_the_owner_laid(pail):
    pail.stop()
    with tempfile.NamedTemporaryFile() as precious:
        os.unlink(f'{pail.folder}/pail.lock')
        os.symlink(precious.name, f'{pail.folder}/pail.lock')
        done = subprocess.run([PAIL, 'demo', '--dir', pail.folder, '--base-port', str(pail.base)],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 73 and 'pail.lock' in done.stderr
        assert os.stat(precious.name).st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may look at the descriptors of a process that is not dumpable')
def test_roles_have_nothing_that_the_caller_left_open():
    with Pail(prefix=['sh', '-c', 'exec 9</etc/passwd; exec "$@"', 'sh']) as pail:
        for role, pid in pail.roles().items():
            files = {fd: os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')}
            assert files['0'] == files['1'] == '/dev/null', role
            assert '/etc/passwd' not in files.values(), role
