"""pail ftp against other people's servers, run from their packages (bench/peers.py: nothing is installed): files and trees both ways, by
checksum, plain and with TLS, and with connections that are killed in the middle."""
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest
from ftp_wire import noise
from pail import PAIL, PATIENCE, until
from test_ftp_client import ftp, plant, tree

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../../bench'))

PEERS = ['Vsftpd', 'Proftpd', 'PureFtpd', 'Pyftpdlib']


@pytest.fixture(scope='module', params=[(name, tls) for name in PEERS for tls in (False, True)], ids=lambda p: f'{p[0]}{"-tls" if p[1] else ""}')
def peer(request):
    if os.geteuid() != 0:
        pytest.skip('needs root, for a root of their own')
    import ftp_peers
    name, tls = request.param
    build = os.path.dirname(os.path.abspath(PAIL))
    files = tempfile.mkdtemp(prefix='pail-peer-')
    os.chmod(files, 0o755)
    try:
        made = getattr(ftp_peers, name)(build, files, tls=tls, beside='-story')
    except (RuntimeError, subprocess.CalledProcessError, FileNotFoundError) as why:
        pytest.skip(f'{name} cannot be fetched here: {why}')
    with made as running:
        running.with_tls = tls
        yield running
    shutil.rmtree(files, ignore_errors=True)


def url(peer, path=''):
    return f'{"ftpes" if peer.with_tls else "ftp"}://{peer.account}:{peer.password}@127.0.0.1:{peer.ftp}/{path}'


def run(peer, folder, *words, **more):
    return ftp(folder, *(['--insecure'] if peer.with_tls else []), *words, **more)


def test_files_and_trees(peer, tmp_path):
    here = tmp_path / 'here'
    here.mkdir()
    plant(here, 'peers')
    name = 'tree'
    run(peer, tmp_path, 'mirror', '-P', '2', here, url(peer, name))
    assert tree(os.path.join(peer.files, name)) == tree(here)
    run(peer, tmp_path, 'mirror', url(peer, name), tmp_path / 'back')
    assert tree(tmp_path / 'back') == tree(here)
    assert '\n0 files' in '\n' + run(peer, tmp_path, 'mirror', '-v', url(peer, name), tmp_path / 'back')
    run(peer, tmp_path, 'get', url(peer, name + '/large'))
    assert (tmp_path / 'large').read_bytes() == (here / 'large').read_bytes()
    with open(tmp_path / 'large', 'r+b') as f:
        f.truncate(1_000_001)
    run(peer, tmp_path, 'get', '-c', url(peer, name + '/large'))
    assert (tmp_path / 'large').read_bytes() == (here / 'large').read_bytes()
    for folder in ('d0', 'd2'):
        shutil.rmtree(here / folder)
    run(peer, tmp_path, 'mirror', '-e', here, url(peer, name))
    assert tree(os.path.join(peer.files, name)) == tree(here)


def test_a_script_with_everything(peer, tmp_path):
    (tmp_path / 'a').write_bytes(noise('peer', 1_200_000))
    (tmp_path / 'twice').write_bytes(noise('peer', 1_200_000) * 2)
    script = f"""open {url(peer)}
mkdir made
cd made
put a
put twice
-append a more
-delete more
pget -n 3 twice both
rename a b
size b
mget b
active
get b c
ls
delete b twice
cd ..
rmdir made
"""
    run(peer, tmp_path, '-inv', input=script)
    body = (tmp_path / 'a').read_bytes()
    assert (tmp_path / 'b').read_bytes() == (tmp_path / 'c').read_bytes() == body
    assert (tmp_path / 'both').read_bytes() == body * 2


def kill_sockets(port):
    """Both ends of every connection of the server's are gone, as by a firewall that has forgotten them. False: this kernel cannot."""
    done = subprocess.run(['ss', '-K', '-t', 'state', 'established', f'( sport = :{port} )'], capture_output=True, text=True)
    return len(done.stdout.strip().splitlines()) > 1


def test_connections_killed_in_the_middle(peer, tmp_path):
    body = noise('killed', 12_000_000)
    with open(os.path.join(peer.files, 'killed'), 'wb') as f:
        f.write(body)
    part = tmp_path / 'killed.pail-part'
    killed = []

    def kill():
        for size in (2_000_000, 7_000_000):
            until('some of it came', lambda: (part.exists() and part.stat().st_size > size) or (tmp_path / 'killed').exists())
            killed.append(kill_sockets(peer.ftp))

    killer = threading.Thread(target=kill)
    killer.start()
    run(peer, tmp_path, '--rate', '6m', 'get', url(peer, 'killed'))
    killer.join(PATIENCE)
    assert (tmp_path / 'killed').read_bytes() == body
    if not any(killed):
        pytest.skip('the kernel kills no sockets here (ss -K)')
