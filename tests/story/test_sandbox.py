"""What a process that talks to strangers may still do: as little as the kernel can make it."""
import ctypes
import os
import pwd
import shutil
import stat
import subprocess
import tempfile

import pytest
from pail import PAIL, PATIENCE, Pail, until

ROOT = os.geteuid() == 0
LETTER = 'Subject: sandbox\r\n\r\nhello\r\n'


def landlock_abi():
    """What the kernel says itself: landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)."""
    return max(0, ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))


def status(pid):
    with open(f'/proc/{pid}/status') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def carries_a_letter(pail):
    before = pail.count('jill@hill.com')
    pail.send(LETTER, ['jill@hill.com'])
    until('the letter is filed', lambda: pail.count('jill@hill.com') == before + 1)


def test_every_role_says_that_it_is_in_its_sandbox(demo):
    abi = landlock_abi()
    print(f'Landlock ABI {abi}')
    roles = demo.roles()
    assert {'keeper', 'mail.0', 'files.0'} <= roles.keys()
    for role in roles:
        [line] = [line for line in demo.events('sandbox') if f' role={role} ' in line]
        assert line.endswith(f'landlock={abi if abi >= 2 else 0} seccomp=yes'), line


def test_the_kernel_says_so_too(demo):
    for role, pid in demo.roles().items():
        s = status(pid)
        assert s['Seccomp'] == '2' and int(s.get('Seccomp_filters', '1')) >= 1, role
        assert s['NoNewPrivs'] == '1', role
        for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            assert int(s[kind], 16) == 0, (role, kind)


def test_roles_own_nothing_but_the_folder(demo):
    owner = os.stat(demo.folder)
    assert owner.st_uid != 0
    for role, pid in demo.roles().items():
        s = status(pid)
        assert set(s['Uid'].split('\t')) == {str(owner.st_uid)}, role
        assert set(s['Gid'].split('\t')) == {str(owner.st_gid)}, role
        assert s['Groups'].split() in ([], [str(owner.st_gid)]) or not ROOT, role
    carries_a_letter(demo)


def test_a_restarted_role_is_in_its_sandbox_again(pail):
    for role in ('mail.0', 'files.0', 'keeper'):
        pid = pail.roles()[role]
        since = len(pail.log)
        os.kill(pid, 9)
        fresh = pail.restarted(role, pid)
        pail.event('sandbox', f'role={role} ', 'seccomp=yes', since=since)
        assert status(fresh)['Seccomp'] == '2' and status(fresh)['NoNewPrivs'] == '1'


def test_only_the_keeper_has_the_secrets_open_and_only_fronts_listen(demo):
    if not ROOT:
        pytest.skip('only root may look at the descriptors of a process that is not dumpable')
    carries_a_letter(demo)
    for role, pid in demo.roles().items():
        files = []
        for fd in os.listdir(f'/proc/{pid}/fd'):
            try:
                files.append(os.readlink(f'/proc/{pid}/fd/{fd}'))
            except FileNotFoundError:
                continue
        with open(f'/proc/{pid}/net/tcp') as f:
            listening = {f'socket:[{line.split()[9]}]' for line in f.readlines()[1:] if line.split()[3] == '0A'}
        assert bool(listening & set(files)) == (role.split('.')[0] in ('mail', 'files')), role
        assert any('/secrets/' in path for path in files) == (role == 'keeper'), role
        assert not any(path.endswith('.key') for path in files) or role == 'keeper', role


def test_nobody_else_can_read_the_folder(demo):
    for part in ('mail', 'intake', 'outbox', 'directory', 'secrets', 'keys', 'files', 'usage'):
        assert stat.S_IMODE(os.stat(f'{demo.folder}/{part}').st_mode) == 0o700, part
    for key in ('ca.key', 'tls.key'):
        assert stat.S_IMODE(os.stat(f'{demo.folder}/keys/{key}').st_mode) == 0o600, key


# ---- who starts it ----

def as_user(name):
    who = pwd.getpwnam(name)
    return ['setpriv', f'--reuid={who.pw_uid}', f'--regid={who.pw_gid}', '--clear-groups']


@pytest.fixture
def folder_of_daemon():
    root = tempfile.mkdtemp(prefix='pail-story-')
    os.chmod(root, 0o755)
    who = pwd.getpwnam('daemon')
    os.mkdir(f'{root}/home', 0o700)
    os.chown(f'{root}/home', who.pw_uid, who.pw_gid)
    shutil.copy(PAIL, f'{root}/pail')       # where it was built, others may not come
    yield f'{root}/home'
    shutil.rmtree(root)


def program(folder):
    return f'{os.path.dirname(folder)}/pail'


def whole_story(pail, uid):
    for role, pid in pail.roles().items():
        assert status(pid)['Uid'].split('\t') == [str(uid)] * 4, role
        assert status(pid)['Seccomp'] == '2'
    assert pail.count('bob@hamburger.edu') == 2
    carries_a_letter(pail)
    pail.stop()
    pail.start()
    assert pail.count('jill@hill.com') == 1


@pytest.mark.skipif(not ROOT, reason='needs root to become somebody else')
def test_it_runs_as_an_unprivileged_user(folder_of_daemon):
    with Pail(folder=f'{folder_of_daemon}/demo', prefix=as_user('daemon'),
              program=program(folder_of_daemon)) as pail:
        assert status(pail.process.pid)['Uid'].split('\t')[0] == str(pwd.getpwnam('daemon').pw_uid)
        whole_story(pail, pwd.getpwnam('daemon').pw_uid)


@pytest.mark.skipif(not ROOT, reason='needs root to become somebody else')
def test_root_serves_somebodys_folder_as_that_somebody(folder_of_daemon):
    with Pail(folder=f'{folder_of_daemon}/demo', prefix=as_user('daemon'),
              program=program(folder_of_daemon)):
        pass
    with Pail(folder=f'{folder_of_daemon}/demo') as pail:
        whole_story(pail, pwd.getpwnam('daemon').pw_uid)


@pytest.mark.skipif(not ROOT, reason='needs root')
def test_it_works_below_a_folder_that_the_roles_may_not_pass():
    with tempfile.TemporaryDirectory(prefix='pail-story-') as private:     # mode 0700, root's: as /root is
        with Pail(folder=f'{private}/demo') as pail:
            whole_story(pail, pwd.getpwnam('nobody').pw_uid)


@pytest.mark.skipif(not ROOT, reason='needs root to make a folder that is not ours')
def test_a_folder_of_somebody_else_is_refused(folder_of_daemon):
    done = subprocess.run([*as_user('nobody'), program(folder_of_daemon), 'demo',
                           '--dir', os.path.dirname(folder_of_daemon)],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 77 and 'belongs to' in done.stderr
