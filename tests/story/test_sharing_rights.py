"""RFC 4314 §4, row by row: with the rights that a command needs it is carried out, with all others but one of them it is refused. Here
each needs `l` besides: a mailbox that may not be looked up is not there, whatever else is granted (store/access.h)."""
import itertools

import pytest
from imapwire import Literal, Soon, Wire

ALL = 'lrswipkxtea'
OWNER, GUEST = 'jill@hill.com', 'jack@town.com'
LETTER = b'Subject: one\r\n\r\nbody\r\n'
HIDDEN = ('[NONEXISTENT]', '[TRYCREATE]')
numbers = itertools.count()

# what, the rights it needs of %s, what is said before it. %s: the mailbox; %n: a name that is new.
COMMANDS = [
    ('SELECT %s', 'r', []),
    ('EXAMINE %s', 'r', []),
    ('STATUS %s (MESSAGES)', 'r', []),
    ('CREATE %s/below', 'k', []),               # and l is not asked for: what it makes is listed as far as it may be
    ('DELETE %s', 'x', []),
    ('RENAME %s %s-renamed', 'x', []),          # and k of the one above, which is there
    ('GETACL %s', 'a', []),
    ('SETACL %s anyone l', 'a', []),
    ('DELETEACL %s anyone', 'a', []),
    ('LISTRIGHTS %s anyone', 'a', []),
    (('APPEND %s ', Soon(LETTER)), 'i', []),
    ('COPY 1 %s', 'i', ['SELECT INBOX']),
    ('COPY 1 INBOX', 'r', ['SELECT %s']),
    ('FETCH 1 BODY[]', 'r', ['SELECT %s']),
    ('STORE 1 +FLAGS (\\Seen)', 'rs', ['SELECT %s']),
    ('STORE 1 +FLAGS (\\Deleted)', 'rt', ['SELECT %s']),
    ('STORE 1 +FLAGS (\\Flagged)', 'rw', ['SELECT %s']),
    ('STORE 1 +FLAGS (word)', 'rw', ['SELECT %s']),
    ('EXPUNGE', 're', ['SELECT %s']),
    ('UID EXPUNGE 1', 're', ['SELECT %s']),
    ('MOVE 1 INBOX', 'rte', ['SELECT %s']),      # RFC 6851 §4.4
    (('REPLACE 1 INBOX ', Soon(LETTER)), 'rte', ['SELECT %s']),
    ('SETMETADATA %s (/shared/comment "x")', 'w', []),
]


@pytest.fixture(scope='module')
def owner(demo):
    w = Wire(demo.port(143))
    w.login(OWNER, 'tumbling')
    w.ok('CREATE Lent')
    w.ok(f'SETACL Lent {GUEST} k')
    return w


@pytest.fixture(scope='module')
def guest(demo):
    w = Wire(demo.port(143))
    w.login(GUEST, 'crown')
    w.ok('APPEND INBOX ', Literal(LETTER))
    w.close()
    return demo


def answer(demo, owner, command, before, rights):
    path = f'Lent/{next(numbers)}'
    owner.ok(f'CREATE {path}')
    owner.ok(f'APPEND {path} ', Literal(LETTER))
    owner.ok(f'SETACL {path} {GUEST} "{rights}"')
    w = Wire(demo.port(143))
    w.login(GUEST, 'crown')
    try:
        for line in [*before, command]:
            pieces = [line] if isinstance(line, str) else line
            status, _, _ = w.command(*(p if isinstance(p, Soon) else p.replace('%s', f'user/{OWNER}/{path}') for p in pieces))
            if status != 'OK':
                return status, w.said
        return status, w.said
    finally:
        w.close()


@pytest.mark.parametrize('command,needs,before', COMMANDS, ids=lambda v: v[0] if isinstance(v, tuple) else v if isinstance(v, str) else '')
def test_needs_its_rights_and_no_others(guest, owner, command, needs, before):
    needs = 'l' + needs
    status, said = answer(guest, owner, command, before, needs)
    assert status == 'OK', (needs, said)
    for lacking in needs[1:]:
        rest = ALL.replace(lacking, '')
        status, said = answer(guest, owner, command, before, rest)
        assert status == 'NO' and said.startswith('[NOPERM]'), (rest, status, said)
    if command[:6] == 'CREATE':
        assert answer(guest, owner, command, before, '')[0] == 'NO'
        return
    for rest in (ALL[1:], ''):
        status, said = answer(guest, owner, command, before, rest)
        assert status == 'NO' and said.startswith(HIDDEN), (rest, status, said)


def test_flags_come_with_a_letter_as_far_as_the_rights_go(guest, owner):
    """APPEND and COPY do not fail for a flag that may not be set: it is left out."""
    for rights, kept in [('lri', set()), ('lrit', {'\\Deleted'}), ('lriw', {'\\Flagged', 'word'}), ('lritw', {'\\Deleted', '\\Flagged', 'word'})]:
        owner.ok(f'CREATE Lent/{rights}')
        owner.ok(f'SETACL Lent/{rights} {GUEST} {rights}')
        w = Wire(guest.port(143))
        w.login(GUEST, 'crown')
        w.ok(f'APPEND user/{OWNER}/Lent/{rights} (\\Deleted \\Flagged word) ', Literal(LETTER))
        w.close()
        owner.ok(f'SELECT Lent/{rights}')
        flags = owner.fetch('UID FETCH 1 FLAGS')[1]['FLAGS']
        owner.ok('UNSELECT')
        assert {flag.decode() for flag in flags} - {'\\Recent'} == kept
