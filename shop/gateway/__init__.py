"""The single entry: route table, request pipeline, tokens, pages.

`config` and the contexts' `urls` come in; to `tokens` also auth, which signs them.
"""
