"""The rows of the option table, by what they are about. `proxy.spec` makes one table of them."""
