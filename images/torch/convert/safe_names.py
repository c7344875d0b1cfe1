"""Makes names safe to write into code: FX writes them into Python, and AOTInductor into C++, unescaped.

A node of an ONNX file may have any name, and PyTorch names its module after it. A safe name can't end a string, a
comment or a line. What users read and write stays the node's name in the file.
"""

import keyword
import re
import unicodedata

from shared.text import tell_apart

UNSAFE = re.compile(r"[^\w/:-]")


def safe_name(name: str) -> str:
    """Return `name` if it has only letters, digits and _ / : -, as Keras and PyTorch write, and is no Python keyword.

    Otherwise other characters are replaced, and a hash keeps the name unique.
    """
    cleaned = UNSAFE.sub("_", unicodedata.normalize("NFKC", name))  # as Python reads the names in its source
    ordinary = cleaned == name and not keyword.iskeyword(name)
    return name if ordinary else tell_apart(cleaned, name)
