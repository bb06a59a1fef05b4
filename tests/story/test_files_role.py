"""The role that serves files: its processes, its ports, its end, and whose files they are."""
import ftplib
import os
import shutil
import signal
import socket
import subprocess

import pytest
from ftp_wire import reset
from pail import PAIL, PATIENCE, Pail, free_base, until

RHYME = '/pub/jack-and-jill.txt'


def works(f):
    try:
        return f.voidcmd('NOOP').startswith('200')
    except (OSError, EOFError, ftplib.Error):
        return False


def get(f, path):
    pieces = []
    f.retrbinary(f'RETR {path}', pieces.append)
    return b''.join(pieces)


def put(f, path, data):
    with f.transfercmd(f'STOR {path}') as s:
        s.sendall(data)
    return f.voidresp()


def many_sessions(pail, n=16):
    """Enough that the kernel gives some to each process."""
    return [pail.ftp() for _ in range(n)]


def test_as_many_as_there_are_for_mail_and_none_without_a_port():
    with Pail(settings={'workers': 2}) as pail:
        assert {'mail.0', 'mail.1', 'files.0', 'files.1', 'keeper', 'sender.0'} == pail.roles().keys()
    with Pail(settings={'workers': 2, 'ftp-port': 0, 'ftps-port': 0}) as pail:
        assert {'mail.0', 'mail.1', 'keeper', 'sender.0'} == pail.roles().keys()
        assert pail.count('bob@hamburger.edu') == 2


@pytest.mark.parametrize('victim', ['files.0', 'files.1'])
def test_a_files_process_dies_and_the_sessions_of_the_others_go_on(victim):
    with Pail(settings={'workers': 2}) as pail:
        sessions, letters = many_sessions(pail), pail.pop3('jill@hill.com')
        before, since = pail.roles(), len(pail.log)
        os.kill(before[victim], signal.SIGKILL)
        assert f'role={victim} pid={before[victim]} signal=9' in pail.event('role-died', since=since)
        alive = [works(f) for f in sessions]
        assert any(alive) and not all(alive)
        pail.restarted(victim, before[victim])
        for f in many_sessions(pail):
            assert b'pail of water' in get(f, RHYME)
        f = pail.ftp('jill@hill.com')
        assert put(f, '/after', b'x').startswith('226') and get(f, '/after') == b'x'
        assert letters.noop().startswith(b'+OK')
        others = {role: pid for role, pid in before.items() if role != victim}
        assert others.items() <= pail.roles().items()
        assert [works(f) for f in sessions] == alive


def test_the_keeper_dies_and_files_are_signed_in_to_again(pail):
    f = pail.ftp('jill@hill.com')
    before = pail.roles()
    os.kill(before['keeper'], signal.SIGKILL)
    pail.event('role-died', f'pid={before["keeper"]} ')
    assert works(f)
    pail.restarted('keeper', before['keeper'])

    def signs_in():
        try:
            return works(pail.ftp('alice@crepes.fr'))
        except ftplib.error_temp:
            return False
    until('sign-in works again', signs_in)


def test_term_says_goodbye(pail):
    f = pail.ftp('jill@hill.com')
    pail.process.send_signal(signal.SIGTERM)
    assert f.file.readline().startswith('421 ')
    assert f.file.readline() == ''
    assert pail.process.wait(PATIENCE) == 0
    assert not pail.malformed()


def test_at_term_an_upload_is_whole_and_said_so_or_not_there(pail):
    f = pail.ftp('jill@hill.com')
    with f.transfercmd('STOR half') as s:
        s.sendall(b'one half, ')
        pail.process.send_signal(signal.SIGTERM)
        pail.event('stop')
        try:
            s.sendall(b'and the other')
        except ConnectionError:
            pass
    said = f.file.readline()
    assert said[:4] in ('226 ', '426 ', '451 ', '421 '), said
    assert pail.process.wait(PATIENCE) == 0
    pail.start()
    f = pail.ftp('jill@hill.com')
    if said.startswith('226'):
        assert get(f, 'half') == b'one half, and the other'
    else:
        assert f.nlst() == []
    assert put(f, 'half', b'again').startswith('226') and get(f, 'half') == b'again'


# ---- ports ----

def test_active_data_comes_from_the_data_port_of_many_sessions_at_once(demo):
    sessions = many_sessions(demo, 12)
    waiting = []
    for f in sessions:
        listener = f.makeport()
        listener.settimeout(PATIENCE)
        waiting.append((f, listener))
    for f, _ in waiting:
        assert f.sendcmd(f'RETR {RHYME}').startswith('150')
    for f, listener in waiting:
        data, peer = listener.accept()
        assert peer == ('127.0.0.1', demo.port(20))
        with data, data.makefile('rb') as text:
            assert b'pail of water' in text.read()
        listener.close()
        assert f.voidresp().startswith('226')


def test_active_data_comes_from_the_address_that_was_called(demo):
    f = demo.ftp(address='127.0.0.3')
    with f.makeport() as listener:
        listener.settimeout(PATIENCE)
        f.sendcmd(f'RETR {RHYME}')
        data, peer = listener.accept()
        data.close()
    assert peer == ('127.0.0.3', demo.port(20))


def test_passive_ports_are_shared_out_among_the_processes():
    with Pail(settings={'workers': 2}) as pail:
        shares = set()
        for f in many_sessions(pail):
            ports = {ftplib.parse227(f.sendcmd('PASV'))[1] for _ in range(4)}
            assert all(pail.port(20000) <= port <= pail.port(20999) for port in ports)
            [share] = {(port - pail.port(20000)) % 2 for port in ports}
            shares.add(share)
            assert b'pail of water' in get(f, RHYME)
        assert shares == {0, 1}


def test_where_somebody_has_the_data_port_another_one_is_taken(demo):
    with socket.socket() as s:
        s.bind(('127.0.0.2', demo.port(20)))
        s.listen()
        f = demo.ftp(address='127.0.0.2')
        with f.makeport() as listener:
            listener.settimeout(PATIENCE)
            f.sendcmd(f'RETR {RHYME}')
            data, peer = listener.accept()
            data.close()
            assert peer[0] == '127.0.0.2' and peer[1] != demo.port(20)
            f.getmultiline()
        assert b'pail of water' in get(f, RHYME)
    assert not demo.events('role-died')


# ---- settings ----

class Served:
    """`pail serve` with a file of its own, in which settings change."""

    def __init__(self, room, **settings):
        self.base = free_base()
        self.config, self.log = room / 'srv' / 'pail.conf', room / 'log'
        subprocess.run([PAIL, 'init', 'hill.com', '--dir', str(room / 'srv'), '--account', 'jill'], check=True, capture_output=True)
        subprocess.run([PAIL, 'passwd', 'jill@hill.com', '--dir', str(room / 'srv')], input=b'tumbling\n', check=True)
        self.settings = {'listen': '127.0.0.1', 'smtp-port': self.base + 25, 'ftp-port': self.base + 21, 'ftp-data-port': self.base + 20,
                         'ftp-passive-low': self.base + 20000, 'ftp-passive-high': self.base + 20999}
        self.settings |= {f'{name}-port': 0 for name in ('submission', 'submissions', 'pop3', 'pop3s', 'imap', 'imaps', 'ftps')}
        self.write(**settings)
        self.process = subprocess.Popen([PAIL, 'serve', '--config', str(self.config)], stderr=self.log.open('w'), stdin=subprocess.DEVNULL)
        self.says('event=ready')

    def write(self, **settings):
        settings = self.settings | {name.replace('_', '-'): value for name, value in settings.items()}
        self.config.write_text(''.join(f'{name} = "{value}"\n' for name, value in {'data': self.config.parent, **settings}.items()))

    def hang_up(self, says, **settings):
        self.write(**settings)
        self.process.send_signal(signal.SIGHUP)
        self.says(says)

    def says(self, words):
        def look():
            assert self.process.poll() is None, self.log.read_text()
            return words in self.log.read_text()
        until(words, look)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def ftp(self, *who):
        f = ftplib.FTP(timeout=PATIENCE)
        f.connect('127.0.0.1', self.base + 21)
        f.login(*who)
        return f


def data_port(f):
    """From which port an active data connection comes."""
    with f.makeport() as listener:
        listener.settimeout(PATIENCE)
        f.sendcmd('NLST')
        data, (_, port) = listener.accept()
        with data:
            data.recv(1)
        f.getmultiline()
        return port


def anonymous_may(server):
    try:
        return works(server.ftp())
    except ftplib.error_perm:
        return False


def test_a_hangup_changes_what_may_change_and_stops_nobody(tmp_path):
    for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
        os.chmod(folder, 0o755)
    with Served(tmp_path) as server:
        f = server.ftp('jill', 'tumbling')
        assert data_port(f) == server.base + 20
        with pytest.raises(ftplib.error_perm):
            server.ftp()
        server.hang_up('not-before-restart="ftp-data-port ftp-passive-low"', ftp_anonymous='yes', ftp_data_port=server.base + 19,
                       ftp_passive_low=server.base + 20500)
        until('all have heard of it', lambda: all([anonymous_may(server) for _ in range(8)]))
        assert data_port(f) == server.base + 20     # as it was bound and granted at the start
        assert server.base + 20000 <= ftplib.parse227(f.sendcmd('PASV'))[1] < server.base + 21000
        server.hang_up('ftp-passive-low: 60000 is more than ftp-passive-high', ftp_passive_low=60000)
        server.hang_up('ftp-public-address: hill.com is no IPv4 address', ftp_public_address='hill.com')
        assert works(f) and 'role-died' not in server.log.read_text()


# ---- whose files ----

def parts(pail):
    return os.listdir(f'{pail.folder}/files/.parts')


def test_the_demo_has_what_the_lectures_saw(demo):
    f = demo.ftp()
    image = get(f, '/pub/redhat/linux/9/en/os/i386/images/bootdisk.img')
    assert len(image) == 1474560 and image[510:512] == b'\x55\xaa' and 0 not in image
    lines = []
    demo.ftp('forouzan', 'lecture').retrlines('LIST reports', lines.append)
    names = {line.split()[-1]: line for line in lines}
    assert names.keys() == {'business', 'personal', 'school'}
    assert all(line.startswith('drwxr-xr-x') and 'Sep 24  2002' in line for line in lines), lines


def test_a_removed_account_leaves_its_files_to_nobody(pail):
    f = pail.ftp('alice@crepes.fr')
    put(f, '/secret', b'whisk')
    octets = pail.verb('account', 'show', 'alice@crepes.fr').stdout
    assert '\nfiles        5 B' in octets
    assert 'files/alice@crepes.fr' in pail.verb('account', 'remove', 'alice@crepes.fr').stdout
    until('alice is sent away', lambda: not works(f))
    assert 'belongs to no account' in pail.verb('check').stdout
    shutil.rmtree(f'{pail.folder}/mail/alice@crepes.fr')
    done = pail.verb('account', 'add', 'alice@crepes.fr', check=False)
    assert done.returncode and 'files of an earlier account' in done.stderr
    pail.verb('account', 'add', 'alice@crepes.fr', '--again')
    pail.verb('passwd', 'alice@crepes.fr', input='rabbit\n')
    f = pail.ftp('alice@crepes.fr')
    assert get(f, '/secret') == b'whisk'
    with f.transfercmd('STOR part') as s:       # and breaks off
        s.sendall(b'p' * 200000)
        until('it has begun', lambda: [name for name in parts(pail) if name.endswith('.new')])
        reset(s)
    until('the part is kept', lambda: [name for name in parts(pail) if name.endswith('.part')])
    pail.verb('account', 'remove', 'alice@crepes.fr')
    for part in ('mail', 'files'):
        shutil.rmtree(f'{pail.folder}/{part}/alice@crepes.fr')
    pail.verb('account', 'add', 'alice@crepes.fr')
    assert not [name for name in parts(pail) if name.endswith('.part')]
    pail.stop()
    pail.verb('account', 'remove', 'alice@crepes.fr', '--purge')
    assert not os.path.exists(f'{pail.folder}/files/alice@crepes.fr')
    assert not [name for name in parts(pail) if not name.endswith('.lock')]
    pail.verb('account', 'add', 'alice@crepes.fr')
    pail.verb('passwd', 'alice@crepes.fr', input='rabbit\n')
    pail.start()
    assert pail.ftp('alice@crepes.fr').nlst() == []


def test_a_folder_of_an_older_pail_gets_what_it_lacks(pail):
    pail.stop()
    for part in ('files', 'usage'):
        shutil.rmtree(f'{pail.folder}/{part}')
    pail.start()
    f = pail.ftp('jill@hill.com')
    put(f, '/new', b'new')
    assert get(f, '/new') == b'new' and b'pail of water' in get(pail.ftp(), RHYME)


def test_letters_and_files_share_a_quota():
    with Pail(settings={'shared-quota': 'yes'}) as pail:
        pail.verb('account', 'set', 'jill@hill.com', 'quota', '300k')
        pail.send('Subject: much\r\n\r\n' + ('x' * 70 + '\r\n') * 2000, ['jill@hill.com'])
        until('the letter is filed', lambda: pail.count('jill@hill.com') == 1)
        until('the files role knows', lambda: os.path.exists(f'{pail.folder}/usage/jill@hill.com'))
        f = pail.ftp('jill@hill.com')
        with pytest.raises(ftplib.error_perm, match='552'):
            put(f, '/too-much', b'x' * 200000)
        assert put(f, '/fits', b'x' * 100000).startswith('226')
        until('mail knows', lambda: b'STORAGE' in quota(pail) and used(pail) > 230)
        with pytest.raises(Exception, match='552|452'):
            pail.send('Subject: too much\r\n\r\n' + ('x' * 70 + '\r\n') * 2000, ['jill@hill.com'])


def quota(pail):
    i = pail.imap('jill@hill.com')
    said = i.getquota('jill@hill.com')[1][0]
    i.logout()
    return said


def used(pail):
    return int(quota(pail).split()[-2])
