"""The reference page of all stages and their options, made from the images' stages.toml.

`python -m driver.catalog.reference` prints it; `--write` writes docs/reference/stages.md.
"""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from driver.catalog import declarations
from driver.catalog.declarations import Image, Option, Stage
from shared.artifacts.store import ROOT

PAGE = ROOT / "docs" / "reference" / "stages.md"
INTRODUCTION = """# Stages and their options

Generated from `images/*/stages.toml` and `shared/stages/groups.toml` by `python -m driver.catalog.reference --write`.

The options of a stage that makes recipes are the settings of a recipe; those of any other stage are set by a section of
its name in the experiment:

```yaml
latency: {passes: 5}
recipes:
  onnx:
    mine: {weight: uint8, per_channel: true}
```

An image may have several stages for recipes. A recipe is made by the one whose settings under "for" it has; a setting
that it leaves out is that of the image's first such stage.
"""
SHARED = """
## Stages of several images

They are the same in every image that has them.
"""
NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text", list: "list", dict: "mapping"}
ITEMS = {
    "str": "texts",
    "int": "whole numbers",
    "float": "numbers",
    "weight": "numbers, or numbers by class, or `balanced`",
}


def render_page(images: Mapping[str, Image]) -> str:
    """The whole page, in Markdown."""
    lines = [INTRODUCTION, *render_shared(images)]
    for name, image in images.items():
        optional = ", optional" if image.optional else ""
        lines.append(f"\n## {name}{f' ({image.title})' if image.title else ''}{optional}\n")
        for stage in image.stage:
            lines += render_stage(stage)
    return "\n".join(lines).rstrip() + "\n"


def render_shared(images: Mapping[str, Image]) -> Iterator[str]:
    """The options of the stages that have a module in shared/, each once."""
    stages = [(name, stage) for name, image in images.items() for stage in image.stage if stage.module]
    yield SHARED
    for run, stage in {stage.run: stage for _, stage in stages}.items():
        having = ", ".join(name for name, each in stages if each.run == run)
        yield f"### `{run}`\n"
        yield f"In {having}.\n"
        yield from render_options(stage.options)


def render_stage(stage: Stage) -> Iterator[str]:
    """A stage's heading, what it reads and makes, and its options; a shared stage has its own section."""
    yield f"### `{stage.run}`\n"
    sentence = f"Makes `{stage.output}` from {', '.join(f'`{name}`' for name in stage.inputs)}"
    if stage.optional:
        sentence += f", and what there is of {', '.join(f'`{name}`' for name in stage.optional)}"
    if stage.tool:
        sentence += f", by {stage.tool}"
    if stage.when:
        sentence += f"; for {', '.join(f'`{key}: {value}`' for key, value in stage.when.items())}"
    on_demand = "" if stage.default else " It is made on demand."
    yield f"{sentence}.{on_demand}\n"
    if stage.module:
        yield "Its options are those [above](#stages-of-several-images).\n"
    else:
        yield from render_options(stage.options)


def render_options(options: Mapping[str, Option]) -> Iterator[str]:
    if options:
        yield "| option | default | may be | |\n|---|---|---|---|"
        for name, option in options.items():
            yield f"| `{name}` | {render_value(option.default)} | {render_limits(option)} | {option.help} |"
        yield ""


def render_limits(option: Option) -> str:
    """What values the option takes."""
    if option.values:
        return ", ".join(map(render_value, option.values))
    kind = NAMES[type(option.default)]
    if isinstance(option.default, list):
        kind += f" of {ITEMS[option.items]}"
    if option.min is not None and option.max is not None:
        return f"{kind}, {option.min:g} to {option.max:g}"
    if option.min is not None:
        return f"{kind}, at least {option.min:g}"
    return kind if option.max is None else f"{kind}, at most {option.max:g}"


def render_value(value: Any) -> str:
    """As it is written in an experiment; a dash for nothing."""
    if value in ("", [], {}):
        return "–"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="driver.catalog.reference", description="The reference page of all stages.")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)} instead of printing it")
    page = render_page(declarations.read_all())
    if parser.parse_args(arguments).write:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page)
    else:
        print(page, end="")


if __name__ == "__main__":
    main()
