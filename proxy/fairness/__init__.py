"""Whose work comes next: who a client is, and how what is scarce is shared between those that ask for it.

In: a request's peer and headers, and work that is done for clients. Out: the client's address, and turns.
"""
