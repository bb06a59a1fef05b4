"""A real pail under test: the demo on a port of its own, with its folder, its log and its processes."""
import ftplib
import imaplib
import os
import poplib
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time

PAIL = os.environ.get('PAIL', 'build/pail')
PATIENCE = int(os.environ.get('PATIENCE', '60'))     # seconds an event may take on a slow machine before a test gives up

PEOPLE = {
    'jack@town.com': 'crown', 'jill@hill.com': 'tumbling', 'alice@crepes.fr': 'rabbit',
    'bob@hamburger.edu': 'hungry', 'forouzanb@adelphia.net': 'lecture', 'srinivas.narayana@rutgers.edu': 'goodbye',
}

LOG_LINE = re.compile(r'time=\S+ role=\S+ event=[a-z-]+( [a-z_-]+=("([^"\\]|\\.)*"|[^" ]*))*')

# the lectures' session, line by line, as a person types it
LETTER_OF_JACK = ['HELO town.com', 'MAIL FROM:<jack@town.com>', 'RCPT TO:<jill@hill.com>', 'DATA',
                  "Jill, I'm not feeling up to hiking today. Will you please fetch me a pail of water?", '.', 'QUIT']


def until(what, condition):
    """Waits for an event, not for a time; fails with `what` after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f'never happened: {what}'
        time.sleep(0.02)


def are_free(ports):
    try:
        for port in ports:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(('127.0.0.1', port))
        return True
    except OSError:
        return False


def is_free(base):
    return are_free(base + port for port in (20, 21, 25, 110, 143, 465, 587, 989, 990, 993, 995, 20000, 20999))


def free_base():
    """A base port whose services are all free; FTP's passive ports (base + 20000 and up) too are below the ports that the kernel gives
    to whoever connects."""
    while True:
        base = random.randrange(2000, 11700)
        if is_free(base):
            return base


def free_ports(n):
    """The first of n in a row, among those that no base leads to."""
    while True:
        first = random.randrange(13000, 21900)
        if are_free(range(first, first + n)):
            return first


class Pop3(poplib.POP3):
    """One that does not take a line whose end never came for a line: `..` of a stuffed one would pass for the end."""

    def _getline(self):
        line = self.file.readline()
        if not line.endswith(b'\r\n'):
            raise poplib.error_proto('-ERR EOF')
        return line[:-2], len(line)


class Pail:
    """with Pail() as p: ...; p.stop() and p.start() again on the same folder."""

    def __init__(self, *options, settings=None, folder=None, prefix=(), program=PAIL):
        self.own_folder = folder is None
        self.root = tempfile.mkdtemp(prefix='pail-story-') if folder is None else None
        if self.root:
            os.chmod(self.root, 0o755)
        self.folder = folder or os.path.join(self.root, 'demo')
        self.base = free_base()
        self.options = list(options)
        for name, value in (settings or {}).items():
            self.options += ['--set', f'{name}={value}']
        self.prefix = list(prefix)
        self.program = program
        self.log = []
        self.table = []
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process and self.process.poll() is None:
                self.stop()
        finally:
            if self.process and self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            if kind:
                print('--- log of pail ---', *self.log[-80:], sep='\n')
            if self.root:
                shutil.rmtree(self.root, ignore_errors=True)

    def start(self, *more):
        command = [*self.prefix, self.program, 'demo', '--dir', self.folder, '--base-port', str(self.base), *self.options, *more]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.ready = threading.Event()
        self.table.clear()
        self.readers = [threading.Thread(target=self._read_table, args=(self.process.stdout,), daemon=True),
                        threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)]
        for reader in self.readers:
            reader.start()
        until('pail is ready', lambda: self.ready.is_set() or self.process.poll() is not None)
        assert self.ready.is_set(), 'pail did not start:\n' + '\n'.join(self.log)

    def _read_table(self, stream):
        for line in stream:
            self.table.append(line.rstrip('\n'))
            if line.startswith('pail: ready'):
                self.ready.set()

    def _read_log(self, stream):
        for line in stream:
            self.log.append(line.rstrip('\n'))

    def stop(self):
        """SIGTERM; it must end by itself, cleanly."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        assert status == 0, f'ended with {status}'

    def kill(self):
        """kill -9 of everything at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        until('the ports are free', lambda: is_free(self.base))     # a process that was killed is not gone at once

    def events(self, name, since=0):
        return [line for line in self.log[since:] if f' event={name} ' in line + ' ']

    def malformed(self):
        """Lines of the log that are not key=value."""
        return [line for line in self.log if line.startswith('time=') and not LOG_LINE.fullmatch(line)]

    def event(self, name, *words, since=0):
        """Waits for a line of the log."""
        def look():
            return [line for line in self.events(name, since) if all(word in line for word in words)]
        return until(f'event={name} {" ".join(words)}', look)[0]

    def port(self, number):
        return self.base + number

    def roles(self):
        """{name: pid}, from the server itself."""
        found = {}
        children = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        with open(children) as f:
            for pid in f.read().split():
                try:
                    with open(f'/proc/{pid}/cmdline') as c:
                        words = c.read().split('\0')
                except OSError:
                    continue
                if len(words) > 3 and words[1] == '-x':
                    found[words[2] if words[2] == 'keeper' else f'{words[2]}.{words[3]}'] = int(pid)
        return found

    def restarted(self, role, before):
        """Waits until the role that had this process id has another one; gives that."""
        return until(f'{role} runs again', lambda: self.roles().get(role, before) != before and self.roles()[role])

    def verb(self, *words, input=None, check=True):
        """Runs `pail WORDS --dir folder` beside the server."""
        done = subprocess.run([self.program, *words, '--dir', self.folder], input=input, capture_output=True, text=True,
                              timeout=PATIENCE)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    # the people's side

    def smtp(self, address='127.0.0.1', port=25, name='town.com'):
        return smtplib.SMTP(address, self.port(port), local_hostname=name, timeout=PATIENCE)

    def send(self, text, to, sender='jack@town.com', **where):
        with self.smtp(**where) as s:
            s.sendmail(sender, to, text)

    def pop3(self, who, password=None, address='127.0.0.1'):
        p = Pop3(address, self.port(110), timeout=PATIENCE)
        p.user(who)
        p.pass_(password or PEOPLE[who])
        return p

    def imap(self, who, password=None, address='127.0.0.1'):
        i = imaplib.IMAP4(address, self.port(143), timeout=PATIENCE)
        i.login(who, password or PEOPLE[who])
        return i

    def ftp(self, who='anonymous', password=None, address='127.0.0.1'):
        f = ftplib.FTP(timeout=PATIENCE)
        f.connect(address, self.port(21))
        f.login(who, password or PEOPLE.get(who, 'jack@town.com'))
        return f

    def signs_in(self, who):
        """False while the keeper is being restarted; a story that killed it waits for it."""
        try:
            self.pop3(who).quit()
            return True
        except poplib.error_proto as said:
            if b'[SYS/TEMP]' not in said.args[0]:
                raise
            return False

    def letters(self, who, password=None):
        """All letters of an account, as bytes."""
        p = self.pop3(who, password)
        try:
            return [b'\r\n'.join(p.retr(i + 1)[1]) + b'\r\n' for i in range(p.stat()[0])]
        finally:
            p.quit()

    def count(self, who, password=None):
        p = self.pop3(who, password)
        try:
            return p.stat()[0]
        finally:
            p.quit()


def subjects(letters):
    return [re.search(rb'^Subject: (.*?)\r$', text, re.M).group(1).decode() for text in letters]
