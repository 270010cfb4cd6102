"""Whether a deployment takes requests, told by what its processes say of themselves and by no job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """
    The state of a deployment, as one of its web processes sees it.

    `started` is whether this process has opened its caches and origins, `draining` whether the deployment
    stops. `renderers` is how many take jobs, `deaths` how many ended unexpectedly, `sandbox` which locks are
    around all of them; these are `None` where nothing is told of renderers. `presets_problem` says why the
    presets file is not used as it is now, `purges_confirmed` whether caches may be served from unasked (see
    docs/purge.md), and `cache_failures` counts by cache and tier what went wrong there.
    """

    started: bool
    draining: bool
    renderers: int | None
    deaths: int | None = None
    sandbox: Mapping[str, bool] | None = None
    presets_problem: str | None = None
    purges_confirmed: bool = True
    cache_failures: Mapping[str, Mapping[str, int]]

    @property
    def ready(self) -> bool:
        return self.started and not self.draining and bool(self.renderers)

    def detail(self) -> dict[str, Any]:
        """Return all of it for a page of JSON, which strangers are not shown."""
        return {
            "started": self.started,
            "draining": self.draining,
            "renderers": {"alive": self.renderers, "deaths": self.deaths, "sandbox": self.sandbox},
            "presets": {"rejected": self.presets_problem},
            "purges": {"confirmed": self.purges_confirmed},
            "cache_failures": self.cache_failures,
        }
