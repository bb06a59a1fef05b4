"""The dialog runner's FTP against a server of some lines that is known to be right or wrong: what must fail, fails."""
import os
import socket
import subprocess
import threading

import pytest

from pail import PAIL, PATIENCE, free_base

RUNNER = os.path.join(os.path.dirname(os.path.abspath(PAIL)), 'tests', 'dialog', 'dialog')
LISTING = b'drwxr-xr-x 2 business\r\ndrwxr-xr-x 2 school\r\n'


class Server:
    """PASV, PORT, LIST, RETR, STOR (kept in `stored`), QUIT; active connections come from base + 20."""

    def __init__(self):
        self.base = free_base()
        self.listener = self.bound(21)
        self.listener.listen()
        self.stored = None
        threading.Thread(target=self.run, daemon=True).start()

    def bound(self, port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', port and self.base + port))
        return s

    def run(self):
        while True:
            try:
                control, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(control,), daemon=True).start()

    def connection(self):
        if self.passive:
            data, _ = self.passive.accept()
            self.passive.close()
            return data
        data = self.bound(20)
        data.connect(self.to)
        return data

    def serve(self, control):
        self.passive, self.to = None, control.getpeername()
        control.sendall(b'220 ready\r\n')
        for line in control.makefile('rb'):
            verb, _, rest = line.strip().partition(b' ')
            if verb == b'PASV':
                self.passive = self.bound(0)
                self.passive.listen()
                port = self.passive.getsockname()[1]
                control.sendall(b'227 Entering Passive Mode (127,0,0,1,%d,%d).\r\n' % divmod(port, 256))
            elif verb == b'PORT':
                n = [int(x) for x in rest.split(b',')]
                self.to = ('127.0.0.1', n[4] * 256 + n[5])
                control.sendall(b'200 x is %d\r\n' % control.getpeername()[1])
            elif verb in (b'LIST', b'RETR', b'STOR'):
                control.sendall(b'150 here\r\n')
                data = self.connection()
                if verb == b'STOR':
                    self.stored = b''
                    try:
                        while piece := data.recv(1000):
                            self.stored += piece
                    except ConnectionResetError:
                        self.stored = None
                else:
                    data.sendall(LISTING if verb == b'LIST' else bytes(int(rest)))
                data.close()
                control.sendall(b'226 done\r\n' if verb != b'STOR' or self.stored is not None else b'426 broken\r\n')
            else:
                control.sendall(b'500 what?\r\n')
        control.close()


@pytest.fixture(scope='module')
def server():
    return Server()


PASSIVE = 'connect ftp\nS: 220*\nC: PASV\nS: 227 *\ndata passive\n'
ACTIVE = 'connect ftp\nS: 220*\ndata active next\nC: PORT {port}\nS: 200 x is {x}\n'
LIST = 'C: LIST\nS: 150*\n'
BOTH = 'D: drwxr-xr-x 2 business\nD: drwx* school\n'
DONE = 'data end\nS: 226*\n'


@pytest.mark.parametrize('text, wrong', [
    (PASSIVE + LIST + BOTH + DONE, None),
    (PASSIVE + LIST + 'D: ...\nD: * school\n' + DONE, None),
    (PASSIVE + LIST + 'data size 44\nS: 226*', None),
    (ACTIVE + LIST + 'data from 20\n' + BOTH + DONE, None),
    ('connect ftp\nS: 220*\ndata active here\n' + LIST + 'data from 20\n' + BOTH + DONE, None),
    ('connect ftp\nS: 220*\ndata active\nC: PORT {port}\nS: 200*\ndata none\n', None),
    (PASSIVE + 'C: RETR 3000000\nS: 150*\ndata size 3000000\nS: 226*', None),
    (PASSIVE + 'C: RETR 3000000\nS: 150*\ndata gone\nS: 226*', None),
    (PASSIVE + 'C: RETR 3\nS: 150*\ndata expect "\\0\\x00"\ndata expect "\\0"\n' + DONE, None),
    (PASSIVE + LIST + 'D: * business\n' + DONE, '9: expected the end of the data connection, got more'),
    (PASSIVE + LIST + 'D: * business\n', 'expected nothing more on the data connection'),
    (PASSIVE + LIST + BOTH + 'D: *\n', '10: expected "*", got the end'),
    (PASSIVE + LIST + 'D: ...\nS: 226*', 'behind "D: ..." comes the D: line'),
    (PASSIVE + LIST + 'data size 46\n', 'expected 46 bytes on the data connection, got 44'),
    (PASSIVE + LIST + 'data size 43\n', 'got more'),
    (PASSIVE + LIST + 'data from 20\n', 'it came from 0'),
    (PASSIVE + 'C: RETR 3\nS: 150*\ndata expect "abc"\n', 'expected on the data connection'),
    (ACTIVE + LIST + 'data from 21\n', 'expected the server from its port 21'),
    ('connect ftp\nS: 220*\ndata passive\n', 'no 227 or 229'),
    ('connect ftp\nS: 220*\nD: x\n', 'there is no data connection'),
])
def test_runner(server, tmp_path, text, wrong):
    name = tmp_path / 'a.dialog'
    name.write_text(text)
    done = subprocess.run([RUNNER, '--base-port', str(server.base), name], capture_output=True, text=True, timeout=PATIENCE)
    if wrong is None:
        assert done.stdout == '1 passed, 0 failed\n'
    else:
        assert wrong in done.stdout and done.stdout.endswith('0 passed, 1 failed\n')


@pytest.mark.parametrize('end, kept', [('close', True), ('cut', False)])
def test_uploads(server, tmp_path, end, kept):
    name = tmp_path / 'a.dialog'
    name.write_text(PASSIVE + f'C: STOR x\nS: 150*\ndata send "one\\r\\n\\xff"\ndata fill 100000\ndata {end}\nS: {"226" if kept else "426"}*\n')
    done = subprocess.run([RUNNER, '--base-port', str(server.base), name], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == '1 passed, 0 failed\n'
    assert server.stored == (b'one\r\n\xff' + bytes(100000) if kept else None)
