#!/bin/bash
# A stock client that is driven through standard input and output: see client.py. Debian's own Python is named, since slixmpp is
# installed for that one.
exec /usr/bin/python3 "$(dirname "$0")/client.py"
