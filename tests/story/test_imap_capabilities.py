"""Each capability of docs/protocols.md, switched off for an account: it is not announced, nor is what needs it, all others are; and its
syntax, which is understood while it is on, is refused. A capability that nobody wrote a row for here is a failure."""
import re
import subprocess

import pytest

from imapwire import Literal, Soon, Wire
from pail import PAIL

WHO, PASSWORD = 'jack@town.com', 'crown'
LETTER = b'Subject: one\r\n\r\nbody\r\n'

# name: (what needs it too, what it brings). (): nothing that a program could say.
CAPABILITIES = {
    'IMAP4rev1': ([], ['LSUB "" *']),
    'IMAP4rev2': ([], []),                  # ENABLE passes over what it does not know: see below
    'LITERAL+': ([], [('STATUS ', Soon(b'INBOX'), ' (MESSAGES)'), ('APPEND INBOX ', Soon(LETTER))]),
    'LITERAL-': ([], []),                   # not beside LITERAL+: literal-minus.dialog
    'SASL-IR': ([], []),                    # before sign-in: authenticate.dialog
    'ID': ([], ['ID NIL']),
    'ENABLE': ([], ['ENABLE CONDSTORE']),
    'STARTTLS': ([], []),                   # before sign-in
    'IDLE': ([], ['IDLE']),
    'NAMESPACE': ([], ['NAMESPACE']),
    'UNSELECT': ([], ['UNSELECT']),
    'CHILDREN': ([], []),                   # an attribute: switched-off-each.dialog
    'UIDPLUS': ([], ['UID EXPUNGE 1']),
    'MOVE': ([], ['MOVE 1 Trash', 'UID MOVE 1 Trash']),
    'CONDSTORE': (['QRESYNC'], ['FETCH 1 MODSEQ', 'FETCH 1 FLAGS (CHANGEDSINCE 1)', 'SEARCH MODSEQ 1', 'STATUS INBOX (HIGHESTMODSEQ)',
                                'STORE 1 (UNCHANGEDSINCE 1) +FLAGS (x)', 'SELECT INBOX (CONDSTORE)']),
    'QRESYNC': ([], []),                    # not without ENABLE: see below
    'ESEARCH': (['SEARCHRES', 'ESORT', 'CONTEXT=SEARCH', 'MULTISEARCH', 'PARTIAL'], ['SEARCH RETURN () ALL', 'SEARCH RETURN (MIN) ALL']),
    'SEARCHRES': ([], ['SEARCH RETURN (SAVE) ALL', 'SEARCH $', 'FETCH $ UID', 'STORE $ +FLAGS (x)', 'COPY $ Trash']),
    'WITHIN': ([], ['SEARCH OLDER 1', 'SEARCH YOUNGER 1']),
    'SORT': (['SORT=DISPLAY', 'ESORT'], ['SORT (DATE) UTF-8 ALL', 'UID SORT (DATE) UTF-8 ALL']),
    'SORT=DISPLAY': ([], ['SORT (DISPLAYFROM) UTF-8 ALL', 'SORT (DISPLAYTO) UTF-8 ALL']),
    'ESORT': ([], ['SORT RETURN (COUNT) (DATE) UTF-8 ALL']),
    'THREAD=REFERENCES': ([], ['THREAD REFERENCES UTF-8 ALL']),
    'THREAD=ORDEREDSUBJECT': ([], ['THREAD ORDEREDSUBJECT UTF-8 ALL']),
    'SPECIAL-USE': (['CREATE-SPECIAL-USE'], ['LIST (SPECIAL-USE) "" *', 'LIST "" * RETURN (SPECIAL-USE)']),
    'CREATE-SPECIAL-USE': ([], ['CREATE marked (USE (\\Flagged))']),
    'LIST-EXTENDED': (['LIST-STATUS', 'LIST-METADATA', 'LIST-MYRIGHTS'],
                      ['LIST (SUBSCRIBED) "" *', 'LIST () "" *', 'LIST "" (INBOX Sent)', 'LIST "" * RETURN ()', 'LIST "" * RETURN (CHILDREN)']),
    'LIST-STATUS': ([], ['LIST "" * RETURN (STATUS (MESSAGES))']),
    'LIST-METADATA': ([], ['LIST "" * RETURN (METADATA (/private/comment))']),
    'LIST-MYRIGHTS': ([], ['LIST "" * RETURN (MYRIGHTS)']),
    'STATUS=SIZE': ([], ['STATUS INBOX (SIZE)', 'LIST "" * RETURN (STATUS (SIZE))']),
    'BINARY': ([], ['FETCH 1 BINARY.PEEK[1]', 'FETCH 1 BINARY.SIZE[1]', ('APPEND INBOX ~', Soon(LETTER))]),
    'MULTIAPPEND': ([], [('APPEND INBOX ', Literal(LETTER), ' ', Literal(LETTER))]),
    'CATENATE': ([], [('APPEND INBOX CATENATE (TEXT ', Soon(LETTER), ')')]),
    'REPLACE': ([], [('REPLACE 1 INBOX ', Soon(LETTER)), ('UID REPLACE 2 INBOX ', Soon(LETTER))]),
    'APPENDLIMIT': ([], ['STATUS INBOX (APPENDLIMIT)']),
    'COMPRESS=DEFLATE': ([], ['COMPRESS DEFLATE']),
    'UTF8=ACCEPT': ([], [('APPEND INBOX UTF8 (~', Soon(LETTER), ')')]),
    'QUOTA': ([], ['GETQUOTA ""', 'GETQUOTAROOT INBOX', 'SETQUOTA "" ()', 'STATUS INBOX (DELETED-STORAGE)']),
    'ACL': (['LIST-MYRIGHTS'], ['MYRIGHTS INBOX', 'GETACL INBOX', 'SETACL INBOX anyone l', 'DELETEACL INBOX anyone', 'LISTRIGHTS INBOX anyone']),
    'METADATA': (['LIST-METADATA'], ['GETMETADATA "" /private/comment', 'SETMETADATA "" (/private/comment "x")']),
    'NOTIFY': ([], ['NOTIFY NONE', 'NOTIFY SET (selected none)']),
    'MULTISEARCH': ([], ['ESEARCH IN (personal) ALL', 'ESEARCH ALL']),
    'OBJECTID': ([], ['FETCH 1 EMAILID', 'FETCH 1 THREADID', 'SEARCH EMAILID M1', 'SEARCH THREADID T1', 'STATUS INBOX (MAILBOXID)']),
    'SAVEDATE': ([], ['FETCH 1 SAVEDATE', 'SEARCH SAVEDSINCE 1-Jan-2020', 'SEARCH SAVEDATESUPPORTED']),
    'PREVIEW': ([], ['FETCH 1 PREVIEW', 'FETCH 1 (PREVIEW (LAZY))']),
    'PARTIAL': ([], ['UID FETCH 1:* FLAGS (PARTIAL 1:2)']),
    'INPROGRESS': ([], []),                 # only the server says it
    'UIDONLY': ([], []),                    # see below
    'MESSAGELIMIT': ([], []),               # announced where there is a limit: message-limit-*.dialog
    'CONTEXT=SEARCH': ([], ['SEARCH RETURN (UPDATE) ALL', 'SEARCH RETURN (CONTEXT COUNT) ALL', 'CANCELUPDATE "a1"']),
    'SEARCH=FUZZY': ([], ['SEARCH FUZZY SUBJECT one', 'SEARCH RETURN (RELEVANCY) FUZZY SUBJECT one']),
    'UNAUTHENTICATE': ([], ['UNAUTHENTICATE']),
    'LANGUAGE': ([], ['LANGUAGE', 'LANGUAGE de']),
    'I18NLEVEL=1': ([], []),                # how letters compare
}
ENABLED = {'IMAP4rev2', 'QRESYNC', 'CONDSTORE', 'UTF8=ACCEPT', 'UIDONLY'}
NOT_HERE = {'LITERAL-', 'SASL-IR', 'STARTTLS', 'MESSAGELIMIT'}     # signed in, without TLS, by the settings as they are


def announced(w):
    told = w.ok('CAPABILITY')[1][0].decode().split()[1:]
    return {name.split('=')[0] if name.startswith('APPENDLIMIT=') else name for name in told} - {'QUOTA=RES-STORAGE', 'RIGHTS=texk'}


def session(demo, *off):
    demo.verb('account', 'set', WHO, 'imap-disable', ' '.join(off))
    w = Wire(demo.port(143))
    w.login(WHO, PASSWORD)
    return w


def answer(demo, pieces, *off):
    """In a session of its own, with a letter selected."""
    w = session(demo, *off)
    w.ok('APPEND INBOX ', Literal(LETTER))
    w.ok('SELECT INBOX')
    if pieces == 'IDLE':
        tag, _ = w.send(pieces)
        line = w.until(b'+')
        return 'OK' if line.startswith(b'+') else line[len(tag):].split()[0].decode()
    if pieces == 'CANCELUPDATE "a1"':         # of one that there is
        w.command('SEARCH RETURN (UPDATE) ALL')
        pieces = f'CANCELUPDATE "a{w.tags}"'
    status = w.command(*([pieces] if isinstance(pieces, str) else pieces))[0]
    w.close()
    return status


def test_the_table_is_whole():
    page = subprocess.run([PAIL, 'manual', 'protocols'], capture_output=True, text=True, check=True).stdout
    named = {name.split()[0] for name in re.findall(r'^\| `([^`]+)` \| [0-9]+ \|', page, re.M)}
    assert named == set(CAPABILITIES)


def test_all_is_announced_where_nothing_is_off(demo):
    assert announced(session(demo)) == set(CAPABILITIES) - NOT_HERE


@pytest.mark.parametrize('name', CAPABILITIES)
def test_switched_off_it_is_neither_announced_nor_understood(demo, name):
    too, syntax = CAPABILITIES[name]
    assert announced(session(demo, name)) == set(CAPABILITIES) - NOT_HERE - {name, *too}
    for pieces in syntax:
        assert answer(demo, pieces) in ('OK', 'NO'), pieces
        assert answer(demo, pieces, name) == 'BAD', pieces
    for gone in {name, *too} & ENABLED:
        w = session(demo, name)
        assert gone not in w.ok(f'ENABLE {gone}')[1][0].decode().split()


def test_a_name_that_there_is_not_is_refused(demo):
    done = demo.verb('account', 'set', WHO, 'imap-disable', 'IDLE NOTFIY', check=False)
    assert done.returncode == 64 and 'NOTFIY' in done.stderr
