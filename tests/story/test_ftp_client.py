"""pail ftp: the lecture's session as a person types it, scripts on stdin, transfers without a prompt, trees both ways."""
import hashlib
import json
import os
import re
import subprocess

import pexpect
import pytest
from ftp_liar import Liar
from ftp_wire import BOB, JILL, files_of, noise
from pail import PAIL, PATIENCE, PEOPLE
from test_ftp_programs_lectures import in_order

IMAGES = 'pub/redhat/linux/9/en/os/i386/images'


def environment(home):
    return {**os.environ, 'HOME': str(home), 'XDG_CONFIG_HOME': '', 'TERM': 'xterm', 'LANG': 'C.UTF-8', 'PAGER': 'cat'}


def ftp(folder, *words, input='', code=0):
    """Runs `pail ftp WORDS` in a session without a terminal; gives what it said."""
    done = subprocess.run([PAIL, 'ftp', *map(str, words)], input=input, cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
                          env=environment(folder), start_new_session=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def url(demo, who, path='', address='127.0.0.1'):
    return f'ftp://{who}:{PEOPLE[who]}@{address}:{demo.port(21)}/{path}'.replace(f'{who}:', who.replace('@', '%40') + ':', 1)


def tree(root):
    """{relative path: digest, or None for a folder} of what stands below."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(folder, name), root)] = None
        for name in files:
            path = os.path.join(folder, name)
            with open(path, 'rb') as f:
                found[os.path.relpath(path, root)] = hashlib.sha256(f.read()).hexdigest()
    return found


def plant(root, seed, files=40):
    for i in range(files):
        folder = root / f'd{i % 4}' / ('deep' if i % 3 == 0 else '')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'file {i}').write_bytes(noise(f'{seed}{i}', i * 997))
    (root / 'empty').mkdir(exist_ok=True)
    (root / 'large').write_bytes(noise(seed, 3_000_000))
    os.utime(root / 'large', (1_000_000_000, 1_000_000_000))


class Prompt:
    """`pail ftp` in a terminal: p('what is awaited', 'what is typed then')."""

    def __init__(self, folder, *words):
        self.said = ''
        self.child = pexpect.spawn(PAIL, ['ftp', *map(str, words)], cwd=folder, timeout=PATIENCE, encoding='utf-8', env=environment(folder),
                                   dimensions=(50, 200))
        self.child.delaybeforesend = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.close(force=True)

    def __call__(self, awaited, typed, silent=False):
        self.child.expect(awaited)
        self.said += self.child.before + self.child.after
        if silent:
            self.child.waitnoecho(PATIENCE)
        self.child.send(typed + '\r')

    def end(self):
        self.child.expect(pexpect.EOF)
        self.said += self.child.before
        self.child.close()
        return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', self.said).replace('\r', '')


def login(demo, folder, who, *options):
    p = Prompt(folder, *options, '127.0.0.1', demo.port(21))
    p('Name .*: ', who)
    p('Password:', PEOPLE[who], silent=True)
    return p


# --- at the prompt ---

def test_the_lecture(demo, tmp_path):
    with Prompt(tmp_path, '127.0.0.1', demo.port(21)) as p:
        p(r'Name \(127\.0\.0\.1:.*\): ', 'anonymous')
        p('Password:', 'rmartin@rutgers.edu', silent=True)
        p('ftp> ', f'cd /{IMAGES}')
        p('ftp> ', 'get bootdisk.img')
        p('ftp> ', 'quit')
        said = p.end()
    in_order(said, r'^Connected to 127\.0\.0\.1\.$', r'^220 hill\.com FTP server ', r'^331 Guest login ok, send your complete e-mail address as password\.$',
             r'^230 Guest login ok, access restrictions apply\.$', r'^Remote system type is UNIX\.$', r'^Using binary mode to transfer files\.$',
             r'^250 CWD command successful\.$', r'^local: bootdisk\.img remote: bootdisk\.img$', r'^227 Entering Passive Mode ',
             r'^150 Opening BINARY mode data connection for bootdisk\.img \(1474560 bytes\)\.$', r'^226 Transfer complete\.$',
             r'^1474560 bytes received in \d\d:\d\d \(\d+\.\d\d .B/s\)$', r'^221 Goodbye\.$')
    assert said.count('331 ') == 1 and 'TYPE' not in said
    with open(os.path.join(files_of(demo, 'anonymous'), IMAGES, 'bootdisk.img'), 'rb') as f:
        assert (tmp_path / 'bootdisk.img').read_bytes() == f.read()


def test_tab_completes_commands_and_names_and_the_history_stays(demo, tmp_path):
    with Prompt(tmp_path, '-n', '127.0.0.1', demo.port(21)) as p:
        p('ftp> ', 'user anonymous jill@hill.com')
        p('ftp> ', 'cd pub/redh\t')
        p('250 CWD', 'pw\t')
        p(r'257 "/pub/redhat/?"', 'bye')
        p.end()
    kept = (tmp_path / '.config/pail/ftp-history').read_text()
    assert 'pwd' in kept and 'user' not in kept and 'jill' not in kept
    assert (tmp_path / '.config/pail/ftp-history').stat().st_mode & 0o077 == 0


def test_words_that_are_missing_are_asked_for(demo, tmp_path):
    (tmp_path / 'A FILE').write_text('asked')
    with Prompt(tmp_path, '-n') as p:
        p('ftp> ', 'get')
        p('Not connected', 'open')
        p(r'\(to\) ', f'127.0.0.1 {demo.port(21)}')
        p('ftp> ', 'user')
        p(r'\(username\) ', BOB)
        p('Password:', PEOPLE[BOB], silent=True)
        p('ftp> ', 'put')
        p(r'\(local-file\) ', '"A FILE"')
        p(r'\(remote-file\) ', 'ASKED.TXT')
        p('ftp> ', 'rename ASKED.TXT')
        p(r'\(to-name\) ', 'ASKED.DAT')
        p('ftp> ', 'get')
        p(r'\(remote-file\) ', 'ASKED.DAT')
        p(r'\(local-file\) ', '')                   # as it is called there
        p('bytes received', 'case')
        p('Case mapping on', 'nmap $1.$2 $2-of-$1')
        p('Nmap on', 'mget')
        p(r'\(remote-files\) ', 'ASK*')
        p(r'\? ', 'y')
        p('bytes received', 'nmap')
        p('Nmap off', 'quote')
        p('command line to send', 'DELE ASKED.DAT')
        p('250 ', 'mkdir')
        p(r'\(directory-name\) ', '')
        p('usage: mkdir', 'rename a b c')
        p('usage: rename', 'bye')
        p.end()
    assert (tmp_path / 'ASKED.DAT').read_text() == (tmp_path / 'dat-of-asked').read_text() == 'asked'
    assert 'usage: get' in ftp(tmp_path, '-n', '127.0.0.1', demo.port(21), input=f'user {BOB} {PEOPLE[BOB]}\nget\n', code=64)


def test_ctrl_c_stops_the_transfer_and_reget_takes_it_up(demo, tmp_path):
    body = noise('ctrl-c', 30_000_000)
    (tmp_path / 'up').write_bytes(body)
    ftp(tmp_path, 'put', 'up', url(demo, JILL, 'stopped'))
    with login(demo, tmp_path, JILL) as p:
        p('ftp> ', 'rate 4m')
        p('ftp> ', 'get stopped')
        p.child.expect('left')              # the line of progress stands
        p.child.sendintr()
        p('reget goes on', 'rate 0')
        p('ftp> ', 'pwd')
        p(r'257 "/"', 'reget stopped')
        p('bytes received', 'bye')
        said = p.end()
    taken = int(re.search(r'(\d+) bytes received', said)[1])
    assert 0 < taken < len(body)
    assert (tmp_path / 'stopped').read_bytes() == body
    assert not (tmp_path / 'stopped.pail-part').exists()


def test_mget_asks_and_jobs_run_beside_the_prompt(demo, tmp_path):
    for name in ('ma', 'mb', 'mc'):
        (tmp_path / name).write_text(name)
    ftp(tmp_path, 'put', 'ma', 'mb', 'mc', url(demo, BOB))
    there = tmp_path / 'there'
    there.mkdir()
    with login(demo, there, BOB) as p:
        p('ftp> ', 'mget m?')
        p(r'mget ma \[y/n/a/q\]\? ', 'n')
        p(r'mget mb \[y/n/a/q\]\? ', 'a')
        p('ftp> ', 'get ma background &')
        p('ftp> ', 'queue put mb queued')
        p('ftp> ', 'wait')
        p('ftp> ', 'size queued')
        p('ftp> ', 'bye')
        said = p.end()
    assert sorted(os.listdir(there)) == ['.config', 'background', 'mb', 'mc']
    assert 'queued\t2' in said and 'done' in said


# --- scripts ---

def test_a_script_on_stdin(demo, tmp_path):
    (tmp_path / 'made').write_bytes(noise('script', 100_000))
    script = f"""open 127.0.0.1 {demo.port(21)}
user {BOB} {PEOPLE[BOB]}
# a comment
mkdir "a directory"
-mkdir "a directory"
cd "a directory"
put made
rename made 'other name'
get 'other name' back
size other\\ name
!cmp made back
mdelete other*
cd ..
rmdir "a directory"
bye
"""
    said = ftp(tmp_path, '-inv', input=script)
    in_order(said, r'^230 ', r'^257 ', r'^550 ', r'^250 ', r'^local: made remote: made$', r'^226 ', r'^100000 bytes sent in ', r'^350 ', r'^250 ',
             r'^100000 bytes received in ', r'^other name\t100000$', r'^250 ', r'^221 ')


@pytest.mark.parametrize('script, code', [
    ('user nobody wrong\n', 77), ('user {bob}\nget none\n', 66), ('user {bob}\ncd none\npwd\n', 66), ('user {bob}\n-cd none\nget none\n-pwd\n', 66),
    ('user {bob}\n-cd none\n', 0), ('nonsense\n', 64), ('pwd\nuser {bob}\n', 77 - 11), ('user {bob}\nput none\n', 66), ('bye\n', 0)])
def test_exit_codes_of_scripts(demo, tmp_path, script, code):
    if script.startswith('pwd'):
        code = 77                               # 530: not logged in
    ftp(tmp_path, '-n', '127.0.0.1', demo.port(21), input=script.replace('{bob}', f'{BOB} {PEOPLE[BOB]}'), code=code)


def test_netrc_and_its_macros(demo, tmp_path):
    netrc = tmp_path / '.netrc'
    netrc.write_text(f'machine other.example login x password y\nmachine 127.0.0.1\n  login {BOB}\n  password {PEOPLE[BOB]}\n'
                     'macdef init\nmkdir $1made-by-init\nrmdir made-by-init\n\ndefault login anonymous password a@b\n')
    netrc.chmod(0o600)
    said = ftp(tmp_path, '-v', '127.0.0.1', demo.port(21), input='pwd\n')
    in_order(said, r'^230 Login successful', r'^257 "/made-by-init', r'^250 ', r'^257 "/"')
    netrc.chmod(0o644)
    assert 'others may read it' in ftp(tmp_path, '-v', '127.0.0.1', demo.port(21), input='wrong\npwd\n', code=77)


def test_macros_modes_and_listings_into_files(demo, tmp_path):
    text = 'one\ntwo\n\nfour\n'
    (tmp_path / 'text').write_text(text)
    script = f"""user {BOB} {PEOPLE[BOB]}
macdef twice
get $1 $1.1
get $1 $1.2

ascii
put text text
$ twice text
ebcdic
struct record
mode block
put text records
hash 10
debug 0
get records text.3
binary
struct file
mode deflate
get text text.4
mode stream
ls . listing
nlist . names
delete text records
"""
    ftp(tmp_path, '-n', '127.0.0.1', demo.port(21), input=script)
    assert [(tmp_path / f'text.{i}').read_text() for i in range(1, 5)] == [text] * 4
    assert 'records' in (tmp_path / 'names').read_text() and re.search(r'^-rw.* records$', (tmp_path / 'listing').read_text(), re.M)


# --- without a prompt ---

def test_get_put_ls(demo, tmp_path):
    body = noise('once', 2_000_000)
    (tmp_path / 'body').write_bytes(body)
    ftp(tmp_path, '--times', 'put', 'body', url(demo, BOB, 'once one'.replace(' ', '%20')))
    ftp(tmp_path, 'get', url(demo, BOB, 'once%20one'), 'back')
    ftp(tmp_path, 'get', url(demo, BOB, 'once%20one'))
    assert (tmp_path / 'back').read_bytes() == (tmp_path / 'once one').read_bytes() == body
    rows = {row['name']: row for row in json.loads(ftp(tmp_path, 'ls', '--json', url(demo, BOB)))}
    assert rows['once one']['size'] == len(body) and rows['once one']['kind'] == 'file'
    assert hashlib.sha256(subprocess.run([PAIL, 'ftp', 'get', url(demo, BOB, 'once%20one'), '-'], capture_output=True, env=environment(tmp_path),
                                         timeout=PATIENCE).stdout).digest() == hashlib.sha256(body).digest()
    subprocess.run([PAIL, 'ftp', 'put', '-', url(demo, BOB, 'piped')], input=body, check=True, env=environment(tmp_path), timeout=PATIENCE)
    with open(os.path.join(files_of(demo, BOB), 'piped'), 'rb') as f:
        assert f.read() == body
    assert '550' in ftp(tmp_path, 'get', url(demo, BOB, 'none'), code=66)
    assert not (tmp_path / 'none').exists() and not (tmp_path / 'none.pail-part').exists()
    ftp(tmp_path, 'get', 'ftp://127.0.0.1:1/x', code=69)


def test_pget_puts_its_segments_together(demo, tmp_path):
    body = noise('pget', 5_000_003)
    (tmp_path / 'body').write_bytes(body)
    script = f'user {BOB} {PEOPLE[BOB]}\nput body segments\npget -n 5 segments back\n'
    ftp(tmp_path, '-n', '127.0.0.1', demo.port(21), input=script)
    assert (tmp_path / 'back').read_bytes() == body


def test_mirror_both_ways(demo, tmp_path):
    here, back = tmp_path / 'here', tmp_path / 'back'
    here.mkdir()
    plant(here, 'mirror')
    (here / 'link').symlink_to('/etc/passwd')
    there = url(demo, BOB, 'mirrored')
    assert '41 files' in ftp(tmp_path, 'mirror', '-n', here, there)
    ftp(tmp_path, 'mirror', here, there)
    (here / 'link').unlink()
    assert tree(os.path.join(files_of(demo, BOB), 'mirrored')) == tree(here)
    ftp(tmp_path, 'mirror', there, back)
    assert tree(back) == tree(here)
    assert int((back / 'large').stat().st_mtime) == 1_000_000_000
    assert '\n0 files' in '\n' + ftp(tmp_path, 'mirror', '-v', there, back)
    # what differs is fetched, what is more goes only with --delete, and a dry run does nothing
    (back / 'd1/file 1').write_bytes(b'changed')
    (back / 'extra/deep').mkdir(parents=True)
    (back / 'extra/deep/file').write_text('more')
    before = tree(back)
    ftp(tmp_path, 'mirror', '-n', '--delete', there, back)
    assert tree(back) == before
    ftp(tmp_path, 'mirror', there, back)
    assert (back / 'extra/deep/file').exists() and tree(back)['d1/file 1'] == tree(here)['d1/file 1']
    ftp(tmp_path, 'mirror', '--delete', there, back)
    assert tree(back) == tree(here)
    # patterns
    part = tmp_path / 'part'
    ftp(tmp_path, 'mirror', '-x', 'd?', '-x', 'empty', there, part)
    assert sorted(tree(part)) == ['large']
    # the other way with deletion
    for name in ('d0', 'd1'):
        subprocess.run(['rm', '-r', here / name], check=True)
    ftp(tmp_path, 'mirror', '--delete', here, there)
    assert tree(os.path.join(files_of(demo, BOB), 'mirrored')) == tree(here)


def test_mirror_writes_through_no_link(demo, tmp_path):
    here, back, outside = tmp_path / 'here', tmp_path / 'back', tmp_path / 'outside'
    for folder in (here / 'd', back, outside):
        folder.mkdir(parents=True)
    (here / 'd/file').write_text('new')
    (here / 'plain').write_text('new')
    (outside / 'file').write_text('old')
    (outside / 'plain').write_text('old')
    (back / 'd').symlink_to(outside)                # a folder that leads away
    (back / 'plain').symlink_to(outside / 'plain')  # a file that does
    ftp(tmp_path, 'mirror', here, url(demo, BOB, 'links'))
    ftp(tmp_path, 'mirror', url(demo, BOB, 'links'), back, code=73)
    assert (outside / 'file').read_text() == (outside / 'plain').read_text() == 'old'
    assert not (back / 'plain').is_symlink() and (back / 'plain').read_text() == 'new'


# --- connections that are lost ---

def test_a_cut_connection_is_taken_up_where_it_stopped(tmp_path):
    body = noise('cut', 400_000)
    with Liar({'file': body}, cut=[1, 100_000, 70_001, 0]) as liar:
        ftp(tmp_path, 'get', liar.url('file'))
        assert liar.sessions >= 4
        assert [int(word) for verb, word in liar.commands if verb == 'REST'] == [1, 100_001, 170_002, 170_002]
    assert (tmp_path / 'file').read_bytes() == body


def test_a_mirror_goes_on_after_cuts(tmp_path):
    files = {f'f{i}': noise(f'cuts{i}', 20_000 + i) for i in range(30)}
    mlsd = b''.join(b'type=file;size=%d; %s\r\n' % (len(body), name.encode()) for name, body in files.items())
    with Liar(files, mlsd=mlsd, cut=[None, 5000, None, None, 0, 19_999]) as liar:
        ftp(tmp_path, 'mirror', '-P', '2', liar.url(), tmp_path / 'back')
    assert tree(tmp_path / 'back') == {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}


@pytest.mark.parametrize('crowded', [b'421 There are too many connections.\r\n', b'530 Too many users, come later.\r\n'])
@pytest.mark.parametrize('room', [1, 3])
def test_a_mirror_is_content_with_the_connections_it_gets(tmp_path, crowded, room):
    files = {f'f{i}': noise(f'few{i}', 500 + i) for i in range(200)}
    mlsd = b''.join(b'type=file;size=%d; %s\r\n' % (len(body), name.encode()) for name, body in files.items())
    with Liar(files, mlsd=mlsd, room=room, crowded=crowded) as liar:
        assert ftp(tmp_path, 'mirror', liar.url(), tmp_path / 'back') == ''
        assert liar.refused
    assert tree(tmp_path / 'back') == {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}


def test_an_upload_goes_on_after_cuts(tmp_path):
    body = noise('up', 3_000_000)
    (tmp_path / 'file').write_bytes(body)
    with Liar(cut=[1_000_000, 10]) as liar:
        ftp(tmp_path, 'put', 'file', liar.url('there'))
        assert liar.stored['there'] == body
        assert [int(word) for verb, word in liar.commands if verb == 'REST'] == [1_000_000, 1_000_010]


def test_a_session_that_was_idle_too_long_is_opened_again(tmp_path):
    with Liar({'file': b'abc'}, replies={'CWD': [b'421 Timeout.\r\n'], 'MKD': b'257 made\r\n', 'PASV': [b'421 Timeout.\r\n']}) as liar:
        said = ftp(tmp_path, '-nv', '127.0.0.1', liar.port, input='user a b\nmkdir d\ncd d\nget file\n')
        assert liar.sessions == 3 and said.count('opening it again') == 2
    assert (tmp_path / 'file').read_bytes() == b'abc'
