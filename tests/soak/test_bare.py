"""A Debian that has only git and make: `make demo` makes a mail server of it, `make check` proves it."""
import os
import poplib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest
from pail import LETTER_OF_JACK, PEOPLE, free_base

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(f'{HERE}/../..')


def apt_source():
    """Where this machine gets its Debian from: (address, name of the release)."""
    out = subprocess.run(['apt-get', 'indextargets', '--format', '$(REPO_URI) $(CODENAME) $(COMPONENT)',
                          'Created-By: Packages'], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        uri, name, component = line.split()
        if component == 'main' and '-' not in name:
            return uri, name
    raise AssertionError('no Debian among the sources of apt')


@pytest.fixture(scope='module')
def root():
    if not shutil.which('debootstrap'):
        pytest.fail('debootstrap is missing; tools/setup soak installs it')
    folder = tempfile.mkdtemp(prefix='pail-bare-', dir=os.environ.get('SOAK_DIR', '/var/tmp'))
    os.chmod(folder, 0o755)     # it is somebody's /
    uri, name = apt_source()
    subprocess.run(['debootstrap', '--variant=minbase', '--include=git,make,ca-certificates', name, folder, uri],
                   check=True, stdout=subprocess.DEVNULL)
    for part in ('sources.list', 'sources.list.d', 'apt.conf.d', 'auth.conf', 'auth.conf.d', 'trusted.gpg.d', 'keyrings',
                 'preferences.d'):
        copy(f'/etc/apt/{part}', f'{folder}/etc/apt/{part}')
    copy('/usr/share/keyrings', f'{folder}/usr/share/keyrings')
    copy('/etc/resolv.conf', f'{folder}/etc/resolv.conf')
    copy('/etc/hosts', f'{folder}/etc/hosts')
    copy('/usr/local/share/ca-certificates', f'{folder}/usr/local/share/ca-certificates')
    subprocess.run(['git', 'clone', '-q', '--no-hardlinks', TOP, f'{folder}/srv/pail'], check=True)
    inside(folder, 'update-ca-certificates').check_returncode()
    yield folder
    shutil.rmtree(folder)


def copy(here, there):
    if os.path.isdir(here):
        shutil.copytree(here, there, dirs_exist_ok=True)
    elif os.path.exists(here):
        if os.path.lexists(there):
            os.remove(there)
        shutil.copy(here, there)


def command(root, line):
    """In the root, with processes and mounts of its own that end with it."""
    script = ('mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t tmpfs -o mode=1777 tmp "$0/tmp" && '
              'exec chroot "$0" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb '
              'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "cd /srv/pail 2>/dev/null; $1"')
    return ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, root, line]


def inside(root, line):
    return subprocess.run(command(root, line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace')


def server_below(pid):
    """`pail demo` among the descendants of a process, or None."""
    with open(f'/proc/{pid}/cmdline') as f:
        if f.read().startswith('build/pail\0demo\0'):
            return pid
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return next(filter(None, map(server_below, f.read().split())), None)


def demo(root, story):
    """`make demo` until it is ready; then the story; then Ctrl-C. All it printed."""
    base = free_base()
    child = subprocess.Popen(command(root, f"exec make demo ARGS='--base-port {base}'"), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    out = []
    try:
        for line in child.stdout:
            out.append(line)
            if line.startswith('pail: ready'):
                rest = threading.Thread(target=lambda: out.extend(child.stdout))
                rest.start()
                story(base)
                os.kill(int(server_below(child.pid)), signal.SIGINT)
                rest.join()
        assert child.wait() == 0, ''.join(out)
    finally:
        child.kill()
    return ''.join(out)


def test_who_may_not_install_is_told_the_one_line(root):
    done = inside(root, 'useradd -m visitor && cp -r . ~visitor/pail && chown -R visitor: ~visitor/pail && '
                        "exec su visitor -c 'cd ~/pail && make demo'")
    assert done.returncode != 0
    assert re.search(r'^setup: .*as root, run:\napt-get install --no-install-recommends gcc ', done.stdout, re.M)


def test_make_demo_installs_builds_and_serves(root):
    def jack_writes_jill_reads(base):
        with socket.create_connection(('127.0.0.1', base + 25)) as s:
            file = s.makefile('rb')
            assert file.readline() == b'220 hill.com SMTP service ready\r\n'
            for typed in LETTER_OF_JACK:
                s.sendall(typed.encode() + b'\r\n')
            assert b'\r\n250 Message accepted for delivery\r\n221 ' in file.read()
        p = poplib.POP3('127.0.0.1', base + 110)
        p.user('jill')
        p.pass_(PEOPLE['jill@hill.com'])
        assert b'Will you please fetch me a pail of water?' in b'\n'.join(p.retr(1)[1])
        p.quit()
    said = demo(root, jack_writes_jill_reads)
    assert re.search(r'^setup: installing .*meson', said, re.M)


def test_a_second_run_installs_nothing_and_has_the_letter(root):
    def still_there(base):
        p = poplib.POP3('127.0.0.1', base + 110)
        p.user('jill')
        p.pass_(PEOPLE['jill@hill.com'])
        assert p.stat()[0] == 1
        p.quit()
    assert 'setup:' not in demo(root, still_there)


def test_make_check_passes(root):
    done = inside(root, 'make check')
    print('\nsaid: make check in a bare root:', done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout[-8000:]
    assert re.match(r'\d+ passed, 0 failed$', done.stdout.splitlines()[-1])
