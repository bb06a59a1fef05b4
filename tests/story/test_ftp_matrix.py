"""Every TYPE × STRU × MODE that RFC 959 allows, and mode Z, against the tests' own coder: up, down, crosswise, restarted."""
import random
import select
import string

import pytest

from ftp_coder import Coding, Decoder, Page, as_text, encode, encode_marker, from_text, pack, unpack
from ftp_wire import Ftp, everything

TYPES = ['A N', 'A T', 'A C', 'E N', 'E T', 'E C', 'I', 'L 8', 'L 36', 'L 12', 'L 3']
MODES = 'SBCZ'
PLAIN = Coding('I', 'F', 'S')


def names():
    r = random.Random()
    while True:
        yield 'm-' + ''.join(r.choices(string.ascii_lowercase, k=12))


NAMES = names()


class Session(Ftp):
    """Block and compressed mode keep one data connection; the others have one a file."""

    def __init__(self, demo):
        super().__init__(demo)
        self.login()
        self.kept, self.how, self.codes = None, None, []

    def set(self, how):
        if how != self.how:
            self.ok(f'TYPE {how.type}')
            self.ok(f'STRU {how.structure}')
            self.ok(f'MODE {how.mode}')
            self.how = how

    def start(self, how, line):
        """The data connection, with the transfer under way. A change of mode ends a kept one: then a new one is asked for."""
        if self.how and self.kept and how.mode != self.how.mode:
            self.drop()
        self.set(how)
        data = self.kept or self.passive('EPSV')
        self.send(line)
        code, lines = self.reply()
        assert code == (125 if self.kept else 150), (how, line, lines)
        self.kept = data if how.mode in 'BC' else None
        return data

    def drop(self):
        if self.kept:
            self.kept.close()
            self.kept = None

    def up(self, how, name, content, pieces=None):
        data = self.start(how, f'STOR {name}')
        wire = encode(how, content)
        for i in range(0, len(wire), pieces or len(wire) or 1):
            data.sendall(wire[i:i + (pieces or len(wire))])
        if not self.kept:
            data.close()
        self.expect(226, 250, of=f'{how} STOR')

    def down(self, how, name, rest=None):
        if rest:
            self.set(how)
            self.ok(f'REST {rest}', 350)
        data = self.start(how, f'RETR {name}')
        decoder = Decoder(how)
        if not self.kept:
            decoder.feed(everything(data))
            decoder.closed()
            data.close()
            self.expect(226, 250, of=f'{how} RETR')
        else:
            told = False
            while not decoder.ended:
                if not told and select.select([self.socket], [], [], 0)[0]:
                    self.expect(226, 250, of=f'{how} RETR')
                    told = True
                if told and not select.select([data], [], [], 2)[0]:
                    decoder.closed()        # an EOF that applies to nothing
                    break
                if select.select([data, self.socket], [], [], 60)[0] == [self.socket]:
                    continue
                piece = data.recv(1 << 20)
                assert piece, f'{how}: a kept connection was closed'
                decoder.feed(piece)
            if not told:
                self.expect(226, 250, of=f'{how} RETR')
        assert not decoder.rest
        return decoder


# --- nasty contents ---

ALL = bytes(range(256))
TEXTS = [b'', b'\r\n', b'one\r\ntwo\r\n', b'no end', b'\r\n\r\n\r\n', b'lone\rCR\r\r\n\r\r\r\nend\r', b'\r', b'\0\r\0\r\n', ALL.replace(b'\n', b''),
         b' ' * 70 + b'x' * 70, b'a' * 65535 + b'\r\n' + b'b' * 65534 + b'\r\r\n', b'\r\n' * 70000, b'\r' * 70000, 'Grüße €\r\n'.encode()]
OCTETS = [b'', b'\0', b'\xff', b'\xff\x01\xff\x02\xff\xff', ALL, bytes(70000), b'\xff' * 70000, b'\n\r\n\r', b'ab' * 40000, bytes(63) + b'x' * 64 + b'\0' * 65]


def words(how, octets):
    """What there is of whole logical bytes."""
    return pack(unpack(octets, how.byte_size), how.byte_size)


def contents(how):
    if how.structure == 'P':
        top = (1 << how.byte_size) - 1
        if top == 7:
            return [[], [Page(0, [1, 2, 7])], [Page(7, [7] * 7), Page(3, [])]]
        return [[], [Page(0, [1, 2, 3])], [Page(0, []), Page(2, [0] * 200), Page(min(top, 60000), [top, 0, top], 3, (7,))],
                [Page(9, [1] * 50), Page(1, [2] * 50), Page(0, [5, 6], 2)], [Page(i, [i] * 255) for i in range(120)]]
    if how.structure == 'R':
        records = [words(how, r) for r in OCTETS if len(r) < 5000] + [words(how, b'x' * 70000)]
        if how.letter in 'AE':
            records += [b'a\r\nb', b'a\nb', b'\r', b'\n', b'\r\n', bytes([0x15]), bytes([0x25])]
        return [[], [b''], [b'', b''], [words(how, b'one')], records, [words(how, b'%d' % i) for i in range(20000)]]
    if how.letter == 'A':
        return TEXTS
    if how.letter == 'E':
        return OCTETS + [b'\x15', b'\x15' * 70000, b'\xc8\x89\x15\x0d\x15\x0d\x25']
    return [words(how, octets) for octets in OCTETS]


def allowed(how):
    """RFC 959 section 3.1.2.3 and appendix I know pages of logical bytes; of text the RFC says nothing, so a server may refuse."""
    return not (how.structure == 'P' and how.letter in 'AE')


COMBINATIONS = [(t, s) for t in TYPES for s in 'FRP']


@pytest.mark.parametrize('kind, structure', COMBINATIONS, ids=lambda v: v.replace(' ', ''))
def test_up_and_down(demo, kind, structure):
    """Stored in each mode and read back in each: the same content; the connection of modes B and C serves them all."""
    if not allowed(Coding(kind, structure, 'S')):
        return
    f = Session(demo)
    for content in contents(Coding(kind, structure, 'S')):
        wanted = sorted(content) if structure == 'P' else content
        for up in MODES:
            name = next(NAMES)
            f.up(Coding(kind, structure, up), name, content)
            for down in MODES:
                got = f.down(Coding(kind, structure, down), name).value()
                assert (sorted(got) if structure == 'P' else got) == wanted, (up, down, str(content)[:200])
            f.ok(f'DELE {name}')


@pytest.mark.parametrize('how', [Coding(t, 'P', m) for t in ('A N', 'E N') for m in MODES], ids=str)
def test_refused(demo, how):
    """Either 504 (before anything was transferred), or it works."""
    f = Session(demo)
    codes = [f.code(f'TYPE {how.type}'), f.code(f'STRU {how.structure}'), f.code(f'MODE {how.mode}')]
    if codes == [200] * 3:
        data = f.passive('EPSV')
        f.send('STOR refused')
        codes.append(f.reply()[0])
        data.close()
    assert 504 in codes


@pytest.mark.parametrize('how', [Coding(t, s, m) for t, s in [('A N', 'F'), ('A N', 'R'), ('E N', 'F'), ('E N', 'R'), ('I', 'F'), ('I', 'R'), ('I', 'P'), ('L 36', 'F'), ('L 16', 'P')]
                                 for m in MODES], ids=str)
def test_small_pieces(demo, how):
    """Segments of one, two, seven octets: as one piece."""
    f = Session(demo)
    content = {'F': words(how, b'one\r\n\xfftwo\r\r\n   \0\0\0' * 3), 'R': [words(how, r) for r in (b'one', b'', b'\xff\xff\x01', b'four' * 9)],
               'P': [Page(3, [1, 2, 3]), Page(1, [255] * 9)]}[how.structure]
    for pieces in (1, 2, 7):
        name = next(NAMES)
        f.up(how, name, content, pieces)
        got = f.down(how, name).value()
        assert (sorted(got) if how.structure == 'P' else got) == (sorted(content) if how.structure == 'P' else content)


@pytest.mark.parametrize('how', [Coding(t, s, m) for t in ('A N', 'A C', 'E N', 'E T') for s in 'FR' for m in MODES], ids=str)
def test_plain_file_of_text(demo, how):
    """What arrived as text reads as a Unix text; and such a text goes out as the coding wants it: a record a line (RFC 1123 section 4.1.2.13)."""
    f = Session(demo)
    plain = b'one\n\ntwo and a half   \n' + b'x' * 70000 + b'\n' + bytes(range(32, 127)) + b'\n'
    content = [from_text(how, line) for line in plain.split(b'\n')[:-1]] if how.structure == 'R' else from_text(how, plain)
    name, other = next(NAMES), next(NAMES)
    f.up(how, name, content)
    assert f.down(PLAIN, name).value() == plain
    f.up(PLAIN, other, plain)
    assert f.down(how, other).value() == content


@pytest.mark.parametrize('kind', ['I', 'L 8'])
def test_plain_file_of_octets(demo, kind):
    f = Session(demo)
    for mode in MODES:
        name = next(NAMES)
        f.up(Coding(kind, 'F', mode), name, ALL * 3)
        assert f.down(PLAIN, name).value() == ALL * 3


@pytest.mark.parametrize('structure', 'RP')
def test_facts_follow_the_file(demo, structure):
    """Records and pages are known after a rename and a copy; a file written anew as plain forgets them."""
    f = Session(demo)
    how = Coding('I', structure, 'S')
    content = [b'one\n', b'', b't\xffwo'] if structure == 'R' else [Page(4, [1, 2]), Page(0, [3])]
    name, moved, copied = next(NAMES), next(NAMES), next(NAMES)
    f.up(how, name, content)
    f.ok(f'RNFR {name}', 350)
    f.ok(f'RNTO {moved}', 250)
    assert sorted(f.down(how, moved).value()) == sorted(content)
    f.ok(f'SITE COPY {moved} {copied}')
    assert sorted(f.down(how, copied).value()) == sorted(content)
    f.up(PLAIN, moved, b'plain\nlines\n')
    assert f.down(PLAIN, moved).value() == b'plain\nlines\n'
    assert f.down(Coding('A N', 'R', 'S'), moved).value() == [b'plain', b'lines']


def split_wire(how, before, after):
    """The wire up to and behind a marker, whole. For STRU F bytes; for R lists, where before may end in the middle of a record."""
    marker = encode_marker(how, b'here')
    whole = encode(how, after)
    if how.structure == 'F':
        end = len(encode(how, b''))
        return encode(how, before)[:-end] + marker, whole
    end = len(encode(how, []))
    first = encode(how, before[:-1])[:-end]
    part = encode(Coding(how.type, 'F', how.mode), before[-1])[:-end]
    return first + part + marker, whole


@pytest.mark.parametrize('how, before, after, content', [
    (Coding(t, 'F', m), b, a, b + a) for m in 'BC' for t, b, a in [
        ('I', b'before', b'after'), ('I', b'', b'all'), ('A N', b'one\r\ntw', b'o\r\n'), ('A N', b'one\r', b'\ntwo\r\n'), ('A N', b'one\r', b'\r\ntwo\r'),
        ('E N', b'\xc8\x15', b'\x15\x89'), ('L 36', b'123456789', b'abcdefghi'), ('I', b'x' * 300000, b'y' * 300000)]
] + [
    (Coding(t, 'R', m), b, a, b[:-1] + [b[-1] + a[0]] + a[1:]) for m in 'BC' for t, b, a in [
        ('I', [b'one', b'tw'], [b'o', b'three']), ('A N', [b'one', b''], [b'two', b'']), ('A N', [b'a\r'], [b'\nb', b'c']), ('E N', [b'\xff', b'\x15'], [b'\x15', b'\xc8'])]
], ids=lambda v: str(v) if isinstance(v, Coding) else '')
def test_restart_of_an_upload(demo, how, before, after, content):
    """RFC 959 section 3.5: their marker, our 110, the connection dies; REST with our marker, and the rest."""
    f, name = Session(demo), next(NAMES)
    first, rest = split_wire(how, before, after)
    data = f.start(how, f'STOR {name}')
    data.sendall(first)
    line = f.expect(110, of='a marker')[0]
    assert line.startswith('110 MARK here = ')
    ours = line.split(' = ')[1].strip()
    data.sendall(encode(how, after)[:-3] if len(rest) > 6 else b'')
    f.drop()
    f.expect(426, 451, of='a cut')
    assert f.code(f'MDTM {name}') == 550, 'half a file shows'
    f.ok(f'REST {ours}', 350)
    data = f.start(how, f'STOR {name}')
    data.sendall(rest)
    f.expect(226, 250)
    for mode in MODES:
        assert f.down(Coding(how.type, how.structure, mode), name).value() == content


@pytest.mark.parametrize('how', [Coding(t, s, m) for t in ('I', 'A N', 'E N', 'L 36') for s in 'FR' for m in 'BC'], ids=str)
def test_restart_of_a_download(demo, how):
    """The server's markers: from each of some of them on, the rest and nothing else."""
    f, name = Session(demo), next(NAMES)
    r = random.Random(str(how))
    line = lambda: words(how, from_text(how, b'line %d ' % r.randrange(10 ** 9) + b'x' * r.randrange(100)))  # noqa: E731
    lines = [line() for _ in range(30000)]
    content = lines if how.structure == 'R' else b''.join(one + from_text(how, b'\n') if how.letter in 'AE' else one for one in lines)
    if how.structure == 'F':
        content = words(how, content)
    f.up(how, name, content)
    whole = f.down(how, name)
    assert whole.value() == content
    assert whole.markers, 'a file of megabytes without a marker'
    for text, records, octets in [whole.markers[0], whole.markers[len(whole.markers) // 2], whole.markers[-1]]:
        assert text.isascii() and text.decode().isprintable() and b' ' not in text and len(text) <= 64
        rest = f.down(how, name, text.decode()).value()
        if how.structure == 'F':
            assert content[:octets] + rest == content
        else:
            wanted = list(content[records:])
            if octets:
                wanted[0] = wanted[0][octets:]
            assert rest == wanted


def test_second_file_at_once(demo):
    """Two files behind each other on one connection, before the first was answered: each gets its own octets."""
    f, how = Session(demo), Coding('I', 'F', 'B')
    one, two = next(NAMES), next(NAMES)
    data = f.start(how, f'STOR {one}')
    f.send(f'STOR {two}')
    data.sendall(encode(how, b'first') + encode(how, b'second'))
    assert [f.reply()[0] for _ in range(3)] == [226, 125, 226]
    assert f.down(how, one).value() == b'first' and f.down(how, two).value() == b'second'


def test_listing_in_every_mode(demo):
    """RFC 959 section 4.1.3: a listing goes in TYPE A or E, by whatever mode."""
    f = Session(demo)
    f.ok('MKD matrix-list')
    f.up(PLAIN, 'matrix-list/a-file', b'x')
    for mode in MODES:
        how = Coding('A N', 'F', mode)
        data = f.start(how, 'NLST matrix-list')
        decoder = Decoder(how)
        while not decoder.ended:
            piece = data.recv(65536)
            if not piece:
                decoder.closed()
                break
            decoder.feed(piece)
        f.expect(226, 250)
        assert decoder.value() == b'matrix-list/a-file\r\n', mode
        if not f.kept:
            data.close()
    data.close()


def test_text_of_a_unix_file(demo):
    """as_text is the inverse of from_text, so that the tests above cannot be wrong the same way on both sides."""
    for how in (Coding('A N', 'F', 'S'), Coding('E N', 'F', 'S')):
        assert as_text(how, from_text(how, b'one\ntwo\n')) == b'one\ntwo\n'
