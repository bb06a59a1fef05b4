"""TYPE, STRU and MODE as RFC 959 has them, written from its text alone, so that the server's coder has somebody to disagree with.

    how = Coding('A N', 'R', 'B')
    wire = encode(how, [b'one', b'two'])            # STRU F: bytes; R: a list of records; P: a list of pages
    decoder = Decoder(how); decoder.feed(piece); decoder.ended; decoder.value()

Content is in logical bytes as they travel: for TYPE A lines that end in CRLF, for TYPE E in EBCDIC with NL. as_text, from_text turn that
into what a Unix file holds, as far as the RFC says what that is.
"""
import zlib
from collections import namedtuple

EOR, EOF, SUSPECT, MARKER = 128, 64, 32, 16     # descriptor codes of block and compressed mode (3.4.2)
LAST_PAGE, SIMPLE_PAGE, DESCRIPTOR_PAGE, ACCESS_PAGE = range(4)

Page = namedtuple('Page', 'index data kind extra', defaults=(SIMPLE_PAGE, ()))      # data and extra: lists of logical bytes
Marker = namedtuple('Marker', 'text')


class Coding(namedtuple('Coding', 'type structure mode')):
    """type as the TYPE command wants it: 'A N', 'E', 'I', 'L 36'."""

    @property
    def letter(self):
        return self.type[0]

    @property
    def byte_size(self):
        return int(self.type[2:]) if self.letter == 'L' else 8

    @property
    def filler(self):
        return {'A': 0x20, 'E': 0x40}.get(self.letter, 0)       # 3.4.3

    def __str__(self):
        return '-'.join(part.replace(' ', '') for part in self)


class Wrong(Exception):
    """What came breaks a rule of the RFC."""


# --- EBCDIC: IBM-1047 is IBM-037 but for three pairs, which change places ---

def ebcdic_table():
    table = [bytes([i]).decode('cp037') for i in range(256)]
    for one, other in ((0xBA, 0xAD), (0xBB, 0xBD), (0xB0, 0x5F)):
        table[one], table[other] = table[other], table[one]
    return table


EBCDIC = ebcdic_table()
TO_EBCDIC = {c: i for i, c in enumerate(EBCDIC)}
NL = 0x15


def from_text(how, text):
    """A Unix text (bytes, lines end in LF) as it travels."""
    if how.letter == 'A':
        return text.replace(b'\n', b'\r\n')
    if how.letter == 'E':
        return bytes(NL if b == 10 else TO_EBCDIC[chr(b)] for b in text)
    return text


def as_text(how, wire):
    if how.letter == 'A':
        return wire.replace(b'\r\n', b'\n')
    if how.letter == 'E':
        return ''.join('\n' if b == NL else EBCDIC[b] for b in wire).encode('latin-1')
    return wire


# --- logical bytes, packed contiguously, padded with zeros at the end (3.1.1.4) ---

def pack(values, size):
    pieces = []
    for i in range(0, len(values), 8):      # eight of them are `size` octets
        some, bits = values[i:i + 8], 0
        for value in some:
            assert 0 <= value < 1 << size
            bits = bits << size | value
        octets = -(-len(some) * size // 8)
        pieces.append((bits << octets * 8 - len(some) * size).to_bytes(octets, 'big'))
    return b''.join(pieces)


def unpack(octets, size):
    values = []
    for i in range(0, len(octets), size):
        piece = octets[i:i + size]
        whole = len(piece) * 8 // size
        bits = int.from_bytes(piece, 'big') >> len(piece) * 8 - whole * size
        values += [bits >> (whole - 1 - k) * size & (1 << size) - 1 for k in range(whole)]
    return values


def pages_to_octets(pages, size):
    """3.1.2.3: every field is a logical byte."""
    values = []
    for page in pages:
        values += [4 + len(page.extra), page.index, len(page.data), page.kind, *page.extra, *page.data]
    return pack(values + [4, 0, 0, LAST_PAGE], size)


def octets_to_pages(octets, size):
    """(pages, whole): whole if the last page came."""
    values, pages, at = unpack(octets, size), [], 0
    while at + 4 <= len(values):
        header, index, length, kind = values[at:at + 4]
        if header < 4:
            raise Wrong(f'a page header of {header}')
        if kind == LAST_PAGE:
            if header != 4 or length != 0:
                raise Wrong('a last page with something in it')
            return pages, True
        if at + header + length > len(values):
            break
        pages.append(Page(index, values[at + header:at + header + length], kind, tuple(values[at + 4:at + header])))
        at += header + length
    return pages, False


def pages_end(octets, size):
    """Has the last page come? Cheap when it cannot have."""
    last = pack([4, 0, 0, LAST_PAGE], size)
    return (size % 8 != 0 or octets.endswith(last)) and octets_to_pages(octets, size)[1]


# --- encoding ---

def compress(octets, filler):
    """3.4.3: strings, replicated bytes, fillers."""
    out, plain, at = bytearray(), bytearray(), 0

    def flush():
        for i in range(0, len(plain), 127):
            piece = plain[i:i + 127]
            out.append(len(piece))
            out.extend(piece)
        plain.clear()

    while at < len(octets):
        run = 1
        while run < 63 and at + run < len(octets) and octets[at + run] == octets[at]:
            run += 1
        if run < 3:
            plain.append(octets[at])
            at += 1
            continue
        flush()
        out.extend([0xC0 | run] if octets[at] == filler else [0x80 | run, octets[at]])
        at += run
    flush()
    return bytes(out)


def with_descriptor(how, octets, code):
    """Data whose end has this descriptor: a block, or in compressed mode a code before the last string."""
    if how.mode == 'B':
        blocks = [octets[i:i + 65535] for i in range(0, len(octets), 65535)] or [b'']
        return b''.join(bytes([0 if i + 1 < len(blocks) else code]) + len(block).to_bytes(2, 'big') + block
                        for i, block in enumerate(blocks))
    if not octets:
        return bytes([0, code, 0xC0])       # a string of no fillers: 3.4.3 asks only of byte strings that n is positive
    if code == 0:
        return compress(octets, how.filler)
    return compress(octets[:-1], how.filler) + bytes([0, code, 1]) + octets[-1:]


def encode_marker(how, text):
    if how.mode == 'B':
        return bytes([MARKER]) + len(text).to_bytes(2, 'big') + text
    return bytes([0, MARKER, len(text)]) + text


def encode_blocks(how, content):
    """Modes B and C: content is bytes for STRU F and P, records for R; Marker()s may stand between."""
    out, items = b'', content if isinstance(content, list) else [content]
    for item in items:
        if isinstance(item, Marker):
            out += encode_marker(how, item.text)
        elif how.structure == 'R':
            out += with_descriptor(how, item, EOR)
        elif item:
            out += with_descriptor(how, item, 0)
    return out + with_descriptor(how, b'', EOF)


def encode_stream(how, content):
    """3.4.1: what mode S sends, and mode Z deflates."""
    if how.structure == 'R':
        return b''.join(record.replace(b'\xff', b'\xff\xff') + b'\xff\x01' for record in content) + b'\xff\x02'
    return content


def encode(how, content):
    if how.structure == 'P':
        content = pages_to_octets(content, how.byte_size)
    if how.mode in 'BC':
        return encode_blocks(how, content)
    wire = encode_stream(how, content)
    return zlib.compress(wire) if how.mode == 'Z' else wire


# --- decoding ---

class Decoder:
    """Bytes in, in any pieces; `ended` when the coding itself has said so; what came behind that is `rest`."""

    def __init__(self, how):
        self.how = how
        self.ended = False
        self.rest = b''
        self.markers = []           # (text, whole records before it, octets before it of the file, in STRU R of the next record)
        self.data = bytearray()     # STRU F and P; R: of the record that is not complete
        self.records = []
        self.waiting, self.at = b'', 0      # what is not decoded yet is waiting[at:]
        self.pending = 0            # compressed mode: descriptor for the next string
        self.inflate = zlib.decompressobj() if how.mode == 'Z' else None

    def feed(self, piece):
        if self.inflate:
            out = self.inflate.decompress(piece)
            self.rest, piece = self.inflate.unused_data, out
            if self.ended and out:
                raise Wrong('data behind the end of the file')
        elif self.ended:
            self.rest += piece
            return
        self.waiting, self.at = self.waiting[self.at:] + piece, 0
        step = {'B': self.block, 'C': self.string}.get(self.how.mode, self.stream)
        while not self.ended and step():
            pass
        left = self.waiting[self.at:]
        if self.ended and self.inflate and left:
            raise Wrong('data behind the end of the file')
        if self.ended and not self.inflate:
            self.rest, self.waiting, self.at = left, b'', 0

    def closed(self):
        """The connection has ended: was that the end of the file?"""
        if self.inflate and not self.inflate.eof:
            raise Wrong('the deflated data was cut off')
        if self.how.mode in 'SZ' and self.how.structure == 'F':
            self.ended = True
        if not self.ended and self.how.mode == 'C' and self.pending & EOF and self.at == len(self.waiting):
            self.apply(b'')         # "00 40" and nothing behind it
        if not self.ended:
            raise Wrong('the connection ended before the file')

    def apply(self, octets, code=None):
        code = self.pending if code is None else code
        self.pending = 0
        if code & MARKER:
            self.markers.append((octets, len(self.records), len(self.data)))
            return
        self.data += octets
        if code & EOR:
            if self.how.structure != 'R':
                raise Wrong('the end of a record where there are no records')
            self.records.append(bytes(self.data))
            self.data.clear()
        if code & EOF:
            self.ended = True

    def block(self):
        w, at = self.waiting, self.at
        if len(w) - at < 3:
            return False
        code, count = w[at], int.from_bytes(w[at + 1:at + 3], 'big')
        if len(w) - at < 3 + count:
            return False
        if code & 15:
            raise Wrong(f'descriptor {code}')
        self.at += 3 + count
        self.apply(w[at + 3:at + 3 + count], code)
        return True

    def string(self):
        w, at = self.waiting, self.at
        if at == len(w):
            return False
        first = w[at]
        if first == 0:
            if len(w) - at < 2:
                return False
            code = w[at + 1]
            if code == 0 or code & 15:
                raise Wrong(f'descriptor {code}')
            if self.pending:
                self.apply(b'')     # a descriptor of nothing
            if not self.ended:
                self.pending = code
            self.at += 2
            return True
        n = first & (127 if first < 128 else 63)
        need = 1 + n if first < 128 else 2 if first < 192 else 1
        if len(w) - at < need:
            return False
        self.at += need
        self.apply(w[at + 1:at + need] if first < 128 else (w[at + 1:at + 2] if first < 192 else bytes([self.how.filler])) * n)
        return True

    def stream(self):
        w, at = self.waiting, self.at
        if self.how.structure != 'R':
            self.data += w[at:]
            self.at = len(w)
            if self.how.structure == 'P':
                self.ended = pages_end(bytes(self.data), self.how.byte_size)
            return False
        escape = w.find(b'\xff', at)
        self.at = len(w) if escape < 0 else escape
        self.data += w[at:self.at]
        if len(w) - self.at < 2:
            return False
        code = w[self.at + 1]
        self.at += 2
        if code == 255:
            self.data.append(255)
        elif code in (1, 2, 3):
            self.apply(b'', (EOR if code & 1 else 0) | (EOF if code & 2 else 0))
        else:
            raise Wrong(f'the escape code {code}')
        return True

    def value(self):
        if self.how.structure == 'R':
            if self.data:
                raise Wrong('a record without its end')
            return self.records
        if self.how.structure == 'P':
            pages, whole = octets_to_pages(bytes(self.data), self.how.byte_size)
            if not whole:
                raise Wrong('no last page')
            return pages
        return bytes(self.data)


def decode(how, wire, split=None):
    d = Decoder(how)
    for i in range(0, len(wire), split or len(wire) or 1):
        d.feed(wire[i:i + (split or len(wire))])
    d.closed()
    if d.rest:
        raise Wrong('something behind the end')
    return d.value()
