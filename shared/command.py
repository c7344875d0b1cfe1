"""The name of the command in messages, pages and files."""

COMMAND = "./crossquant"  # the script at the top of the checkout; `python -m driver` does the same
