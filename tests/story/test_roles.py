"""Processes that die, signals, and two servers that want the same thing."""
import os
import poplib
import signal
import socket
import ssl
import subprocess

import pexpect
import pytest
from load import for_now
from pail import PAIL, PATIENCE, PEOPLE, Pail, until

LETTER = 'Subject: roles\r\n\r\nhello\r\n'


def works(p):
    try:
        return p.noop().startswith(b'+OK')
    except (OSError, EOFError, poplib.error_proto):
        return False


def many_sessions(pail, n=16):
    """Enough that the kernel gives some to each process."""
    return [pail.pop3('jill@hill.com') for _ in range(n)]


@pytest.mark.parametrize('victim', ['mail.0', 'mail.1'])
def test_a_mail_process_dies_and_the_sessions_of_the_other_go_on(victim):
    with Pail(settings={'workers': 2}) as pail:
        sessions = many_sessions(pail)
        before, since = pail.roles(), len(pail.log)
        os.kill(before[victim], signal.SIGKILL)
        assert f'role={victim} pid={before[victim]} signal=9' in pail.event('role-died', since=since)
        alive = [works(p) for p in sessions]
        assert any(alive) and not all(alive)
        pail.restarted(victim, before[victim])
        for p in many_sessions(pail):
            assert works(p)
        pail.send(LETTER, ['jill@hill.com', 'bob@hamburger.edu'])
        until('a letter is filed again', lambda: pail.count('jill@hill.com') == 1)
        until('for everybody', lambda: pail.count('bob@hamburger.edu') == 3)
        others = {role: pid for role, pid in before.items() if role != victim}
        assert others.items() <= pail.roles().items()
        assert [works(p) for p in sessions] == alive


def test_the_keeper_dies_and_nobody_who_is_signed_in_notices(pail):
    sessions = many_sessions(pail)
    before = pail.roles()
    os.kill(before['keeper'], signal.SIGKILL)
    assert f'role=keeper pid={before["keeper"]} signal=9' in pail.event('role-died')
    assert all(works(p) for p in sessions)
    pail.restarted('keeper', before['keeper'])

    def signs_in():
        try:
            return works(pail.pop3('alice@crepes.fr'))
        except poplib.error_proto as e:
            assert for_now(e), e      # while it starts: later, and not: wrong password
    until('sign-in works again', signs_in)
    for who in PEOPLE:
        assert works(pail.pop3(who))
    assert all(works(p) for p in sessions)
    trust = ssl.create_default_context(cafile=f'{pail.folder}/ca.pem')
    p = poplib.POP3_SSL('localhost', pail.port(995), timeout=PATIENCE, context=trust)    # the new one has the key
    p.user('jill')
    p.pass_('tumbling')
    assert works(p)


def test_a_role_that_dies_again_and_again_is_started_again_and_again(pail):
    for _ in range(4):
        pid = until('it runs', lambda: pail.roles().get('mail.0'))
        os.kill(pid, signal.SIGKILL)
        pail.event('role-died', f'pid={pid} ')
        pail.restarted('mail.0', pid)
    pail.send(LETTER, ['jill@hill.com'])
    until('the letter is filed', lambda: pail.count('jill@hill.com') == 1)


# ---- signals ----

def make_certificate(pail, name):
    """A new pair from the demo's own authority, as an administrator's script would put it there."""
    keys = f'{pail.folder}/keys'
    script = f'''set -e
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout new.key -out new.csr -subj /CN={name}
printf 'subjectAltName=DNS:localhost,DNS:{name}\\n' >new.ext
openssl x509 -req -in new.csr -CA ../ca.pem -CAkey ca.key -set_serial 4711 -days 2 -extfile new.ext -out new.pem
mv new.key tls.key; mv new.pem tls.pem'''
    subprocess.run(['sh', '-c', script], cwd=keys, check=True, capture_output=True)


def secure_session(pail):
    trust = ssl.create_default_context(cafile=f'{pail.folder}/ca.pem')
    return poplib.POP3_SSL('localhost', pail.port(995), timeout=PATIENCE, context=trust)


def serial(p):
    return int(p.sock.getpeercert()['serialNumber'], 16)


def test_hangup_reads_the_certificate_again_and_old_connections_go_on(pail):
    old = secure_session(pail)
    old.user('jill')
    first = serial(old)
    make_certificate(pail, 'renewed.hill.com')
    assert serial(secure_session(pail)) == first    # not before it is asked for
    pail.process.send_signal(signal.SIGHUP)
    pail.event('reread')

    def renewed():
        try:
            return serial(secure_session(pail)) == 4711
        except ssl.SSLError:
            return False
    for _ in range(8):      # by every process
        until('new connections get the new certificate', renewed)
    assert old.pass_('tumbling').startswith(b'+OK') and works(old)
    old.quit()


def test_hangup_with_a_broken_certificate_keeps_the_old_one(pail):
    first = serial(secure_session(pail))
    with open(f'{pail.folder}/keys/tls.pem', 'w') as f:
        f.write('-----BEGIN CERTIFICATE-----\nnonsense\n')
    pail.process.send_signal(signal.SIGHUP)
    pail.event('certificate', 'the old one stays')
    assert serial(secure_session(pail)) == first


def test_term_lets_a_session_finish_its_command(pail):
    with socket.create_connection(('127.0.0.1', pail.port(25)), timeout=PATIENCE) as s:
        f = s.makefile('rb')

        def say(text, answer):
            s.sendall(text)
            while True:
                line = f.readline()
                if line[3:4] != b'-':
                    break
            assert line.startswith(answer), line
        say(b'EHLO town.com\r\n', b'220')
        say(b'MAIL FROM:<jack@town.com>\r\n', b'250')
        say(b'RCPT TO:<jill@hill.com>\r\n', b'250')
        say(b'DATA\r\n', b'250')
        say(b'Subject: the last\r\n\r\nhalf of it', b'354')
        idle = pail.pop3('alice@crepes.fr')
        pail.process.send_signal(signal.SIGTERM)
        pail.event('stop')
        assert b'shutting down' in idle.file.readline()
        say(b', and the rest\r\n.\r\n', b'250')
        assert f.readline().startswith(b'421 ')
        assert f.readline() == b''
    assert pail.process.wait(PATIENCE) == 0
    pail.start()
    assert b'half of it, and the rest\r\n' in until('it was kept', lambda: pail.letters('jill@hill.com'))[0]


def test_control_c_ends_it(tmp_path):
    with Pail() as free:
        base = free.base
    os.chmod(tmp_path, 0o755)
    p = pexpect.spawn(PAIL, ['demo', '--dir', str(tmp_path / 'demo'), '--base-port', str(base)], timeout=PATIENCE)
    p.expect_exact('pail: ready')
    p.sendintr()
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 0


def test_quit_prints_every_fiber_and_every_session(pail):
    p = pail.pop3('jill@hill.com')
    with pail.smtp() as s:
        s.ehlo()
        pail.process.send_signal(signal.SIGQUIT)
        until('both sessions', lambda: len([line for line in pail.log if line.startswith('session ')]) == 2)
    [pop3] = [line for line in pail.log if line.startswith('session ') and 'account=jill@hill.com' in line]
    name = pop3.split()[1]
    [fiber] = [line for line in pail.log if line.startswith('fiber=') and f'note={name} ' in line]
    assert ' waiting for ' in fiber
    assert works(p)


def test_quit_shows_parked_sessions_too():
    with Pail(settings={'park-after': 0}) as pail:
        p = pail.pop3('jill@hill.com')

        def look():
            pail.process.send_signal(signal.SIGQUIT)
            return [line for line in pail.log if line.startswith('session ') and ' parked ' in line]
        assert 'account=jill@hill.com' in until('it is parked', look)[0]
        assert works(p)


# ---- two servers, and the same folder twice ----

def second(*options):
    return subprocess.run([PAIL, 'demo', *options], capture_output=True, text=True, timeout=PATIENCE)


def test_a_second_server_on_the_folder_is_refused(demo):
    done = second('--dir', demo.folder, '--base-port', str(demo.base))
    assert done.returncode == 75 and 'another pail serves this folder' in done.stderr
    assert demo.roles()


def test_a_port_in_use_is_named_with_the_way_out(demo, tmp_path):
    os.chmod(tmp_path, 0o755)
    done = second('--dir', str(tmp_path / 'other'), '--base-port', str(demo.base))
    assert done.returncode == 69
    assert f'SMTP port {demo.port(25)} on 127.0.0.1: Address already in use' in done.stderr
    assert '--base-port' in done.stderr
    demo.pop3('jill@hill.com').quit()


def test_started_again_it_has_everything(pail):
    for i in range(5):
        pail.send(f'Subject: {i}\r\n\r\nletter {i}\r\n', ['jill@hill.com'])
    until('five letters', lambda: pail.count('jill@hill.com') == 5)
    p = pail.pop3('jill@hill.com')
    p.dele(2)
    p.quit()
    p = pail.pop3('jill@hill.com')
    uids = p.uidl()[1]
    p.quit()
    ca = open(f'{pail.folder}/ca.pem').read()
    pail.stop()
    pail.start()
    p = pail.pop3('jill@hill.com')
    assert p.uidl()[1] == uids and p.stat()[0] == 4
    p.quit()
    assert b'letter 0' in pail.letters('jill@hill.com')[0]
    assert open(f'{pail.folder}/ca.pem').read() == ca
    assert pail.count('bob@hamburger.edu') == 2


def test_the_end_does_not_wait_for_dns():
    """A resolver that says nothing is asked whether it passes DNSSEC on, at the start, for seconds: who stops meanwhile is not kept."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(('127.0.0.1', 0))
        with Pail(settings={'resolver': f'127.0.0.1@{silent.getsockname()[1]}', 'hold-unrouted': 'no'}) as pail:
            silent.settimeout(PATIENCE)
            silent.recv(4096)       # it was asked
            pail.stop()
            assert not pail.events('dns')
