"""The verbs of `pail`, beside a running server and without one."""
import json
import os
import poplib
import re
import smtplib
import subprocess

import pytest
from pail import PAIL, PATIENCE, Pail, free_base, subjects, until


def letter(subject):
    return f'From: jack@town.com\r\nSubject: {subject}\r\n\r\nhello\r\n'


def arrives(demo, to, who, password=None):
    """A letter to this address is found in that account."""
    subject = f'to {to} {os.urandom(4).hex()}'
    demo.send(letter(subject), [to])
    until(f'{who} has what was sent to {to}', lambda: subject in subjects(demo.letters(who, password)))


def refused(demo, to):
    """The reply code that RCPT TO gets."""
    with demo.smtp() as s:
        s.ehlo()
        s.mail('jack@town.com')
        return s.rcpt(to)[0]


def signs_in(demo, who, password):
    try:
        demo.pop3(who, password).quit()
        return True
    except poplib.error_proto:
        return False


def rows(demo, *words):
    return json.loads(demo.verb(*words, '--json').stdout)


def test_an_account_made_now_gets_letters_and_signs_in_now(demo):
    demo.verb('account', 'add', 'mary@hill.com', '--name', 'Mary Contrary', '--quota', '5M')
    demo.verb('passwd', 'mary@hill.com', input='garden\n')
    arrives(demo, 'mary+bells@hill.com', 'mary@hill.com', 'garden')
    assert signs_in(demo, 'mary', 'garden') and not signs_in(demo, 'mary', 'Garden')
    shown = rows(demo, 'account', 'show', 'mary')
    assert shown['account'] == 'mary@hill.com' and shown['quota'] == 5 << 20 and shown['letters'] == 1
    demo.verb('account', 'login', 'mary@hill.com', 'contrary')
    assert signs_in(demo, 'contrary', 'garden')
    demo.verb('account', 'login', 'mary@hill.com', 'contrary', '--off')
    assert not signs_in(demo, 'contrary', 'garden')


def test_domains_aliases_and_lists(demo):
    demo.verb('domain', 'add', 'pond.com')
    demo.verb('domain', 'add', 'lake.com', '--alias-of', 'pond.com')
    demo.verb('account', 'add', 'frog@pond.com')
    demo.verb('passwd', 'frog@pond.com', input='kwak\n')
    arrives(demo, 'frog@lake.com', 'frog@pond.com', 'kwak')
    assert refused(demo, 'toad@pond.com') == 550
    demo.verb('alias', 'add', 'toad@pond.com', 'frog@pond.com')
    arrives(demo, 'toad@pond.com', 'frog@pond.com', 'kwak')
    demo.verb('alias', 'remove', 'toad@pond.com')
    assert refused(demo, 'toad@pond.com') == 550
    demo.verb('domain', 'catch-all', 'pond.com', 'frog@pond.com')
    arrives(demo, 'anybody@lake.com', 'frog@pond.com', 'kwak')
    demo.verb('domain', 'catch-all', 'pond.com')
    demo.verb('list', 'add', 'all@pond.com', 'frog@pond.com')
    arrives(demo, 'all@pond.com', 'frog@pond.com', 'kwak')
    demo.verb('list', 'leave', 'all@pond.com', 'frog@pond.com')
    assert refused(demo, 'all@pond.com') == 550
    demo.verb('list', 'remove', 'all@pond.com')
    assert {'domain': 'lake.com', 'alias_of': 'pond.com', 'catch_all': ''} in rows(demo, 'domain', 'list')
    assert demo.verb('domain', 'remove', 'pond.com', check=False).returncode == 65


def test_moved_forwarded_and_disabled_accounts_answer_as_the_rfc_says(demo):
    demo.verb('account', 'add', 'rover@hill.com')
    assert refused(demo, 'rover@hill.com') == 250
    demo.verb('account', 'moved', 'rover@hill.com', 'rover@sea.example')
    assert refused(demo, 'rover@hill.com') == 551
    demo.verb('account', 'moved', 'rover@hill.com', '--off')
    demo.verb('account', 'forward', 'rover@hill.com', 'srinivas.narayana@rutgers.edu')
    assert refused(demo, 'rover@hill.com') == 251
    arrives(demo, 'rover@hill.com', 'srinivas.narayana@rutgers.edu')
    demo.verb('account', 'forward', 'rover@hill.com', '--off')
    assert refused(demo, 'rover@hill.com') == 250
    demo.verb('account', 'set', 'rover@hill.com', 'disabled', 'yes')
    assert refused(demo, 'rover@hill.com') == 550


def test_passwords_change_at_once_and_app_passwords_keep_to_their_scope(demo):
    demo.verb('account', 'add', 'kate@hill.com')
    assert not signs_in(demo, 'kate', 'none yet')
    demo.verb('passwd', 'kate', input='one\n')
    assert signs_in(demo, 'kate', 'one')
    demo.verb('passwd', 'kate', '--scram', '--apop', input='two\n')
    assert signs_in(demo, 'kate', 'two') and not signs_in(demo, 'kate', 'one')
    p = poplib.POP3('127.0.0.1', demo.port(110), timeout=PATIENCE)
    p.apop('kate', 'two')
    p.quit()
    phone = demo.verb('passwd', 'kate', '--app', 'phone', '--scope', 'pop3').stdout.strip()
    assert signs_in(demo, 'kate', phone)
    with demo.smtp() as s, pytest.raises(smtplib.SMTPAuthenticationError):
        s.ehlo()
        s.user, s.password = 'kate', phone
        s.auth('PLAIN', s.auth_plain)
    kinds = {(row['kind'], row['label']) for row in rows(demo, 'passwd', 'kate', '--list')}
    assert kinds == {('password', ''), ('scram-sha-1', ''), ('scram-sha-256', ''), ('apop', ''), ('app password', 'phone')}
    demo.verb('passwd', 'kate', '--remove', 'phone')
    assert not signs_in(demo, 'kate', phone)
    demo.verb('passwd', 'kate', input='three\n')
    assert 'apop' not in [row['kind'] for row in rows(demo, 'passwd', 'kate', '--list')]


def test_whoever_is_signed_in_is_sent_away_when_the_password_changes(demo):
    demo.verb('account', 'add', 'eve@hill.com')
    demo.verb('passwd', 'eve', input='apple\n')
    p = demo.pop3('eve', 'apple')
    demo.verb('passwd', 'eve', input='pear\n')

    def gone():
        try:
            p.noop()
            return False
        except (poplib.error_proto, OSError):
            return True
    until('the old session is ended', gone)
    p = demo.pop3('eve', 'pear')
    demo.verb('account', 'set', 'eve@hill.com', 'disabled', 'yes')
    until('the session of the disabled account is ended', gone)
    assert not signs_in(demo, 'eve', 'pear')


def test_a_removed_account_leaves_its_mail_and_nothing_else(demo):
    demo.verb('account', 'add', 'sue@hill.com')
    demo.verb('passwd', 'sue@hill.com', input='first\n')
    demo.verb('alias', 'add', 'susan@hill.com', 'sue@hill.com')
    arrives(demo, 'susan@hill.com', 'sue@hill.com', 'first')
    assert 'mail/sue@hill.com' in demo.verb('account', 'remove', 'sue@hill.com').stdout
    assert refused(demo, 'sue@hill.com') == 550 and refused(demo, 'susan@hill.com') == 550
    assert not signs_in(demo, 'sue@hill.com', 'first')
    assert demo.verb('account', 'remove', 'jill@hill.com', '--purge', check=False).returncode == 75  # the server runs
    assert demo.verb('account', 'add', 'sue@hill.com', check=False).returncode != 0  # another sue must not read it
    demo.verb('account', 'add', 'sue@hill.com', '--again')
    assert not signs_in(demo, 'sue@hill.com', 'first')
    demo.verb('passwd', 'sue@hill.com', input='second\n')
    assert demo.count('sue@hill.com', 'second') == 1


def test_what_must_leave_waits_in_the_queue(demo):
    with demo.smtp() as s:
        s.login('jack@town.com', 'crown')
        s.sendmail('jack@town.com', ['far@sea.example'], letter('far away'))
    [waiting] = until('it waits', lambda: rows(demo, 'queue', 'list')['outbox'])
    assert waiting['from'] == 'jack@town.com' and waiting['waiting'][0]['address'] == 'far@sea.example'
    shown = demo.verb('queue', 'show', waiting['id']).stdout
    assert 'Subject: far away' in shown and 'far@sea.example' in shown
    demo.verb('queue', 'remove', waiting['id'])
    assert rows(demo, 'queue', 'list') == {'outbox': [], 'unfiled': []}
    assert demo.verb('queue', 'show', waiting['id'], check=False).returncode == 66


@pytest.mark.parametrize('words,code,says', [
    (['account'], 64, 'usage: pail account add'),
    (['account', 'frob'], 64, 'usage: pail account add'),
    (['account', 'add', 'no address'], 64, 'pail account: no address: not a mail address'),
    (['account', 'add', 'x@else.example'], 65, 'pail account: else.example is no domain here'),
    (['account', 'show', 'nobody@hill.com'], 66, 'pail account: nobody@hill.com: no such account'),
    (['account', 'list', '--frob'], 64, 'pail account: --frob: no such option'),
    (['passwd', 'jill', '--app', 'x', '--scope', 'telnet'], 64, 'pail passwd: telnet: a scope is'),
    (['bans', 'remove', '192.0.2.1'], 66, 'pail bans: 192.0.2.1: is not refused'),
    (['bans', 'remove', 'x'], 64, 'pail bans: x: not an address'),
    (['queue', 'show', 'x'], 64, 'pail queue: x: no number of the list'),
])
def test_errors_say_verb_what_and_why(demo, words, code, says):
    done = demo.verb(*words, check=False)
    assert done.returncode == code
    assert done.stderr.startswith(says)


def test_check_finds_nothing_wrong_and_then_what_is(pail):
    pail.send(letter('x'), ['jill@hill.com'])
    until('it is filed', lambda: pail.count('jill@hill.com') == 1)
    assert rows(pail, 'check') == []
    pail.stop()
    assert pail.verb('check').stdout.endswith('6 accounts looked at, 0 things wrong\n')
    damaged = os.path.join(pail.folder, 'mail', 'alice@crepes.fr', 'account.db')
    with open(damaged, 'r+b') as f:
        f.write(b'this is no database')
    os.chmod(os.path.join(pail.folder, 'keys', 'tls.key'), 0o644)
    done = pail.verb('check', check=False)
    assert done.returncode == 65
    assert 'mail/alice@crepes.fr: the file is damaged' in done.stdout
    assert 'keys/tls.key: others may read it' in done.stdout


def test_without_a_server_a_verb_does_it_all_itself(pail):
    pail.stop()
    pail.verb('account', 'add', 'moe@hill.com')
    pail.verb('passwd', 'moe@hill.com', input='stooge\n')
    assert rows(pail, 'bans', 'list') == []
    pail.verb('account', 'remove', 'alice@crepes.fr', '--purge')
    assert not os.path.exists(os.path.join(pail.folder, 'mail', 'alice@crepes.fr'))
    pail.start()
    assert signs_in(pail, 'moe', 'stooge') and not signs_in(pail, 'alice', 'rabbit')


def test_init_makes_a_server_that_serves(tmp_path):
    folder = tmp_path / 'own'
    os.chmod(tmp_path, 0o755)
    for parent in list(tmp_path.parents)[:2]:
        os.chmod(parent, 0o755)
    said = subprocess.run([PAIL, 'init', 'example.org', '--dir', folder], capture_output=True, text=True, check=True).stdout
    password = re.search(r'^password +(\S+)', said, re.M).group(1)
    for record in ('example.org.  MX     10 mail.example.org.', 'example.org.  TXT    "v=spf1 mx -all"',
                   '_imaps._tcp.example.org.  SRV    0 1 993 mail.example.org.',
                   '_pop3s._tcp.example.org.  SRV    10 1 995 mail.example.org.'):
        assert record in said
    again = subprocess.run([PAIL, 'init', 'example.org', '--dir', folder], capture_output=True, text=True)
    assert again.returncode != 0 and 'is there already' in again.stderr
    base = free_base()
    ports = [f'--set={name}-port={base + n}' for name, n in (('smtp', 25), ('submission', 587), ('submissions', 465),
                                                            ('pop3', 110), ('pop3s', 995), ('imap', 143), ('imaps', 993),
                                                            ('ftp', 21), ('ftps', 990))]
    server = subprocess.Popen([PAIL, 'serve', '--config', folder / 'pail.conf', '--set=listen=127.0.0.1', *ports],
                              stderr=subprocess.DEVNULL)
    try:
        def banner():
            try:
                return poplib.POP3('127.0.0.1', base + 110, timeout=PATIENCE)
            except OSError:
                assert server.poll() is None
        p = until('it serves', banner)
        p.user('postmaster@example.org')
        p.pass_(password)
        assert p.stat() == (0, 0)
        p.quit()
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 0


def test_help_and_the_manual_page_tell_of_every_verb():
    verbs = re.findall(r'^  (\S+)', subprocess.run([PAIL, 'help'], capture_output=True, text=True, check=True).stdout, re.M)
    assert {'demo', 'serve', 'init', 'account', 'passwd', 'alias', 'list', 'domain', 'bans', 'queue', 'check'} <= set(verbs)
    page = subprocess.run([PAIL, 'manual'], capture_output=True, text=True, check=True).stdout
    for verb in verbs:
        assert f'.Li "{verb}' in page
        assert subprocess.run([PAIL, 'help', verb], capture_output=True, text=True, check=True).stdout.startswith(
            f'usage: pail {verb}')
    assert '.It Ic park-after Li = 10s' in page
    assert subprocess.run([PAIL, 'help', 'frob'], capture_output=True).returncode == 64


def test_the_documents_of_the_protocols_are_what_the_tables_say():
    for name in 'protocols', 'ftp':
        printed = subprocess.run([PAIL, 'manual', name], capture_output=True, text=True, check=True).stdout
        with open(os.path.join(os.path.dirname(__file__), '..', '..', 'docs', name + '.md')) as f:
            assert f.read() == printed, f'pail manual {name} > docs/{name}.md'


def test_the_settings_say_where_a_subaddress_begins():
    with Pail(settings={'subaddress-separator': '-'}) as p:
        arrives(p, 'jill-shop@hill.com', 'jill@hill.com')
        assert refused(p, 'jill+shop@hill.com') == 550


def test_what_came_back_to_a_list_is_counted(pail):
    """Per member (VERP), and once for all that do not say whose; the names of strangers are no members."""
    pail.verb('list', 'add', 'walkers@hill.com', 'jack@town.com', 'far@away.example')
    with pail.smtp() as s:
        for to, code in (('walkers-bounces+far=away.example', 250), ('walkers-bounces+FAR=away.example', 250), ('walkers-bounces', 250),
                         ('walkers-bounces+mallory=away.example', 550)):
            s.ehlo()
            s.mail('')
            assert s.rcpt(f'{to}@hill.com')[0] == code
            if code == 250:
                assert s.data('Subject: no\r\n\r\nhe is not here\r\n')[0] == 250
            s.rset()
    said = pail.verb('list', 'show', 'walkers@hill.com').stdout.splitlines()
    assert [line.split(', last')[0] for line in said] == ['far@away.example  2 came back', 'jack@town.com', '(not said whose)  1 came back']
    shown = json.loads(pail.verb('list', 'show', 'walkers@hill.com', '--json').stdout)
    assert {m['member']: m['bounces'] for m in shown['members']} == {'far@away.example': 2, 'jack@town.com': 0, '(not said whose)': 1}
