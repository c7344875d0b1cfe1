"""What the tests read from the page."""

import re
from html import unescape
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}
NO_TEXT = ("style", "script")


class Reader(HTMLParser):
    """Collects what the tests look at; an element that is closed wrongly fails."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        if self.open and self.open[-1] not in NO_TEXT:
            self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def section(text, name):
    return re.search(rf'<section id="{name}".*?</section>', text, re.DOTALL)[0]


def cells(text):
    """The rows of the tables in `text`, cell by cell: a figure and what is under it apart by a space."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL)
    parted = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row.replace("<small>", " "), re.DOTALL) for row in rows]
    return [[" ".join(unescape(re.sub(r"<[^>]*>", "", cell)).split()) for cell in row] for row in parted]
