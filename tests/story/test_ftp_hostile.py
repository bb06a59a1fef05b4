"""FTP against those who mean harm: ways out of the folder, quotas, floods, files that change under the server's hands."""
import os
import socket
import threading
import time
import zlib

import pytest
from ftp_wire import ALICE, BOB, JILL, Refused, everything, files_of, session
from pail import PATIENCE, Pail

# --- jails ---

def test_a_link_that_changes_its_mind_never_lets_out(demo):
    """Swapped between inside and outside while it is used: what is outside is never seen (openat2, not a check before an open)."""
    f, root = session(demo), files_of(demo)
    f.ok('MKD swap')
    f.stor('swap/file', b'inside')
    secret = os.path.join(demo.root, 'secret')
    os.makedirs(secret, exist_ok=True)
    os.chmod(secret, 0o755)
    with open(f'{secret}/file', 'wb') as out:
        out.write(b'outside')
    os.chmod(f'{secret}/file', 0o644)
    stop = threading.Event()

    def swap():
        n = 0
        while not stop.is_set():
            n += 1
            os.symlink(('swap', '../../../secret', secret)[n % 3], f'{root}/.new')
            os.rename(f'{root}/.new', f'{root}/door')

    t = threading.Thread(target=swap)
    t.start()
    try:
        seen = set()
        for i in range(300):
            try:
                seen.add(f.retr('door/file'))
            except Refused as e:
                assert e.code == 550
            assert f.code('SIZE door/file') in (213, 550)
    finally:
        stop.set()
        t.join()
    assert seen <= {b'inside'}
    with pytest.raises(Refused):
        f.put('STOR /../../../../secret/new', b'x')
    assert os.listdir(secret) == ['file']


def test_what_is_no_file_is_never_opened(demo):
    f, root = session(demo), files_of(demo)
    os.mkfifo(f'{root}/fifo')
    s = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(root)
    try:
        s.bind('socket')
    finally:
        os.chdir(here)
    owner = os.stat(root)
    for name in ('fifo', 'socket'):
        os.chown(f'{root}/{name}', owner.st_uid, owner.st_gid)
    writer = threading.Thread(target=lambda: open(f'{root}/fifo', 'wb').close(), daemon=True)
    writer.start()      # waits until somebody opens it
    for name in ('fifo', 'socket'):
        with pytest.raises(Refused) as e:
            f.retr(name)
        assert e.value.code == 550
        assert f.code(f'HASH {name}') // 100 == 5
        assert f.code(f'SITE CHMOD 600 {name}') == f.code(f'SITE COPY {name} copy') == 550
        with pytest.raises(Refused):
            f.put(f'APPE {name}', b'x')
        assert writer.is_alive()
        try:
            f.stor(name, b'a file now')     # replacing it is fine, writing into it is not
            assert f.retr(name) == b'a file now'
        except Refused as e:
            assert e.code // 100 == 5
    assert f.code('NOOP') == 200


# --- quota ---

def test_uploads_at_once_never_pass_the_quota():
    with Pail(settings={'files-quota': '1m'}) as pail:
        sessions = [session(pail) for _ in range(8)]
        datas = [f.begin(f'STOR q{i}') for i, f in enumerate(sessions)]
        said = []

        def send(f, data):
            try:
                for _ in range(30):
                    data.sendall(bytes(10_000))
            except OSError:
                pass
            data.close()
            said.append(f.reply()[0])

        threads = [threading.Thread(target=send, args=pair) for pair in zip(sessions, datas)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(PATIENCE)
        assert set(said) <= {226, 552} and said.count(226) <= 3
        f = sessions[0]
        stored = [int(f.ok(f'SIZE {name}')[0].split()[1]) for name in f.names()]
        assert sum(stored) <= 1 << 20 and stored == [300_000] * said.count(226)
        for name in f.names():
            f.ok(f'DELE {name}')
        f.stor('half', bytes(600_000))
        assert f.code('SITE COPY half other') == 552
        with pytest.raises(Refused) as e:
            f.put('APPE half', bytes(600_000))
        assert e.value.code == 552
        assert f.names() == ['half'] and f.ok('SIZE half') == ['213 600000']
        f.ok('MODE Z')
        with pytest.raises(Refused) as e:
            f.stor('bomb', zlib.compress(bytes(500_000_000)))
        assert e.value.code == 552
        f.ok('MODE S')
        assert f.names() == ['half']


# --- floods and bombs ---

def test_listing_a_large_folder_and_a_deep_one(demo):
    f, root = session(demo, ALICE), files_of(demo, ALICE)
    f.ok('MKD large')
    owner = os.stat(root)
    for i in range(20_000):
        os.close(os.open(f'{root}/large/file-{i:05}', os.O_CREAT | os.O_WRONLY, 0o644))
    assert len(f.fetch('NLST large').split(b'\r\n')) == 20_001
    assert len(f.fetch('LIST large').split(b'\r\n')) >= 20_001
    names = {line.split(b'; ')[1] for line in f.fetch('MLSD large').split(b'\r\n')[:-1]}
    assert len(names) >= 20_000
    path = root
    for i in range(400):
        path += '/d'
        os.mkdir(path)
        os.chown(path, owner.st_uid, owner.st_gid)
    os.symlink('../large/..', f'{root}/large/loop')
    os.symlink('.', f'{root}/d/self')
    for line, said in (('LIST -R large', 'send OK'), ('LIST -R d', 'not all of it'), ('LIST -R /', 'not all of it')):
        with f.begin(line) as data:
            assert everything(data).count(b'\r\n') < 300_000
        assert said in f.expect(226)[0]
    assert f.code('NOOP') == 200


def test_commands_without_end_during_a_transfer(demo):
    """They are held up to a bound, then not read; each is answered in its turn."""
    f = session(demo)
    f.stor('slow', bytes(5_000_000))
    data = f.begin('RETR slow')
    sent = [0]

    def flood():
        for _ in range(200):
            f.socket.sendall(b'NOOP\r\n' * 500)
            sent[0] += 500

    t = threading.Thread(target=flood)
    t.start()
    assert len(everything(data)) == 5_000_000
    f.expect(226)
    for _ in range(100_000):
        f.expect(200)
    t.join()


def test_a_client_that_reads_nothing_is_given_up():
    with Pail(settings={'ftp-data-timeout': '2s'}) as pail:
        f = session(pail)
        f.stor('big', bytes(30_000_000))
        data = f.begin('RETR big')
        f.expect(426, 421, 425)
        data.close()
        data = f.begin('STOR nothing')      # and one that sends nothing
        f.expect(426, 421, 425)
        data.close()
        assert f.code('MDTM nothing') == 550


def test_a_file_that_shrinks_and_grows_while_it_is_sent(demo):
    f, path = session(demo), f'{files_of(demo)}/shrinks'
    f.stor('shrinks', bytes(40_000_000))
    data = f.begin('RETR shrinks')
    assert data.recv(1000)
    os.truncate(path, 1_000_000)
    got = 1000 + len(everything_or_cut(data))
    f.expect(226, 426, 451)
    assert got <= 40_000_000
    data = f.begin('RETR shrinks')
    assert data.recv(1000)
    os.truncate(path, 2_000_000)
    everything_or_cut(data)
    f.expect(226, 426, 451)
    assert f.code('NOOP') == 200


def everything_or_cut(data):
    got = bytearray()
    try:
        while piece := data.recv(1 << 20):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize('command', ['TYPE A|SIZE huge', 'TYPE I|HASH huge', 'TYPE I|XSHA512 huge'])
def test_work_that_takes_long_stops_nobody_else_and_ends_with_its_session(demo, command):
    f, other = session(demo, BOB), session(demo, JILL)
    f.names()       # a folder is made when it is first looked at
    f.names()           # a folder is made when it is first needed
    with open(f'{files_of(demo, BOB)}/huge', 'wb') as out:
        out.truncate(300_000_000_000)
    kind, line = command.split('|')
    f.ok(kind)
    f.send(line)
    for i in range(20):
        other.stor(f'meanwhile-{i}', b'x')
    f.cut()
    for i in range(20):
        assert other.retr(f'meanwhile-{i}') == b'x'
    with session(demo, BOB) as g:
        g.ok('DELE huge')


def test_crowds(demo):
    """Hundreds of strangers who say nothing, half of a line, rubbish, a handshake that never comes."""
    f = session(demo)
    strangers = [socket.create_connection(('127.0.0.1', demo.port(port)), timeout=PATIENCE) for port in (21, 990) for _ in range(150)]
    for i, s in enumerate(strangers):
        s.sendall((b'', b'USER ', b'\x16\x03\x01', b'\xff\xf4\xff\xf2ABOR\r\n', b'\0' * 100, b'AUTH TLS\r\n')[i % 6])
    f.stor('in a crowd', b'x')
    assert f.retr('in a crowd') == b'x'
    for s in strangers:
        s.close()
    assert session(demo).code('NOOP') == 200


# --- limits ---

def test_a_rate_is_kept():
    """Of an account, over all its transfers of a process: never faster, whatever the machine."""
    with Pail(settings={'workers': 1, 'ftp-rate-account': 1_000_000}) as pail:
        f, g = session(pail), session(pail)
        began = time.monotonic()
        f.stor('slow', bytes(1_500_000))
        a, b = f.begin('RETR slow'), g.begin('RETR slow')
        done = []
        t = threading.Thread(target=lambda: done.append(everything(a)))
        t.start()
        done.append(everything(b))
        t.join()
        assert [len(d) for d in done] == [1_500_000] * 2
        assert time.monotonic() - began > 3        # 4.5 MB at 1 MB a second, and something for a start
        with session(pail, BOB) as other:
            other.stor('mine', bytes(100_000))
