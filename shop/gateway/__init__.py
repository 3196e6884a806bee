"""The single entry: route table, request pipeline, tokens, pages. Only `config` and the contexts' `urls` come in."""
