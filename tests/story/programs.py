"""What the stories of the real programs share: running them, people of their own, letters, Maildirs, a wire to cut."""
import hashlib
import os
import random
import re
import socket
import subprocess
import threading

from pail import PATIENCE


def run(*command, good=(0,), input=None, **more):
    """Runs to the end; what it said on both."""
    done = subprocess.run([str(word) for word in command], input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=2 * PATIENCE, **more)
    said = done.stdout.decode('utf-8', 'replace')
    assert done.returncode in good, f'{command[0]} ended with {done.returncode}\n{said[-4000:]}'
    return said


def ca(pail):
    return os.path.join(pail.folder, 'ca.pem')


def person(pail, name, disable=''):
    """A new account whose password is `fetch`, so that no test counts on the letters of another."""
    who = f'{name}@hill.com'
    pail.verb('account', 'add', who)
    pail.verb('passwd', who, input='fetch\n')
    if disable:
        pail.verb('account', 'set', who, 'imap-disable', disable)
    return who


def write_private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def letter(i, size=0, mark='letter'):
    """LF at the ends of its lines, as a Maildir keeps it; the same for the same words."""
    dice = random.Random(f'{mark} {i}')
    lines = [f'From: "J. {i}" <jack@town.com>', 'To: jill@hill.com', f'Subject: {mark} {i}',
             f'Date: Mon, 1 Jan 2024 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02} +0000',
             f'Message-ID: <{mark.replace(" ", ".")}.{i}@town.com>', '']
    for _ in range(dice.randrange(1, 6)):
        lines.append(' '.join(dice.choice(['fetch', 'a', 'pail', 'of', 'water', '.', 'crème', '水']) for _ in range(8)))
    while size > 0:
        lines.append('%0999x' % dice.getrandbits(3996))
        size -= 1000
    return ('\n'.join(lines) + '\n').encode()


TUID = re.compile(rb'^X-TUID: [^\n]*\r?\n', re.M)


def plain(text):
    """The letter without the line by which mbsync knows again what it has sent."""
    return TUID.sub(b'', text, count=1)


class Maildir:
    """A tree of Maildirs with verbatim names; the test is the mail program on this side."""

    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.made = 0

    def box(self, name='INBOX'):
        box = self.path / name
        for part in ('cur', 'new', 'tmp'):
            (box / part).mkdir(parents=True, exist_ok=True)
        return box

    def add(self, text, flags='', box='INBOX'):
        self.made += 1
        folder = self.box(box)
        name = f'1700000000.{self.made}_{os.getpid()}.here'
        path = folder / 'cur' / f'{name}:2,{flags}' if flags else folder / 'new' / name
        path.write_bytes(text)
        return path

    def files(self, box='INBOX'):
        """{path: flags}"""
        found = {}
        for part in ('cur', 'new'):
            folder = self.path / box / part
            for path in folder.iterdir() if folder.is_dir() else ():
                found[path] = path.name.partition(':2,')[2]
        return found

    def find(self, what, box='INBOX'):
        [path] = [p for p in self.files(box) if what in p.read_bytes()]
        return path

    def flag(self, path, flags):
        name = path.name.partition(':')[0]
        path.rename(path.parent.parent / 'cur' / f'{name}:2,{flags}')

    def letters(self, box='INBOX'):
        """What is there, as a sorted list: twice what is there twice."""
        return sorted((hashlib.sha256(plain(p.read_bytes())).hexdigest(), flags) for p, flags in self.files(box).items())

    def boxes(self):
        return sorted(str(p.parent.relative_to(self.path)) for p in self.path.rglob('cur'))

    def all(self):
        return {box: self.letters(box) for box in self.boxes()}


class Relay:
    """Stands before pail's port and passes bytes on. When `after` bytes have come (up or down), `then()` is called, in
    the middle of whatever is said, and only afterwards does the next byte come."""

    def __init__(self, port, after=None, then=None):
        self.to, self.left, self.then = port, after, then
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.happened = False
        self.threads = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def settle(self):
        """Waits until both sides have hung up: what had reached pail before the other end died, it still does."""
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), 'pail does not hang up'
        self.threads.clear()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(('127.0.0.1', self.to), timeout=PATIENCE)
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.settimeout(None)
            for a, b in ((server, client), (client, server)):
                self.threads.append(threading.Thread(target=self._pass, args=(a, b), daemon=True))
                self.threads[-1].start()

    def _pass(self, a, b):
        open = True
        while data := self._receive(a):
            data = self._count(data)
            try:
                if open:
                    b.sendall(data)
            except OSError:
                open = False        # nobody hears it any more; the rest is still taken
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _receive(self, s):
        try:
            return s.recv(8192)
        except OSError:
            return b''

    def _count(self, data):
        with self.lock:
            if self.left is not None and not self.happened:
                self.left -= len(data)
                if self.left <= 0:
                    self.happened = True
                    self.then()
        return data


def view(imap, box='INBOX'):
    """[(hash of the letter, flags)] as Maildir.letters() has it: what pail keeps."""
    letters = {'\\Draft': 'D', '\\Flagged': 'F', '\\Answered': 'R', '\\Seen': 'S', '\\Deleted': 'T', '$Forwarded': 'P'}
    status, said = imap.select(f'"{box}"', readonly=True)
    assert status == 'OK', said
    if said == [b'0']:
        return []
    found = []
    for part in imap.fetch('1:*', '(FLAGS BODY.PEEK[])')[1]:
        if isinstance(part, tuple):
            flags = re.search(rb'FLAGS \(([^)]*)\)', part[0]).group(1).decode().split()
            text = plain(part[1].replace(b'\r\n', b'\n'))
            found.append((hashlib.sha256(text).hexdigest(), ''.join(sorted(letters[f] for f in flags if f in letters))))
    return sorted(found)
