"""kill -9, disks that are full or fail: what got its 226 is there, whole; what is there is whole."""
import os
import signal
import subprocess
import tempfile
import threading

import pytest
from ftp_wire import JACK, JILL, Refused, noise, session
from pail import PATIENCE, Pail, until

HERE = os.path.dirname(os.path.abspath(__file__))


def uploads(pail, who, number, size, acknowledged, stop):
    """Until the server is gone or told to stop; a name is put down when its 226 was heard."""
    try:
        with session(pail, who) as f:
            i = 0
            while not stop.is_set():
                name = f'u{number}-{i}'
                f.stor(name, noise(name, size))
                acknowledged.append(name)
                i += 1
    except (OSError, Refused):
        pass


@pytest.mark.parametrize('size', [1000, 300_000])
def test_kill_9_of_the_role_loses_nothing_that_was_acknowledged(pail, size):
    acknowledged, stop = [], threading.Event()
    for turn in range(3):
        before = pail.roles()
        threads = [threading.Thread(target=uploads, args=(pail, JILL, f'{turn}-{i}', size, acknowledged, stop)) for i in range(6)]
        for t in threads:
            t.start()
        wanted = len(acknowledged) + 30
        until('some uploads', lambda: len(acknowledged) >= wanted)
        for name, pid in before.items():
            if name.startswith('files'):
                os.kill(pid, signal.SIGKILL)
        for t in threads:
            t.join(PATIENCE)
        for name in before:
            if name.startswith('files'):
                pail.restarted(name, before[name])
    with session(pail) as f:
        found = set(f.names())
        assert set(acknowledged) <= found
        for name in found:      # the acknowledged, and perhaps some whose 226 was on its way: whole, all of them
            assert f.retr(name) == noise(name, size), name


def test_kill_9_of_everything(pail):
    acknowledged, stop = [], threading.Event()
    threads = [threading.Thread(target=uploads, args=(pail, JACK, i, 20_000, acknowledged, stop)) for i in range(4)]
    for t in threads:
        t.start()
    until('some uploads', lambda: len(acknowledged) >= 40)
    pail.kill()
    for t in threads:
        t.join(PATIENCE)
    pail.start()
    with session(pail, JACK) as f:
        found = set(f.names())
        assert set(acknowledged) <= found
        for name in found:
            assert f.retr(name) == noise(name, 20_000), name


def test_a_part_survives_a_restart(pail):
    whole = noise('part', 400_000)
    f = session(pail)
    f.ok('MODE B')
    data = f.passive()
    f.send('STOR part')
    f.expect(150)
    for i in range(0, 200_000, 50_000):
        data.sendall(b'\0' + (50_000).to_bytes(2, 'big') + whole[i:i + 50_000])
    data.close()
    f.expect(426)
    pail.stop()
    pail.start()
    with session(pail) as f:
        assert f.code('MDTM part') == 550
        f.ok('REST 200000', 350)
        f.stor('part', whole[200_000:])
        assert f.retr('part') == whole


def test_files_stay_when_pail_stops_in_the_middle_of_an_upload(pail):
    f = session(pail)
    f.stor('before', b'before')
    data = f.begin('STOR middle')
    data.sendall(bytes(100_000))
    pail.stop()
    pail.start()
    with session(pail) as f:
        assert f.names() == ['before'] and f.retr('before') == b'before'


def test_a_full_disk(small_disk):
    """The lecture's 452; what was there stays, and what fits is taken."""
    with Pail(folder=str(small_disk / 'demo'), settings={'disk-reserve': 0}) as pail:
        f = session(pail)
        f.stor('first', noise('first', 1_000_000))
        for name in ('large', 'first'):
            data = f.begin(f'STOR {name}')
            try:
                for _ in range(600):
                    data.sendall(bytes(100_000))
            except OSError:
                pass
            data.close()
            f.expect(452)
        assert f.names() == ['first'] and f.retr('first') == noise('first', 1_000_000)
        f.stor('second', noise('second', 100_000))
        assert f.retr('second') == noise('second', 100_000)


@pytest.mark.parametrize('durable', ['yes', 'no'])
def test_a_disk_that_fails(durable):
    """A sync that fails is no 226, and no file; with files-durable off nobody syncs."""
    with tempfile.TemporaryDirectory(prefix='pail-story-') as room:
        os.chmod(room, 0o755)       # the roles must see the file that tells them
        shim, fault = f'{room}/failing_disk.so', f'{room}/fault'
        subprocess.run(['gcc', '-shared', '-fPIC', '-O1', '-o', shim, f'{HERE}/failing_disk.c'], check=True)
        asan = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
        with Pail(prefix=['env', f'LD_PRELOAD={shim}', f'PAIL_FAULT={fault}', f'ASAN_OPTIONS={asan}'], settings={'files-durable': durable}) as pail:
            fail_and_recover(pail, f'{fault}-all', durable == 'yes')


def fail_and_recover(pail, fault, durable):
    with session(pail) as f:
        f.stor('good', b'good')
        open(fault, 'w').close()
        if durable:
            for name in ('bad', 'good'):
                with pytest.raises(Refused) as e:
                    f.stor(name, b'bad')
                assert e.value.code // 100 == 4
            assert f.code('MKD folder') // 100 in (4, 5)
        else:
            f.stor('unsynced', b'x')
        os.remove(fault)
        assert f.retr('good') == b'good'
        assert 'bad' not in f.names()
        f.stor('bad', b'good again')
        assert f.retr('bad') == b'good again'
