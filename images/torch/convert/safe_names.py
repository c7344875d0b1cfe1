"""Names that PyTorch may write into code: FX into Python, and AOTInductor into C++, both as they are.

A node of an ONNX file may be called anything, and PyTorch names the node's module after it. So a module has a name that
can't end a string, a comment or a line, while whatever a user reads or writes stays what the file calls the node.
"""

import keyword
import re
import unicodedata

from shared.text import tell_apart

OTHER = re.compile(r"[^\w/:-]")


def plain(name: str) -> str:
    """`name` itself where it has only letters, digits and _ / : -, as what Keras and PyTorch write, and is no word of
    Python's; else what it has of these, and a sum by which it differs from others of the kind.
    """
    found = OTHER.sub("_", unicodedata.normalize("NFKC", name))  # as Python reads the names in its source
    ordinary = found == name and not keyword.iskeyword(name)
    return name if ordinary else tell_apart(found, name)
