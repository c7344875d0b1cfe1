"""Which rows answered on a CPU where the products of their recipe saturate, and what answers alike on every CPU.

A CPU that has AVX2 and no VNNI adds products of uint8 and int8 in pairs in 16 bits. Which recipes have such products is
declared in stages.toml, which CPU answered is beside the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from driver.analysis.artifacts import PREDICTIONS, Evidence
from driver.analysis.facts import AnsweringCpu, AnswersOfOtherCpus
from driver.analysis.results import Variant
from driver.analysis.stage_outputs import QUANTIZED, ConversionReport
from driver.experiment import recipes
from shared.measure.instructions import FILE, Cpu


def add_saturation(evidence: Evidence, row: Variant) -> Variant:
    """The quantized row with its fields `cpu_invariant`, `may_saturate` and `saturated`."""
    step = evidence.plan.step(row.name)
    stage = recipes.find_maker(step)
    if stage is None:
        return row
    cpu, quantized = read_answering_cpu(evidence, row.name), evidence.content(row.name, QUANTIZED) or ConversionReport()
    as_asked = not quantized.reason  # else by another method, which has other products
    may_saturate = as_asked and recipes.saturates(stage, step.parameters)
    return replace(
        row,
        cpu_invariant=recipes.is_cpu_invariant(stage, step.parameters),
        may_saturate=may_saturate,
        saturated=may_saturate and cpu is not None and cpu.saturates,
    )


def read_answering_cpu(evidence: Evidence, variant: str) -> Cpu | None:
    """The CPU that gave the variant's answers; None where there are none, or they don't say."""
    cpu: Cpu | None = evidence.content(PREDICTIONS + variant, FILE)
    return cpu


def find_other_cpus(evidence: Evidence, rows: Sequence[Variant], here: Sequence[str]) -> tuple[AnswersOfOtherCpus, ...]:
    """Are there answers from a CPU with other 8-bit instructions than `here`, this host's?"""
    seen = {cpu for row in rows if (cpu := read_answering_cpu(evidence, row.name)) is not None}
    others = [
        AnsweringCpu(cpu.name, cpu.int8_instructions) for cpu in seen if list(cpu.int8_instructions) != list(here)
    ]
    named = sorted(others, key=lambda cpu: (cpu.name, cpu.int8_instructions))
    return (AnswersOfOtherCpus(tuple(named)),) if named else ()


def find_remedy(evidence: Evidence, variant: str) -> Mapping[str, Any]:
    """Settings with which the variant's recipe would answer alike on every CPU; empty where none are known."""
    stage = recipes.find_maker(evidence.plan.step(variant))
    return stage.cpu_invariant[0] if stage is not None and stage.cpu_invariant else {}
