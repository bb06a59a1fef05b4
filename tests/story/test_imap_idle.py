"""IDLE: whoever files a letter, by whatever way and in whatever process, all who watch that account hear of it, and nobody else."""
import os
import signal
import socket

from pail import until

MANY = 40
PATIENCE = 60


class Idle:
    """A session that has selected INBOX and idles."""

    def __init__(self, port, user, password):
        self.socket = socket.create_connection(('127.0.0.1', port), PATIENCE)
        self.file = self.socket.makefile('rb')
        self.file.readline()
        self.ask(f'a LOGIN {user} {password}', 'a OK')
        self.ask('b SELECT INBOX', 'b OK')
        self.ask('c IDLE', '+')

    def ask(self, line, until_line):
        self.socket.sendall(line.encode() + b'\r\n')
        return self.hear(until_line)

    def hear(self, start):
        """What came before a line that starts so, and that."""
        heard = []
        while not heard or not heard[-1].startswith(start):
            line = self.file.readline()
            assert line, heard
            heard.append(line.decode().rstrip('\r\n'))
        return heard

    def done(self):
        return self.ask('DONE', 'c OK')


def test_all_who_idle_hear_of_a_letter(demo):
    watchers = [Idle(demo.port(143), 'jill', 'tumbling') for _ in range(MANY)]
    stranger = Idle(demo.port(143), 'alice', 'rabbit')
    demo.send('Subject: water\r\n\r\nfetch\r\n', ['jill@hill.com'])
    for w in watchers:
        assert w.hear('* 1 EXISTS') == ['* 1 EXISTS']
    demo.send('Subject: more\r\n\r\nfetch\r\n', ['jill@hill.com', 'bob@hamburger.edu'])
    for w in watchers:
        w.hear('* 2 EXISTS')
    one = demo.imap('jill@hill.com')
    one.select('INBOX')
    one.store('1', '+FLAGS', '(\\Flagged)')
    for w in watchers:
        assert '\\Flagged' in w.hear('* 1 FETCH')[-1]
    one.store('1', '+FLAGS', '(\\Deleted)')
    one.expunge()
    for w in watchers:
        assert w.hear('* 1 EXPUNGE')[-1] == '* 1 EXPUNGE'
        assert w.done() == ['c OK IDLE completed']
    assert stranger.done() == ['c OK IDLE completed']


def test_a_pop3_session_that_deletes_is_heard_of(demo):
    demo.send('Subject: soon gone\r\n\r\n', ['srinivas.narayana@rutgers.edu'])
    until('it is filed', lambda: demo.count('srinivas.narayana@rutgers.edu') == 1)
    w = Idle(demo.port(143), 'srinivas.narayana@rutgers.edu', 'goodbye')
    p = demo.pop3('srinivas.narayana@rutgers.edu')
    p.dele(1)
    p.quit()
    assert w.hear('* 1 EXPUNGE') == ['* 1 EXPUNGE']
    w.done()


def test_a_worker_dies_and_the_others_are_heard_of(pail):
    """Bells go on ringing in those processes that live, also for what the new one files."""
    watchers = [Idle(pail.port(143), 'jill', 'tumbling') for _ in range(12)]
    roles = pail.roles()
    victim = roles['mail.0']
    os.kill(victim, signal.SIGKILL)
    pail.restarted('mail.0', victim)
    left = []
    for w in watchers:      # those of the dead one are cut off
        w.socket.settimeout(PATIENCE)
        w.socket.setblocking(False)
        try:
            alive = w.socket.recv(1, socket.MSG_PEEK) != b''
        except BlockingIOError:
            alive = True
        except OSError:
            alive = False
        w.socket.settimeout(PATIENCE)
        left += [w] if alive else []
    left.append(Idle(pail.port(143), 'jill', 'tumbling'))
    for n in range(1, 6):
        pail.send(f'Subject: {n}\r\n\r\n', ['jill@hill.com'])
        for w in left:
            w.hear(f'* {n} EXISTS')
