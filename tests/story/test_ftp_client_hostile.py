"""pail ftp before servers that mean harm: names that lead away, escape codes, other people's addresses, words without end."""
import os
import socket

import pytest
from ftp_liar import Liar
from test_ftp_client import ftp, tree

NAMES = ['..', '.', '../up', '/etc/x', 'a/b', 'a\x1b[2J', 'x\x07', 'x' * 300, 'late.pail-part']


def facts(name, kind='file', size=3):
    return f'type={kind};size={size}; {name}\r\n'.encode()


@pytest.mark.parametrize('listing', ['mlsd', 'list'])
def test_nothing_is_made_outside_the_folder(tmp_path, listing):
    row = facts if listing == 'mlsd' else lambda name: f'-rw-r--r-- 1 u g 3 Jan 1 2020 {name}\r\n'.encode()
    rows = b''.join(map(row, [*NAMES, 'good']))
    inside = tmp_path / 'deep/inside'
    inside.mkdir(parents=True)
    before = tree(tmp_path)
    with Liar({name.rsplit('/', 1)[-1]: b'bad' for name in [*NAMES, 'good']}, listing=rows, mlsd=rows if listing == 'mlsd' else None) as liar:
        ftp(tmp_path, 'mirror', liar.url(), inside, code=65)
        script = 'user a b\nlcd deep/inside\nmget *\nmget ..\nmget ../up\n'
        ftp(tmp_path, '-n', '127.0.0.1', liar.port, input=script, code=65)
    made = set(tree(tmp_path)) - set(before)
    assert made <= {'deep/inside/good', 'deep/inside/up', '.config', '.config/pail'}, made
    assert (inside / 'good').read_bytes() == b'bad'


def test_folders_that_never_end(tmp_path):
    rows = facts('down', 'dir')
    with Liar(mlsd=rows) as liar:
        assert 'too deep' in ftp(tmp_path, 'mirror', liar.url(), tmp_path / 'back', code=65)


def test_escape_codes_never_reach_the_terminal(tmp_path):
    evil = '\x1b]0;title\x07\x1b[31m\x9b2J\u202egnp.exe'
    replies = {'PWD': f'257 "/{evil}"\r\n'.encode(), 'NOOP': f'200-{evil}\r\n {evil}\r\n200 {evil}\r\n'.encode()}
    with Liar(listing=f'-rw-r--r-- 1 u g 3 Jan 1 2020 {evil}\r\n'.encode(), replies=replies, greeting=f'220 {evil}\r\n'.encode()) as liar:
        said = ftp(tmp_path, '-nvd', '127.0.0.1', liar.port, input='user a b\nls\nnlist\nnoop\npwd\nstatus\nget ' + evil + '\n', code=66)
    for sign in ('\x1b', '\x07', '\x9b', '\u202e'):
        assert sign not in said
    assert '\\033[31m' in said


def test_pasv_elsewhere_is_not_followed(tmp_path):
    with socket.create_server(('127.0.0.2', 0)) as victim:
        victim.settimeout(1)
        with Liar({'x': b'abc'}, pasv=lambda port: f'227 at (127,0,0,2,{port >> 8},{port & 255})') as liar:
            ftp(tmp_path, 'get', liar.url('x'))     # its port is taken, its address is not
        assert (tmp_path / 'x').read_bytes() == b'abc'
        with pytest.raises(TimeoutError):
            victim.accept()


def test_words_without_end(tmp_path):
    for greeting in (b'220-' + b'x' * 3_000_000 + b'\r\n220 x\r\n', b'220-x\r\n' * 500_000):
        with Liar(greeting=greeting) as liar:
            ftp(tmp_path, 'ls', liar.url(), code=76)
    with Liar(replies={'NOOP': b'200-\r\n' * 100_000}) as liar:
        ftp(tmp_path, '-n', '127.0.0.1', liar.port, input='user a b\nnoop\n', code=76)


def test_line_ends_in_names_send_no_second_command(tmp_path):
    with Liar({'x': b'abc'}) as liar:
        ftp(tmp_path, 'get', liar.url('x%0d%0aDELE%20y'), code=64)
        assert not any(verb == 'DELE' for verb, _ in liar.commands)


def test_part_files_that_are_links(tmp_path):
    outside = tmp_path / 'outside'
    outside.write_text('mine')
    for name, made in (('soft', os.symlink), ('hard', os.link)):
        made(outside, tmp_path / f'{name}.pail-part')
        with Liar({name: b'theirs'}) as liar:
            ftp(tmp_path, 'get', liar.url(name), code=66 if name == 'soft' else 77)
    assert outside.read_text() == 'mine'
