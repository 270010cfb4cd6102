"""The option table: every option of a URL, what it takes, and the spec that all of them make.

In: options by name, as values. Out: a frozen `Spec`, its canonical text, and the table for docs.
"""
