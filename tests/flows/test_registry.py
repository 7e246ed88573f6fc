"""The registry of flows: every topic has who fills it and who reads it, and no list of topics stands elsewhere."""

from __future__ import annotations

import ast

import pytest

from app.flows import registry
from app.flows.flow import Flow
from tests import ROOT
from tests.trees import tree_of


def test_names_are_given_once() -> None:
    for names in (
        [flow.name for flow in registry.FLOWS],
        [topic for flow in registry.FLOWS for topic in flow.topics],
        [stage.agent for stage in registry.STAGES] + [keeping.agent for keeping in registry.KEEPINGS],
        [kind for keeping in registry.KEEPINGS for kind in keeping.keeps],
        list(registry.TABLES),
    ):
        assert len(names) == len(set(names)) > 0


def test_every_topic_is_filled_by_a_stage_or_comes_in_and_is_read_by_a_stage_or_the_stores_or_archives() -> None:
    filled = {topic for stage in registry.STAGES for topic in stage.fills}
    told = {topic for flow in registry.FLOWS for topic in flow.told}
    assert filled | told | {flow.topic_in for flow in registry.FLOWS} == set(registry.TOPICS)
    assert {*registry.READ_BY_FLOW, *registry.READ_BY_STORES, *registry.READ_BY_ARCHIVES, *told} == set(registry.TOPICS)


@pytest.mark.parametrize("flow", registry.FLOWS, ids=lambda flow: flow.name)
def test_a_flow_is_a_chain_from_its_topic_in_to_its_topic_out(flow: Flow) -> None:
    reached = {flow.topic_in}
    for stage in flow.stages:
        assert stage.reads in reached
        reached |= set(stage.fills)
    assert flow.topic_out in reached
    assert {keeping.reads for keeping in flow.keepings} <= reached
    assert flow.topic_out in {keeping.reads for keeping in flow.keepings} | set(flow.archived)


def test_draining_takes_every_topic_of_the_agents_once_and_none_before_what_fills_it() -> None:
    step_of = {topic: number for number, topics in enumerate(registry.DRAINED) for topic in topics}
    assert sorted(step_of) == sorted({*registry.READ_BY_FLOW, *registry.READ_BY_STORES})
    assert all(step_of[stage.reads] < step_of[topic] for stage in registry.STAGES for topic in stage.fills)


def test_every_agent_and_table_of_the_registry_is_a_file_and_no_other_is_there() -> None:
    agents = {stage.agent for stage in registry.STAGES} | {keeping.agent for keeping in registry.KEEPINGS}
    for folder, names in (("agents", agents), ("tables", set(registry.TABLES))):
        assert {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"} == names


def test_topics_of_several_words_are_named_in_the_flows_alone() -> None:
    names = {topic for topic in registry.TOPICS if "_" in topic}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for folder in ("app", "agents", "tables", "simulator")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(("app/flows", "app/stores")) and path.name != "metrics.py"
        if any(name in path.read_text() for name in names)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert wrong == []
