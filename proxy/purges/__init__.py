"""What was purged and when: generations that only grow, shared through a file, Redis or a bucket.

In: tags to purge, softly or not (`log.open_purge_log`). Out: for an entry's tags and the generation that it
was made in, whether it was purged since, and how.
"""

from proxy.purges.marks import PurgeSubject, PurgeVerdict, PurgeView, purge_subject

__all__ = ["PurgeSubject", "PurgeVerdict", "PurgeView", "purge_subject"]
