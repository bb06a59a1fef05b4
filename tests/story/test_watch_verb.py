"""pail watch: who sees what, that nothing secret is in it, that a slow watcher holds up nobody, and that roles notice its end."""
import ftplib
import imaplib
import io
import json
import os
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import pytest

from pail import PAIL, Pail, until

RUNNER = os.path.join(os.path.dirname(os.path.abspath(PAIL)), 'tests', 'dialog', 'dialog')


class Watch:
    def __init__(self, demo, *options):
        self.process = subprocess.Popen([PAIL, 'watch', '--dir', demo.folder, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip('\n'))

    def __enter__(self):
        until('it watches', lambda: '# watching; Ctrl-C ends it' in self.lines or '--json' in self.process.args)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.reader.join(20)
        self.errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()

    def sees(self, *wanted):
        for text in wanted:
            until(f'{text!r} is seen in {self.lines}', lambda: any(text in line for line in self.lines))


def pop3(demo, user='bob', password='hungry'):
    p = poplib.POP3('127.0.0.4', demo.base + 110)
    p.user(user)
    p.pass_(password)
    p.stat()
    p.retr(1)
    p.quit()


def test_lines_as_they_pass_without_secrets(demo):
    with Watch(demo) as w:
        pop3(demo)
        w.sees('# 1: closed')
    text = '\n'.join(w.lines)
    assert 'C: USER bob\nS: +OK' in text and 'C: PASS ****\nS: +OK' in text
    assert 'C: RETR 1\nS: +OK 498 octets\n# S: 498 octets\nS: .\n' in text
    assert 'hungry' not in text and 'ketchup' not in text.lower()
    assert w.process.returncode == 0


def test_under_tls_and_all_ways_to_say_a_secret(demo):
    with Watch(demo) as w:
        i = imaplib.IMAP4('127.0.0.1', demo.base + 143)
        i.starttls()
        i.login('jill', 'tumbling')
        i.append('INBOX', None, None, b'Subject: deep secret\r\n\r\nthe "inmost" thought\r\n')
        i.select()
        i.fetch('1:*', '(BODY[])')
        i.fetch('1:*', '(PREVIEW BODY[TEXT]<0.30> BODY[HEADER.FIELDS (FROM)])')
        i.logout()
        with smtplib.SMTP_SSL('127.0.0.1', demo.base + 465) as s:
            s.login('jack', 'crown')
            s.sendmail('jack@town.com', ['jill@hill.com'], 'Subject: deep secret\r\n\r\nbody\r\n')
        for mechanism in ('LOGIN', 'PLAIN'):
            with smtplib.SMTP_SSL('127.0.0.1', demo.base + 465) as s:
                s.ehlo()
                s.user, s.password = 'jack', 'crown'
                s.auth(mechanism, getattr(s, 'auth_' + mechanism.lower()), initial_response_ok=False)
        w.sees('C: QUIT')
        until('all are closed', lambda: sum(line.endswith(': closed') for line in w.lines) == 4)
    text = '\n'.join(w.lines)
    assert '# 1: TLSv1.3' in text and '# 1: submissions from 127.0.0.1' in text
    assert 'C: ****' in text and 'C: AUTH PLAIN' in text
    for secret in ('tumbling', 'crown', 'deep secret', 'inmost', 'thought', 'Y3Jvd24', 'AGphY2sAY3Jvd24'):
        assert secret not in text, secret


def test_only_what_was_asked_for(demo):
    with Watch(demo, '--account', 'bob') as bobs, Watch(demo, '--protocol', 'imap') as imaps, \
            Watch(demo, '--address', '127.0.0.9') as nobodys, Watch(demo, '--address', '127.0.0.4,::1') as at_hamburger:
        pop3(demo)
        pop3(demo, 'jill', 'tumbling')
        i = imaplib.IMAP4('127.0.0.1', demo.base + 143)
        i.login('jill', 'tumbling')
        i.logout()
        bobs.sees('closed')
        imaps.sees('closed')
        until('both are seen', lambda: '\n'.join(at_hamburger.lines).count('closed') == 2)
    assert sum('USER bob' in line for line in bobs.lines) == 1, 'what was said before the sign-in, too'
    assert not any('jill' in line for line in bobs.lines)
    assert not any('USER' in line for line in imaps.lines) and any('C: ' in line for line in imaps.lines)
    assert nobodys.lines == ['# watching; Ctrl-C ends it']


def test_two_at_once_are_told_apart_and_one_under_way_is_seen(demo):
    with socket.create_connection(('127.0.0.1', demo.base + 25)) as before:
        lines = before.makefile('rwb')
        lines.readline()
        with Watch(demo) as w:
            lines.write(b'NOOP\r\n')
            lines.flush()
            lines.readline()
            w.sees('under way already', 'C: NOOP')
            with socket.create_connection(('127.0.0.1', demo.base + 25)) as second:
                second.makefile('rb').readline()
                w.sees('S2: 220 ')
                second.sendall(b'HELO second\r\n')
                w.sees('C2: HELO second')
            w.sees('# 2: closed')
            lines.write(b'EVIL\xc2\x9b2J\x1b[2J\r\n')
            lines.flush()
            lines.readline()
            w.sees('EVIL')
        lines.close()
    assert not any('\x1b' in line or '\x9b' in line for line in w.lines)


def test_json(demo):
    process = subprocess.Popen([PAIL, 'watch', '--dir', demo.folder, '--json', '--protocol', 'pop3'], stdout=subprocess.PIPE, text=True)
    records = []
    reader = threading.Thread(target=lambda: records.extend(map(json.loads, process.stdout)), daemon=True)
    reader.start()
    until('one is seen from its beginning to its end', lambda: [pop3(demo), len({r['session'] for r in records if r['what'] == 'begin'} &
                                                                                {r['session'] for r in records if r['what'] == 'end'})][1])
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    reader.join(20)
    said = [r for r in records if r['what'] == 'line' and r['from'] == 'C']
    assert {'PASS ****', 'STAT', 'RETR 1'} <= {r['text'] for r in said}
    assert {r['protocol'] for r in records} == {'pop3'} and not any(r['outgoing'] for r in records)
    assert [r for r in records if r['what'] == 'body'][0]['octets'] == 498
    assert {r.get('account') for r in said if r['text'] == 'STAT'} == {'bob@hamburger.edu'}


def test_kept_as_a_dialog(demo, tmp_path):
    saved = tmp_path / 'seen.dialog'
    with Watch(demo, '--protocol', 'pop3', '--save', str(saved)) as w:
        pop3(demo)
        w.process.wait(20)
    text = saved.read_text()
    assert text.startswith('connect pop3 127.0.0.4\n') and 'C: PASS {password}\n' in text and 'S: ...\nS: .\n' in text
    runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, '--variable', 'password=hungry', str(saved)],
                            capture_output=True, text=True)
    assert runner.returncode == 0, runner.stdout
    again = subprocess.run([PAIL, 'talk', '--replay', str(saved), '127.0.0.4', str(demo.base + 110)], input=b'hungry\n',
                           capture_output=True, start_new_session=True)
    assert again.returncode == 0, again
    letter = tmp_path / 'letter.dialog'
    with Watch(demo, '--protocol', 'smtp', '--save', str(letter)) as w:
        with smtplib.SMTP('127.0.0.1', demo.base + 25) as s:
            s.sendmail('jack@town.com', ['jill@hill.com'], 'Subject: x\r\n\r\nthis is nobody else\'s business\r\n')
        w.process.wait(20)
    assert 'business' not in letter.read_text()
    runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, str(letter)], capture_output=True, text=True)
    assert runner.returncode == 0, runner.stdout


def reads_by_imap(demo):
    i = imaplib.IMAP4('127.0.0.1', demo.base + 143)
    i.starttls()
    i.login('jill', 'tumbling')
    i.select(readonly=True)
    i.fetch('1', '(BODY.PEEK[] BODY.PEEK[TEXT])')
    i.search(None, 'TEXT', '"nowhere"')
    i.logout()


def sends_by_submission(demo):
    with smtplib.SMTP('127.0.0.1', demo.base + 587) as s:
        s.ehlo('x')
        s.user, s.password = 'jack', 'crown'
        s.auth('LOGIN', s.auth_login, initial_response_ok=False)
        s.sendmail('jack@town.com', ['jill@hill.com'], 'Subject: x\r\n\r\nnobody else\'s business\r\n')


def moves_files_under_tls(demo):
    f = ftplib.FTP_TLS(context=ssl._create_unverified_context())
    f.connect('127.0.0.1', demo.base + 21)
    f.login('jill', 'tumbling')
    f.prot_p()
    f.storbinary('STOR kept', io.BytesIO(b'x' * 5000))
    f.nlst()
    f.delete('kept')
    f.quit()


@pytest.mark.parametrize('protocol, talks, secrets', [
    ('imap', reads_by_imap, ['password=jill "tumbling"']),
    ('submission', sends_by_submission, ['secret=amFjaw==', 'secret-2=Y3Jvd24=']),
    ('ftp', moves_files_under_tls, ['password=tumbling']),
])
def test_kept_under_tls_and_with_data(demo, tmp_path, protocol, talks, secrets):
    saved = tmp_path / 'kept.dialog'
    with Watch(demo, '--protocol', protocol, '--save', str(saved)) as w:
        talks(demo)
        w.process.wait(20)
    given = [word for secret in secrets for word in ('--variable', secret)]
    for _ in range(2):
        runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, *given, str(saved)], capture_output=True, text=True)
        assert runner.returncode == 0, runner.stdout + saved.read_text()
    assert not any(word in saved.read_text() for word in ('tumbling', 'Y3Jvd24', 'business'))


def test_who_does_not_read_holds_up_nobody(demo):
    with Watch(demo, '--protocol', 'smtp') as w:
        w.process.send_signal(signal.SIGSTOP)
        try:
            with socket.create_connection(('127.0.0.1', demo.base + 25)) as s:
                lines = s.makefile('rwb')
                lines.readline()
                sent = 0
                while sent < 40000:
                    lines.write(b'NOOP ' + b'x' * 400 + b'\r\n')
                    lines.flush()
                    assert lines.readline().startswith(b'250 ')
                    sent += 1
                    if sent % 20000 == 0:
                        lines.write(b'RSET\r\n')
                        lines.flush()
                        lines.readline()
        finally:
            w.process.send_signal(signal.SIGCONT)
        w.sees(' lines lost')
    lost = sum(int(line.split()[1]) for line in w.lines if line.endswith(' lines lost'))
    assert 0 < lost < 80100


def taps(demo):
    """How many sockets of watchers the roles hold: what the supervisor's children have open that nobody else has."""
    children = subprocess.run(['pgrep', '-P', str(demo.process.pid)], capture_output=True, text=True).stdout.split()
    return sum(len(os.listdir(f'/proc/{pid}/fd')) for pid in children)


@pytest.mark.skipif(os.geteuid() != 0, reason='looks at descriptors of processes of another user')
def test_the_roles_notice_its_end(demo):
    until('nothing moves', lambda: taps(demo) == (time.sleep(0.5), taps(demo))[1])
    before = taps(demo)
    with Watch(demo):
        until('every role has a socket more', lambda: taps(demo) >= before + 3)
    until('they have closed it', lambda: taps(demo) <= before)


def roles(demo, name):
    """Their process ids."""
    status = subprocess.run(['ps', '-o', 'pid=,args=', '--ppid', str(demo.process.pid)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in status.splitlines() if f' {name} ' in line + ' ']


def half_a_session(demo):
    s = socket.create_connection(('127.0.0.1', demo.base + 25))
    s.makefile('rb').readline()
    return s


@pytest.mark.skipif(os.geteuid() != 0, reason='kills processes of another user')
def test_a_role_that_dies_is_watched_again(demo):
    with Watch(demo, '--protocol', 'smtp') as w, Watch(demo, '--account', 'bob') as bobs, half_a_session(demo):
        w.sees('# 1: smtp from')
        for pid in roles(demo, 'mail'):
            os.kill(pid, signal.SIGKILL)
        w.sees('# the role mail.0 has ended', '# 1: broken off', '# the role mail.0 runs again and is watched')
        until('all run again', lambda: sum('runs again' in line for line in w.lines) == sum('has ended' in line for line in w.lines))
        seen = len(w.lines)
        with smtplib.SMTP('127.0.0.1', demo.base + 25) as s:
            s.ehlo('again.example')
        until('it is seen', lambda: any('again.example' in line for line in w.lines[seen:]))
        pop3(demo)
        bobs.sees('has ended', 'C: USER bob', 'C: STAT')


def test_a_reload_ends_no_watching(demo):
    with Watch(demo) as w:
        demo.process.send_signal(signal.SIGHUP)
        until('it was read again', lambda: any('reread' in line for line in demo.log))
        pop3(demo)
        w.sees('C: STAT', '# 1: closed')


def test_only_so_many_watch(demo):
    watching = []
    try:
        for _ in range(16):
            watching.append(Watch(demo, '--protocol', 'pop3').__enter__())
        done = subprocess.run([PAIL, 'watch', '--dir', demo.folder], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and 'too many watch already' in done.stderr, done
        pop3(demo)
        for w in watching:
            w.sees('C: STAT', '# 1: closed')
    finally:
        for w in watching:
            w.__exit__()


def resident(demo):
    """KB of all processes of the server."""
    pids = [demo.process.pid, *(int(p) for p in subprocess.run(['pgrep', '-P', str(demo.process.pid)], capture_output=True, text=True).stdout.split())]
    return sum(int(line.split()[1]) for pid in pids for line in open(f'/proc/{pid}/status') if line.startswith('VmRSS'))


@pytest.mark.skipif(os.geteuid() != 0, reason='looks at processes of another user')
def test_a_pipe_that_nobody_reads_and_a_watcher_killed(demo):
    until('nothing moves', lambda: taps(demo) == (time.sleep(0.5), taps(demo))[1])
    before, most = taps(demo), resident(demo)
    process = subprocess.Popen([PAIL, 'watch', '--dir', demo.folder, '--protocol', 'smtp'], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b'# watching; Ctrl-C ends it\n'
        with socket.create_connection(('127.0.0.1', demo.base + 25)) as s:      # and never reads again
            lines = s.makefile('rwb')
            lines.readline()
            for n in range(40):
                lines.write((b'NOOP ' + b'x' * 400 + b'\r\n') * 500)
                lines.flush()
                for _ in range(500):
                    assert lines.readline().startswith(b'250 ')
        assert resident(demo) < most + 16 * 1024, 'what is not read is not kept'
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    until('every role has let go of it', lambda: taps(demo) <= before)


def test_data_connections_are_seen_but_not_their_content(demo, tmp_path):
    saved = tmp_path / 'ftp.dialog'
    with Watch(demo, '--protocol', 'ftp', '--save', str(saved)) as w:
        f = ftplib.FTP()
        f.connect('127.0.0.1', demo.base + 21)
        f.login('jack', 'crown')
        f.storbinary('STOR watched', io.BytesIO(b'deep secret' * 100))
        f.set_pasv(False)
        f.retrbinary('RETR watched', lambda _: None)
        f.delete('watched')
        f.quit()
        w.process.wait(20)
    text = '\n'.join(w.lines)
    assert 'S: 227 ' in text and 'C: PORT ' in text and 'C: PASS ****' in text
    assert '# 1: data connection opened with 127.0.0.1, port ' in text
    assert '# 1: data connection closed, 1100 octets from the client\nS: 226' in text
    assert '# 1: data connection closed, 1100 octets from the server\nS: 226' in text
    assert 'deep secret' not in text and 'crown' not in text
    runner = subprocess.run([RUNNER, '--base-port', str(demo.base), '--dir', demo.folder, '--variable', 'password=crown', str(saved)],
                            capture_output=True, text=True)
    assert runner.returncode == 0, runner.stdout + saved.read_text()


# Each is said at once, and again in pieces of three octets; what must never be seen: the password, in clear or in base64, and the letter.
SECRETS = ('tumbling', 'dHVtYmxpbmc', 'AGppbGwAdHVtYmxpbmc', 'R0FSQkxFRA', 'digested', 'inmost')
HOSTILE = [
    (110, b'USER jill\r\nPASS tumbling\r\n'),
    (110, b'user jill\r\npAsS  tumbling with more\r\n'),
    (110, b'USER jill\r\n\tPASS\ttumbling\r\n'),
    (110, b'USER jill\r\nPASS\0tumbling\r\nPASStumbling\r\nPASS=tumbling\r\nPASSWORD tumbling\r\n'),
    (110, b'USER jill\nPASS tumbling\nPASS tumbling\n'),
    (110, b'XYZZY tumbling\r\nPASS tumbling\r\nPASSS tumbling\r\nXYZZY tumbling\r\n'),
    (110, b'STLS\r\nUSER jill\r\nPASS tumbling\r\n'),
    (110, b'APOP jill digested\r\nAPOP  jill\tdigested\r\n'),
    (110, b'AUTH PLAIN AGppbGwAdHVtYmxpbmc=\r\nAUTH\tPLAIN\tAGppbGwAdHVtYmxpbmc=\r\n'),
    (110, b'AUTH PLAIN\r\nAGppbGwAdHVtYmxpbmc=\r\n'),
    (110, b'AUTH LOGIN\r\namlsbA==\r\ndHVtYmxpbmc=\r\n'),
    (110, b'AUTH GOPHER\r\namlsbA==\r\ndHVtYmxpbmc=\r\n'),
    (110, b'AUTH XOAUTH2 R0FSQkxFRA==\r\nAUTH OAUTHBEARER\r\nR0FSQkxFRA==\r\n'),
    (25, b'EHLO x\r\nAUTH PLAIN AGppbGwAdHVtYmxpbmc=\r\nAUTH LOGIN\r\namlsbA==\r\ndHVtYmxpbmc=\r\n'),
    (25, b'EHLO x\r\nSTARTTLS\r\nAUTH PLAIN AGppbGwAdHVtYmxpbmc=\r\n'),
    (587, b'EHLO x\r\nauth  plain   AGppbGwAdHVtYmxpbmc=\r\n'),
    (587, b'EHLO x\r\nAUTH PLAIN\tAGppbGwAdHVtYmxpbmc=\r\nAUTH\tLOGIN dHVtYmxpbmc=\r\nAUTHPLAIN tumbling\r\n'),
    (587, b'EHLO x\r\nAUTH LOGIN\r\namlsbA==\r\ndHVtYmxpbmc=\r\n'),
    (587, b'EHLO x\r\nAUTH LOGIN amlsbA==\r\ndHVtYmxpbmc=\r\n'),
    (587, b'EHLO x\r\nAUTH GOPHER\r\namlsbA==\r\ndHVtYmxpbmc=\r\n'),
    (587, b'EHLO x\r\nAUTH CRAM-MD5\r\ndHVtYmxpbmc=\r\nAUTH XOAUTH2 R0FSQkxFRA==\r\nR0FSQkxFRA==\r\n'),
    (587, b'EHLO x\r\nAUTH PLAIN\r\n*\r\ndHVtYmxpbmc=\r\nAUTH PLAIN\r\n!!!\r\ndHVtYmxpbmc=\r\n'),
    (587, b'EHLO x\nAUTH PLAIN AGppbGwAdHVtYmxpbmc=\nAUTH LOGIN\ndHVtYmxpbmc=\n'),
    (587, b'EHLO x\r\nAUTH PLAIN ' + b'dHVtYmxpbmc=' * 1500 + b'\r\n' + b'PASS ' + b'tumbling' * 300 + b'\r\n'),
    (25, b'HELO x\r\nMAIL FROM:<a@b.example>\r\nDATA\r\nSubject: inmost\r\n\r\ninmost\r\n.\r\n'),
    (25, b'HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<jill@hill.com>\r\nDATA\r\nSubject: inmost\r\n\r\ninmost\r\n.\r\ninmost thoughts\r\n'),
    (25, b'EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<jill@hill.com>\r\nBDAT 8\r\ninmost\r\nBDAT 8 LAST\r\ninmost\r\n'),
    (25, b'EHLO x\r\nBDAT 8\r\ninmost\r\n'),
    (143, b'a LOGIN jill tumbling\r\nb LOGIN jill tumbling\r\nc UID LOGIN jill tumbling\r\n'),
    (143, b'a login "jill" "tumbling"\r\n'),
    (143, b'a  LOGIN  jill  tumbling\r\na\tLOGIN\tjill\ttumbling\r\nLOGIN jill tumbling\r\nb LOGIN\tjill\ttumbling\r\n'),
    (143, b'a LOGIN {4+}\r\njill {8+}\r\ntumbling\r\n'),
    (143, b'a LOGIN {4+}\r\njill tumbling\r\n'),
    (143, b'a LOGIN {4}\r\njill {8}\r\ntumbling\r\n'),
    (143, b'a LOGIN {4}\r\njill tumbling\r\n'),
    (143, b'a LOGIN nobody {8+}\r\ntumbling {8+}\r\ntumbling tumbling\r\n'),
    (143, b'a LOGIN {99999999999+}\r\ntumbling\r\n'),
    (143, b'a LOGOUT {8+}\r\ntumbling tumbling\r\n'),
    (143, b'a AUTHENTICATE PLAIN AGppbGwAdHVtYmxpbmc=\r\nb authenticate  plain\r\nAGppbGwAdHVtYmxpbmc=\r\n'),
    (143, b'a AUTHENTICATE LOGIN\r\namlsbA==\r\ndHVtYmxpbmc=\r\nb AUTHENTICATE GOPHER\r\ndHVtYmxpbmc=\r\n'),
    (143, b'a AUTHENTICATE XOAUTH2 R0FSQkxFRA==\r\nb AUTHENTICATE PLAIN\r\n*\r\ndHVtYmxpbmc=\r\n'),
    (143, b'a STARTTLS\r\nb LOGIN jill tumbling\r\n'),
    (143, b'a LOGIN jill ' + b'tumbling' * 2000 + b'\r\n'),
    (143, b'a LOGIN jill tumbling\r\nb APPEND INBOX {8+}\r\ninmost\r\n\r\nc APPEND nowhere {8+}\r\ninmost\r\n\r\nd APPEND nowhere {8}\r\ninmost\r\ninmost too\r\n'
          b'e SELECT INBOX\r\nf FETCH 1 (BODY[] BODY[TEXT]<0.9> PREVIEW)\r\ng IDLE\r\nh LOGIN jill tumbling\r\ni SEARCH TEXT {6+}\r\ninmost\r\n'),
    (21, b'USER jill\r\nPASS tumbling\r\nACCT tumbling\r\n'),
    (21, b'USER jill\r\nP\xff\xf1ASS tumbling\r\npass\ttumbling\r\nPASS\0tumbling\r\n\xff\xf4\xff\xf2PASS tumbling\r\n'),
    (21, b'PASS ' + b'tumbling' * 1000 + b'\r\nACCT ' + b'tumbling' * 100 + b'\r\nADAT dHVtYmxpbmc=\r\n'),
    (21, b'AUTH TLS\r\nUSER jill\r\nPASS tumbling\r\n'),
    (21, b'AUTH GSSAPI\r\nADAT dHVtYmxpbmc=\r\nMIC dHVtYmxpbmc=\r\nENC dHVtYmxpbmc=\r\n'),
]


def speak(demo, port, text, piece):
    """What it answers is of no interest; that it has read all is: we end, and it does."""
    with socket.create_connection(('127.0.0.1', demo.base + port), timeout=60) as s:
        s.recv(1000)
        try:
            for at in range(0, len(text), piece):
                s.sendall(text[at:at + piece])
                if piece < len(text) < 400:
                    time.sleep(0.001)       # another segment; nothing depends on it
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except ConnectionError:
            pass            # it had enough


@pytest.mark.parametrize('plain', ['always', 'never'])
def test_no_secret_is_ever_seen(tmp_path, plain):
    with Pail(settings={'plaintext-login': plain}) as demo, Watch(demo) as w, Watch(demo, '--json') as j:
        until('both watch', lambda: [speak(demo, 110, b'QUIT\r\n', 9), j.lines][1])
        for port, text in HOSTILE:
            for piece in (1 << 20, 3):
                speak(demo, port, text, piece)
        until('all are closed', lambda: sum(line.endswith(': closed') for line in w.lines) > 2 * len(HOSTILE))
    for watched in (w, j):
        bad = [watched.lines[max(0, n - 3):n + 1] for n, line in enumerate(watched.lines) if any(secret in line for secret in SECRETS)]
        assert not bad, bad
    shown = '\n'.join(w.lines)
    assert 'C: PASS ****' in shown and 'C: USER jill' in shown and 'C: XYZZY ****' in shown and 'lines lost' not in shown


def test_letters_that_leave():
    listener = socket.create_server(('127.0.0.1', 0))
    port = listener.getsockname()[1]

    def sink():
        conn, _ = listener.accept()
        with conn, conn.makefile('rwb') as lines:
            def say(text):
                lines.write(text + b'\r\n')
                lines.flush()
            say(b'220 sink')
            while True:
                line = lines.readline().upper()
                if line.startswith(b'EHLO'):
                    say(b'250 sink')
                elif line.startswith(b'DATA'):
                    say(b'354 go')
                    while lines.readline() != b'.\r\n':
                        pass
                    say(b'250 kept')
                elif line.startswith(b'QUIT') or not line:
                    say(b'221 bye')
                    return
                else:
                    say(b'250 ok')

    threading.Thread(target=sink, daemon=True).start()
    with Pail('--route', f'elsewhere.example=127.0.0.1:{port}') as demo, Watch(demo, '--address', '127.0.0.1') as w:
        with smtplib.SMTP('127.0.0.1', demo.base + 587) as s:
            s.login('jack', 'crown')
            s.sendmail('jack@town.com', ['somebody@elsewhere.example'], 'Subject: away\r\n\r\nbody\r\n')
        w.sees(f'smtp to 127.0.0.1, port {port}', '220 sink', 'RCPT TO:<somebody@elsewhere.example>', '250 kept')
    assert not any('Subject: away' in line for line in w.lines)


def test_where_no_server_runs(tmp_path):
    with Pail() as demo:
        folder = demo.folder
        demo.stop()
        done = subprocess.run([PAIL, 'watch', '--dir', folder], capture_output=True, text=True)
        assert done.returncode == 69 and 'no server runs here' in done.stderr


def test_the_server_ends(demo):
    with Pail() as other, Watch(other) as w:
        other.stop()
        w.sees('# the server has ended')
        assert w.process.wait(20) == 69
