"""What a peer, a verb or the wrong moment must not be able to do to the server."""
import os
import signal
import socket
import struct

import pytest
from pail import PATIENCE, Pail, until


class Line:
    """A bare connection: what a mail program would never say."""

    def __init__(self, pail, port):
        self.socket = socket.create_connection(('127.0.0.1', pail.port(port)), timeout=PATIENCE)
        self.file = self.socket.makefile('rb')

    def say(self, text):
        self.socket.sendall(text + b'\r\n')
        return self.hear()

    def hear(self):
        """A reply, with all its lines."""
        while True:
            line = self.file.readline()
            if line[3:4] != b'-' or not line[:3].isdigit():
                return line


def died(pail):
    """Roles that ended otherwise than by a signal of ours."""
    return [line for line in pail.events('role-died') if 'signal=9' not in line]


# ---- what a session holds while the keeper behind it changes ----

def test_the_keeper_is_replaced_in_the_middle_of_an_exchange(pail):
    sessions = [Line(pail, 587) for _ in range(8)]
    for s in sessions:
        assert s.hear().startswith(b'220')
        assert s.say(b'EHLO town.com').startswith(b'250')
        assert s.say(b'AUTH LOGIN').startswith(b'334')
    before = pail.roles()['keeper']
    os.kill(before, signal.SIGKILL)
    pail.restarted('keeper', before)
    until('the new one serves', lambda: len(pail.events('sandbox')) > 1 and 'keeper' in pail.roles())
    for s in sessions:
        assert s.say(b'amFjaw==')[:3] in (b'454', b'501')
        assert s.say(b'NOOP').startswith(b'250')
        assert s.say(b'AUTH PLAIN AGphY2sAY3Jvd24=')[:3] in (b'235', b'454')
    assert not died(pail)
