from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from proxy.workers.supervisor import Supervisor

# Noisy machines make deadlines lie; what is too slow shows in the durations that pytest prints.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def renderers() -> Iterator[str]:
    """The socket of two real renderers."""
    with Supervisor(renderers=2) as supervisor:
        yield supervisor.socket_path
