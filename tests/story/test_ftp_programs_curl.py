"""curl: every way to a data connection, resumed, in ranges, with quotes, under TLS."""
import ftplib
import os
import urllib.parse

import pytest
from ftp_programs import BIG, HARD_NAMES, PLAIN_NAMES, Cut, content, kept, lines_of, make_many, make_tree, place, sha256, sums, there
from programs import ca, person, run

WAYS = {
    'EPSV': ('ftp', 21, []),
    'PASV': ('ftp', 21, ['--disable-epsv']),
    'PASV, address as told': ('ftp', 21, ['--disable-epsv', '--no-ftp-skip-pasv-ip']),
    'EPRT': ('ftp', 21, ['-P', '-']),
    'PORT': ('ftp', 21, ['-P', '-', '--disable-eprt']),
    'explicit TLS': ('ftp', 21, ['--ssl-reqd']),
    'control only': ('ftp', 21, ['--ftp-ssl-control']),
    'CCC': ('ftp', 21, ['--ssl-reqd', '--ftp-ssl-ccc']),
    'CCC active': ('ftp', 21, ['--ssl-reqd', '--ftp-ssl-ccc', '--ftp-ssl-ccc-mode', 'active']),
    'implicit TLS': ('ftps', 990, []),
    'TLS 1.2': ('ftps', 990, ['--tls-max', '1.2']),
    'sessions not reused': ('ftps', 990, ['--no-sessionid']),
}
SAYS = {
    'EPSV': 'EPSV', 'PASV': 'PASV', 'EPRT': 'EPRT', 'PORT': 'PORT', 'explicit TLS': 'PROT P', 'control only': 'PROT C', 'CCC': 'CCC',
    'implicit TLS': 'PROT P',
}


class Curl:
    def __init__(self, demo, who, way='EPSV', port=None):
        self.demo, self.who = demo, who
        scheme, number, self.options = WAYS[way]
        self.url = f'{scheme}://localhost:{port or demo.port(number)}/'

    def __call__(self, *words, good=(0,)):
        return run('curl', '-q', '-sS', '--cacert', ca(self.demo), '-u', f'{self.who}:fetch', *self.options, *words, good=good)

    def at(self, *path):
        """No slash in front: the working folder; a folder's name is said by CWD."""
        return self.url + '/'.join(urllib.parse.quote(part) for part in path)


def number_of(way):
    return list(WAYS).index(way)


@pytest.mark.parametrize('way', WAYS)
def test_every_name_up_and_down(demo, tmp_path, way):
    who = person(demo, f'curl-way{number_of(way)}')
    curl = Curl(demo, who, way)
    names = [name for name in PLAIN_NAMES + HARD_NAMES if '\t' not in name]     # curl refuses: "path contains control characters"
    if way not in ('PORT', 'EPRT'):     # curl 7.88 waits up to a second before it makes a passive data connection
        names = names[:6]
    tree = make_tree(tmp_path / 'tree', names)
    below = sorted(str(p.relative_to(tree)) for p in tree.rglob('*') if p.is_file())
    (tmp_path / 'up').write_text(''.join(f'upload-file = "{quoted(str(tree / p))}"\nurl = "{curl.at("up", *p.split("/"))}"\n' for p in below))
    curl('--globoff', '--ftp-create-dirs', '-K', tmp_path / 'up')
    assert sums(there(demo, who, 'up'), folders=False) == sums(tree, folders=False)
    (tmp_path / 'down').write_text(''.join(f'output = "{quoted(str(tmp_path / "back" / p))}"\nurl = "{curl.at("up", *p.split("/"))}"\n' for p in below))
    curl('--globoff', '--create-dirs', '-K', tmp_path / 'down')
    assert sums(tmp_path / 'back', folders=False) == sums(tree, folders=False)
    said = curl('-v', curl.at('up', 'plain'), '-o', tmp_path / 'again')
    assert f'> {SAYS.get(way, "RETR")}' in said, said


def quoted(text):
    """As curl's -K wants it."""
    return text.replace('\\', '\\\\').replace('"', '\\"')


@pytest.mark.parametrize('method', ['multicwd', 'singlecwd', 'nocwd'])
def test_methods(demo, tmp_path, method):
    who = person(demo, f'curl-{method}')
    curl = Curl(demo, who)
    (tmp_path / 'f').write_bytes(content('f'))
    curl('-Q', 'MKD a b', '-Q', 'MKD a b/ü', '--list-only', curl.at(''))      # --ftp-create-dirs makes folders by multicwd only
    curl('--ftp-method', method, '-T', tmp_path / 'f', curl.at('a b', 'ü', 'f'))
    curl('--ftp-method', method, curl.at('a b', 'ü', 'f'), '-o', tmp_path / 'g')
    assert sha256(tmp_path / 'g') == sha256(tmp_path / 'f') == sha256(there(demo, who, 'a b', 'ü', 'f'))
    # NLST with a path says the path too (RFC 1123 section 4.1.2.7), and nocwd shows what it is told
    assert curl('--ftp-method', method, '--list-only', curl.at('a b', 'ü', '')).rpartition('/')[2] == 'f\n'


@pytest.mark.parametrize('way', ['EPSV', 'PORT', 'implicit TLS'])
def test_resume_and_ranges(demo, tmp_path, way):
    who = person(demo, f'curl-resume{number_of(way)}')
    curl = Curl(demo, who, way)
    whole = content('resume', 4_000_000)
    (tmp_path / 'file').write_bytes(whole)
    place(demo, who, tmp_path / 'file')
    for have in (1, 1_234_567, len(whole) - 1):
        (tmp_path / 'part').write_bytes(whole[:have])
        curl('-C', '-', curl.at('file'), '-o', tmp_path / 'part')
        assert (tmp_path / 'part').read_bytes() == whole
    for words, expected in (('0-0', whole[:1]), ('100-200', whole[100:201]), ('3999990-', whole[3_999_990:]), ('-17', whole[-17:]),
                            ('1-3000000', whole[1:3_000_001]), ('0-3999999', whole)):
        curl('-r', words, curl.at('file'), '-o', tmp_path / 'range')
        assert (tmp_path / 'range').read_bytes() == expected, words
    # an upload goes on by APPE behind what is there
    up = there(demo, who, 'up')
    (tmp_path / 'half').write_bytes(whole[:1_500_000])
    curl('-T', tmp_path / 'half', curl.at('up'))
    curl('-C', '-', '-T', tmp_path / 'file', curl.at('up'))
    assert sha256(up) == sha256(tmp_path / 'file')
    curl('-a', '-T', tmp_path / 'half', curl.at('up'))
    with open(up, 'rb') as f:
        assert f.read() == whole + whole[:1_500_000]


def test_what_was_cut_goes_on(demo, tmp_path):
    who = person(demo, 'curl-cut')
    (tmp_path / 'file').write_bytes(content('cut', 6_000_000))
    direct = Curl(demo, who)
    with Cut(demo, 1_000_000) as cut:
        curl = Curl(demo, who, port=cut.port)
        curl('-T', tmp_path / 'file', curl.at('file'), good=(18, 25, 55, 56))
        assert cut.happened and not os.path.exists(there(demo, who, 'file'))
        kept(demo, who, 'file')
        curl('-C', '-', '-T', tmp_path / 'file', curl.at('file'))
        assert cut.heard('APPE') and sha256(there(demo, who, 'file')) == sha256(tmp_path / 'file')
    with Cut(demo, 2_000_000, True) as cut:
        curl = Curl(demo, who, port=cut.port)
        curl(curl.at('file'), '-o', tmp_path / 'back', good=(18, 56))
        assert cut.happened
    direct('-C', '-', direct.at('file'), '-o', tmp_path / 'back')
    assert sha256(tmp_path / 'back') == sha256(tmp_path / 'file')


def test_quotes_before_and_behind(demo, tmp_path):
    who = person(demo, 'curl-quotes')
    curl = Curl(demo, who)
    (tmp_path / 'f').write_bytes(b'content\n')
    curl('-Q', 'MKD box', '-Q', 'CWD box', '-T', tmp_path / 'f', '-Q', '-RNFR f', '-Q', '-RNTO it is "moved"', curl.at('f'))
    root = there(demo, who)
    assert sums(root) == {'box': 'folder', 'box/it is "moved"': sha256(tmp_path / 'f')}
    said = curl('-v', '-Q', 'SITE CHMOD 600 box/it is "moved"', '-Q', '*DELE not there', '-Q', 'XSHA256 box/it is "moved"', '--list-only',
                curl.at('box', ''))
    assert sha256(tmp_path / 'f') in said.lower() and '550' in said
    curl('-Q', 'DELE not there', '--list-only', curl.at(''), good=(21,))
    curl('-Q', '-DELE it is "moved"', '-Q', '-CDUP', '-Q', '-RMD box', curl.at('box', 'it is "moved"'))
    assert sums(root) == {}


@pytest.mark.parametrize('way', ['EPSV', 'EPRT', 'implicit TLS'])
def test_lists_of_two_thousand(demo, tmp_path, way):
    who = person(demo, f'curl-list{number_of(way)}')
    place(demo, who, make_many(tmp_path / 'many', 2000))
    curl = Curl(demo, who, way)
    names = [f'file {i:05}' for i in range(2000)]
    assert curl('--list-only', curl.at('many', '')).splitlines() == names
    lines = curl(curl.at('many', '')).splitlines()
    assert [line[-10:] for line in lines] == names and all(line.startswith('-rw') for line in lines)
    facts = curl('-X', 'MLSD', curl.at('many', '')).splitlines()
    assert sorted(line.partition(' ')[2] for line in facts if 'Type=file' in line) == names
    curl('--ftp-create-dirs', '--list-only', curl.at('made', 'here', ''))
    assert os.path.isdir(there(demo, who, 'made', 'here'))
    curl('--list-only', curl.at('nowhere', ''), good=(9,))
    curl(curl.at('nothing'), good=(78,))


@pytest.mark.parametrize('way', ['EPSV', 'PORT', 'explicit TLS'])
def test_big_and_empty(demo, tmp_path, way):
    who = person(demo, f'curl-big{number_of(way)}')
    curl = Curl(demo, who, way)
    (tmp_path / 'big').write_bytes(content('big', BIG))
    (tmp_path / 'empty').write_bytes(b'')
    for name in ('big', 'empty'):
        curl('-T', tmp_path / name, curl.at(name))
        curl(curl.at(name), '-o', tmp_path / 'back')
        assert sha256(tmp_path / 'back') == sha256(there(demo, who, name)) == sha256(tmp_path / name)
        (tmp_path / 'back').unlink()


def test_tls_that_the_client_forgets(demo, tmp_path):
    """curl before 8.0 says PROT P, accepts an active data connection, and talks in the clear on it ("ftp: active mode with SSL, add the
    filter" in its changes). Nothing of that is taken for a file."""
    who = person(demo, 'curl-forgets')
    curl = Curl(demo, who, 'implicit TLS')
    (tmp_path / 'f').write_bytes(content('f', 300_000))
    said = curl('-v', '-P', '-', '-T', tmp_path / 'f', curl.at('f'), good=(0, 18, 55, 56))
    version = int(run('curl', '--version').split()[1].partition('.')[0])
    if '< 226 ' in said:
        assert sha256(there(demo, who, 'f')) == sha256(tmp_path / 'f')
    else:
        assert version < 8 and not os.path.exists(there(demo, who, 'f'))
        assert 'end=no-data' in demo.event('file', who)


def test_text_head_and_many_at_once(demo, tmp_path):
    who = person(demo, 'curl-more')
    curl = Curl(demo, who)
    text = lines_of(200_000)
    (tmp_path / 'text').write_bytes(text)
    curl('-B', '--crlf', '-T', tmp_path / 'text', curl.at('text'))
    assert open(there(demo, who, 'text'), 'rb').read() == text
    curl('-B', curl.at('text'), '-o', tmp_path / 'back')
    assert (tmp_path / 'back').read_bytes().replace(b'\r\n', b'\n') == text
    head = curl('-I', curl.at('text'))
    assert f'Content-Length: {len(text)}\r\n' in head and 'Last-Modified: ' in head and 'Accept-ranges: bytes' in head
    curl('-R', curl.at('text'), '-o', tmp_path / 'dated')
    assert int(os.stat(tmp_path / 'dated').st_mtime) == int(os.stat(there(demo, who, 'text')).st_mtime)
    curl('-z', str(tmp_path / 'dated'), curl.at('text'), '-o', tmp_path / 'newer')
    assert not (tmp_path / 'newer').exists() or (tmp_path / 'newer').read_bytes() == b''
    many = make_many(tmp_path / 'many', 100)
    place(demo, who, many)
    (tmp_path / 'got').mkdir()
    curl('-Z', '--parallel-max', '10', curl.url + 'many/file%20[00000-00099]', '-o', f'{tmp_path}/got/file #1')
    assert sums(tmp_path / 'got') == sums(many)
    curl(curl.url + 'many/file%20*', '-o', tmp_path / 'none', good=(78,))


def test_a_name_that_is_not_utf8(demo, tmp_path):
    """The octets are the name."""
    who = person(demo, 'curl-latin')
    curl = Curl(demo, who)
    (tmp_path / 'f').write_bytes(b'latin')
    curl('-T', tmp_path / 'f', curl.url + 'caf%E9')
    assert os.listdir(os.fsencode(there(demo, who))) == [b'caf\xe9']
    assert curl(curl.url + 'caf%E9') == 'latin'
    f = ftplib.FTP(encoding='latin-1')
    f.connect('127.0.0.1', demo.port(21))
    f.login(who, 'fetch')
    assert f.nlst() == ['café']
    f.quit()
