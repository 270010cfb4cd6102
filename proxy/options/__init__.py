"""The option table: every option of a URL, what it takes, and the spec that they make.

In: values of options by name. Out: a frozen `Spec`, its canonical form, and the table for documentation.
"""

from proxy.options.canonical import canonicalise
from proxy.options.catalogue import options_table
from proxy.options.row import Option
from proxy.options.spec import OPTIONS, OPTIONS_BY_NAME, SHORTHANDS, Spec

__all__ = ["OPTIONS", "OPTIONS_BY_NAME", "SHORTHANDS", "Option", "Spec", "canonicalise", "options_table"]
