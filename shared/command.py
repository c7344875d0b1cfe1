"""How messages, pages and files name the command."""

COMMAND = "./crossquant"  # the script at the top of the checkout; `python -m driver` does the same
