"""kill -9 under load: what got its 250 is there exactly once, whole, and what was deleted stays deleted.

ROUNDS and SEED come from the environment; `make soak` asks for many."""
import os
import random
import signal

import pytest
from load import Ledger, Load
from pail import Pail

ROUNDS = int(os.environ.get('ROUNDS', '16'))
SEED = os.environ.get('SEED') or str(random.randrange(10 ** 9))
LETTERS_MOST = 60       # accepted between two kills


def kill_one(pail, rng):
    roles = pail.roles()
    role = rng.choice(sorted(roles))
    try:
        os.kill(roles[role], signal.SIGKILL)
    except ProcessLookupError:
        return
    if rng.random() < 0.5:
        pail.restarted(role, roles[role])


def kill_all(pail, rng):
    pail.kill()
    pail.start('--set', f'workers={rng.choice((1, 1, 2, 3))}')


def wrong(pail):
    """What `pail check` names, but for bodies whose letter was deleted by somebody who died then (store/STATES.md)."""
    said = pail.verb('check', check=False).stdout.splitlines()
    return [line for line in said[:-1] if not line.endswith(' belongs to no letter')]


@pytest.mark.parametrize('how', ['a role', 'everything', 'both'])
def test_nothing_is_lost_doubled_or_revived(how):
    rng = random.Random(f'{SEED}-{how}')
    print(f'SEED={SEED}')
    ledger = Ledger()
    with Pail(settings={'segment-size': '64k', 'settle-after': 1}) as pail:     # the log forgets all the time
        with Load(pail, ledger, seed=SEED) as load:
            for turn in range(ROUNDS // 2):
                load.wait_for(rng.randrange(1, LETTERS_MOST))
                if how == 'a role' or (how == 'both' and turn % 3):
                    kill_one(pail, rng)
                else:
                    kill_all(pail, rng)
            load.wait_for(LETTERS_MOST)
        print(ledger.counts())
        ledger.check(pail)
        pail.kill()
        pail.start('--set', 'workers=1')    # and once more, with nobody there
        ledger.check(pail)
        pail.stop()
        assert not wrong(pail)
