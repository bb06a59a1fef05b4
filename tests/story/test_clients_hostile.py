"""What a server, a letter or a machine may do to the clients that has once gone wrong: each ends, by itself, with the right exit code."""
import os
import socket
import subprocess
import threading

import pytest
from ftp_liar import Liar as FtpLiar
from imap_liar import Liar as ImapLiar
from pail import PAIL, PATIENCE
from reader import Reader
from test_ftp_client import environment, ftp

ENDLESS = b'x' * 65536


class Endless(FtpLiar):
    """Its listings are one line without end."""

    def _send(self, conn, state, body, say, cut=None):
        say('150 here')
        data, _ = state['data'].accept()
        with data:
            while True:
                data.sendall(ENDLESS)


@pytest.mark.parametrize('words', [['ls'], ['ls', '--json'], ['mirror']])
def test_a_listing_that_is_one_line_without_end(tmp_path, words):
    with Endless(mlsd=b'') as liar:
        ftp(tmp_path, *words, liar.url(), *(['here'] if words == ['mirror'] else []), code=74)
    assert not os.path.exists(tmp_path / 'here') or not os.listdir(tmp_path / 'here')


class Pop3Liar:
    """Two small letters, says LIST; RETR has no end."""

    def __init__(self, endless):
        self.endless, self.pop3_port, self.submission, self.user, self.password = endless, None, None, 'jill', 'measure'
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.pop3_port = self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            conn, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        answers = {b'CAPA': b'UIDL\r\nTOP\r\nUSER\r\n.\r\n', b'LIST': b'1 50\r\n2 50\r\n.\r\n', b'UIDL': b'1 a\r\n2 b\r\n.\r\n'}
        try:
            conn.sendall(b'+OK ready\r\n')
            for line in conn.makefile('rb'):
                verb = line.split()[0].upper()
                conn.sendall(b'+OK\r\n' + answers.get(verb, b''))
                while verb == b'RETR':
                    conn.sendall(self.endless)
        except OSError:
            conn.close()


@pytest.mark.parametrize('endless', [ENDLESS, b'line\r\n' * 10000], ids=['one line', 'lines'])
def test_a_letter_without_end_does_not_fill_the_disk(tmp_path, endless):
    liar = Pop3Liar(endless)
    reader = Reader(tmp_path)
    reader.account('jill@liar.test', liar, how='pop3', more='keep = yes\n')
    assert 'a letter without end' in reader.run('sync', code=65)
    assert reader.list() == []


def test_a_line_of_millions_of_words_is_answered(tmp_path):
    text = b'From: a@town.com\r\nSubject: long\r\nMessage-ID: <long@town.com>\r\n\r\n' + b'>' * 4_000_000 + b'\r\n' + b'> ' * 1_000_000 + b'\r\n'
    with ImapLiar() as liar:
        liar.folders = {'INBOX': {1: text}}
        reader = Reader(tmp_path)
        reader.account(liar.user, liar, more='outgoing = submission://jill@127.0.0.1:1\n')
        reader.json('sync')
        for words in ['reply', '1', '--all', '--quote'], ['forward', '1', '--to', 'a@town.com']:
            reader.run(*words, input='words\n')
        assert len(reader.json('outbox')['letters']) == 2       # nobody listens at port 1


@pytest.mark.parametrize('words', [['ls'], ['ls', '--json']])
def test_a_listing_that_cannot_be_written(tmp_path, words):
    with FtpLiar(listing=b'-rw-r--r-- 1 u g 5 Jan 01 2020 a\r\n') as liar, open('/dev/full', 'wb') as full:
        done = subprocess.run([PAIL, 'ftp', *words, liar.url()], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                              env=environment(tmp_path), timeout=PATIENCE)
        assert done.returncode == 74 and b'stdout' in done.stderr


def test_a_home_that_cannot_be_written(tmp_path, small_disk):
    home = small_disk / 'home'
    home.mkdir()
    reader = Reader(home)
    with ImapLiar() as liar:
        reader.account(liar.user, liar)
        subprocess.run(['mount', '-o', 'remount,ro', small_disk], check=True)
        assert 'Read-only file system' in reader.run('sync', code=73)
