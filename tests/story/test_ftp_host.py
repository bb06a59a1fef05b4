"""HOST (RFC 7151) beside the name that TLS was begun for."""
import pytest
from ftp_wire import Ftp


@pytest.mark.parametrize('sni, accepted', [('hill.com', {'hill.com', 'HILL.com', '127.0.0.1'}),
                                           ('town.com', {'town.com', '127.0.0.1'}),
                                           (None, {'hill.com', 'HILL.com', 'town.com', '127.0.0.1'})])
def test_whoever_has_begun_tls_for_a_name_must_mean_that_one(demo, sni, accepted):
    with Ftp(demo) as f:
        f.ok('AUTH TLS', 234)
        f.socket = f.tls_context().wrap_socket(f.socket, server_hostname=sni)
        for name in 'hill.com', 'HILL.com', 'town.com', '127.0.0.1':
            assert f.code(f'HOST {name}') == (220 if name in accepted else 504)
