"""pail talk --replay over tests/dialog: each file plays as the dialog runner plays it, or is refused before a byte is sent, with the line that it
cannot play. And FTP by hand, kept as a dialog."""
import glob
import os
import re
import subprocess

import pytest

from pail import PAIL, PATIENCE, Pail

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUNNER = os.path.join(os.path.dirname(os.path.abspath(PAIL)), 'tests', 'dialog', 'dialog')
PORTS = {'smtp': 25, 'submission': 587, 'submissions': 465, 'pop3': 110, 'pop3s': 995, 'imap': 143, 'imaps': 993, 'ftp': 21, 'ftps': 990}
RUNNERS_OWN = r'(do|file|folder|link|poll|urgent) |data (passive next|passive from|active next|active here|from|resumed|cut)'


@pytest.fixture
def home(tmp_path):
    return {**os.environ, 'HOME': str(tmp_path), 'XDG_CONFIG_HOME': str(tmp_path / 'config'), 'XDG_DATA_HOME': str(tmp_path / 'data')}


def talk(env, *words, typed=''):
    return subprocess.run([PAIL, 'talk', *map(str, words)], input=typed.encode(), env=env, capture_output=True, timeout=PATIENCE,
                          start_new_session=True)


def dialogs():
    """{what a demo must be: [(file, its text)]}, and those that are the runner's."""
    groups, own = {}, []
    for name in sorted(glob.glob(os.path.join(ROOT, 'tests', 'dialog', '**', '*.dialog'), recursive=True)):
        with open(name, encoding='utf-8', errors='replace') as f:
            text = f.read()
        if re.search('^' + f'({RUNNERS_OWN})', text, re.M):
            own.append((name, text))
            continue
        settings = re.findall(r'^set +([^\s=]+)=(.*?)\s*$', text, re.M)
        groups.setdefault((name if re.search(r'^fresh\s*$', text, re.M) else '', tuple(sorted(settings))), []).append((name, text))
    return groups, own


def first(text):
    """Where it connects to first: protocol, address."""
    found = re.search(r'^connect (\S+)(?: (127\S+|::1))?', text, re.M)
    return found[1], found[2] or '127.0.0.1'


def test_every_dialog_plays(home):
    groups, _ = dialogs()
    played, wrong = 0, []
    for (_, settings), files in groups.items():
        with Pail(settings=dict(settings)) as demo:
            for name, text in files:
                protocol, address = first(text)
                done = talk(home, '--replay', name, address, demo.base + PORTS[protocol], '--insecure')
                played += 1
                if done.returncode or b': as expected' not in done.stdout:
                    wrong.append(done.stdout.decode(errors='replace'))
    assert not wrong, '\n'.join(wrong)
    assert played > 80


def test_what_only_the_runner_can_do_is_refused_before_anything_is_said(home):
    _, own = dialogs()
    assert len(own) > 100
    for name, text in own:
        done = talk(home, '--replay', name, '127.0.0.1', 1)     # nobody is there, and nobody is asked
        line = next(n for n, line in enumerate(text.split('\n'), 1) if re.match(RUNNERS_OWN, line))
        said = done.stdout.decode(errors='replace').splitlines()
        assert done.returncode == 65 and said[0].startswith(f'{name}:{line}: ') and 'only the dialog runner' in said[0], done
        assert len(said) == 2, said


FTP = '''USER jack
PASS crown
PASV
STOR talked
hello
"world" \\
.
EPSV
NLST talked
EPSV
RETR talked
PORT 127,0,0,1,{port}
RETR talked
RETR nothing
DELE talked
AUTH TLS
USER jack
PASS crown
PBSZ 0
PROT P
PASV
NLST nothing*
PROT C
QUIT
'''


def test_data_connections_are_opened_shown_and_kept(demo, home, tmp_path):
    saved = tmp_path / 'ftp.dialog'
    port = demo.base + 77
    done = talk(home, '127.0.0.1', f'ftp:{demo.base + 21}', '--save', saved, '--ca', f'{demo.folder}/ca.pem',
                typed=FTP.replace('{port}', f'{port // 256},{port % 256}'))
    said = done.stdout.decode()
    assert done.returncode == 0, done
    assert said.count('D: hello\nD: "world" \\\n') == 3 and 'D: talked\n' in said, said
    assert '# now the file' in said and '# the data connection is awaited' in said
    assert 'crown' not in said
    text = saved.read_text()
    assert 'data send "\\"world\\" \\\\\\r\\n"\n' in text and 'data active\nC: PORT {port}\n' in text and 'data tls new\n' in text, text
    assert 'D: hello\nD: "world" \\\ndata end\n' in text
    runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, '--variable', 'password=crown', str(saved)],
                            capture_output=True, text=True)
    assert runner.returncode == 0, runner.stdout
    again = talk(home, '--replay', saved, '127.0.0.1', demo.base + 21, '--ca', f'{demo.folder}/ca.pem', typed='crown\n')
    assert again.returncode == 0, again


def test_a_playback_reaches_the_other_ports_too(demo, home, tmp_path):
    file = tmp_path / 'two.dialog'
    file.write_text('connect smtp\nS: 220 *\nC: QUIT\nS: 221 *\nconnect pop3 as 2\nS2: +OK *\nC2: QUIT\nS2: +OK*\n')
    assert talk(home, '--replay', file, 'localhost', demo.base + 25).returncode == 0
    file.write_text('connect smtp\nS: 220 *\nnonsense here\n')
    done = talk(home, '--replay', file, '127.0.0.1', demo.base + 25)
    assert done.returncode == 65 and done.stdout.decode().startswith(f'{file}:3: nonsense: '), done
