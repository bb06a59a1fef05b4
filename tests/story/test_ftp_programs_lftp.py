"""lftp: whole trees both ways, in the clear and under TLS, in MODE Z, in pieces, and after the wire was cut."""
import os
import random

import pytest
from ftp_programs import BIG, Cut, HARD_NAMES, PLAIN_NAMES, content, kept, make_many, make_tree, place, sha256, sums, there
from pail import PATIENCE
from programs import ca, person, run

WAYS = {
    'passive': (21, 'ftp', 'set ftp:ssl-allow no'),
    'active': (21, 'ftp', 'set ftp:ssl-allow no; set ftp:passive-mode no'),
    'explicit TLS': (21, 'ftp', 'set ftp:ssl-force yes; set ftp:ssl-protect-data yes'),
    'explicit TLS, data clear': (21, 'ftp', 'set ftp:ssl-force yes; set ftp:ssl-protect-data no; set ftp:ssl-protect-list no'),
    'implicit TLS': (990, 'ftps', ''),
    'active TLS': (990, 'ftps', 'set ftp:passive-mode no'),
    'mode Z': (21, 'ftp', 'set ftp:ssl-allow no; set ftp:use-mode-z yes'),
    'mode Z under TLS': (21, 'ftp', 'set ftp:ssl-force yes; set ftp:use-mode-z yes'),
    'LIST': (21, 'ftp', 'set ftp:ssl-allow no; set ftp:use-mlsd no; set ftp:list-options -a'),
    'PASV and no more': (21, 'ftp', 'set ftp:ssl-allow no; set ftp:prefer-epsv no; set ftp:use-feat no; set ftp:list-options -a'),
}


def lftp(demo, who, words, way='passive', port=None, good=(0,)):
    number, scheme, settings = WAYS[way]
    port = port or demo.port(number)
    return run('lftp', '--norc', '-c',
               f'set cmd:fail-exit yes; set net:timeout {PATIENCE}; set net:max-retries 3; set net:reconnect-interval-base 0; '
               f'set cmd:parallel 1; set ssl:ca-file {ca(demo)}; set ssl:verify-certificate yes; {settings}; '
               f'open -u {who},fetch {scheme}://localhost:{port}; {words}', good=good, env={**os.environ, 'LANG': 'C.UTF-8', 'HOME': '/nowhere'})


def test_it_speaks_what_the_story_says(demo, tmp_path):
    """Without this the ways above might all be one."""
    who = person(demo, 'lftp-ways')
    place(demo, who, make_tree(tmp_path / 'tree', ['plain']))
    says = {'active': 'EPRT|PORT', 'explicit TLS': 'PROT P', 'explicit TLS, data clear': 'AUTH TLS', 'implicit TLS': 'PROT P|PBSZ',
            'mode Z': 'MODE Z', 'mode Z under TLS': 'MODE Z', 'LIST': 'LIST', 'PASV and no more': 'PASV', 'passive': 'MLSD'}
    for way, words in says.items():
        said = lftp(demo, who, f'debug 9; get tree/large -o {tmp_path}/large; ls tree; quote NOOP; cls -l tree', way)
        assert any(f'---> {word}' in said for word in words.split('|')), said
        (tmp_path / 'large').unlink()


@pytest.mark.parametrize('way', WAYS)
def test_mirror_both_ways(demo, tmp_path, way):
    who = person(demo, 'lftp-' + ''.join(c for c in way.lower() if c.isalpha()))
    tree = make_tree(tmp_path / 'tree', PLAIN_NAMES + HARD_NAMES)
    lftp(demo, who, f'mirror -R -P 3 {tree} up', way)
    assert sums(there(demo, who, 'up')) == sums(tree)
    lftp(demo, who, f'mirror -P 3 up {tmp_path}/down', way)
    assert sums(tmp_path / 'down') == sums(tree)


def test_mirror_again_carries_only_what_is_new(demo, tmp_path):
    """What MLSD and MFMT say of times and sizes is the same both ways, so that nothing is carried twice."""
    who = person(demo, 'lftp-again')
    tree = make_tree(tmp_path / 'tree')
    lftp(demo, who, f'mirror -R {tree} up')
    assert lftp(demo, who, f'mirror -R --verbose {tree} up') == ''
    lftp(demo, who, f'mirror up {tmp_path}/down')
    assert lftp(demo, who, f'mirror --verbose up {tmp_path}/down') == ''
    (tree / 'plain').write_bytes(b'another')
    (tree / '水 and crème').unlink()
    (tree / 'new').write_bytes(b'new')
    lftp(demo, who, f'mirror -R --delete {tree} up')
    lftp(demo, who, f'mirror --delete up {tmp_path}/down')
    assert sums(there(demo, who, 'up')) == sums(tmp_path / 'down') == sums(tree)
    os.chmod(tree / 'new', 0o600)
    lftp(demo, who, f'chmod 600 up/new; mirror up {tmp_path}/modes')
    assert os.stat(tmp_path / 'modes' / 'new').st_mode & 0o777 == 0o600


@pytest.mark.parametrize('way', ['passive', 'implicit TLS', 'mode Z'])
def test_a_thousand_small_files_and_a_folder_of_two_thousand(demo, tmp_path, way):
    who = person(demo, 'lftp-many-' + way.replace(' ', '').lower())
    up, down = make_many(tmp_path / 'up', 1000), make_many(tmp_path / 'down', 2000)
    lftp(demo, who, f'mirror -R -P 4 {up} up', way)
    assert sums(there(demo, who, 'up')) == sums(up)
    place(demo, who, down)
    lftp(demo, who, f'mirror -P 4 down {tmp_path}/back', way)
    assert sums(tmp_path / 'back') == sums(down)
    lftp(demo, who, 'rm -r up', way)
    assert not os.path.exists(there(demo, who, 'up'))


@pytest.mark.parametrize('way', ['passive', 'explicit TLS'])
def test_a_big_file_in_four_pieces(demo, tmp_path, way):
    who = person(demo, 'lftp-pget-' + way[:7])
    (tmp_path / 'big').write_bytes(content('big', BIG))
    lftp(demo, who, f'put {tmp_path}/big', way)
    assert sha256(there(demo, who, 'big')) == sha256(tmp_path / 'big')
    lftp(demo, who, f'pget -n 4 big -o {tmp_path}/back', way)
    assert sha256(tmp_path / 'back') == sha256(tmp_path / 'big')


@pytest.mark.parametrize('all', [False, True], ids=['data', 'control too'])
@pytest.mark.parametrize('command', ['get', 'get -c', 'pget -n 4'])
def test_a_download_that_was_cut_goes_on(demo, tmp_path, command, all):
    who = person(demo, f'lftp-cut-{command.replace(" ", "")}{all:d}'.lower())
    (tmp_path / 'file').write_bytes(content('cut', 8_000_000))
    place(demo, who, tmp_path / 'file')
    with Cut(demo, 1_000_000, all) as cut:
        lftp(demo, who, f'{command} file -o {tmp_path}/back', port=cut.port)
        assert cut.happened and [line for line in cut.heard('REST') if int(line.split()[1]) > 0]
    assert sha256(tmp_path / 'back') == sha256(tmp_path / 'file')


@pytest.mark.parametrize('all', [False, True], ids=['data', 'control too'])
@pytest.mark.parametrize('command', ['put', 'put -c'])
def test_an_upload_that_was_cut_goes_on_or_begins_anew(demo, tmp_path, command, all):
    who = person(demo, f'lftp-cutput{len(command)}{all:d}')
    (tmp_path / 'file').write_bytes(content('cut', 8_000_000))
    with Cut(demo, 1_000_000, all) as cut:
        lftp(demo, who, f'{command} {tmp_path}/file', port=cut.port)
        assert cut.happened and len(cut.heard('STOR')) == 2
    assert sha256(there(demo, who, 'file')) == sha256(tmp_path / 'file')


def test_reget_and_reput(demo, tmp_path):
    """By another lftp, that knows of the first one only what lies there."""
    who = person(demo, 'lftp-reget')
    whole = content('reget', 5_000_000)
    (tmp_path / 'file').write_bytes(whole)
    place(demo, who, tmp_path / 'file')
    (tmp_path / 'back').write_bytes(whole[:2_345_678])
    said = lftp(demo, who, f'debug 9; reget file -o {tmp_path}/back')
    assert '---> REST 2345678' in said and (tmp_path / 'back').read_bytes() == whole
    with Cut(demo, 2_000_000, True) as cut:
        lftp(demo, who, f'set net:max-retries 1; put {tmp_path}/file -o up', port=cut.port, good=(1,))
        assert cut.happened
    assert not os.path.exists(there(demo, who, 'up'))
    kept(demo, who, 'up')
    said = lftp(demo, who, f'debug 9; reput {tmp_path}/file -o up')
    assert '---> REST' in said and sha256(there(demo, who, 'up')) == sha256(tmp_path / 'file')


def test_text_and_the_rest(demo, tmp_path):
    who = person(demo, 'lftp-rest')
    text = b''.join(b'line %d of %d\n' % (i, random.Random(i).getrandbits(99)) for i in range(20_000))
    (tmp_path / 'text').write_bytes(text)
    lftp(demo, who, f'put -a {tmp_path}/text; mkdir -p a/b/c; mv text a/b/c/moved; get -a a/b/c/moved -o {tmp_path}/back')
    assert open(there(demo, who, 'a', 'b', 'c', 'moved'), 'rb').read() == (tmp_path / 'back').read_bytes() == text
    assert lftp(demo, who, 'cls -1 a/b; cd a/b/c; pwd; du moved; cat moved | sha256sum; glob -f echo m*; ln -s moved link; find').split('\n')[0] == 'a/b/c/'
    assert lftp(demo, who, 'mrm a/b/c/*; rmdir a/b/c; rmdir a/b a; cls') == ''
    lftp(demo, who, 'cd nowhere', good=(1,))
    lftp(demo, who, 'get nothing', good=(1,))
