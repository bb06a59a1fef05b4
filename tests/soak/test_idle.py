"""5,000 people who are signed in and say nothing."""
import os
import re
import resource
import time

from load import numbers_and_uids
from pail import PEOPLE, Pail, until

MANY = 5000
QUIET = int(os.environ.get('SOAK_IDLE', '600'))


def of_all_roles(pail, read):
    return sum(read(pid) for pid in pail.roles().values())


def pss(pid):
    with open(f'/proc/{pid}/smaps_rollup') as f:
        return int(re.search(r'^Pss: +(\d+)', f.read(), re.M).group(1))


def cpu(pid):
    with open(f'/proc/{pid}/stat') as f:
        words = f.read().rpartition(')')[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')


def test_thousands_of_idle_sessions_cost_little_do_nothing_and_live():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limit[1] > MANY + 100, f'{limit[1]} descriptors are too few for {MANY} connections'
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    with Pail(settings={'pop3-command-timeout': '1d'}) as pail:
        pail.pop3('jill@hill.com').quit()
        empty = of_all_roles(pail, pss)
        people = list(PEOPLE)
        sessions = [pail.pop3(people[i % len(people)]) for i in range(MANY)]
        until('all are parked', lambda: of_all_roles(pail, pss) - empty < MANY * 8)
        worked, began = of_all_roles(pail, cpu), time.monotonic()
        while time.monotonic() - began < QUIET:
            time.sleep(min(60, QUIET))
            pail.send(f'Subject: {time.monotonic()}\r\n\r\n', ['jill@hill.com'])     # life goes on beside them
        busy, kb = of_all_roles(pail, cpu) - worked, of_all_roles(pail, pss) - empty
        print(f'\nsaid: {MANY} idle sessions: {kb / MANY:.1f} KB each, {busy:.2f} s of CPU in {QUIET} s')
        for p in sessions:
            assert p.noop().startswith(b'+OK')
        assert len(numbers_and_uids(sessions[3])) == sessions[3].stat()[0] == 2
        for p in sessions:
            p.quit()
        until('their memory comes back', lambda: of_all_roles(pail, pss) - empty < 20_000)
