"""What the stories of the FTP programs share: odd names, trees and their sums, a wire that is cut in the middle of a file."""
import ftplib
import hashlib
import os
import random
import re
import shutil
import socket
import threading

from ftp_wire import files_of, noise, reset
from pail import PATIENCE, until

PASSWORD = 'fetch'      # programs.person()'s
BIG = 50 * 1024 * 1024

# names that every program must be able to say, and such as some of them cannot
PLAIN_NAMES = ['plain', 'with space', 'two  spaces', '水 and crème', "it's", 'quo"te', 'per%cent', 'per%20cent', '#hash', 'a=b', 'comma,',
               'plus+', '(paren)', '@at', '.hidden', 'semi;colon', '$dollar', '& amp', 'exclaim!', '^caret', '{brace}', 'UPPER lower']
HARD_NAMES = ['-dash', '--help', '-', '~tilde', '[bracket]', 'st*r', 'que?', 'back\\slash', '`tick`', 'pi|pe', '<less>', 'co:lon', ' leading',
              'trailing ', 'tab\tin it']


def content(name, size=None):
    return noise(name, 1 + len(name) * 97 if size is None else size)


def make_tree(folder, names=PLAIN_NAMES, many=0):
    """Files of those names on two levels, an empty file, an empty folder, one that does not fit into any buffer."""
    folder.mkdir()
    for place in (folder, folder / 'sub folder' / '水'):
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            (place / name).write_bytes(content(name))
    (folder / 'empty').write_bytes(b'')
    (folder / 'empty folder').mkdir()
    (folder / 'large').write_bytes(content('large', 3_000_001))
    if many:
        make_many(folder / 'many', many)
    return folder


def make_many(folder, many):
    folder.mkdir()
    for i in range(many):
        (folder / f'file {i:05}').write_bytes(b'%d\n' % i * (i % 7))
    return folder


def sha256(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def sums(folder, folders=True):
    """{path below: SHA-256, or 'folder'}"""
    found = {}
    for place, inside, names in os.walk(folder):
        below = os.path.relpath(place, folder)
        for name in names:
            found[os.path.normpath(os.path.join(below, name))] = sha256(os.path.join(place, name))
        for name in inside if folders else ():
            found[os.path.normpath(os.path.join(below, name))] = 'folder'
    return found


def place(pail, who, folder, name=None):
    """A copy of the tree among the account's files, as if they had been stored long ago."""
    root = files_of(pail, who)
    target = os.path.join(root, name or os.path.basename(folder))
    server = os.stat(files_of(pail, 'anonymous'))       # whose files they are
    if not os.path.exists(root):
        os.mkdir(root, 0o700)
        os.chown(root, server.st_uid, server.st_gid)
    if os.path.isdir(folder):
        shutil.copytree(folder, target)
    else:
        shutil.copy(folder, target)
    for path in [target, *(os.path.join(p, n) for p, folders, names in os.walk(target) for n in folders + names)]:
        os.chown(path, server.st_uid, server.st_gid)
    return target


def there(pail, who, *path):
    """Where the account's file is on the server's disk."""
    return os.path.join(files_of(pail, who), *path)


def kept(pail, who, name):
    """Waits until the server has noticed that an upload was cut and keeps what came: SIZE says how much."""
    def size():
        with ftplib.FTP() as ftp:
            ftp.connect('127.0.0.1', pail.port(21))
            ftp.login(who, 'fetch')
            ftp.voidcmd('TYPE I')
            try:
                return ftp.size(name)
            except ftplib.error_perm:
                return None
    return until(f'{name} is kept', size)


class Cut:
    """Stands before pail's FTP port and passes on what is said, in passive mode only; data connections come through here too. The first of
    them that has carried `after` bytes is reset, on both sides; with `all` the control connection too. Later ones are left alone."""

    PORTS = re.compile(rb'(227 [^(]*)\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)|(229 [^(]*)\(\|\|\|(\d+)\|\)')

    def __init__(self, pail, after, all=False):
        self.pail, self.after, self.all = pail, after, all
        self.lock = threading.Lock()
        self.happened = False
        self.said = []                  # the control connections' lines, both ways
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def heard(self, start):
        return [line for line in self.said if line.startswith(start)]

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(('127.0.0.1', self.pail.port(21)), timeout=PATIENCE)
            server.settimeout(None)
            pair = (client, server)
            threading.Thread(target=self._control, args=(client, server, pair, lambda line: line), daemon=True).start()
            threading.Thread(target=self._control, args=(server, client, pair, lambda line: self._open(line, pair)), daemon=True).start()

    def _control(self, a, b, pair, change):
        """Line by line, since lines are what is looked at."""
        try:
            for line in a.makefile('rb'):
                self.said.append(line.decode('utf-8', 'surrogateescape').rstrip('\r\n'))
                b.sendall(change(line))
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _open(self, line, pair):
        found = self.PORTS.match(line)
        if not found:
            return line
        listener = socket.create_server(('127.0.0.1', 0))
        mine = listener.getsockname()[1]
        to = int(found[9]) if found[9] else int(found[6]) * 256 + int(found[7])
        threading.Thread(target=self._data, args=(listener, to, pair), daemon=True).start()
        if found[9]:
            return b'%s(|||%d|)\r\n' % (found[8], mine)
        return b'%s(127,0,0,1,%d,%d)\r\n' % (found[1], mine // 256, mine % 256)

    def _data(self, listener, to, pair):
        with listener:
            client = listener.accept()[0]
        server = socket.create_connection(('127.0.0.1', to), timeout=PATIENCE)
        server.settimeout(None)
        count = [0]
        for a, b in ((client, server), (server, client)):
            threading.Thread(target=self._pass, args=(a, b, count, pair), daemon=True).start()

    @staticmethod
    def _end(s, how):
        try:
            s.shutdown(how)
        except OSError:
            pass        # it has ended by itself

    def _pass(self, a, b, count, pair):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
                count[0] += len(piece)
                with self.lock:
                    cut, self.happened = not self.happened and count[0] >= self.after, self.happened or count[0] >= self.after
                if cut:
                    for s in pair if self.all else ():
                        self._end(s, socket.SHUT_RDWR)      # who reads from it has a part in it: close() alone says nothing
                    for s in (a, b):
                        self._end(s, socket.SHUT_RD)        # wakes the thread that reads
                        reset(s)
                    return
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def lines_of(size, seed='lines'):
    """Text whose lines end in LF, about that long."""
    dice = random.Random(seed)
    text = bytearray()
    while len(text) < size:
        text += b'%x\n' % dice.getrandbits(dice.randrange(1, 600))
    return bytes(text)
