"""The independent coder against itself and against the RFC's own examples: who judges others must be right."""
import random

import pytest

from ftp_coder import (EBCDIC, EOF, EOR, Coding, Decoder, Marker, Page, Wrong, as_text, decode, encode, from_text, pack, unpack)

TYPES = ['A N', 'E N', 'I', 'L 8', 'L 36', 'L 3']
NASTY = [b'', b'\xff', b'\xff\x01\xff\x02\xff\xff', bytes(1000), b' ' * 200, bytes(range(256)), b'a\r\nb\rc\r\r\nd', b'abc' * 50000]


def contents(how):
    if how.structure == 'F':
        return NASTY
    if how.structure == 'R':
        return [[], NASTY, [b''], [b'', b''], [b'one', b'', b'two']]
    top = (1 << how.byte_size) - 1
    return [[], [Page(0, [1, 2, 3])], [Page(min(3, top), [0, top] * 3), Page(1, []), Page(2, [1] * min(7, top), 3, (5,)), Page(0, [1, 2], 2)]]


@pytest.mark.parametrize('how', [Coding(t, s, m) for t in TYPES for s in 'FRP' for m in 'SBCZ'], ids=str)
def test_round_trip(how):
    for content in contents(how):
        if how.byte_size < 4 and how.structure == 'P' and any(p.extra or len(p.data) > 7 for p in content):
            content = content[:1]
        wire = encode(how, content)
        assert decode(how, wire) == content
        if len(wire) < 5000:
            assert decode(how, wire, 1) == content


def test_rfc_examples():
    assert encode(Coding('I', 'F', 'B'), [Marker(b'123456')])[:9] == b'\x10\x00\x06123456'      # 3.4.2
    assert encode(Coding('A N', 'R', 'S'), [b'a\xff']) == b'a\xff\xff\xff\x01\xff\x02'            # 3.4.1
    assert decode(Coding('I', 'R', 'S'), b'one\xff\x01two\xff\x03') == [b'one', b'two']
    assert decode(Coding('I', 'F', 'C'), b'\x03abc\x85x\xc4\x00\x40\xc0') == b'abcxxxxx\0\0\0\0'  # 3.4.3
    assert decode(Coding('A', 'F', 'C'), b'\xc3\x00\x40\x01z') == b'   z'
    assert decode(Coding('E', 'F', 'C'), b'\xc1\x00\x40') == b'\x40'
    assert len(pack([1, 2], 36)) == 9 and unpack(pack([1, 2], 36), 36) == [1, 2]                  # 3.1.1.4
    assert bytes([EBCDIC.index(c) for c in 'Hello[]^']) == bytes.fromhex('c8859393 96adbd5f')


def test_text():
    text = bytes(range(256)) + b'\none\ntwo\n\n'
    e = Coding('E', 'F', 'S')
    assert from_text(Coding('A', 'F', 'S'), b'a\nb') == b'a\r\nb'
    assert as_text(e, from_text(e, text.replace(b'\x85', b''))) == text.replace(b'\x85', b'')


def test_kept_open():
    how = Coding('I', 'F', 'B')
    d = Decoder(how)
    d.feed(encode(how, b'one') + encode(how, b'two'))
    assert d.ended and d.value() == b'one' and decode(how, d.rest) == b'two'


@pytest.mark.parametrize('how, wire', [
    (Coding('I', 'F', 'B'), b'\x00\x00\x03abc'), (Coding('I', 'F', 'B'), b'\x40\x00\x03ab'), (Coding('I', 'F', 'B'), b'\x41\x00\x00'),
    (Coding('I', 'F', 'C'), b'\x03ab'), (Coding('I', 'F', 'C'), b'\x00\x00'), (Coding('I', 'F', 'C'), b'\x03abc'),
    (Coding('I', 'F', 'B'), bytes([EOR | EOF, 0, 0])), (Coding('I', 'R', 'S'), b'abc\xff\x01'), (Coding('I', 'R', 'S'), b'\xff\x09'),
    (Coding('I', 'R', 'S'), b'abc\xff\x02'), (Coding('I', 'P', 'S'), b'\x04\x00\x02\x01a'), (Coding('I', 'P', 'S'), b'\x03\x00\x00\x00'),
    (Coding('I', 'F', 'Z'), encode(Coding('I', 'F', 'Z'), b'abc')[:-1]),
], ids=range(13))
def test_wrong(how, wire):
    with pytest.raises(Wrong):
        decode(how, wire)


def test_many_random():
    r = random.Random(959)
    for _ in range(300):
        how = Coding(r.choice(TYPES), r.choice('FR'), r.choice('SBCZ'))
        record = lambda: bytes(r.choice(b'\0\xff\x01 ab\r\n') for _ in range(r.randrange(40))) + bytes([r.randrange(256)]) * r.randrange(200)  # noqa: E731
        content = [record() for _ in range(r.randrange(5))] if how.structure == 'R' else record()
        assert decode(how, encode(how, content), r.randrange(1, 9)) == content
