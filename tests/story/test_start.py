"""Starting: what a newcomer does wrong, and what is said then; and the terminal that goes away."""
import os
import re
import shutil
import socket
import sqlite3
import subprocess

import pexpect
import pytest
from pail import PAIL, PATIENCE, PEOPLE, Pail, free_base, until


@pytest.fixture
def room(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):    # whom the roles run as must get there
        os.chmod(folder, 0o755)
    return tmp_path


@pytest.mark.parametrize('words,code,says', [
    (['frob'], 64, 'pail: frob: no such verb (pail help shows them)'),
    (['help', 'frob'], 64, 'pail: frob: no such verb (pail help shows them)'),
    (['demo', '--frob'], 64, 'pail demo: --frob: no such option'),
    (['demo', '--dir'], 64, 'pail demo: --dir: no such option, or its value is missing'),
    (['demo', 'frob'], 64, 'pail demo: frob: what is that?'),
    (['demo', '--base-port', '99999'], 64, 'pail demo: --base-port: 99999 is not 0 to 44000'),
    (['demo', '--set', 'frob=1'], 64, 'pail demo: --set frob=1: frob: no such setting'),
    (['demo', '--set', 'workers'], 64, 'pail demo: --set workers: not NAME=VALUE'),
    (['demo', '--set', 'workers=1000'], 64, 'pail demo: --set workers=1000: workers: 1000 is more than 64'),
    (['demo', '--set', 'imap-disable=IDLE FROB'], 64,
     'pail demo: imap-disable: FROB: IMAP here has no such capability'),
    (['demo', '--dir', '/nonexistent/demo'], 73, 'pail: /nonexistent/demo: cannot be made: No such file or directory'),
    (['demo', '--dir', '/etc/passwd'], 66, 'pail: /etc/passwd: no data folder: Not a directory'),
    (['serve', '--frob'], 64, 'pail serve: --frob: no such option'),
    (['serve', '--config', '/nonexistent.conf'], 78, 'pail serve: /nonexistent.conf: No such file or directory (pail init'),
    (['init'], 64, 'usage: pail init DOMAIN'),
    (['init', 'localhost'], 64, 'pail init: localhost: a domain like example.org is wanted'),
])
def test_mistakes_are_named(words, code, says):
    done = subprocess.run([PAIL, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr.startswith(says) and done.stdout == ''
    assert done.returncode == code


def test_help_and_version():
    for words in (['help'], ['--help'], ['-h'], ['--version'], ['help', 'demo'], ['demo', '--help'], ['serve', '--help']):
        done = subprocess.run([PAIL, *words], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0 and done.stdout and not done.stderr


def test_settings_that_cannot_be_are_named_with_their_line(room):
    config = room / 'pail.conf'
    config.write_text('workers = 1\n\nmax-recipients = 3\n')
    done = subprocess.run([PAIL, 'serve', '--config', str(config)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == f'pail serve: {config}:3: max-recipients: 3 is less than 100\n' and done.returncode == 78


def test_init_touches_nothing_that_is_there(room):
    config = room / 'srv' / 'pail.conf'
    init = [PAIL, 'init', 'example.org', '--dir', str(room / 'srv')]
    subprocess.run(init, check=True, capture_output=True)
    text = config.read_text()
    done = subprocess.run(init, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == f'pail init: {config}: is there already\n' and done.returncode == 73
    done = subprocess.run([*init, '--config', str(room / 'other.conf')], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == f'pail init: {room}/srv: is a pail folder already\n' and done.returncode == 73
    assert config.read_text() == text and not (room / 'other.conf').exists()


def test_the_terminal_goes_and_the_demo_with_it(room):
    """Else it would hold its ports for ever, where nobody can press Ctrl-C."""
    terminal = pexpect.spawn(PAIL, ['demo', '--dir', str(room / 'demo'), '--base-port', str(free_base())],
                             timeout=PATIENCE)
    try:
        terminal.expect_exact('pail: ready')
        os.close(terminal.child_fd)     # the kernel says SIGHUP, and nobody anything else
        terminal.closed, terminal.child_fd = True, -1
        until('it has ended', lambda: not terminal.isalive())
        assert terminal.exitstatus == 0
    finally:
        if terminal.isalive():
            terminal.kill(9)


def test_a_hangup_says_what_waits_for_a_restart(room):
    base, config = free_base(), room / 'srv' / 'pail.conf'
    subprocess.run([PAIL, 'init', 'example.org', '--dir', str(room / 'srv')], check=True, capture_output=True)
    config.write_text(config.read_text() + f'listen = "127.0.0.1"\nsmtp-port = {base + 25}\npop3-port = 0\npop3s-port = 0\nimap-port = 0\nimaps-port = 0\n'
                      'submission-port = 0\nsubmissions-port = 0\nftp-port = 0\nftps-port = 0\n')
    log = (room / 'log').open('w+')
    server = subprocess.Popen([PAIL, 'serve', '--config', str(config)], stderr=log, stdin=subprocess.DEVNULL)

    def says(words):
        return until(words, lambda: words in (room / 'log').read_text() or server.poll() is not None and 1 / 0)
    try:
        says('event=ready config=')
        config.write_text(config.read_text() + 'workers = 3\nmax-letter-size = 1M\n')
        server.send_signal(1)
        says('not-before-restart=workers')
        config.write_text('workers = 1000\n')
        server.send_signal(1)
        says(f'pail serve: {config}:1: workers: 1000 is more than 64')
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 0


def test_few_descriptors_are_shared_out():
    """A flood is told so, and whoever has signed in before reads letters that come meanwhile."""
    with Pail(prefix=['prlimit', '--nofile=300:300'], settings={'workers': 1}) as pail:
        pail.event('limits', 'role=mail.0', 'descriptors=300')
        most = int(re.search(r'connections=(\d+)', pail.event('shares', 'role=mail.0'))[1])
        reader = pail.pop3('jill@hill.com')
        flood, greetings = [], []
        for _ in range(most + 20):
            s = socket.create_connection(('127.0.0.1', pail.port(25)), PATIENCE)
            flood.append(s)
            greetings.append(s.makefile('rb').readline()[:4])
        assert greetings == [b'220 '] * (most - 1) + [b'421 '] * 21
        flood[0].sendall(b'HELO x\r\nMAIL FROM:<jack@town.com>\r\nRCPT TO:<jill@hill.com>\r\nDATA\r\n'
                         b'Subject: in spite of all\r\n\r\nhello\r\n.\r\nQUIT\r\n')
        until('the letter is accepted', lambda: pail.events('accepted'))
        reader.quit()
        for s in flood:
            s.close()
        until('the letter is filed', lambda: pail.count('jill@hill.com') == 1)


def test_whoever_comes_while_it_ends_is_refused_at_once(pail):
    last = socket.create_connection(('127.0.0.1', pail.port(25)), PATIENCE)
    hears = last.makefile('rb')
    last.sendall(b'HELO x\r\nMAIL FROM:<jack@town.com>\r\nRCPT TO:<jill@hill.com>\r\nDATA\r\n')
    assert [hears.readline()[:3] for _ in range(5)] == [b'220', b'250', b'250', b'250', b'354']
    pail.process.terminate()

    def refused():
        try:
            socket.create_connection(('127.0.0.1', pail.port(25)), PATIENCE).close()
        except OSError:
            return True
    until('nobody listens any more', refused)
    with socket.socket() as next_server:
        next_server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        next_server.bind(('127.0.0.1', pail.port(25)))
        next_server.listen()
    last.sendall(b'Subject: the last one\r\n\r\nhello\r\n.\r\n')
    assert [hears.readline()[:3] for _ in range(2)] == [b'250', b'421']
    assert pail.process.wait(PATIENCE) == 0


def test_more_domains_also_on_a_folder_that_is_there():
    with Pail('--domains', 'pond.com') as pail:
        pail.stop()
        pail.options = ['--domains', 'pond.com,lake.com']
        pail.start()
        for domain in ('pond.com', 'lake.com'):
            pail.send('Subject: to the fish\r\n\r\nhello\r\n', [f'anybody@{domain}'])
            until('it is filed', lambda: pail.count(f'inbox@{domain}', 'pail') == 1)
        assert pail.count('bob@hamburger.edu') == 2


def test_the_last_letter_is_filed_before_the_end():
    """Whichever process hears it, some of its readers' accounts are at home in the other, which has nothing else to do."""
    with Pail(settings={'workers': 2}) as pail:
        last = pail.smtp()
        last.helo('town.com')
        last.mail('jack@town.com')
        for who in PEOPLE:
            last.rcpt(who)
        assert last.docmd('DATA')[0] == 354
        pail.process.terminate()
        pail.event('stop', 'signal=15')
        last.send('Subject: the last one\r\n\r\nhello\r\n.\r\n')
        assert last.getreply()[0] == 250
        last.close()
        assert pail.process.wait(PATIENCE) == 0
        assert not [line for line in pail.events('stop') if 'not all letters are filed' in line]
        assert pail.events('stopped')


def test_what_the_table_says_to_try_works(pail):
    """Each curl line as it stands there, by a shell: first those that send, then those that read what was sent."""
    lines = [line[line.index('curl'):] if 'printf' not in line else line[line.index('printf'):]
             for line in pail.table if 'curl ' in line]
    assert len(lines) == 8
    for line in sorted(lines, key=lambda line: 'printf' not in line):
        if 'printf' not in line:
            until('the letters are filed', lambda: pail.count('jill@hill.com') == 2)
        done = subprocess.run(line, shell=True, cwd=os.path.dirname(pail.folder), capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, line + done.stderr
        wanted = 'To fetch a pail of water' if 'ftp:' in line else 'personal' if 'ftps:' in line else 'hello jill'
        assert 'printf' in line or wanted in done.stdout, line + done.stdout


# what schema N did not have yet: columns of the directory, folders
NOT_YET = {1: ({'account': ['imap_disable']}, ['sharing']), 2: ({'list': ['title', 'owner', 'max_size', 'moderated']}, ['history'])}


@pytest.mark.parametrize('schema', NOT_YET)
def test_a_folder_of_an_older_pail_is_brought_up_to_date(pail, schema):
    pail.verb('account', 'set', 'jill@hill.com', 'real-name', 'Jill')
    pail.stop()
    path = os.path.join(pail.folder, 'directory', 'directory.db')
    with sqlite3.connect(path) as db:
        for later in (s for s in NOT_YET if s >= schema):
            for table, columns in NOT_YET[later][0].items():
                for column in columns:
                    db.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
        db.execute(f'PRAGMA user_version = {schema}')
    db.close()
    folders = [name for later in NOT_YET if later >= schema for name in NOT_YET[later][1]]
    for name in folders:
        shutil.rmtree(os.path.join(pail.folder, name))
    since = len(pail.log)
    pail.start()
    assert not pail.events('role-died', since=since)
    assert pail.imap('jill@hill.com').select('INBOX')[0] == 'OK'
    assert 'Jill' in pail.verb('account', 'show', 'jill@hill.com').stdout
    assert 'bob@hamburger.edu' in pail.verb('list', 'show', 'friends@hill.com').stdout
    assert os.path.exists(f'{path}.schema-{schema}') and all(os.path.isdir(os.path.join(pail.folder, name)) for name in folders)


def test_the_table_names_what_was_switched_on():
    base = free_base()
    with Pail(settings={'lmtp-port': base + 24, 'atrn-port': base + 366}) as p:
        assert [line.split()[:2] for line in p.table if line.split()[0] in ('LMTP', 'ATRN')] == [['LMTP', f'127.0.0.1:{base + 24}'],
                                                                                         ['ATRN', f'127.0.0.1:{base + 366}']]
