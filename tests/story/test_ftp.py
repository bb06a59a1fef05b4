"""FTP transfers that go well, and that are cut at any point: what was not acknowledged is not to be seen."""
import hashlib
import os
import re
import time

import pytest
from ftp_wire import JACK, JILL, Ftp, Refused, files_of, noise, reset, session, session_ended
from pail import PATIENCE, Pail, until

# --- cut anywhere ---

SIZE = 1_000_000


@pytest.mark.parametrize('share', [0, 0.0001, 0.5, 0.99, 1])
@pytest.mark.parametrize('how', ['data-reset', 'machine-dies', 'process-dies'])
def test_a_client_that_dies_publishes_nothing(demo, share, how):
    """In MODE S the end of the connection is the end of the file: only what else is known tells a death from an end."""
    f, name = session(demo), f'dies-{share}-{how}'
    port = f.socket.getsockname()[1]
    data = f.begin(f'STOR {name}')
    data.sendall(noise(name, SIZE)[:int(SIZE * share)])
    if how == 'data-reset':
        reset(data)
        f.expect(426)
        f.close()
    elif how == 'machine-dies':
        reset(data)
        f.cut()
    else:
        f.close()           # the kernel closes them in this order when a process dies
        data.close()
    until('its session has ended', lambda: session_ended(demo, port))
    with session(demo) as f:
        assert f.code(f'MDTM {name}') == 550
        assert name not in f.names()


@pytest.mark.parametrize('share', [0, 0.5, 0.99])
def test_what_was_there_stays_until_the_new_one_is_whole(demo, share):
    f, name = session(demo), f'stays-{share}'
    old, new = noise('old', 50_000), noise('new', SIZE)
    f.stor(name, old)
    data = f.begin(f'STOR {name}')
    data.sendall(new[:int(SIZE * share)])
    with session(demo) as other:
        assert other.retr(name) == old
    reset(data)
    f.expect(426)
    assert f.retr(name) == old
    f.stor(name, new)
    assert f.retr(name) == new


def test_an_upload_that_broke_off_goes_on_where_it_was(demo):
    """The server has the first octets for sure, since it said 426 after an end that lost none of them."""
    whole, name = noise('goes on', 3_000_000), 'goes-on'
    with session(demo) as f:
        f.ok('MODE B')
        data = f.passive()
        f.send(f'STOR {name}')
        f.expect(150)
        for i in range(0, 1_000_000, 50_000):
            data.sendall(b'\0' + (50_000).to_bytes(2, 'big') + whole[i:i + 50_000])
        data.close()        # no EOF block
        f.expect(426)
    with session(demo) as f:
        f.ok('REST 1000000', 350)
        f.stor(name, whole[1_000_000:])
        assert f.retr(name) == whole
    with session(demo) as f:
        f.ok('MODE B')
        data = f.passive()
        f.send(f'STOR {name}-appe')
        f.expect(150)
        data.sendall(b'\0' + (50_000).to_bytes(2, 'big') + whole[:50_000])
        data.close()
        f.expect(426)
    with session(demo) as f:
        f.put(f'APPE {name}-appe', whole[50_000:])
        assert f.retr(f'{name}-appe') == whole


def test_a_download_goes_on_anywhere(demo):
    whole = noise('down', 300_000)
    with session(demo) as f:
        f.stor('down', whole)
        for at in (0, 1, 4095, 4096, 65_537, 299_999, 300_000):
            f.ok(f'REST {at}', 350)
            assert f.retr('down') == whole[at:]
        for at in (300_001, 2 ** 40, 2 ** 63 - 1):
            code = f.code(f'REST {at}')
            if code == 350:
                with pytest.raises(Refused) as e:
                    f.retr('down')
                assert e.value.code // 100 == 5
        for at in ('-1', '9223372036854775808', '18446744073709551616', '1 2', '0x10', ''):
            assert f.code(f'REST {at}') == 501
        assert f.retr('down') == whole


def test_two_uploads_to_one_name_do_not_mix(demo):
    one, two = noise('one', 700_000), noise('two', 500_000)
    f, g = session(demo), session(demo)
    a, b = f.begin('STOR same'), g.begin('STOR same')
    for i in range(0, 500_000, 100_000):
        a.sendall(one[i:i + 100_000])
        b.sendall(two[i:i + 100_000])
    b.close()
    g.expect(226)
    assert g.retr('same') == two
    a.sendall(one[500_000:])
    a.close()
    f.expect(226)
    assert g.retr('same') == one


def test_appends_at_the_same_time_are_each_whole(demo):
    f, g = session(demo), session(demo)
    f.stor('appended', b'start')
    a, b = f.begin('APPE appended'), g.begin('APPE appended')
    a.sendall(b'A' * 1000)
    b.sendall(b'B' * 1000)
    a.close()
    b.close()
    said = [f.reply()[0], g.reply()[0]]
    found = f.retr('appended')
    assert 226 in said and all(code // 100 in (2, 4) for code in said)
    for code, letter in zip(said, (b'A', b'B')):
        assert (letter * 1000 in found) == (code == 226)
    assert len(found) == 5 + 1000 * said.count(226)


def test_a_join_takes_no_append_away(demo):
    """COMB while somebody appends: what was acknowledged is there, whoever was first."""
    f, g = session(demo), session(demo)
    for i in range(20):
        f.stor('joined', b'start' * 100_000)
        f.stor('piece', b'piece')
        with g.begin('APPE joined') as data:
            data.sendall(b'append')
            f.send('COMB joined piece')
        joined, appended = f.reply()[0], g.reply()[0]
        found = f.retr('joined')
        assert 2 in (joined // 100, appended // 100) and {joined, appended} <= {226, 250, 450}
        assert (b'append' in found) == (appended == 226)
        assert (b'piece' in found) == (joined == 250) == ('piece' not in f.names())


def test_what_is_copied_in_slices_is_whole(demo):
    """SITE COPY, COMB, APPE and REST behind 64 MB, by which a worker copies: each octet in its place, and others go on meanwhile."""
    f = session(demo)
    f.names()       # a folder is made when it is first needed
    size, at = 150_000_000, (0, (64 << 20) - 3, 64 << 20, (128 << 20) - 1, 150_000_000 - 7)
    with open(f'{files_of(demo)}/long', 'wb') as out:
        out.truncate(size)
        for place in at:
            out.seek(place)
            out.write(b'placed!')
    f.ok('SITE COPY long copied')
    f.put('APPE long', b'the end')
    f.stor('tail', b'the end')
    f.ok('COMB copied tail')
    f.ok(f'REST {size}', 350)
    f.stor('copied', b'the end')
    for name in ('long', 'copied'):
        with open(f'{files_of(demo)}/{name}', 'rb') as found:
            assert os.fstat(found.fileno()).st_size == size + 7
            for place in at:
                found.seek(place)
                assert found.read(3) == b'pla'
            found.seek(size)
            assert found.read() == b'the end'
        f.ok(f'DELE {name}')


def test_a_join_takes_no_upload_away(demo):
    """COMB while a part is stored anew: what it has taken in goes, and what came since stays."""
    f, g = session(demo), session(demo)
    for _ in range(20):
        f.stor('whole', b'w' * 2_000_000)
        f.stor('part', b'old')
        with g.begin('STOR part') as data:
            data.sendall(b'new')
            f.send('COMB whole part')
        g.expect(226)
        f.expect(250)
        kept = 'part' in f.names() and f.retr('part') == b'new'
        assert kept or f.retr('whole').endswith(b'new')


@pytest.mark.parametrize('when', ['20020924142442', '19700101000000', '99991231235959', '00010101000000'])
def test_the_time_that_is_told_is_the_file_s(demo, when):
    """Also where the file system's years end before."""
    f = session(demo)
    f.stor('old', b'x')
    for line in (f'MFMT {when} old', f'MFF Modify={when}; old'):
        told = re.search(r'Modify=(\d+);', f.ok(line, 213)[0]).group(1)
        assert f.ok('MDTM old', 213) == [f'213 {told}']


def test_tls_without_close_notify_publishes_nothing(demo):
    f = Ftp(demo).auth_tls().login(JILL)
    f.ok('TYPE I')
    for share, whole in ((0, b''), (0.99, noise('tls', SIZE))):
        data = f.begin('STOR tls-cut')
        data.sendall(whole[:int(SIZE * share)])
        os.close(data.detach())
        f.expect(426)
        assert f.code('MDTM tls-cut') == 550
    f.stor('tls-whole', noise('tls', SIZE))
    assert f.retr('tls-whole') == noise('tls', SIZE)


# --- the log of transfers ---

XFERLOG = re.compile(r'(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d \d{4} '
                     r'(\d+) (\S+) (\d+) (\S+) ([ab]) (\S+) ([oid]) ([agr]) (\S+) (\S+) ([01]) (\S+) ([ci])')


def test_xferlog(tmp_path):
    os.chmod(tmp_path, 0o777)
    log = tmp_path / 'xferlog'
    log.touch()
    os.chmod(log, 0o666)
    with Pail(settings={'ftp-xferlog': str(log)}) as pail:
        with session(pail) as f:
            f.stor('with space', b'12345')
            f.retr('with space')
            f.ok('TYPE A')
            f.retr('with space')
            f.ok('TYPE I')
            data = f.begin('STOR broken')
            data.sendall(b'123')
            reset(data)
            f.expect(426)
        until('four lines', lambda: len(log.read_text().splitlines()) == 4)
        root = os.path.join(pail.folder, 'files', 'anonymous')  # maybe of the other process, which gathers lines of its own
        os.makedirs(root, exist_ok=True)
        with open(f'{root}/file', 'wb') as out:
            out.write(b'1234567')
        os.chmod(root, 0o755)
        with Ftp(pail) as f:
            f.ok('USER anonymous', 331)
            f.ok('PASS alice@crepes.fr', 230)
            f.ok('TYPE I')
            assert f.retr('file') == b'1234567'
        lines = until('the fifth line', lambda: len(log.read_text().splitlines()) == 5 and log.read_text().splitlines())
    found = [XFERLOG.fullmatch(line) for line in lines]
    assert all(found), lines
    took = [(m[4], m[5], m[6], m[7], m[9], m[10], m[11], m[15]) for m in found]
    me = '127.0.0.1'
    assert took[0] == (me, '5', '/with_space', 'b', 'i', 'r', JILL, 'c')
    assert took[1] == (me, '5', '/with_space', 'b', 'o', 'r', JILL, 'c')
    assert took[2] == (me, '5', '/with_space', 'a', 'o', 'r', JILL, 'c')
    assert took[3][2:] == ('/broken', 'b', 'i', 'r', JILL, 'i')
    assert took[4] == (me, '7', '/file', 'b', 'o', 'a', 'alice@crepes.fr', 'c')


# --- many ---

def test_many_small_files_pipelined_in_block_mode(demo):
    """A hundred commands in one segment, a hundred files on one connection."""
    f = session(demo, JACK)
    digest = hashlib.sha256()
    f.ok('MODE B')
    data = f.passive()
    for i in range(100):
        octets = noise(f'small-{i}', 500)
        f.send(f'STOR small-{i}')
        data.sendall(b'\x40' + len(octets).to_bytes(2, 'big') + octets)
        assert f.reply()[0] in (125, 150)
        f.expect(226, 250)
        digest.update(octets)
    f.socket.sendall(b''.join(b'RETR small-%d\r\n' % i for i in range(100)))
    got = hashlib.sha256()
    stream = data.makefile('rb')
    for i in range(100):
        octets, ended = b'', False
        while not ended:
            header = stream.read(3)
            octets += stream.read(int.from_bytes(header[1:], 'big'))
            ended = header[0] & 0x40
        got.update(octets)
        assert f.reply()[0] == 125
        f.expect(226, 250)
    assert got.digest() == digest.digest()


def test_clock(demo):
    """MDTM of what was stored now is now, in UTC."""
    with session(demo) as f:
        f.stor('now', b'x')
        told = f.ok('MDTM now')[0].split()[1][:14]
        then = time.mktime(time.strptime(told, '%Y%m%d%H%M%S')) - time.timezone
        assert abs(then - time.time()) < PATIENCE
