"""tnftp, inetutils ftp, ncftp, wget, rclone and Python's ftplib, as people and their scripts use them."""
import ftplib
import io
import os
import ssl

import pytest
from ftp_programs import BIG, HARD_NAMES, PLAIN_NAMES, Cut, content, lines_of, make_many, make_tree, place, sha256, sums, there
from pail import PATIENCE
from programs import ca, person, run, write_private

# --- tnftp and inetutils ftp: the commands of the lectures' `ftp` ---

FTPS = {
    'tnftp': ['tnftp', '-n', '-i', '-v', '-p'],
    'tnftp active': ['tnftp', '-n', '-i', '-v', '-A'],
    'inetutils': ['inetutils-ftp', '-n', '-i', '-v', '-p'],
    'inetutils active': ['inetutils-ftp', '-n', '-i', '-v'],
}
# what these programs make something else of, before the server hears of it: their own quotes, globs, pipes, leading signs
SAID_BY_FTP = [name for name in PLAIN_NAMES + HARD_NAMES if not set(name) & set('"\\$!{}[]*?|~<>`\t') and name[0] not in '- .' and name[-1] != ' ']


def ftp(demo, who, which, words, folder, port=None):
    command = FTPS[which] + (['127.0.0.1', str(port or demo.port(21))])
    return run(*command, input='\n'.join([f'user {who} fetch', *words, 'quit', '']).encode(), cwd=folder, good=(0, 1))


def number_of(which):
    return list(FTPS).index(which)


@pytest.mark.parametrize('which', FTPS)
def test_put_and_get_every_name(demo, tmp_path, which):
    who = person(demo, f'ftp-names{number_of(which)}')
    up, back = tmp_path / 'up', tmp_path / 'back'
    for folder in (up, back):
        folder.mkdir()
    for name in SAID_BY_FTP:
        (up / name).write_bytes(content(name))
    said = ftp(demo, who, which, ['binary', *(f'put "{name}"' for name in SAID_BY_FTP)], up)
    assert sums(there(demo, who)) == sums(up), said
    assert ('EPSV' in said or 'PASV' in said or 'Passive' in said) == ('active' not in which), said
    said = ftp(demo, who, which, ['binary', *(f'get "{name}"' for name in SAID_BY_FTP)], back)
    assert sums(back) == sums(up), said


@pytest.mark.parametrize('which', FTPS)
def test_mput_mget_text_and_the_rest(demo, tmp_path, which):
    who = person(demo, f'ftp-many{number_of(which)}')
    up, back = make_many(tmp_path / 'up', 200), tmp_path / 'back'
    back.mkdir()
    text = lines_of(100_000)
    (up / 'text').write_bytes(text)
    said = ftp(demo, who, which, ['binary', 'mkdir box', 'cd box', 'mput "file*"', 'ascii', 'put text', 'pwd', 'ls', 'nlist', 'rename text words',
                                  'size words', 'modtime words', 'system', 'status'], up)
    (up / 'text').rename(up / 'words')
    assert sums(there(demo, who, 'box')) == sums(up), said
    assert open(there(demo, who, 'box', 'words'), 'rb').read() == text
    assert '257 "/box"' in said and said.count('file 00199\r\n') + said.count('file 00199\n') >= 2
    said = ftp(demo, who, which, ['cd box', 'binary', 'mget "file*"', 'ascii', 'get words', 'cd ..', 'cd nowhere', 'get nothing'], back)
    assert sums(back) == sums(up), said
    assert said.count('550 ') >= 2
    said = ftp(demo, who, which, ['cd box', 'mdelete "file*"', 'delete words', 'cdup', 'rmdir box', 'ls'], back)
    assert sums(there(demo, who)) == {}, said


@pytest.mark.parametrize('which', FTPS)
def test_big_empty_and_append(demo, tmp_path, which):
    who = person(demo, f'ftp-big{number_of(which)}')
    (tmp_path / 'big').write_bytes(content('big', BIG))
    (tmp_path / 'empty').write_bytes(b'')
    said = ftp(demo, who, which, ['binary', 'put big', 'put empty', 'get big back', 'get empty void', 'append empty big', 'append big two', 'append empty two'],
               tmp_path)
    assert sums(there(demo, who)) == {'big': sha256(tmp_path / 'big'), 'two': sha256(tmp_path / 'big'), 'empty': sha256(tmp_path / 'empty')}, said
    assert sha256(tmp_path / 'back') == sha256(tmp_path / 'big') and (tmp_path / 'void').read_bytes() == b''


@pytest.mark.parametrize('which', FTPS)
def test_reget(demo, tmp_path, which):
    who = person(demo, f'ftp-reget{number_of(which)}')
    whole = content('reget', 2_000_000)
    (tmp_path / 'file').write_bytes(whole)
    place(demo, who, tmp_path / 'file')
    (tmp_path / 'file').write_bytes(whole[:777_777])
    said = ftp(demo, who, which, ['binary', 'reget file'], tmp_path)
    assert (tmp_path / 'file').read_bytes() == whole, said


def test_tnftp_fetches_and_uploads_by_url(demo, tmp_path):
    who = person(demo, 'tnftp-url')
    (tmp_path / 'f').write_bytes(content('f', 123_456))
    url = f'ftp://{who.replace("@", "%40")}:fetch@127.0.0.1:{demo.port(21)}/'
    run('tnftp', '-u', url + 'name', tmp_path / 'f')        # it sends %20 as it is
    assert sha256(there(demo, who, 'name')) == sha256(tmp_path / 'f')
    os.rename(there(demo, who, 'name'), there(demo, who, 'a name'))
    run('tnftp', '-o', tmp_path / 'back', url + 'a%20name')
    assert sha256(tmp_path / 'back') == sha256(tmp_path / 'f')
    run('tnftp', '-o', tmp_path / 'rhyme', f'ftp://127.0.0.1:{demo.port(21)}/pub/jack-and-jill.txt')
    assert b'Jack' in (tmp_path / 'rhyme').read_bytes()


# --- ncftp ---

def login(demo, who, folder):
    return write_private(folder / 'login', f'host 127.0.0.1\nuser {who}\npass fetch\n')


NCFTP = {'passive': '-F', 'active': '-E'}


@pytest.mark.parametrize('way', NCFTP)
def test_ncftp_trees(demo, tmp_path, way):
    who = person(demo, f'ncftp-{way}')
    names = [name for name in PLAIN_NAMES + HARD_NAMES if not set(name) & set('[]*?\\{}\t') and name[0] not in ' -']
    tree = make_tree(tmp_path / 'tree', names, many=2000)
    back = tmp_path / 'back'
    back.mkdir()
    env = {**os.environ, 'HOME': str(tmp_path)}
    common = ['-f', login(demo, who, tmp_path), '-P', demo.port(21), NCFTP[way], '-V']
    run('ncftpput', *common, '-R', '/', tree, env=env)
    assert sums(there(demo, who, 'tree')) == sums(tree)
    run('ncftpget', *common, '-R', back, '/tree', env=env)
    assert sums(back / 'tree') == sums(tree)


def test_ncftp_goes_on_and_the_rest(demo, tmp_path):
    who = person(demo, 'ncftp-rest')
    whole = content('ncftp', 5_000_000)
    (tmp_path / 'file').write_bytes(whole)
    (tmp_path / 'empty').write_bytes(b'')
    text = lines_of(50_000)
    (tmp_path / 'text').write_bytes(text)
    env = {**os.environ, 'HOME': str(tmp_path)}
    common = ['-f', login(demo, who, tmp_path), '-P', demo.port(21), '-V']
    run('ncftpput', *common, '-m', 'made/here', tmp_path / 'file', tmp_path / 'empty', env=env)
    assert sha256(there(demo, who, 'made', 'here', 'file')) == sha256(tmp_path / 'file')
    back = tmp_path / 'back'
    back.mkdir()
    (back / 'file').write_bytes(whole[:1_000_001])
    run('ncftpget', *common, '-z', back, 'made/here/file', 'made/here/empty', env=env)
    assert (back / 'file').read_bytes() == whole and (back / 'empty').read_bytes() == b''
    run('ncftpput', *common, '-a', '-T', '.in.', 'made', tmp_path / 'text', env=env)
    assert open(there(demo, who, 'made', 'text'), 'rb').read() == text
    run('ncftpget', *common, '-a', back, 'made/text', env=env)
    assert (back / 'text').read_bytes() == text
    assert run('ncftpls', *common[:-1], 'ftp://127.0.0.1/made/', env=env).split() == ['here', 'text']
    run('ncftpget', *common, back, 'made/nothing', env=env, good=(3,))


# --- wget ---

WGET = {'passive': [], 'active': ['--no-passive-ftp'], 'implicit TLS': ['--ftps-implicit'], 'TLS, data clear': ['--ftps-clear-data-connection']}


@pytest.mark.parametrize('way', WGET)
def test_wget_a_whole_tree(demo, tmp_path, way):
    who = person(demo, f'wget-{list(WGET).index(way)}')
    # wget takes a name of a listing for a piece of a URL: what stands behind % becomes another
    names = [name for name in PLAIN_NAMES + HARD_NAMES if not set(name) & set('\t%') and name[0] != ' ']
    tree = make_tree(tmp_path / 'tree', names, many=2000 if way == 'passive' else 20)
    place(demo, who, tree)
    scheme = 'ftps' if 'TLS' in way else 'ftp'
    port = demo.port(990 if way == 'implicit TLS' else 21)
    run('wget', '-q', '--no-config', '--tries=3', f'--user={who}', '--password=fetch', f'--ca-certificate={ca(demo)}', '-r', '-l', 'inf', '-nH',
        '--restrict-file-names=nocontrol', '-P', tmp_path / 'back', *WGET[way], f'{scheme}://localhost:{port}/tree/', cwd=tmp_path,
        env={**os.environ, 'LANG': 'C.UTF-8'})
    assert sums(tmp_path / 'back' / 'tree', folders=False) == sums(tree, folders=False)


def test_wget_goes_on(demo, tmp_path):
    who = person(demo, 'wget-on')
    whole = content('wget', 6_000_000)
    (tmp_path / 'file').write_bytes(whole)
    place(demo, who, tmp_path / 'file')
    (tmp_path / 'file').write_bytes(whole[:1_000_000])
    common = ['wget', '-q', '--no-config', '--tries=5', '--waitretry=0', f'--user={who}', '--password=fetch', '-P', tmp_path]
    run(*common, '-c', f'ftp://localhost:{demo.port(21)}/file')
    assert (tmp_path / 'file').read_bytes() == whole
    (tmp_path / 'file').unlink()
    with Cut(demo, 2_000_000) as cut:
        run(*common, f'ftp://localhost:{cut.port}/file')
        assert cut.happened and cut.heard('REST')
    assert (tmp_path / 'file').read_bytes() == whole


# --- rclone ---

RCLONE = {'clear': (21, []), 'explicit TLS': (21, ['--ftp-explicit-tls']), 'implicit TLS': (990, ['--ftp-tls'])}


@pytest.mark.parametrize('way', RCLONE)
def test_rclone_copies_and_checks(demo, tmp_path, way):
    who = person(demo, f'rclone-{list(RCLONE).index(way)}')
    tree = make_tree(tmp_path / 'tree', PLAIN_NAMES, many=200)
    (tree / 'big').write_bytes(content('big', BIG))
    secret = run('rclone', 'obscure', 'fetch').strip()
    number, options = RCLONE[way]
    env = {**os.environ, 'SSL_CERT_FILE': ca(demo), 'HOME': str(tmp_path), 'RCLONE_CONFIG': str(tmp_path / 'none')}

    def rclone(*words, good=(0,)):
        return run('rclone', *words, '--ftp-host', 'localhost', '--ftp-port', demo.port(number), '--ftp-user', who, '--ftp-pass', secret, *options,
                   '--retries', '1', '--low-level-retries', '2', env=env, good=good)

    rclone('copy', tree, ':ftp:up', '--create-empty-src-dirs')
    assert sums(there(demo, who, 'up')) == sums(tree)
    rclone('check', '--download', tree, ':ftp:up')
    rclone('copy', ':ftp:up', tmp_path / 'back', '--create-empty-src-dirs')
    assert sums(tmp_path / 'back') == sums(tree)
    (tree / 'plain').write_bytes(b'changed\n')
    (tree / 'two  spaces').unlink()
    rclone('check', tree, ':ftp:up', good=(1,))
    rclone('sync', tree, ':ftp:up', '--create-empty-src-dirs')
    assert sums(there(demo, who, 'up')) == sums(tree)
    rclone('check', tree, ':ftp:up')
    rclone('moveto', ':ftp:up/plain', ':ftp:elsewhere/it is here')
    assert rclone('cat', ':ftp:elsewhere/it is here').endswith('changed\n')
    rclone('purge', ':ftp:up')
    assert sums(there(demo, who)) == {'elsewhere': 'folder', 'elsewhere/it is here': sha256(tree / 'plain')}


# --- Python's ftplib ---

def trust(demo):
    return ssl.create_default_context(cafile=ca(demo))


@pytest.mark.parametrize('way', ['clear', 'PORT', 'TLS', 'TLS, data clear', 'TLS and PORT'])
def test_ftplib(demo, tmp_path, way):
    """FTP_TLS begins a new TLS session for each data connection; by `prefer`, the default, that is well."""
    who = person(demo, 'ftplib-' + way.lower().replace(' ', '').replace(',', ''))
    f = ftplib.FTP_TLS(context=trust(demo), timeout=PATIENCE) if 'TLS' in way else ftplib.FTP(timeout=PATIENCE)
    f.connect('localhost', demo.port(21))
    f.login(who, 'fetch')
    f.set_pasv('PORT' not in way)
    if 'TLS' in way and 'clear' not in way:
        f.prot_p()
    whole = content('ftplib', 3_000_000)
    for name in PLAIN_NAMES + HARD_NAMES + ['\x01 and \x7f']:
        f.storbinary(f'STOR {name}', io.BytesIO(content(name)))
    assert {name: open(there(demo, who, name), 'rb').read() for name in os.listdir(there(demo, who))} == \
        {name: content(name) for name in PLAIN_NAMES + HARD_NAMES + ['\x01 and \x7f']}
    assert sorted(f.nlst('-a')) == sorted(PLAIN_NAMES + HARD_NAMES + ['\x01 and \x7f'])
    assert '.hidden' not in f.nlst()
    assert {name: int(facts['size']) for name, facts in f.mlsd(facts=['type', 'size']) if facts['type'] == 'file'} == \
        {name: len(content(name)) for name in PLAIN_NAMES + HARD_NAMES + ['\x01 and \x7f']}
    f.storbinary('STOR large', io.BytesIO(whole))
    got = io.BytesIO()
    f.retrbinary('RETR large', got.write, rest=1_000_000)
    assert got.getvalue() == whole[1_000_000:] and f.size('large') == len(whole)
    f.storbinary('STOR large', io.BytesIO(b'new end'), rest=10)
    assert open(there(demo, who, 'large'), 'rb').read() == whole[:10] + b'new end'
    text = lines_of(30_000)
    f.storlines('STOR text', io.BytesIO(text))
    lines = []
    f.retrlines('RETR text', lines.append)
    assert '\n'.join(lines).encode() + b'\n' == text == open(there(demo, who, 'text'), 'rb').read()
    assert f.mkd('quo"ted') == '/quo"ted' and f.cwd('quo"ted') and f.pwd() == '/quo"ted'
    f.rename('/text', 'text')
    f.delete('text')
    f.cwd('..')
    f.rmd('quo"ted')
    data = f.transfercmd('RETR large')
    f.abort() if 'TLS' not in way else None
    data.close()
    if 'TLS' in way:
        with pytest.raises(ftplib.error_temp):
            f.voidresp()
    f.quit()
