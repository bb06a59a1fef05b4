"""Bells: whoever watches a mailbox hears of every change, whichever process made it, and whoever dies meanwhile."""
import os
import re
import signal
import socket
import threading
import time

import pytest
from pail import PATIENCE, PEOPLE, Pail, until

WHO = 'jill@hill.com'


class Gone(Exception):
    """The server has closed the connection."""


class Idler:
    """One connection, by hand; keeps what it was told: how many letters there are, and the flags of each."""

    def __init__(self, pail, who=WHO):
        self.socket = socket.create_connection(('127.0.0.1', pail.port(143)), timeout=PATIENCE)
        self.file = self.socket.makefile('rb')
        self.count, self.flags, self.tag = 0, {}, 0
        self.line()
        self.command(f'LOGIN {who} {PEOPLE[who]}')
        self.command('SELECT INBOX')

    def line(self):
        try:
            line = self.file.readline()
        except ConnectionResetError:
            line = b''
        if not line.endswith(b'\r\n'):
            raise Gone
        self.note(line)
        return line

    def note(self, line):
        if m := re.match(rb'\* (\d+) EXISTS', line):
            self.count = int(m[1])
        elif m := re.match(rb'\* (\d+) EXPUNGE', line):
            self.count -= 1
            self.flags = {n - (n > int(m[1])): f for n, f in self.flags.items() if n != int(m[1])}
        elif m := re.match(rb'\* (\d+) FETCH .*FLAGS \(([^)]*)\)', line):
            self.flags[int(m[1])] = m[2]

    def say(self, text):
        try:
            self.socket.sendall(text)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None

    def command(self, text, literal=None):
        self.tag += 1
        self.say(f'{self.tag} {text}\r\n'.encode())
        while not (line := self.line()).startswith(f'{self.tag} '.encode()):
            if line.startswith(b'+'):
                self.say(literal + b'\r\n')
        assert line.split()[1] == b'OK', line
        return line

    def append(self, text):
        self.command(f'APPEND INBOX {{{len(text)}}}', text)

    def idle(self):
        self.say(b'i IDLE\r\n')
        while not self.line().startswith(b'+'):
            pass

    def done(self):
        self.say(b'DONE\r\n')
        while not self.line().startswith(b'i OK'):
            pass

    def until(self, what, true):
        """Reads on until it is so; each line has PATIENCE to come."""
        while not true(self):
            try:
                self.line()
            except TimeoutError:
                raise AssertionError(f'never heard of: {what} (count {self.count}, flags {self.flags})') from None

    def close(self):
        self.file.close()
        self.socket.close()


def letter(n):
    return f'Subject: {n}\r\n\r\nletter {n}\r\n'.encode()


def idlers(pail, n):
    """In IDLE, and most of them parked. So many that each process has some."""
    all = [Idler(pail) for _ in range(n)]
    for i in all:
        i.idle()
    return all


def test_everybody_hears_everything():
    with Pail(settings={'workers': 4, 'park-after': '50ms'}) as pail:
        watching = idlers(pail, 200)
        pail.send('Subject: by SMTP\r\n\r\nhello\r\n', [WHO])
        for w in watching:
            w.until('a letter by SMTP', lambda w: w.count == 1)
        actors = [Idler(pail) for _ in range(8)]
        for n, a in enumerate(actors):
            a.append(letter(n))
        for w in watching:
            w.until('letters by APPEND', lambda w: w.count == 9)
        for n, a in enumerate(actors):
            a.command('NOOP')
            a.command(f'STORE {n + 1} +FLAGS (\\Flagged k{n})')
        for w in watching:
            w.until('flags', lambda w: all(f'k{n}'.encode() in w.flags.get(n + 1, b'') for n in range(8)))
        actors[0].command('NOOP')
        actors[0].command('STORE 2,4:6 +FLAGS.SILENT (\\Deleted)')
        actors[1].command('EXPUNGE')
        for w in watching:
            w.until('expunged letters', lambda w: w.count == 5)
            assert sorted(n for n in w.flags if w.flags[n].find(b' k') >= 0) == [1, 2, 3, 4], w.flags
        for w in watching:              # and it ends as it should
            w.done()
            w.command('NOOP')
            assert w.count == 5
        # by POP3, too
        watching[0].idle()
        p = pail.pop3(WHO)
        p.dele(1)
        p.quit()
        watching[0].until('a letter deleted by POP3', lambda w: w.count == 4)


def test_only_who_watches_is_told():
    with Pail(settings={'workers': 2, 'park-after': '50ms'}) as pail:
        jill, bob = idlers(pail, 1)[0], Idler(pail, 'bob@hamburger.edu')
        before = bob.count
        bob.idle()
        pail.send('Subject: for jill\r\n\r\nhello\r\n', [WHO])
        jill.until('her letter', lambda w: w.count == 1)
        pail.send('Subject: for bob\r\n\r\nhello\r\n', ['bob@hamburger.edu'])
        bob.until('his letter', lambda w: w.count == before + 1)
        bob.done()
        assert bob.count == before + 1 and jill.count == 1


class Appender(threading.Thread):
    """Appends on and on, over another connection whenever it has lost one; until it is stopped."""

    def __init__(self, pail):
        super().__init__(daemon=True)
        self.pail, self.stopped, self.appended, self.failed = pail, False, 0, None
        self.start()

    def run(self):
        try:
            w = None
            while not self.stopped:
                try:
                    w = w or Idler(self.pail)
                    w.append(letter(self.appended))
                    self.appended += 1
                except (Gone, ConnectionError):
                    w = None
        except Exception as e:      # noqa: BLE001: told by end()
            self.failed = e

    def end(self):
        self.stopped = True
        self.join(PATIENCE)
        assert not self.failed, self.failed


def hears_truth(w, count):
    """True: it has lived and heard of all; False: it was in the process that died."""
    try:
        w.until(f'{count} letters', lambda w: w.count == count)
        return True
    except Gone:
        return False


@pytest.mark.parametrize('deaths', [1, 3])
def test_processes_die_and_the_others_go_on_hearing(deaths):
    with Pail(settings={'workers': 4, 'park-after': '50ms'}) as pail:
        watching = idlers(pail, 100)
        appenders = [Appender(pail) for _ in range(4)]
        for victim in range(deaths):
            so_far = sum(a.appended for a in appenders)
            end = time.monotonic() + PATIENCE
            while sum(a.appended for a in appenders) < so_far + 40:     # in full swing
                assert time.monotonic() < end and not any(a.failed for a in appenders)
                time.sleep(0.01)
            before = pail.roles()
            os.kill(before[f'mail.{victim}'], signal.SIGKILL)
            pail.restarted(f'mail.{victim}', before[f'mail.{victim}'])
        for a in appenders:
            a.end()
        last = Idler(pail)
        count = last.count
        assert count >= sum(a.appended for a in appenders)
        alive = [w for w in watching if hears_truth(w, count)]
        assert 0 < len(alive) < len(watching)
        late = idlers(pail, 60)         # in the new processes, too
        last.append(letter('last'))
        for w in alive + late:
            w.until('the last letter', lambda w: w.count == count + 1)


def test_quit_shows_what_they_watch():
    with Pail(settings={'workers': 1, 'park-after': '50ms'}) as pail:
        w = Idler(pail)
        w.append(letter(1))
        w.command('NOOP')
        w.idle()

        def look():
            pail.process.send_signal(signal.SIGQUIT)
            return [line for line in pail.log if line.startswith('session ') and ' parked ' in line]
        assert until('it is parked', look)[0].endswith(' mailbox=INBOX letters=1 idle')


def test_goodbye_to_all():
    with Pail(settings={'workers': 2, 'park-after': '50ms'}) as pail:
        watching = idlers(pail, 300)
        pail.stop()
        for w in watching:
            lines = w.file.readlines()
            assert lines and lines[-1].startswith(b'* BYE'), lines


def test_who_is_signed_out_hears_goodbye():
    with Pail(settings={'workers': 2, 'park-after': '50ms'}) as pail:
        watching, bob = idlers(pail, 300), Idler(pail, 'bob@hamburger.edu')
        bob.idle()
        pail.verb('passwd', WHO, input='another\n')
        for w in watching:
            lines = w.file.readlines()
            assert lines and lines[-1].startswith(b'* BYE'), lines
        bob.done()
