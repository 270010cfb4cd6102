"""What was purged and when: numbers that only grow, shared by file, Redis or bucket.

In: tags to purge. Out: for an entry's tags and number, whether it was purged since, softly or hard.
"""
