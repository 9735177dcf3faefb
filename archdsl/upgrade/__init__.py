"""Specs of version 0.1 in the language of today: settings of `attention` that are lines since 0.2.

A call of `attention` is rewritten from its syntax alone (`lines.py`), since the values of settings can be any
expressions. `rewrite.py` puts the results into the text of a file, for `archdsl fmt --upgrade` and for the message that
refuses these settings.
"""
