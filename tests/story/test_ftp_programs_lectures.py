"""The lectures' two FTP sessions, typed into a real `ftp` as a person types them."""
import hashlib
import os
import re

import pexpect
import pytest
from ftp_wire import files_of
from pail import PATIENCE

IMAGES = 'pub/redhat/linux/9/en/os/i386/images'


class Typed:
    """with Typed(demo, 'ftp', folder) as t: t('ftp> ', 'get x'); the words are typed when the prompt is there."""

    def __init__(self, demo, program, host, folder):
        self.said = ''
        self.child = pexpect.spawn(program, [host, str(demo.port(21))], cwd=folder, timeout=PATIENCE, encoding='utf-8',
                                   env={**os.environ, 'TERM': 'dumb', 'HOME': str(folder), 'LANG': 'C.UTF-8'}, dimensions=(50, 200))
        self.child.delaybeforesend = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.close(force=True)

    def __call__(self, prompt, words, silent=False):
        self.child.expect(prompt)
        self.said += self.child.before + self.child.after
        if silent:
            self.child.waitnoecho(PATIENCE)     # what is typed before it is heard would be flushed
        self.child.sendline(words)

    def end(self):
        self.child.expect(pexpect.EOF)
        self.said += self.child.before
        return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', self.said).replace('\r', '')


def in_order(said, *patterns):
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(said, at)
        assert found, f'{pattern!r} is not in what follows:\n{said[at:]}'
        at = found.end()


@pytest.mark.parametrize('program', ['tnftp', 'inetutils-ftp'])
def test_anonymous_gets_the_boot_disk(demo, tmp_path, program):
    with Typed(demo, program, '127.0.0.1', tmp_path) as t:
        t(r'Name \(127\.0\.0\.1:.*\): ', 'anonymous')
        t('Password: ?', 'rmartin@rutgers.edu', silent=True)
        t('ftp> ', 'passive' if program == 'inetutils-ftp' else 'pwd')
        t('ftp> ', f'cd /{IMAGES}')
        t('ftp> ', 'get bootdisk.img')
        t('ftp> ', 'quit')
        said = t.end()
    in_order(said, r'^Connected to ', r'^220 hill\.com FTP server ', r'^331 Guest login ok, send your complete e-mail address as password\.$',
             r'^230 Guest login ok, access restrictions apply\.$', r'^Remote system type is UNIX\.$', r'^Using binary mode to transfer files\.$',
             r'^250 CWD command successful\.$', *([r'^local: bootdisk\.img remote: bootdisk\.img$'] if program == 'tnftp' else []), r'^22[79] Entering (Extended )?Passive Mode ',
             r'^150 Opening BINARY mode data connection for bootdisk\.img \(1474560 bytes\)\.$', r'^226 Transfer complete\.$',
             r'^1474560 bytes received in ', r'^221 Goodbye\.$')
    with open(os.path.join(files_of(demo, 'anonymous'), IMAGES, 'bootdisk.img'), 'rb') as f:
        image = f.read()
    assert len(image) == 1474560
    assert hashlib.sha256((tmp_path / 'bootdisk.img').read_bytes()).digest() == hashlib.sha256(image).digest()


@pytest.mark.parametrize('program', ['tnftp', 'inetutils-ftp'])
def test_forouzan_lists_the_reports(demo, tmp_path, program):
    with Typed(demo, program, '127.0.0.5', tmp_path) as t:
        t(r'Name \(127\.0\.0\.5:.*\): ', 'forouzan')
        t('Password: ?', 'lecture', silent=True)
        t('ftp> ', 'passive' if program == 'inetutils-ftp' else 'pwd')
        t('ftp> ', 'ls reports')
        t('ftp> ', 'quit')
        said = t.end()
    in_order(said, r'^Connected to ', r'^220 mta13\.adelphia\.net FTP server ', r'^331 Username OK, password required$', r'^230 Login successful\.$',
             r'^Remote system type is UNIX\.$', r'^Using binary mode to transfer files\.$', r'^22[79] Entering (Extended )?Passive Mode ',
             r'^150 Here comes the directory listing\.$', r'^drwxr-xr-x .* Sep 24 +2002 business$', r'^drwxr-xr-x .* Sep 24 +2002 personal$',
             r'^drwxr-xr-x .* Sep 24 +2002 school$', r'^226 Directory send OK\.$', r'^221 Goodbye\.$')
