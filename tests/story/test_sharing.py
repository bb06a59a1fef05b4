"""Shared mailboxes: what was not granted cannot be told from what is not there; two people in one mailbox, on two processes."""
import re

import pytest
from imapwire import Literal, Soon, Wire
from pail import Pail, until

OWNER, SPY = 'owner@hill.com', 'spy@hill.com'
SECRET = 'the secret is kept in the well'

# every command that names a mailbox; %s is the name
QUESTIONS = [
    ['SELECT %s'], ['EXAMINE %s'], ['STATUS %s (MESSAGES UNSEEN SIZE)'], ['CREATE %s'], ['CREATE %s/x'], ['DELETE %s'],
    ['RENAME %s INBOX/x'], ['RENAME %s %s2'], ['RENAME INBOX %s'], ['LIST "" %s'], ['LIST "" %s/%%'],
    ['LIST "" %s RETURN (STATUS (MESSAGES) MYRIGHTS METADATA (/shared/comment))'], ['LIST (SUBSCRIBED) "" %s'],
    ['LSUB "" %s'], ['GETACL %s'], ['SETACL %s spy@hill.com lrswipkxtea'], ['DELETEACL %s spy@hill.com'],
    ['LISTRIGHTS %s spy@hill.com'], ['MYRIGHTS %s'], ['GETQUOTAROOT %s'], ['GETMETADATA %s /shared/comment'],
    ['SETMETADATA %s (/private/x "y")'], ['COPY 1 %s'], ['MOVE 1 %s'], ['UID COPY 1 %s'], ['APPEND %s ', Soon(b'abc')],
    ['REPLACE 1 %s ', Soon(b'abc')], ['APPEND INBOX CATENATE (URL "/%s/;UID=1")'],
    ['ESEARCH IN (mailboxes %s) TEXT well'], ['ESEARCH IN (subtree %s) RETURN (COUNT) ALL'],
    ['NOTIFY SET STATUS (mailboxes %s (MessageNew MessageExpunge))'], ['SUBSCRIBE %s'], ['UNSUBSCRIBE %s'],
]


@pytest.fixture(scope='module')
def hill():
    with Pail() as pail:
        for who in (OWNER, SPY):
            pail.verb('account', 'add', who)
            pail.verb('passwd', who, input='mountain\n')
        owner = signed_in(pail, OWNER)
        owner.ok('CREATE Well/Deep')
        owner.ok('APPEND Well ', Literal(SECRET.encode()))
        owner.close()
        signed_in(pail, SPY).ok('APPEND INBOX ', Literal(b'mine'))
        yield pail


def ask(w, question, name=''):
    """All that was said: the tagged answer last, without its tag and without the name that was asked for."""
    words = [Soon(part) if isinstance(part, Soon) else part.replace('%s', name).replace('%%', '%') for part in question]
    status, _, told = w.command(*words)
    said = told + [f'{status} {w.said}'.encode('latin-1')]
    return [re.sub(rb'\(TAG "a\d+"\)', b'', line).replace(name.encode() or b'\0', b'NAME') for line in said]


def ask_as_spy(pail, question, name):
    w = Wire(pail.port(143))
    w.login(SPY, 'mountain')
    w.ok('SELECT INBOX')
    said = ask(w, question, name)
    w.close()
    return said


@pytest.mark.parametrize('question', QUESTIONS, ids=lambda q: q[0].replace('%s', 'X'))
def test_what_is_not_granted_is_not_there(hill, question):
    there = ask_as_spy(hill, question, f'user/{OWNER}/Well')
    assert there == ask_as_spy(hill, question, f'user/{OWNER}/None')
    assert there == ask_as_spy(hill, question, f'user/{OWNER}/INBOX')
    assert there == ask_as_spy(hill, question, f'user/{OWNER}/Well/Deep')
    assert SECRET.encode() not in b''.join(there)
    if question[0].split()[0] not in ('LIST', 'LSUB', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ESEARCH', 'NOTIFY'):
        assert there[-1].startswith(b'NO ')


def signed_in(pail, who):
    w = Wire(pail.port(143))
    w.login(who, 'mountain')
    return w


def flags(w, uid):
    return w.fetch(f'UID FETCH {uid} (UID FLAGS)')[uid]['FLAGS']


def test_two_people_in_one_mailbox(hill):
    owner, spy = signed_in(hill, OWNER), signed_in(hill, SPY)
    name = f'user/{OWNER}/Open'
    owner.ok('CREATE Open')
    owner.ok('APPEND Open (\\Seen) ', Literal(b'Subject: one\r\n\r\n1\r\n'))
    owner.ok(f'SETACL Open {SPY} lrswite')
    spy.ok(f'SELECT {name}')
    owner.ok('SELECT Open')
    assert b'\\Seen' not in flags(spy, 1)                    # what he has read is his own
    spy.ok('UID STORE 1 +FLAGS (\\Seen \\Flagged)')
    spy.ok('UID STORE 1 -FLAGS (\\Seen)')
    until('the owner sees the flag', lambda: b'\\Flagged' in flags(owner, 1))
    assert b'\\Seen' in flags(owner, 1)                      # the rest is everybody's
    spy.ok(f'APPEND {name} ', Literal(b'Subject: two\r\n\r\n2\r\n'))
    until('the owner sees the letter', lambda: 2 in owner.fetch('UID FETCH 1:* (UID)'))
    spy.ok('UID COPY 1:2 INBOX')                             # the bodies are linked into the other account
    spy.ok('SELECT INBOX')
    texts = spy.fetch('UID FETCH 1:* (UID BODY.PEEK[TEXT])')
    assert sorted(m['BODY[TEXT]'] for m in texts.values())[-2:] == [b'1\r\n', b'2\r\n']
    owner.ok(f'DELETEACL Open {SPY}')
    assert ask(spy, ['STATUS %s (MESSAGES)'], name) == ask(spy, ['STATUS %s (MESSAGES)'], f'user/{OWNER}/None')
    owner.close()
    spy.close()
    hill.verb('check')


def test_rights_are_asked_anew_for_each_command(hill):
    owner, spy = signed_in(hill, OWNER), signed_in(hill, SPY)
    owner.ok('CREATE Lent')
    owner.ok('APPEND Lent ', Literal(SECRET.encode()))
    owner.ok(f'SETACL Lent {SPY} lr')
    spy.ok(f'SELECT user/{OWNER}/Lent')
    assert SECRET.encode() in b''.join(ask(spy, ['FETCH 1 BODY.PEEK[]']))
    owner.ok(f'SETACL Lent {SPY} ""')
    with pytest.raises(ConnectionResetError):                # after a BYE
        ask(spy, ['FETCH 1 BODY.PEEK[]'])
    assert spy.told and spy.told[0].startswith(b'BYE ') and SECRET.encode() not in b''.join(spy.told)
    owner.close()
    spy.close()
