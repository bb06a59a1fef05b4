"""make install, and programs that find pail as /usr/sbin/sendmail: what PHP's mail() runs, and mutt."""
import os
import re
import shutil
import subprocess

import pytest

from pail import PAIL, PATIENCE, until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(os.path.abspath(PAIL))
LINKS = {'sbin/sendmail': '../bin/pail', 'lib/sendmail': '../sbin/sendmail', 'bin/mailq': 'pail', 'bin/newaliases': 'pail'}


def make(to, *words, good=True):
    """What is built is not looked at again: the tests are of this build."""
    done = subprocess.run(['make', '-s', '-o', 'all', '-o', f'{BUILD}/build.ninja', *words, f'BUILD={BUILD}', f'DESTDIR={to}', 'PREFIX=/usr'],
                          cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode == 0) == good, done.stderr
    return done


@pytest.fixture(scope='module')
def installed(demo, tmp_path_factory):
    """Where it is installed; programs run where the demo's folder is found."""
    to = tmp_path_factory.mktemp('installed')
    make(to, 'install', 'SENDMAIL=yes')
    os.chmod(to, 0o755)
    os.symlink(demo.folder, to / 'pail-demo')
    return to


def arrived(demo, who, subject):
    [text] = until(f'{subject} is filed', lambda: [t for t in demo.letters(who) if re.search(rb'^Subject: ' + subject.encode() + rb'\r$', t, re.M)])
    return text


def test_links_only_when_asked(tmp_path):
    make(tmp_path, 'install')
    assert os.access(tmp_path / 'usr/bin/pail', os.X_OK) and (tmp_path / 'usr/share/man/man1/pail.1').stat().st_size > 1000
    assert not any(os.path.lexists(tmp_path / 'usr' / name) for name in LINKS)
    for _ in range(2):      # a second time is no mistake
        make(tmp_path, 'install', 'SENDMAIL=yes')
        assert {name: os.readlink(tmp_path / 'usr' / name) for name in LINKS} == LINKS
    make(tmp_path, 'uninstall')
    assert not [f for _, _, files in os.walk(tmp_path) for f in files]


def test_nobody_elses_is_taken(tmp_path):
    (tmp_path / 'usr/sbin').mkdir(parents=True)
    theirs = tmp_path / 'usr/sbin/sendmail'
    theirs.write_text('Postfix')
    assert 'sendmail' in make(tmp_path, 'install', 'SENDMAIL=yes', good=False).stderr
    make(tmp_path, 'uninstall')
    assert theirs.read_text() == 'Postfix'


def test_as_php_calls_it(demo, installed):
    """mail() pipes a header that it has made itself, with LF, into `sendmail -t -i`, by a shell."""
    done = subprocess.run(f'{installed}/usr/sbin/sendmail -t -i -fjack@town.com', shell=True, cwd=installed, capture_output=True, timeout=PATIENCE,
                          input=b'To: jill@hill.com\nSubject: an order\nX-PHP-Originating-Script: 0:shop.php\nFrom: shop@town.com\n'
                                b'Cc: bob@hamburger.edu\n\nTwo pails,\n.\none hill\n')
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')
    for who in 'jill@hill.com', 'bob@hamburger.edu':
        text = arrived(demo, who, 'an order')
        assert text.startswith(b'Return-Path: <jack@town.com>\r\n') and text.endswith(b'\r\n\r\nTwo pails,\r\n.\r\none hill\r\n')
        assert b'\r\nFrom: shop@town.com\r\n' in text


@pytest.mark.skipif(not shutil.which('mutt'), reason='mutt is not installed')
def test_mutt(demo, installed, tmp_path):
    rc = tmp_path / 'muttrc'
    rc.write_text(f'set sendmail="{installed}/usr/lib/sendmail -oem -oi"\nset from="jack@town.com"\nset use_envelope_from=yes\n'
                  'set realname="Jack"\nset copy=no\nset charset=utf-8\nset send_charset=utf-8\n')
    done = subprocess.run(['mutt', '-n', '-F', rc, '-s', 'by mutt', '--', 'jill@hill.com'], input='Käse\n.\n'.encode(), cwd=installed,
                          capture_output=True, timeout=PATIENCE, env={**os.environ, 'HOME': str(tmp_path), 'LC_ALL': 'C.UTF-8'})
    assert done.returncode == 0, done.stderr
    text = arrived(demo, 'jill@hill.com', 'by mutt')
    assert text.startswith(b'Return-Path: <jack@town.com>\r\n') and 'Käse\r\n.\r\n'.encode() in text


def test_the_other_names(installed):
    for name in 'mailq', 'newaliases':
        done = subprocess.run([f'{installed}/usr/bin/{name}'], cwd=installed, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
