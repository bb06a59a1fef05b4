"""Sending: two pails, a Postfix and an Exim, each on its own host with a DNS server between them, send letters to each other (docs/sending.md)."""
import os
import re

import pytest

from pail import until
from sending_hosts import PASSWORD, WITHOUT_FOREIGN, Postfix, foreign


class Hosts(dict):
    def __missing__(self, name):
        pytest.skip(WITHOUT_FOREIGN)


@pytest.fixture(scope='module')
def hosts(world):
    """Everybody; each has one person. Without root there are only the pails."""
    passwords = f'{world.folder}/relay-passwords'
    with open(passwords, 'w') as f:
        f.write(f'mx.crepes.fr alice@crepes.fr {PASSWORD}\n')
    os.chmod(passwords, 0o600)
    crepes = world.pail('crepes.fr', 'alice')
    hamburger = world.pail('hamburger.edu', 'bob', relay_passwords=passwords)
    for other in ('bob@hamburger.edu', '@town.com'):    # who relays through us signs in, and sends for them
        crepes.verb('account', 'may-send-as', 'alice@crepes.fr', other)
    found = Hosts({'crepes.fr': (crepes, 'alice'), 'hamburger.edu': (hamburger, 'bob')})
    if not foreign():
        return found
    address = world.host('town.com').ip
    town = Postfix(world, 'town.com', ['jack'], {'mynetworks': f'127.0.0.0/8 {address} {crepes.host.ip}'})
    town.password('[mx.crepes.fr]:587', 'alice@crepes.fr', PASSWORD)
    found['town.com'] = world.stack.enter_context(town), 'jack'
    found['hill.com'] = world.exim('hill.com', 'jill'), 'jill'
    return found


@pytest.mark.parametrize('here,there', [(a, b) for a in ('crepes.fr', 'hamburger.edu', 'town.com', 'hill.com')
                                        for b in ('crepes.fr', 'hamburger.edu', 'town.com', 'hill.com')
                                        if a != b and {a, b} & {'crepes.fr', 'hamburger.edu'}])
def test_everybody_writes_to_everybody(hosts, here, there):
    """Direct mode: the domain's MX is asked for, and its port 25 (RFC 5321 section 5)."""
    (one, sender), (other, receiver) = hosts[here], hosts[there]
    subject = f'from {here} to {there}'
    one.mail(sender, f'{receiver}@{there}', subject=subject)
    got = other.wait_for(receiver, subject)
    assert len(got) == 1
    assert got[0]['From'] == f'{sender}@{here}'
    assert got[0].get_content().split() == ['hello']
    assert any(f'mx.{here}' in field and f'mx.{there}' in field for field in got[0].get_all('Received'))


def hops(letter):
    """The hosts it came through, the last first."""
    return [re.search(r'\bby (\S+)', field)[1] for field in letter.get_all('Received')]


def test_pail_relays_through_postfix(hosts):
    """One server for all, which passes on to the domain's MX."""
    crepes, hamburger, _ = (hosts[name][0] for name in ('crepes.fr', 'hamburger.edu', 'town.com'))
    crepes.change(routes='*=mx.town.com:25')
    try:
        crepes.mail('alice', 'bob@hamburger.edu', subject='by way of Postfix')
        [got] = hamburger.wait_for('bob', 'by way of Postfix')
    finally:
        crepes.change(routes='')
    assert hops(got) == ['mx.hamburger.edu', 'mx.town.com', 'mx.crepes.fr']


@pytest.mark.parametrize('route', ['mx.crepes.fr:587', 'smtp+tls:mx.crepes.fr:587', 'smtps:mx.crepes.fr'])
def test_pail_relays_through_pail(hosts, route):
    """With a password, which goes by verified TLS only."""
    crepes, hamburger, town = (hosts[name][0] for name in ('crepes.fr', 'hamburger.edu', 'town.com'))
    hamburger.change(routes=f'*={route}')
    try:
        hamburger.mail('bob', 'jack@town.com', subject=f'by way of {route}')
        [got] = town.wait_for('jack', f'by way of {route}')
    finally:
        hamburger.change(routes='')
    assert hops(got) == ['mx.town.com', 'mx.crepes.fr', 'mx.hamburger.edu']
    assert 'ESMTPSA' in got.get_all('Received')[1]


def test_postfix_relays_through_pail(hosts):
    crepes, hamburger, town = (hosts[name][0] for name in ('crepes.fr', 'hamburger.edu', 'town.com'))
    town.relay('[mx.crepes.fr]:587')
    try:
        town.mail('jack', 'bob@hamburger.edu', subject='Postfix by way of pail')
        [got] = hamburger.wait_for('bob', 'Postfix by way of pail')
    finally:
        town.relay('')
    assert hops(got)[:2] == ['mx.hamburger.edu', 'mx.crepes.fr']


@pytest.mark.parametrize('there', ['town.com', 'hill.com', 'hamburger.edu'])
def test_nobody_by_that_name(hosts, there):
    """What the peer refuses comes back as a report that says who, why and by whom (RFC 3464)."""
    crepes, _ = hosts['crepes.fr'][0], hosts[there]
    crepes.mail('alice', f'nobody-at-all@{there}', subject=f'to nobody at {there}')
    about = until('the report', lambda: [m for m in crepes.reports('alice') if f'nobody-at-all@{there}' in m.as_string()])
    assert len(about) == 1
    fields = about[0].get_payload()[1].get_payload()
    assert fields[0]['Reporting-MTA'] == 'dns; mx.crepes.fr'
    assert fields[1]['Final-Recipient'].replace(' ', '') == f'rfc822;nobody-at-all@{there}'
    assert fields[1]['Action'] == 'failed' and fields[1]['Status'].startswith('5.')
    assert f'mx.{there}' in fields[1]['Remote-MTA']
    assert '550' in fields[1]['Diagnostic-Code']


def test_the_bounce_of_others(hosts):
    """What we refuse within the session, Postfix reports to its own user: nobody gets backscatter from us."""
    town, hamburger = hosts['town.com'][0], hosts['hamburger.edu'][0]
    town.mail('jack', 'nobody-at-all@hamburger.edu', subject='refused at RCPT')
    [report] = until('Postfix reports', lambda: [m for m in town.received('jack') if 'nobody-at-all@hamburger.edu' in m.as_string()])
    assert report.get_payload()[1].get_payload()[1]['Remote-MTA'] == 'dns; mx.hamburger.edu'
    assert not [line for line in hamburger.events('accepted') if 'nobody-at-all' in line]
