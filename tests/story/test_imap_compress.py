"""COMPRESS=DEFLATE (RFC 4978) as a program does it that is not ours: Python's zlib, over TLS and without."""
import os
import random
import re
import socket
import ssl
import zlib

import pytest
from pail import PATIENCE, PEOPLE, Pail

WHO = 'jill@hill.com'


class Wire:
    """Bytes out and lines in, compressed from some moment on."""

    def __init__(self, pail, tls):
        s = socket.create_connection(('127.0.0.1', pail.port(993 if tls else 143)), timeout=PATIENCE)
        if tls:
            trust = ssl.create_default_context(cafile=os.path.join(pail.folder, 'ca.pem'))
            s = trust.wrap_socket(s, server_hostname='localhost')
        self.socket, self.have, self.deflate, self.inflate = s, b'', None, None

    def compress(self):
        assert not self.have
        self.deflate, self.inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def pack(self, text, flush=zlib.Z_SYNC_FLUSH):
        return self.deflate.compress(text) + self.deflate.flush(flush) if self.deflate else text

    def say(self, text):
        self.socket.sendall(self.pack(text))

    def more(self):
        raw = self.socket.recv(65536)
        assert raw, 'closed'
        self.have += self.inflate.decompress(raw) if self.inflate else raw

    def line(self):
        while b'\n' not in self.have:
            self.more()
        line, self.have = self.have.split(b'\n', 1)
        return line + b'\n'

    def take(self, n):
        while len(self.have) < n:
            self.more()
        got, self.have = self.have[:n], self.have[n:]
        return got

    def until(self, start):
        lines = []
        while not (lines and lines[-1].startswith(start)):
            lines.append(self.line())
        return lines

    def command(self, text):
        self.say(b't ' + text + b'\r\n')
        lines = self.until(b't ')
        assert lines[-1].startswith(b't OK'), lines
        return lines


def signed_in(pail, tls):
    w = Wire(pail, tls)
    w.line()
    w.command(f'LOGIN {WHO} {PEOPLE[WHO]}'.encode())
    assert any(b'COMPRESS=DEFLATE' in line for line in w.command(b'CAPABILITY'))
    w.command(b'COMPRESS DEFLATE')
    w.compress()
    return w


def letter(rng, n):
    """Half of it can be compressed."""
    out = b'Subject: %d\r\n\r\n' % n
    while len(out) < n:
        out += b'the same line once more\r\n' + bytes(rng.choices(range(33, 127), k=60)) + b'\r\n'
    return out


@pytest.mark.parametrize('tls', [False, True], ids=['plain', 'TLS'])
def test_letters_come_back_as_they_went(tls):
    with Pail(settings={'park-after': '20ms', 'workers': 2}) as pail:
        rng = random.Random(1)
        w = signed_in(pail, tls)
        letters = [letter(rng, n) for n in (10, 3000, 70000, 1, 400000, 500)]
        # all of them at once, in pieces that end anywhere: literals between small lines
        stream = b''.join(w.pack(b'a%d APPEND INBOX {%d+}\r\n' % (i, len(t)) + t + b'\r\n')
                          for i, t in enumerate(letters))
        at = 0
        while at < len(stream):
            n = rng.choice((1, 2, 7, 100, 5000, 40000))
            w.socket.sendall(stream[at:at + n])
            at += n
        for i in range(len(letters)):
            assert w.until(b'a%d ' % i)[-1].split()[1] == b'OK'
        assert any(b'* 6 EXISTS' in line for line in w.command(b'SELECT INBOX'))
        w.say(b'f FETCH 1:* BODY.PEEK[]\r\n')
        for text in letters:
            n = int(re.search(rb'\{(\d+)\}\r\n', w.line())[1])
            assert w.take(n) == text
            assert w.line() == b')\r\n'
        w.until(b'f OK')
        # a compressed session idles and is rung like any other
        w.say(b'i IDLE\r\n')
        w.until(b'+')
        pail.send('Subject: bell\r\n\r\nhello\r\n', [WHO])
        w.until(b'* 7 EXISTS')
        w.say(b'DONE\r\n')
        w.until(b'i OK')
        w.say(b'z LOGOUT\r\n')
        assert w.until(b'z OK')[0].startswith(b'* BYE')


def test_only_once_and_nothing_behind_it():
    with Pail() as pail:
        w = signed_in(pail, False)
        w.say(b'b COMPRESS DEFLATE\r\n')
        assert b'b NO [COMPRESSIONACTIVE]' in w.until(b'b ')[-1]
        assert not any(b'COMPRESS' in line for line in w.command(b'CAPABILITY'))
        # what comes in clear behind the command is never obeyed
        w = Wire(pail, False)
        w.line()
        w.command(f'LOGIN {WHO} {PEOPLE[WHO]}'.encode())
        w.say(b'c COMPRESS DEFLATE\r\nd CREATE injected\r\n')
        rest = b''
        try:
            while piece := w.socket.recv(65536):
                rest += piece
        except ConnectionResetError:
            pass
        assert b'd OK' not in rest
        w = signed_in(pail, False)
        assert not any(b'injected' in line for line in w.command(b'LIST "" *'))
        # UNAUTHENTICATE leaves the compression, and TLS can no longer begin (RFC 8437 §3)
        w.command(b'UNAUTHENTICATE')
        assert not any(b'STARTTLS' in line for line in w.command(b'CAPABILITY'))
        w.say(b'e STARTTLS\r\n')
        assert w.until(b'e ')[-1].startswith(b'e BAD')
        w.command(f'LOGIN {WHO} {PEOPLE[WHO]}'.encode())
        # no deflate at all: the connection ends, the server does not
        w.socket.sendall(b'\x07\xff garbage')
        try:
            assert not w.socket.recv(100)
        except ConnectionResetError:
            pass
        signed_in(pail, False).command(b'NOOP')


def test_switched_off_it_is_not_there():
    with Pail(settings={'imap-disable': 'COMPRESS=DEFLATE'}) as pail:
        w = Wire(pail, False)
        w.line()
        w.command(f'LOGIN {WHO} {PEOPLE[WHO]}'.encode())
        assert not any(b'COMPRESS' in line for line in w.command(b'CAPABILITY'))
        w.say(b'b COMPRESS DEFLATE\r\n')
        assert not w.until(b'b ')[-1].startswith(b'b OK')
    with Pail() as pail:
        pail.verb('account', 'set', WHO, 'imap-disable', 'COMPRESS=DEFLATE')
        w = Wire(pail, False)
        w.line()
        w.command(f'LOGIN {WHO} {PEOPLE[WHO]}'.encode())
        assert not any(b'COMPRESS' in line for line in w.command(b'CAPABILITY'))
