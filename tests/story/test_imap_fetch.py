"""FETCH beside Python's own reader of letters: some hundred letters of every shape, each section, structure and envelope of
them compared; pieces of them joined; large ones, which the server reads and sends in pieces, like small ones."""
import base64
import email
import email.policy
import email.utils
import quopri
import random
import re

import pytest

from imapwire import Soon, Wire, parse
from pail import Pail

LETTERS = 240
WHO = 'fetches@hill.com'
WORDS = ['water', 'pail', 'hill', 'jack', 'jill', 'crown', 'Ärger', 'łódź', '水', 'fetch', '=', '.', '--', 'From ', ' ']


def words(dice, n):
    return ' '.join(dice.choice(WORDS) for _ in range(n))


def text_part(dice, large):
    lines = [words(dice, dice.randint(0, 12)) for _ in range(dice.randint(0, 3000 if large else 20))]
    text = '\r\n'.join(lines)
    charset = dice.choice(['utf-8', 'utf-8', 'iso-8859-2'])
    raw = text.encode(charset, 'replace')
    encoding = dice.choice(['8bit', 'quoted-printable', 'base64', None])
    head = [f'Content-Type: text/{dice.choice(["plain", "html", "x-odd"])}; charset={charset}']
    if encoding:
        head.append(f'Content-Transfer-Encoding: {encoding}')
    if encoding == 'base64':
        raw = base64.encodebytes(raw).replace(b'\n', b'\r\n')
    elif encoding == 'quoted-printable':
        raw = quopri.encodestring(raw.replace(b'\r\n', b'\n')).replace(b'\n', b'\r\n')
    return head, raw


def file_part(dice, large):
    raw = base64.encodebytes(dice.randbytes(dice.randint(150_000, 900_000) if large else dice.randint(0, 3000)))
    name = dice.choice(['x.bin', 'a b.bin', 'quote\\"d.bin', 'semi;colon.bin'])
    return [f'Content-Type: application/octet-stream; name="{name}"', 'Content-Transfer-Encoding: base64',
            f'Content-Disposition: attachment;\r\n\tfilename="{name}"; size={len(raw)}',
            'Content-ID: <%d@hill.com>' % dice.randrange(10**9), 'Content-Description: a file'], raw.replace(b'\n', b'\r\n')


def part(dice, depth, large):
    kind = dice.random()
    if depth < 4 and kind < 0.35:
        return multipart(dice, depth, large)
    if depth < 4 and kind < 0.45:
        return ['Content-Type: message/rfc822'], letter(dice, depth + 1, large)
    return (file_part if kind > 0.8 else text_part)(dice, large)


def multipart(dice, depth, large):
    boundary = 'b%d_%d' % (depth, dice.randrange(10**6))
    body = b'A preamble.\r\n' if dice.random() < 0.3 else b''
    for i in range(dice.randint(1, 4)):
        head, raw = part(dice, depth + 1, large and i == 0)
        body += f'--{boundary}\r\n'.encode() + '\r\n'.join(head).encode() + b'\r\n\r\n' + raw + b'\r\n'
    body += f'--{boundary}--\r\n'.encode()
    return [f'Content-Type: multipart/{dice.choice(["mixed", "alternative", "related"])}; boundary="{boundary}"'], \
        body + (b'An epilogue.\r\n' if dice.random() < 0.3 else b'')


def address(dice):
    who = dice.choice(['jack', 'jill', 'bob.hope', 'a+b', 'x_y']) + '@' + dice.choice(['hill.com', 'town.com', 'x.test'])
    return dice.choice([who, f'<{who}>', f'Some Body <{who}>', f'"Body, Some" <{who}>', f'=?utf-8?q?J=C3=A4ck?= <{who}>'])


def letter(dice, depth=0, large=False):
    head = [f'Subject: {dice.choice(["A pail", "=?utf-8?b?w6Q=?= folded" + chr(13) + chr(10) + " here", "Re: water", ""])}',
            f'From: {address(dice)}']
    for name in 'To', 'Cc', 'Reply-To', 'Sender':
        if dice.random() < 0.5:
            n = 60 if dice.random() < 0.1 else dice.randint(1, 3)
            head.append(f'{name}: ' + ',\r\n '.join(address(dice) for _ in range(1 if name == 'Sender' else n)))
    if dice.random() < 0.8:
        head.append('Date: Fri, 20 Nov 2026 09:00:%02d +0000' % dice.randrange(60))
        head.append('Message-ID: <%d@x.test>' % dice.randrange(10**12))
    head += [f'X-Filler: {words(dice, 5)}'.encode('ascii', 'replace').decode() for _ in range(dice.randint(0, 4))]
    dice.shuffle(head)
    more, body = part(dice, depth, large)
    head += ['MIME-Version: 1.0'] + more
    return '\r\n'.join(head).encode() + b'\r\n\r\n' + body


@pytest.fixture(scope='module')
def served():
    dice = random.Random(9051)
    letters = [letter(dice, large=i % 12 == 0) for i in range(LETTERS)]
    with Pail() as p:
        p.verb('account', 'add', WHO)
        p.verb('passwd', WHO, input='fetch\n')
        w = Wire(p.port(143))
        w.login(WHO, 'fetch')
        for i in range(0, LETTERS, 20):
            w.ok('APPEND INBOX', *[x for text in letters[i:i + 20] for x in (' ', Soon(text))])
        w.ok('SELECT INBOX')
        yield p, w, letters
        w.close()


def raw_body(m):
    return m._payload.encode('ascii', 'surrogateescape')    # get_payload() would look at the charset


def literals(line):
    """Those of a response in which nothing is quoted."""
    found, at = [], 0
    while m := re.search(rb'\{(\d+)\}\r\n', line[at:]):
        start = at + m.end()
        at = start + int(m.group(1))
        found.append(line[start:at])
    return found


def sections(raw):
    """What each part number means, as Python sees it: {'1.2': message}."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    found = {}

    def walk(m, path):
        if m.get_content_maintype() == 'multipart' and m.is_multipart():
            for i, child in enumerate(m.get_payload(), 1):
                walk(child, path + [str(i)])
            return
        if not path or not at_leaf(path):
            path = path + ['1']
        leaf(m, path)

    def at_leaf(path):
        return path[-1] != 'message'

    def leaf(m, path):
        path = [x for x in path if x != 'message']
        found['.'.join(path)] = m
        if m.get_content_type() == 'message/rfc822':
            walk(m.get_payload(0), path + ['message'])

    walk(message, [])
    return found


def fetch_one(w, seq, item, label=None):
    told = w.ok(f'FETCH {seq} ({item})')[1]
    line = next(t for t in told if b' FETCH (' in t)
    items = parse(line)[2]
    return items[1]


def test_whole_letters_in_one_command_and_in_pieces(served):
    _, w, letters = served
    told = w.ok('FETCH 1:* (RFC822.SIZE BODY.PEEK[])')[1]
    assert len(told) == LETTERS
    for i, line in enumerate(told):
        items = parse(line)[2]
        assert int(items[1]) == len(letters[i]) and items[3] == letters[i]
    for seq in range(1, LETTERS, 13):
        got, size = b'', 50_000
        while True:
            piece = fetch_one(w, seq, f'BODY.PEEK[]<{len(got)}.{size}>')
            got += piece
            if len(piece) < size:
                break
        assert got == letters[seq - 1]


def test_header_and_text(served):
    _, w, letters = served
    told = w.ok('FETCH 1:* (BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.HEADER BODY.PEEK[HEADER.FIELDS (To x-filler DATE)] '
                'BODY.PEEK[HEADER.FIELDS.NOT (To x-filler)])')[1]
    for raw, line in zip(letters, told):
        header, text, again, some, others = literals(line) if b'TEXT] {' in line else [*literals(line)[:1], b'', *literals(line)[1:]]
        head, _, body = raw.partition(b'\r\n\r\n')
        assert header == head + b'\r\n\r\n' == again and text == body
        wanted = email.message_from_bytes(raw).items()
        for answer, keep in ((some, lambda n: n.lower() in ('to', 'x-filler', 'date')),
                             (others, lambda n: n.lower() not in ('to', 'x-filler'))):
            assert answer.endswith(b'\r\n')
            assert email.message_from_bytes(answer).items() == [(n, v) for n, v in wanted if keep(n)]


def test_every_part(served):
    _, w, letters = served
    for seq, raw in enumerate(letters, 1):
        parts = sections(raw)
        names = list(parts)[:40]
        items = [f'BODY.PEEK[{n}] BODY.PEEK[{n}.MIME]' for n in names]
        told = w.ok(f'FETCH {seq} ({" ".join(items)} BODY.PEEK[{len(parts) + 50}])')[1]
        got = parse(next(t for t in told if b' FETCH (' in t))[2]
        assert got[-1] is None
        for i, n in enumerate(names):
            m, body, mime = parts[n], got[4 * i + 1], got[4 * i + 3]
            assert got[4 * i].upper() == f'BODY[{n}]'.encode()
            assert email.message_from_bytes(mime).items() == m.items()
            if m.get_content_type() == 'message/rfc822':
                inner = m.get_payload(0)
                assert email.message_from_bytes(body).items() == inner.items()
                assert body.startswith(fetch_one(w, seq, f'BODY.PEEK[{n}.HEADER]'))
                assert body.endswith(fetch_one(w, seq, f'BODY.PEEK[{n}.TEXT]'))
            elif m.get_content_maintype() != 'multipart':
                assert body == raw_body(m), (seq, n)


def test_decoded_parts(served):
    pail, w, letters = served
    with pail.imap(WHO, 'fetch') as c:
        c.select('INBOX', readonly=True)
        for seq, raw in list(enumerate(letters, 1))[::3]:
            parts = sections(raw)
            for n, m in parts.items():
                if m.get_content_maintype() in ('multipart', 'message'):
                    continue
                want = m.get_payload(decode=True)
                size = int(fetch_one(w, seq, f'BINARY.SIZE[{n}]'))
                answer = c.fetch(str(seq), f'(BINARY.PEEK[{n}])')[1][0]
                got = answer[1] if isinstance(answer, tuple) else b''
                if m['Content-Transfer-Encoding'] == 'quoted-printable':    # Python leaves blanks at ends of lines
                    got, want = b''.join(got.split()), b''.join(want.split())
                else:
                    assert size == len(got)
                assert got == want, (seq, n)


def check_structure(b, m):
    if m.get_content_maintype() == 'multipart' and m.is_multipart():
        children = m.get_payload()
        assert len(b) == len(children) + 5, b
        assert b[len(children)].decode() == m.get_content_subtype()
        for child, part_of in zip(b, children):
            check_structure(child, part_of)
        return
    assert f'{b[0].decode()}/{b[1].decode()}'.lower() == m.get_content_type()
    params = {k.decode(): v.decode() for k, v in zip(b[2][::2], b[2][1::2])} if b[2] else {}
    want = dict(m.get_params(unquote=True)[1:]) if 'content-type' in m else {'charset': 'us-ascii'}
    assert {k: v.lower() for k, v in params.items()} == {k: v.replace('\\', '').lower() for k, v in want.items()}
    assert (b[3] or b'').decode() == (m['content-id'] or '')
    assert (b[4] or b'').decode() == (m['content-description'] or '')
    assert b[5].decode() == (m['content-transfer-encoding'] or '7bit')
    if m.get_content_type() == 'message/rfc822':
        check_envelope(b[7], m.get_payload(0))
        check_structure(b[8], m.get_payload(0))
        rest = b[10:]
    else:
        body = raw_body(m)
        assert int(b[6]) == len(body)
        if m.get_content_maintype() == 'text':
            assert int(b[7]) == body.count(b'\n')
        rest = b[8:] if m.get_content_maintype() == 'text' else b[7:]
    assert len(rest) == 4 and rest[0] is None
    assert (rest[1][0].decode() if rest[1] else None) == m.get_content_disposition()
    if rest[1]:
        assert rest[1][1][1].decode() == m.get_filename().replace('\\', '')


def check_envelope(e, m):
    def unfolded(name):
        return None if m[name] is None else m[name].replace('\r\n', '').replace('\n', '')

    def listed(found):
        return [(a[0].decode() if a[0] else '', f'{a[2].decode()}@{a[3].decode()}') for a in found or []]

    assert len(e) == 10
    for at, name in ((0, 'date'), (1, 'subject'), (9, 'message-id')):
        assert (None if e[at] is None else e[at].decode()) == unfolded(name)
    for at, name in ((2, 'from'), (3, 'sender'), (4, 'reply-to'), (5, 'to'), (6, 'cc')):
        value = unfolded(name) or (unfolded('from') if at in (3, 4) else None)
        assert listed(e[at]) == email.utils.getaddresses([value] if value else [])


def test_structures_and_envelopes(served):
    _, w, letters = served
    told = w.ok('FETCH 1:* (ENVELOPE BODYSTRUCTURE)')[1]
    assert len(told) == LETTERS
    for raw, line in zip(letters, told):
        items = parse(line)[2]
        message = email.message_from_bytes(raw)
        check_envelope(items[1], message)
        check_structure(items[3], message)


def test_seen_is_set_once_and_told(served):
    pail, _, _ = served
    w = Wire(pail.port(143))
    w.login(WHO, 'fetch')
    w.ok('CREATE Copies')
    w.ok('SELECT INBOX')
    w.ok('COPY 1:50 Copies')
    w.ok('SELECT Copies')
    told = w.ok('FETCH 1:50 (BODY[HEADER])')[1]
    assert sum(b'\\Seen' in t for t in told) == 50
    told = w.ok('FETCH 1:50 (BODY[HEADER])')[1]
    assert not any(b'FLAGS' in t for t in told) and len(told) == 50
    w.close()
