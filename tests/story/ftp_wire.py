"""FTP by hand, so that it is known which reply was heard and which bytes went over which connection.

    f = Ftp(pail); f.login('jill@hill.com', 'tumbling')
    f.ok('TYPE I')                                  # a reply of 2xx; (code, lines)
    f.retr('name'), f.stor('name', data)            # whole transfers, passive
    data = f.passive(); f.send('STOR x'); f.expect(150); data.sendall(...); data.close(); f.expect(226)
"""
import os
import random
import re
import socket
import ssl

from pail import PATIENCE, PEOPLE

JILL, JACK, ALICE, BOB = 'jill@hill.com', 'jack@town.com', 'alice@crepes.fr', 'bob@hamburger.edu'


def noise(name, size):
    return random.Random(name).randbytes(size)


def session(pail, who=JILL, **more):
    f = Ftp(pail, **more).login(who)
    f.ok('TYPE I')
    return f


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    s.close()


def files_of(pail, who=JILL):
    """The account's folder on disk."""
    return os.path.join(pail.folder, 'files', who)


def session_ended(pail, port):
    """Has the server closed the control connection that came from this port of ours?"""
    with open('/proc/net/tcp') as f:
        rows = [line.split()[1:4] for line in f.readlines()[1:]]
    return not any(local.endswith(f':{pail.port(21):04X}') and far.endswith(f':{port:04X}') and state in ('01', '08')
                   for local, far, state in rows)


class Refused(Exception):
    def __init__(self, line, code, lines):
        super().__init__(f'{line}: {lines}')
        self.code, self.lines = code, lines


def everything(data):
    """What comes until the end; a reset raises."""
    got = bytearray()
    while piece := data.recv(1 << 20):
        got += piece
    return bytes(got)


class Ftp:
    def __init__(self, pail, address='127.0.0.1', port=21, source=None, tls=False):
        self.pail, self.address = pail, address
        self.context = None
        self.private = False
        self.socket = socket.create_connection((address, pail.port(port)), timeout=PATIENCE, source_address=source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.source = source
        self.buffer = b''
        if tls:
            self.starttls()
        self.greeting = self.expect(220)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def cut(self):
        reset(self.socket)

    # --- control ---

    def line(self):
        while b'\n' not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionResetError('the control connection has ended')
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b'\n')
        assert line.endswith(b'\r'), line
        return line[:-1].decode('utf-8', 'surrogateescape')

    def reply(self):
        """(code, lines), of one line or of several (RFC 959 section 4.2)."""
        lines = [self.line()]
        assert re.match(r'[1-5]\d\d[ -]', lines[0]), lines
        if lines[0][3] == '-':
            while not lines[-1].startswith(lines[0][:3] + ' '):
                lines.append(self.line())
        return int(lines[0][:3]), lines

    def send(self, line, end=b'\r\n'):
        self.socket.sendall((line.encode('utf-8', 'surrogateescape') if isinstance(line, str) else line) + end)

    def cmd(self, line):
        self.send(line)
        return self.reply()

    def expect(self, *codes, of='a reply'):
        code, lines = self.reply()
        if code not in codes:
            raise Refused(of, code, lines)
        return lines

    def ok(self, line, *codes):
        code, lines = self.cmd(line)
        if code not in codes if codes else code // 100 != 2:
            raise Refused(line, code, lines)
        return lines

    def code(self, line):
        return self.cmd(line)[0]

    def login(self, who='jill@hill.com', password=None):
        self.ok(f'USER {who}', 331)
        self.ok(f'PASS {password or PEOPLE[who]}', 230)
        return self

    def ended(self):
        """The server closes the control connection without another word."""
        try:
            return not self.buffer and self.socket.recv(1) == b''
        except ConnectionResetError:
            return True

    # --- TLS ---

    def tls_context(self):
        if not self.context:
            self.context = ssl.create_default_context(cafile=f'{self.pail.folder}/ca.pem')
            self.context.check_hostname = False
        return self.context

    def starttls(self):
        self.socket = self.tls_context().wrap_socket(self.socket, server_hostname='localhost', suppress_ragged_eofs=False)

    def auth_tls(self, private=True):
        self.ok('AUTH TLS', 234)
        self.starttls()
        if private:
            self.ok('PBSZ 0')
            self.ok('PROT P')
            self.private = True
        return self

    def secure(self, data, resume=True):
        session = self.socket.session if resume else None
        return self.tls_context().wrap_socket(data, server_hostname='localhost', session=session, suppress_ragged_eofs=False)

    # --- data ---

    def pasv(self, command='PASV'):
        """(address, port)"""
        line = self.ok(command)[0]
        if command.startswith('EPSV'):
            return self.address, int(re.search(r'\(\|\|\|(\d+)\|\)', line).group(1))
        n = [int(x) for x in re.search(r'\((\d+(?:,\d+){5})\)', line).group(1).split(',')]
        return '.'.join(map(str, n[:4])), n[4] * 256 + n[5]

    def dial(self, where, source=None):
        source = source or self.source
        s = socket.create_connection(where, timeout=PATIENCE, source_address=source and (source, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def passive(self, command='PASV'):
        return self.dial(self.pasv(command))

    def active(self):
        """A listener that the server was told of."""
        s = socket.create_server((self.socket.getsockname()[0], 0))
        s.settimeout(PATIENCE)
        host, port = s.getsockname()
        self.ok(f'PORT {host.replace(".", ",")},{port // 256},{port % 256}')
        return s

    def begin(self, line, command='EPSV'):
        """A data connection with the transfer under way."""
        data = self.passive(command)
        self.send(line)
        try:
            self.expect(150, 125, of=line)
        except Refused:
            data.close()
            raise
        return self.secure(data) if self.private else data

    def fetch(self, line):
        """What a RETR, LIST, NLST or MLSD brings."""
        with self.begin(line) as data:
            got = everything(data)
        self.expect(226, 250, of=line)
        return got

    def retr(self, name):
        return self.fetch(f'RETR {name}')

    def put(self, line, octets):
        with self.begin(line) as data:
            data.sendall(octets)
            if self.private:
                data.unwrap()
        return self.expect(226, 250, of=line)

    def stor(self, name, octets):
        return self.put(f'STOR {name}', octets)

    def names(self, path=''):
        return sorted(self.fetch(f'NLST {path}'.strip()).decode('utf-8', 'surrogateescape').split('\r\n')[:-1])
