"""Parts of messages by which this image recognizes an error for which a framework raises no type of its own.

Printed by Keras 3.15.1, TensorFlow 2.21.0 and PyArrow 26.0.1; for each, a test makes the framework raise it.
"""

import re

# Keras, for a layer or function that neither Keras nor the user's file defines: first as its own format says it, then
# as its reader of HDF5 files does. Advice for programmers follows.
UNKNOWN_CLASS = re.compile(
    r"(?P<problem>(?:Could not locate|Unknown layer|Unknown object).*?)\.?(?: Make sure .*| Please ensure .*)?"
)

# Keras, before the message of the innermost exception and after a layer's whole configuration.
BEFORE_INNERMOST = "Exception encountered: "

# TensorFlow, while it traces a layer whose name it doesn't take.
INVALID_SCOPE_NAME = re.compile(r"'(?P<name>[^\n]*)' is not a valid (?:root )?scope name")

# PyArrow, for a text in a column of numbers; rows are counted where a file is read by one thread.
INVALID_NUMBER = re.compile(
    r"In CSV column #(?P<column>\d+): (?:Row #(?P<row>\d+): )?"
    r"CSV conversion error to double: invalid value '(?P<value>.*)'"
)
