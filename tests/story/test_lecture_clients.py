"""What README.md shows of the clients, done as it stands there: the lines of its sessions are typed, what it says comes back is awaited, in order."""
import os
import re
import shutil

import pexpect
import pytest
from ftp_wire import files_of
from mail_screen import Home, Screen
from pail import PAIL, PATIENCE, PEOPLE

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../README.md')
TYPED = re.compile(r'(ftp> |C: |Name \(.*?\): |Password.*?:|Keep the password.*?\] )(.*)')
SECRETS = {'Password:': 'rmartin@rutgers.edu', 'Password of alice@crepes.fr:': PEOPLE['alice@crepes.fr']}


def sessions():
    """[(command, [the lines below it])] of the README, in order."""
    with open(README) as f:
        lines = f.read().split('\n')
    found = []
    for number, line in enumerate(lines):
        if line.startswith('    $ '):
            end = number + 1
            while lines[end].startswith('    ') and not lines[end].startswith('    $ '):
                end += 1
            found.append((line[6:], [shown[4:] for shown in lines[number + 1:end]]))
    return found


SESSIONS = sessions()


def session(beginning):
    """The only one of the README whose command begins so."""
    found = [s for s in SESSIONS if s[0].startswith(beginning)]
    assert len(found) == 1, f'{len(found)} sessions begin with {beginning}'
    return found[0]


def seen(line):
    """A pattern for what it shows: numbers, days and units are others each time, so is who sits here; `...` is anything."""
    line = re.sub(r'\b[A-Z][a-z]{2} \d\d \d\d:\d\d\b', 'DAY', line.replace(':root', ':WHO').replace('MB/s', 'UNIT'))
    pattern = re.sub(r'\d+', r'\\d+', re.escape(line).replace(r'\.\.\.', '.*'))
    pattern = re.sub(r'(\\ )+', ' +', pattern)
    return pattern.replace('WHO', r'\S+').replace('UNIT', '[KMG]?B/s').replace('DAY', r'[A-Z][a-z]{2} +\d+ \d\d:\d\d')


class Newcomer:
    def __init__(self, pail, folder):
        self.pail, self.folder = pail, str(folder)
        os.symlink(pail.folder, f'{self.folder}/pail-demo')
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith('XDG_')}, 'HOME': self.folder, 'TERM': 'xterm', 'LANG': 'C.UTF-8',
                            'PATH': f'{os.path.dirname(os.path.abspath(PAIL))}:{os.environ["PATH"]}'}

    def command(self, line):
        """It as the README has it, but for the ports: this demo has others."""
        return re.sub(r'\b10(\d\d\d)\b', lambda m: str(self.pail.port(int(m.group(1)))), line)

    def does(self, beginning):
        line, shown = session(beginning)
        child = pexpect.spawn('/bin/sh', ['-c', self.command(line)], cwd=self.folder, env=self.environment, encoding='utf-8', timeout=PATIENCE,
                              dimensions=(50, 200))
        child.delaybeforesend = None
        for one in shown:
            typed = TYPED.fullmatch(one)
            if not typed:
                child.expect(seen(one))
                continue
            child.expect(seen(typed.group(1)))
            if typed.group(1) in SECRETS:
                child.waitnoecho(PATIENCE)
            child.send(SECRETS.get(typed.group(1), typed.group(2)) + '\r')
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0, child.before


@pytest.fixture
def newcomer(pail, tmp_path):
    return Newcomer(pail, tmp_path)


def test_the_ftp_session(newcomer, tmp_path):
    newcomer.does('pail ftp 127.0.0.1:10021')
    with open(os.path.join(files_of(newcomer.pail, 'anonymous'), 'pub/redhat/linux/9/en/os/i386/images/bootdisk.img'), 'rb') as f:
        assert (tmp_path / 'bootdisk.img').read_bytes() == f.read()


def test_alice_to_bob(newcomer, pail):
    newcomer.does('pail talk 127.0.0.4 10025')
    newcomer.does('pail talk 127.0.0.4 10110')
    newcomer.does('pail mail add alice@crepes.fr')
    newcomer.does("echo 'And olives?' | pail mail send")
    newcomer.does('pail mail sync')
    newcomer.does('pail mail list Sent')
    line, shown = session('pail mail --dir pail-demo --account bob@hamburger.edu')
    home = Home(pail)
    shutil.rmtree(f'{home.path}/config')
    os.symlink(pail.folder, f'{home.path}/files/pail-demo')
    try:
        with Screen(home, command=line.removeprefix('pail ')) as s:
            for row in shown:
                s.shows(re.compile(seen(row)))
    finally:
        home.remove()
