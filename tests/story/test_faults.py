"""Disks that are full, that fail, files that are damaged: a 4xx for whom it concerns, and everybody else goes on."""
import os
import poplib
import random
import signal
import smtplib
import socket
import sqlite3
import subprocess
import tempfile

import pytest
from load import for_now
from pail import PATIENCE, PEOPLE, Pail, subjects, until

HERE = os.path.dirname(os.path.abspath(__file__))


def letter(name, size=100):
    rng = random.Random(name)
    return f'Subject: {name}\r\n\r\n' + ''.join(rng.randbytes(35).hex() + '\r\n' for _ in range(size // 72))


def send(pail, name, to, size=100):
    """The code of the last reply."""
    try:
        pail.send(letter(name, size), to)
        return 250
    except smtplib.SMTPDataError as e:
        return e.smtp_code
    except smtplib.SMTPSenderRefused as e:
        return e.smtp_code
    except smtplib.SMTPRecipientsRefused as e:
        return min(code for code, _ in e.recipients.values())


def names(pail, who):
    return [s for s in subjects(pail.letters(who)) if s.startswith('n')]


def has_once(pail, who, wanted):
    until(f'{who} has {len(wanted)} letters', lambda: len(names(pail, who)) >= len(wanted))
    assert sorted(names(pail, who)) == sorted(wanted)


def delete_all(pail, who):
    p = pail.pop3(who)
    for i in range(p.stat()[0]):
        p.dele(i + 1)
    return p.quit()


# ---- full ----

def test_below_the_reserve_letters_are_put_off_and_everything_else_goes_on():
    with Pail(settings={'disk-reserve': '1000t'}) as pail:
        assert send(pail, 'n1', ['jill@hill.com']) == 452
        pail.event('intake-room', 'full=1')
        assert len(pail.letters('bob@hamburger.edu')) == 2
        assert delete_all(pail, 'bob@hamburger.edu').startswith(b'+OK')
        assert pail.count('bob@hamburger.edu') == 0


@pytest.mark.parametrize('size', [2000, 60_000, 500_000])
def test_a_full_disk_loses_nothing_and_works_again_when_there_is_room(small_disk, size):
    with Pail(folder=str(small_disk / 'demo'), settings={'disk-reserve': 0, 'segment-size': '1m', 'settle-after': 1},
              ) as pail:
        accepted = []
        for i in range(40_000_000 // size):
            code = send(pail, f'n{i}', ['jill@hill.com'], size)
            if code != 250:
                assert code in (451, 452)
                break
            accepted.append(f'n{i}')
        print(f'{len(accepted)} letters before the disk was full')
        assert len(accepted) > 3 and code != 250
        refused = 'refused'
        assert len(pail.letters('bob@hamburger.edu')) == 2      # reading goes on
        subprocess.run(['mount', '-o', 'remount,size=200m', small_disk], check=True)
        until('letters are accepted again', lambda: send(pail, refused, ['alice@crepes.fr']) == 250)
        assert send(pail, 'n-after', ['jill@hill.com']) == 250
        has_once(pail, 'jill@hill.com', [*accepted, 'n-after'])
        pail.kill()
        pail.start()
        has_once(pail, 'jill@hill.com', [*accepted, 'n-after'])
        pail.stop()
        assert pail.verb('check').returncode == 0


# ---- failing ----

@pytest.fixture
def faults():
    """A pail whose syncs fail when told; faults('log'), faults('all'), faults(None)."""
    with tempfile.TemporaryDirectory(prefix='pail-story-') as folder:
        yield from faults_in(folder)


def faults_in(folder):
    os.chmod(folder, 0o755)     # the roles must see the file that tells them
    shim, fault = f'{folder}/failing_disk.so', f'{folder}/fault'
    subprocess.run(['gcc', '-shared', '-fPIC', '-O1', '-o', shim, f'{HERE}/failing_disk.c'], check=True)

    def fail(what):
        for each in ('log', 'all'):
            path = f'{fault}-{each}'
            if each == what:
                open(path, 'w').close()
            elif os.path.exists(path):
                os.remove(path)
    asan = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
    prefix = ['env', f'LD_PRELOAD={shim}', f'PAIL_FAULT={fault}', f'ASAN_OPTIONS={asan}']
    with Pail(prefix=prefix) as pail:
        fail.pail = pail
        yield fail


def test_a_failed_flush_is_451_for_whoever_waited_and_never_delivered(faults):
    pail = faults.pail
    assert send(pail, 'n1', ['jill@hill.com', 'alice@crepes.fr']) == 250
    reading = pail.pop3('bob@hamburger.edu')
    with pail.smtp() as s:
        faults('log')
        for i in range(3):      # one connection, told no and no again, goes on
            with pytest.raises(smtplib.SMTPDataError) as e:
                s.sendmail('jack@town.com', ['jill@hill.com'], letter(f'n-refused-{i}', 10 ** (i + 3)))
            assert e.value.smtp_code == 451
        until('the log says so', lambda: [line for line in pail.log if 'Input/output error' in line])
        assert reading.retr(1)[0].startswith(b'+OK')
        faults(None)
        s.sendmail('jack@town.com', ['jill@hill.com'], letter('n2'))
    has_once(pail, 'jill@hill.com', ['n1', 'n2'])
    has_once(pail, 'alice@crepes.fr', ['n1'])
    pail.kill()
    pail.start()
    assert send(pail, 'n3', ['jill@hill.com']) == 250
    has_once(pail, 'jill@hill.com', ['n1', 'n2', 'n3'])
    assert not pail.malformed()


def test_a_deletion_that_cannot_be_synced_is_refused(faults):
    pail = faults.pail
    faults('all')
    with pytest.raises(poplib.error_proto) as e:
        delete_all(pail, 'bob@hamburger.edu')
    assert b'[SYS/TEMP]' in e.value.args[0]
    faults(None)
    assert pail.count('bob@hamburger.edu') in (0, 2)    # all of it or none


def test_while_nothing_can_be_synced_nothing_is_forgotten(faults):
    pail = faults.pail
    for i in range(5):
        assert send(pail, f'n{i}', [*PEOPLE]) == 250
    faults('all')
    assert send(pail, 'n-refused', [*PEOPLE]) == 451
    pail.event('intake-settle')     # it was tried, and failed
    pail.kill()
    faults(None)
    pail.start()
    for who in PEOPLE:
        has_once(pail, who, [f'n{i}' for i in range(5)])
    assert not pail.malformed()


# ---- damaged ----

def flipped(data, rng):
    data = bytearray(data)
    for _ in range(len(data) // 40):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


DAMAGE = {
    'its first page': lambda data, rng: rng.randbytes(4096) + data[4096:],
    'bits here and there': flipped,
    'noise': lambda data, rng: rng.randbytes(len(data)),
    'cut in half': lambda data, rng: data[:len(data) // 2],
    'cut inside a page': lambda data, rng: data[:5000],
    'empty': lambda data, rng: b'',
}


@pytest.mark.parametrize('how', DAMAGE)
def test_a_damaged_account_is_its_owners_trouble_alone(pail, how):
    for i in range(20):
        assert send(pail, f'n{i}', ['jill@hill.com', 'alice@crepes.fr'], 3000) == 250
    has_once(pail, 'jill@hill.com', [f'n{i}' for i in range(20)])
    has_once(pail, 'alice@crepes.fr', [f'n{i}' for i in range(20)])
    pail.stop()
    path = f'{pail.folder}/mail/alice@crepes.fr/account.db'
    with sqlite3.connect(path) as db:       # a page that still lies in the WAL too would mend what we damage
        assert db.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone()[0] == 0
    db.close()
    with open(path, 'r+b') as f:
        data = f.read()
        f.seek(0)
        f.truncate()
        f.write(DAMAGE[how](data, random.Random(how)))
    pail.start()
    for _ in range(3):
        assert send(pail, 'n-both', ['alice@crepes.fr', 'jill@hill.com']) in (250, 451, 452)
        try:
            p = pail.pop3('alice@crepes.fr')
            for i in range(p.stat()[0]):
                p.retr(i + 1)
            p.quit()
        except poplib.error_proto as e:
            assert e.args[0] == '-ERR EOF' or b'[SYS/' in e.args[0], e
    until('jill has hers', lambda: names(pail, 'jill@hill.com').count('n-both') == 3)
    for who in PEOPLE:
        if who != 'alice@crepes.fr':
            pail.pop3(who).quit()
    assert not pail.events('role-died')
    assert not pail.malformed()
    done = pail.verb('check', check=False)
    assert done.returncode == 65 and 'alice@crepes.fr' in done.stdout and 'jill@hill.com' not in done.stdout
    pail.kill()     # asked to end, it would try for a while to file alice's letters


# ---- the log ----

def leave_letters_in_the_log(pail):
    """Accepted, and not filed: the process where some accounts are at home stands still. The names, by recipient."""
    pid = pail.roles()['mail.1']
    os.kill(pid, signal.SIGSTOP)
    connections = [socket.create_connection(('127.0.0.1', pail.port(25))) for _ in range(16)]
    s = until('mail.0 answers one of them', lambda: next((c for c in connections if readable(c)), None))
    s.settimeout(PATIENCE)
    file = s.makefile('rb')

    def hear(code):
        line = file.readline()
        assert line.startswith(code), line
    hear(b'220')
    s.sendall(b'HELO town.com\r\n')
    hear(b'250')
    sent = []
    for i in range(12):
        s.sendall(b'MAIL FROM:<jack@town.com>\r\n')
        hear(b'250')
        for who in PEOPLE:
            s.sendall(f'RCPT TO:<{who}>\r\n'.encode())
            hear(b'250')
        s.sendall(b'DATA\r\n')
        hear(b'354')
        s.sendall(letter(f'n{i}', (100, 3000, 200000)[i % 3]).encode() + b'.\r\n')
        hear(b'250')
        sent.append(f'n{i}')
    pail.kill()
    for c in connections:
        c.close()
    return sent


def readable(c):
    c.setblocking(False)
    try:
        return bool(c.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def garbage_behind_the_last_record(f, data, rng):
    f.seek(len(data.rstrip(b'\0')) + 8)
    f.write(rng.randbytes(3000))


def a_record_that_begins_and_does_not_end(f, data, rng):
    end = len(data.rstrip(b'\0'))
    f.seek((end + 7) // 8 * 8)
    f.write(data[8192:8192 + 200])


def garbage_behind_the_end(f, data, rng):
    f.seek(0, os.SEEK_END)
    f.write(rng.randbytes(100_000))


def the_zeros_cut_off(f, data, rng):
    f.truncate(len(data.rstrip(b'\0')) + 1)


@pytest.mark.parametrize('damage', [garbage_behind_the_last_record, a_record_that_begins_and_does_not_end,
                                    garbage_behind_the_end, the_zeros_cut_off], ids=lambda f: f.__name__)
def test_what_stands_behind_the_last_record_does_no_harm(damage):
    with Pail(settings={'workers': 2, 'settle-after': '1h'}) as pail:
        sent = leave_letters_in_the_log(pail)
        segments = [f'{pail.folder}/intake/{name}' for name in os.listdir(f'{pail.folder}/intake')
                    if name.endswith('.log')]
        assert segments
        for path in segments:
            with open(path, 'r+b') as f:
                damage(f, f.read(), random.Random(path))
        pail.start()
        for who in PEOPLE:
            has_once(pail, who, sent)
        assert send(pail, 'n-new', ['jill@hill.com']) == 250
        has_once(pail, 'jill@hill.com', [*sent, 'n-new'])


def test_a_log_cut_in_its_last_record_gives_all_the_others():
    with Pail(settings={'workers': 2, 'settle-after': '1h'}) as pail:
        sent = leave_letters_in_the_log(pail)
        longest = max((f'{pail.folder}/intake/{name}' for name in os.listdir(f'{pail.folder}/intake')
                       if name.endswith('.log')), key=lambda path: len(open(path, 'rb').read().rstrip(b'\0')))
        os.truncate(longest, len(open(longest, 'rb').read().rstrip(b'\0')) - 10)
        pail.start()
        pail.event('intake-torn')
        for who in PEOPLE:
            until(f'{who} has the others', lambda: set(sent[:-1]) <= set(names(pail, who)))
            assert len(names(pail, who)) == len(set(names(pail, who)))
        assert not pail.malformed()


def test_letters_for_an_account_that_is_gone_wait_in_the_queue_until_it_is_back():
    with Pail(settings={'workers': 2}) as pail:
        sent = leave_letters_in_the_log(pail)
        for who in PEOPLE:
            if who != 'jill@hill.com':
                pail.verb('account', 'remove', who, '--purge')
        pail.start()
        has_once(pail, 'jill@hill.com', sent)
        gone = [who for who in PEOPLE if who != 'jill@hill.com']
        until('they are set aside', lambda: all(who in pail.verb('queue', 'list').stdout for who in gone))
        assert send(pail, 'n-more', ['alice@crepes.fr']) == 550
        pail.verb('account', 'add', 'alice@crepes.fr')
        pail.verb('passwd', 'alice@crepes.fr', input='rabbit\n')
        pail.stop()
        pail.start()
        has_once(pail, 'alice@crepes.fr', sent)
        assert 'alice@crepes.fr' not in pail.verb('queue', 'list').stdout
