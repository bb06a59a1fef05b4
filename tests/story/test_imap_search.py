"""Some hundred letters in many charsets, written here from what they say, so that nothing needs to be read to know it:
hundreds of random SEARCH commands give what a plain scan over that gives; SORT gives what sorting it gives."""
import base64
import datetime
import imaplib
import os
import quopri
import random
import re
import unicodedata

import pytest

from pail import until

LETTERS = 240
SEARCHES = 400
UTC = datetime.timezone.utc
WORDS = {
    'us-ascii': 'crown tumbling vinegar bucket mountain stumbled'.split(),
    'iso-8859-1': 'Größe naïve señor déjà Straße Ärger'.split(),
    'iso-8859-2': 'żółw źdźbło příliš žluťoučký'.split(),
    'koi8-r': 'вода Холм ведро корона'.split(),
    'windows-1253': 'νερό λόφος κουβάς'.split(),
    'iso-2022-jp': ['水を汲む', '丘の上', '水桶', '王冠'],
    'shift_jis': ['水を汲む', '丘の上', '水桶', '王冠'],
    'gb2312': ['山上打水', '水桶', '王冠破了'],
    'big5': ['山上打水', '王冠破了'],
    'euc-kr': ['언덕', '물통을', '왕관'],
    'utf-8': ['crown', 'Größe', 'вода', 'νερό', '水桶', '언덕', 'मटका', 'הגבעה', 'ﬁne', 'ＷＩＤＥ'],
}


def fold(text):
    """As IMAP compares: case, accents, width do not count, white space is one space."""
    text = unicodedata.normalize('NFKD', text).casefold()
    text = ''.join(c for c in unicodedata.normalize('NFKD', text) if not unicodedata.category(c) == 'Mn')
    return re.sub(r'\s+', ' ', unicodedata.normalize('NFKD', text))


class Letter:
    """What a letter says, and its bytes."""

    def __init__(self, number, dice):
        self.number = number
        self.charset = dice.choice(list(WORDS))
        words = WORDS[self.charset]
        some = lambda most: ' '.join(dice.choice(words) for _ in range(dice.randint(1, most)))
        self.subject = dice.choice(['', 'Re: ']) + some(3)
        self.name = some(2)
        self.local = dice.choice(['jack', 'jill', 'srinivas'])
        self.to_local = dice.choice(['alice', 'bob'])
        self.cc = dice.random() < 0.3
        self.body = '\r\n'.join(some(8) for _ in range(dice.randint(1, 12)))
        self.html = dice.random() < 0.2
        self.multipart = dice.random() < 0.2
        self.flags = [f for f in (r'\Seen', r'\Flagged', r'\Answered', r'\Draft', r'\Deleted', '$Junk', 'Todo') if dice.random() < 0.3]
        self.received = datetime.datetime(2020, 2, 1, tzinfo=UTC) + datetime.timedelta(hours=dice.randint(0, 1000))
        zone = datetime.timezone(datetime.timedelta(hours=dice.choice([-9, 0, 5, 12])))
        self.sent = self.received.astimezone(zone) - datetime.timedelta(hours=dice.randint(0, 40))
        self.bytes = self.write(dice)
        self.size = len(self.bytes)

    def encoded(self, text):
        if text.isascii():
            return text
        return '=?%s?B?%s?=' % (self.charset, base64.b64encode(text.encode(self.charset)).decode())

    def part(self, dice):
        text = self.body
        if self.html:
            text = '<html><head><style>p { color: red }</style></head><body><p>' + text.replace('\r\n', '<br>') + '</p></body></html>'
        raw = text.encode(self.charset)
        way = dice.choice(['base64', 'quoted-printable', '8bit'])
        if way == 'base64':
            raw = base64.encodebytes(raw).replace(b'\n', b'\r\n')
        elif way == 'quoted-printable':
            raw = quopri.encodestring(raw.replace(b'\r\n', b'\n')).replace(b'\n', b'\r\n')
        head = f'Content-Type: text/{"html" if self.html else "plain"}; charset={self.charset}\r\nContent-Transfer-Encoding: {way}\r\n\r\n'
        return head.encode() + raw

    def write(self, dice):
        head = [f'From: {self.encoded(self.name)} <{self.local}@town.com>', f'To: <{self.to_local}@hill.com>',
                f'Subject: {self.encoded(self.subject)}', f'Date: {self.sent.strftime("%a, %d %b %Y %H:%M:%S %z")}',
                f'Message-ID: <{self.number}@town.com>', 'MIME-Version: 1.0']
        if self.cc:
            head.insert(2, 'Cc: Rabbit <rabbit@crepes.fr>')
        text = '\r\n'.join(head).encode() + b'\r\n'
        if not self.multipart:
            return text + self.part(dice)
        return (text + b'Content-Type: multipart/mixed; boundary="=_x"\r\n\r\n--=_x\r\n' + self.part(dice) +
                b'\r\n--=_x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n'
                b'dmluZWdhciBidWNrZXQ=\r\n--=_x--\r\n')

    def has(self, field, needle):
        where = {'SUBJECT': self.subject, 'FROM': f'{self.name} <{self.local}@town.com>', 'TO': f'<{self.to_local}@hill.com>',
                 'CC': 'Rabbit <rabbit@crepes.fr>' if self.cc else '', 'BODY': self.body}
        if field == 'TEXT':
            return any(self.has(f, needle) for f in where)
        return fold(needle) in fold(where[field])


def quoted(text):
    return b'"' + text.encode().replace(b'\\', b'\\\\').replace(b'"', b'\\"') + b'"'


def date(day):
    return day.strftime('%d-%b-%Y').encode()


class Keys:
    """Random keys: what is sent, and what it means of (sequence number, letter)."""

    def __init__(self, dice, letters, uids):
        self.dice, self.letters, self.uids = dice, letters, uids

    def text(self):
        dice = self.dice
        field = dice.choice(['SUBJECT', 'FROM', 'TO', 'CC', 'BODY', 'BODY', 'TEXT', 'TEXT'])
        needle = dice.choice(WORDS[dice.choice(list(WORDS))])
        if field in ('TO', 'CC'):
            needle = dice.choice(['alice', 'BOB@hill', 'rabbit', 'crepes.fr'])
        elif dice.random() < 0.4 and not needle.isascii() and len(needle) > 2:   # two letters, a usual CJK word
            at = dice.randrange(len(needle) - 1)
            needle = needle[at:at + 2]
        elif dice.random() < 0.3:
            needle = needle.upper()
        if needle.strip() == '' or unicodedata.combining(needle[0]) or (field == 'TEXT' and fold(needle).isascii() and len(needle) < 4):
            needle = 'crown'
        return field.encode() + b' ' + quoted(needle), lambda n, l: l.has(field, needle)

    def plain(self):
        dice = self.dice
        flag = dice.choice(['Seen', 'Flagged', 'Answered', 'Draft', 'Deleted'])
        day = datetime.date(2020, 2, 1) + datetime.timedelta(days=dice.randint(-2, 45))
        size = dice.choice(self.letters).size + dice.randint(-1, 1)
        a, b = dice.randint(1, LETTERS + 20), dice.randint(1, LETTERS + 20)
        low, high = min(a, b), max(a, b)
        last = self.uids[-1]
        return dice.choice([
            (b'ALL', lambda n, l: True),
            (flag.upper().encode(), lambda n, l: '\\' + flag in l.flags),
            (b'UN' + flag.upper().encode(), lambda n, l: '\\' + flag not in l.flags),
            (b'KEYWORD $junk', lambda n, l: '$Junk' in l.flags),
            (b'UNKEYWORD Todo', lambda n, l: 'Todo' not in l.flags),
            (b'LARGER %d' % size, lambda n, l: l.size > size),
            (b'SMALLER %d' % size, lambda n, l: l.size < size),
            (b'SINCE ' + date(day), lambda n, l: l.received.date() >= day),
            (b'BEFORE ' + date(day), lambda n, l: l.received.date() < day),
            (b'ON ' + date(day), lambda n, l: l.received.date() == day),
            (b'SENTSINCE ' + date(day), lambda n, l: l.sent.date() >= day),
            (b'SENTBEFORE ' + date(day), lambda n, l: l.sent.date() < day),
            (b'SENTON ' + date(day), lambda n, l: l.sent.date() == day),
            (b'%d:%d' % (a, b), lambda n, l: low <= n <= high),
            (b'UID %d:*' % a, lambda n, l: min(a, last) <= self.uids[n - 1] <= max(a, last)),
            (b'HEADER Message-ID <%d@town.com>' % a, lambda n, l: l.number == a),
            (b'HEADER Cc ""', lambda n, l: l.cc),
        ])

    def key(self, depth=3):
        what = self.dice.randrange(8 if depth else 5)
        if what < 2:
            return self.text()
        if what < 5:
            return self.plain()
        a, meaning_a = self.key(depth - 1)
        if what == 5:
            return b'NOT ' + a, lambda n, l: not meaning_a(n, l)
        b, meaning_b = self.key(depth - 1)
        if what == 6:
            return b'OR ' + a + b' ' + b, lambda n, l: meaning_a(n, l) or meaning_b(n, l)
        return b'(' + a + b' ' + b + b')', lambda n, l: meaning_a(n, l) and meaning_b(n, l)


@pytest.fixture(scope='module')
def box(demo):
    """jill's mailbox with all letters, some of them removed again, and what is in it."""
    dice = random.Random(20)
    letters = [Letter(n, dice) for n in range(1, LETTERS + 1)]
    m = imaplib.IMAP4('127.0.0.1', demo.port(143))
    m.login('jill@hill.com', 'tumbling')
    for letter in letters:
        assert m.append('INBOX', f'({" ".join(letter.flags)})', letter.received, letter.bytes)[0] == 'OK'
    m.select('INBOX')
    for uid in sorted(dice.sample(range(1, LETTERS), 20)):
        m.uid('STORE', str(uid), '+FLAGS.SILENT', r'(\Deleted Gone)')
    gone = {int(u) for u in m.uid('SEARCH', 'KEYWORD Gone')[1][0].split()}
    for uid in gone:
        assert m.uid('EXPUNGE', str(uid))[0] == 'OK'
    uids = [n for n in range(1, LETTERS + 1) if n not in gone]
    yield m, [letters[u - 1] for u in uids], uids
    m.logout()


def numbers(reply):
    assert reply[0] == 'OK', reply
    return [int(n) for n in reply[1][0].split()]


def indexed(demo):
    """The last letter that lies in a part of jill's index: parts are called after their first and last one."""
    folder = os.path.join(demo.folder, 'mail', 'jill@hill.com', 'search')
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return max([int(name.split('-')[1], 16) for name in names if re.fullmatch('[0-9a-f]+-[0-9a-f]+', name)], default=0)


@pytest.mark.parametrize('when', ['at once', 'when all is indexed'])
def test_random_searches_give_what_a_plain_scan_gives(demo, box, when):
    m, letters, uids = box
    if when != 'at once':
        until('all letters are indexed', lambda: indexed(demo) >= LETTERS)
    dice = random.Random(when)
    keys = Keys(dice, letters, uids)
    found = 0
    for _ in range(SEARCHES):
        line, meaning = keys.key()
        want = [n for n, letter in enumerate(letters, 1) if meaning(n, letter)]
        if dice.random() < 0.5:
            assert numbers(m.uid('SEARCH', b'CHARSET UTF-8 ' + line)) == [uids[n - 1] for n in want], line.decode()
        else:
            assert numbers(m.search(None, b'CHARSET UTF-8 ' + line)) == want, line.decode()
        found += 0 < len(want) < len(letters)
    assert found > SEARCHES / 4     # else they asked nothing


@pytest.mark.parametrize('charset', [c for c in WORDS if c != 'us-ascii'])
def test_a_search_may_be_written_in_the_charset_of_the_letters(box, charset):
    m, letters, _ = box
    for word in WORDS[charset]:
        m.literal = word.encode(charset)
        want = [n for n, letter in enumerate(letters, 1) if letter.has('BODY', word)]
        assert numbers(m.search(charset, 'BODY')) == want, word


def esearch(m, line):
    tag_line = m._simple_command('UID', 'SEARCH', line)
    assert tag_line[0] == 'OK', tag_line
    [text] = m._untagged_response('OK', [None], 'ESEARCH')[1]
    return dict(re.findall(r'(MIN|MAX|COUNT|ALL) (\S+)', text.decode()))


def expand(text):
    return [n for part in text.split(',') for n in range(int(part.split(':')[0]), int(part.split(':')[-1]) + 1)] if text else []


def test_esearch_tells_the_same(box):
    m, letters, uids = box
    dice = random.Random(22)
    keys = Keys(dice, letters, uids)
    for _ in range(40):
        line, meaning = keys.key(2)
        want = [uids[n - 1] for n, letter in enumerate(letters, 1) if meaning(n, letter)]
        got = esearch(m, b'RETURN (MIN MAX COUNT ALL) CHARSET UTF-8 ' + line)
        assert int(got['COUNT']) == len(want) and expand(got.get('ALL', '')) == want, line
        assert [got.get('MIN'), got.get('MAX')] == ([str(want[0]), str(want[-1])] if want else [None, None])
        # $ is what was found, also in a fetch
        assert m._simple_command('UID', 'SEARCH', b'RETURN (SAVE) CHARSET UTF-8 ' + line)[0] == 'OK'
        assert expand(esearch(m, b'RETURN (ALL) $').get('ALL', '')) == want


def compared(text):
    """As texts are sorted: folded, in capitals where there are ASCII ones."""
    return unicodedata.normalize('NFC', fold(text)).encode().upper()    # Hangul stays in syllables


def base(subject):
    return compared(re.sub(r'^(re: ?)+', '', subject, flags=re.I))


@pytest.mark.parametrize('by, key', [
    ('ARRIVAL', lambda l: l.received), ('DATE', lambda l: l.sent), ('SIZE', lambda l: l.size), ('FROM', lambda l: l.local),
    ('TO', lambda l: l.to_local), ('CC', lambda l: 'rabbit' if l.cc else ''), ('SUBJECT', lambda l: base(l.subject)),
    ('DISPLAYFROM', lambda l: compared(l.name)), ('DISPLAYTO', lambda l: compared(l.to_local)),
    ('FROM REVERSE SIZE', lambda l: (l.local, -l.size)),
])
def test_sort(box, by, key):
    m, letters, uids = box
    want = [n for n, letter in sorted(enumerate(letters, 1), key=lambda p: (key(p[1]), p[0]))]
    assert numbers(m.sort(f'({by})', 'UTF-8', 'ALL')) == want
    assert numbers(m.uid('SORT', f'({by})', 'UTF-8', 'ALL')) == [uids[n - 1] for n in want]
