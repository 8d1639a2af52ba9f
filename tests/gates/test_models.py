"""The `models` of a gates file: what they mean, which version meets which gate, and what is refused where."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.gates.refused import cases
from tests.gates.test_schema import SCHEMA, VALIDATOR
from tidegate.flows.models.model_gate import (
    AnalysisRules,
    ApprovalRules,
    FitRules,
    Freeze,
    Instance,
    MetricRule,
    ModelGate,
    ModelRequirements,
    ReleasePipeline,
    Serving,
    Stage,
    Target,
    TrafficStep,
    WorkspaceRef,
)
from tidegate.gates import Gates, GatesError, load, model_loading, stage_loading
from tidegate.gates.model_values import WEEK, freeze, share

SUBSCRIPTION = "00000000-0000-0000-0000-00000000c0de"
STAGE: dict[str, Any] = {
    "name": "dev",
    "workspace": "vision-dev",
    "endpoint": "digits-dev",
    "target": "managed",
    "instance": {"type": "Standard_DS2_v2", "cpu": 2, "memory": "7Gi"},
}
MODEL: dict[str, Any] = {
    "name": "digits",
    "match": {"model": "digits*"},
    "serve": {"image": "scoring/digits:v1"},
    "stages": [STAGE],
}
IMAGES = [{"name": "a", "match": {"repository": "a"}}]


def text_of(*models: dict[str, Any]) -> str:
    return yaml.safe_dump({"version": 1, "images": IMAGES, "models": list(models)}, sort_keys=False, width=1000)


def read(folder: Path, *models: dict[str, Any]) -> Gates:
    path = folder / "gates.yaml"
    path.write_text(text_of(*models), encoding="utf-8")
    return load(path)


def model(**keys: Any) -> dict[str, Any]:
    return {**copy.deepcopy(MODEL), **keys}


def stage(**keys: Any) -> dict[str, Any]:
    return {**copy.deepcopy(STAGE), **keys}


def one(folder: Path, **keys: Any) -> ModelGate:
    (rule,) = read(folder, model(**keys)).models
    return rule.gate


def one_stage(folder: Path, **keys: Any) -> Stage:
    return one(folder, stages=[stage(**keys)]).stages[0]


def editors_accept(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.safe_load(text))


def refusal(folder: Path, *models: dict[str, Any]) -> str:
    with pytest.raises(GatesError) as caught:
        read(folder, *models)
    return str(caught.value)


# What the keys mean --------------------------------------------------------------------------------------------------


def test_a_file_without_models_has_none(tmp_path: Path) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "images": IMAGES}), encoding="utf-8")
    assert load(path).models == ()


def test_a_short_gate_has_the_documented_defaults(tmp_path: Path) -> None:
    gate = one(tmp_path)
    workspace = WorkspaceRef("vision-dev")
    assert gate == ModelGate(
        name="digits",
        version=gate.version,
        require=ModelRequirements((), (), (), 0),
        serve=Serving("scoring/digits:v1", "", "samples.json"),
        registry="",
        stages=(
            Stage(
                name="dev",
                target=Target("managed", workspace, "digits-dev"),
                instance=Instance("Standard_DS2_v2", 1, 2, 7 * 1024**3),
                fit=FitRules(0.9, 0, 0, 7 * 1024**3),
                traffic=(TrafficStep(10, mirror=True), TrafficStep(10), TrafficStep(50), TrafficStep(100)),
                analysis=AnalysisRules(300, 50, 0.01, 1.5, 0.2, 1800, 86400, 0.02),
                soak=3600,
            ),
        ),
    )


def test_every_key_of_a_gate_means_what_it_says(tmp_path: Path) -> None:
    digest = f"scoring/digits@sha256:{'a' * 64}"
    gate = one(
        tmp_path,
        require={
            "tags": ["task", "owner"],
            "lineage": ["data", "run"],
            "metrics": {"loss": {"at_most": 2}, "accuracy": {"at_least": -0.5, "tolerance": 0.01}},
            "max_size": "50Mi",
        },
        serve={
            "image": digest,
            "script": "scoring/score.py",
            "samples": "a/b.json",
            "environment": {"B": "2", "A": "1"},
        },
        registry="models-of-all",
    )
    assert gate.require == ModelRequirements(
        tags=("owner", "task"),
        lineage=("run", "data"),
        metrics=(MetricRule("accuracy", at_least=-0.5, tolerance=0.01), MetricRule("loss", at_most=2)),
        max_size=50 * 1024**2,
    )
    assert gate.serve == Serving(digest, "scoring/score.py", "a/b.json", (("A", "1"), ("B", "2")))
    assert gate.registry == "models-of-all"


def test_every_key_of_a_stage_means_what_it_says(tmp_path: Path) -> None:
    read_stage = one_stage(
        tmp_path,
        workspace=f"{SUBSCRIPTION.upper()}/rg-Vision/Vision-Pro",
        target={"kubernetes": "aks"},
        instance={"type": "gpu", "count": 3, "cpu": 0.5, "memory": "512Mi"},
        fit={"memory": "80%", "latency": "200ms", "startup": "5m", "size": "1Gi"},
        traffic=["mirror 50%", "1%", "100%"],
        analysis={
            "window": "10s",
            "requests": 20,
            "errors": "0.5%",
            "latency": 2,
            "slack": "50ms",
            "shift": "100%",
            "patience": "1m",
            "expires": "2d",
        },
        soak="30m",
        approval={"quorum": 2, "roles": ["Approver.pro", "Operator"], "expires": "1d"},
        freeze=["Fri 16:00 - Mon 08:00", "mon 12:00 - mon 13:00"],
    )
    assert read_stage == Stage(
        name="dev",
        target=Target("kubernetes", WorkspaceRef("vision-pro", "rg-vision", SUBSCRIPTION), "digits-dev", "aks"),
        instance=Instance("gpu", 3, 0.5, 512 * 1024**2),
        fit=FitRules(0.8, 0.2, 300, 1024**3),
        traffic=(TrafficStep(50, mirror=True), TrafficStep(1), TrafficStep(100)),
        analysis=AnalysisRules(10, 20, 0.005, 2, 1, 60, 2 * 86400, 0.05),
        soak=1800,
        approval=ApprovalRules(2, ("Approver.pro", "Operator"), 86400),
        freeze=(Freeze(12 * 60, 13 * 60), Freeze((4 * 24 + 16) * 60, 8 * 60)),
    )


def test_a_workspace_may_say_its_group_alone(tmp_path: Path) -> None:
    assert one_stage(tmp_path, workspace="rg/vision").target.workspace == WorkspaceRef("vision", "rg")


@pytest.mark.parametrize("target", ["container-instance", "local"])
def test_what_cannot_divide_traffic_gets_all_of_it_at_once(target: str, tmp_path: Path) -> None:
    read_stage = one_stage(tmp_path, target=target, instance={"cpu": 1, "memory": "1Gi"})
    assert read_stage.traffic == (TrafficStep(100),)
    assert read_stage == one_stage(tmp_path, target=target, instance={"cpu": 1, "memory": "1Gi"}, traffic=["100%"])


def test_an_approver_has_by_default_the_role_of_the_stage(tmp_path: Path) -> None:
    approval = one_stage(tmp_path, name="pro", approval={}).approval
    assert approval == ApprovalRules(1, ("Approver.pro",), 3 * 86400)


@pytest.mark.parametrize(
    ("release", "pipeline"),
    [
        (
            {"azure-devops": {"project": "team/vision models", "pipeline": 12}},
            ReleasePipeline("azure-devops", "team/vision models", "12", "main", 7200),
        ),
        (
            {"github": {"project": "team/vision", "pipeline": "deliver.yml", "ref": "release/1", "timeout": "30m"}},
            ReleasePipeline("github", "team/vision", "deliver.yml", "release/1", 1800),
        ),
    ],
)
def test_a_pipeline_takes_the_place_of_what_serves(
    release: dict[str, Any], pipeline: ReleasePipeline, tmp_path: Path
) -> None:
    keys = {"name": "pro", "workspace": "vision-pro", "approval": {}, "freeze": ["Sat 00:00 - Mon 00:00"]}
    (read_stage,) = one(tmp_path, stages=[{**keys, "release": release}]).stages
    assert read_stage.release == pipeline
    assert read_stage.target.workspace == WorkspaceRef("vision-pro")
    assert read_stage.approval is not None
    assert len(read_stage.freeze) == 1
    assert editors_accept(text_of(model(stages=[{**keys, "release": release}])))


@given(st.integers(0, WEEK - 1), st.integers(0, WEEK - 1))
def test_a_freeze_is_minutes_of_the_week(start: int, end: int) -> None:
    if start == end:
        return
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    words = [f"{days[at // 1440]} {at % 1440 // 60:02}:{at % 60:02}" for at in (start, end)]
    assert freeze(" - ".join(words)) == Freeze(start, end)


@pytest.mark.parametrize(("text", "value"), [("0%", 0), ("10%", 0.1), ("99.5%", 0.995), ("100%", 1)])
def test_a_percentage_is_a_share(text: str, value: float) -> None:
    assert share(text) == value


# Which gate a version meets ------------------------------------------------------------------------------------------


def gates(folder: Path) -> Gates:
    first = model(name="first", match={"model": ["digits", "letters-*"], "tags": {"task": "class*", "team": "*"}})
    return read(folder, first, model(name="second", stages=[stage(endpoint="second")]))


@pytest.mark.parametrize(
    ("name", "tags", "gate"),
    [
        ("digits", {"task": "classification", "team": "a", "more": "b"}, "first"),
        ("letters-x", {"task": "CLASSIFICATION", "team": ""}, "first"),
        ("digits", {"task": "classification"}, "second"),
        ("digits", {"task": "detection", "team": "a"}, "second"),
        ("digits", {}, "second"),
        ("letters-x", {}, None),
        ("Digits", {"task": "class", "team": "a"}, None),
        ("digits", None, "first"),  # asked for by hand, before anything is known of it
    ],
)
def test_the_first_gate_whose_globs_and_tags_match_wins(
    name: str, tags: dict[str, str] | None, gate: str | None, tmp_path: Path
) -> None:
    found = gates(tmp_path).model_gate(name, tags)
    assert (found and found.name) == gate


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", (found := cases("refused_models.txt")), ids=[case.text for case in found])
def test_a_fault_of_a_gate_is_refused_with_this_message(case: Any, tmp_path: Path) -> None:
    _check(case.message, "models[0]", model(**yaml.safe_load(case.text)), tmp_path, case.schema_sees_it)


@pytest.mark.parametrize("case", (found := cases("refused_stages.txt")), ids=[case.text for case in found])
def test_a_fault_of_a_stage_is_refused_with_this_message(case: Any, tmp_path: Path) -> None:
    keys = model(stages=[stage(**yaml.safe_load(case.text))])
    _check(case.message, "models[0].stages[0]", keys, tmp_path, case.schema_sees_it)


def _check(message: str, field: str, keys: dict[str, Any], folder: Path, schema_sees_it: bool) -> None:
    with pytest.raises(GatesError) as caught:
        read(folder, keys)
    told = [f"{problem.field}: {problem.text}" for problem in caught.value.problems]
    assert told == [f"{field}.{line}" for line in message.split("\n")]
    assert all(problem.line > 1 for problem in caught.value.problems)
    assert editors_accept(text_of(keys)) is not schema_sees_it


@pytest.mark.parametrize("target", ["container-instance", "local"])
def test_what_is_one_replica_without_a_size_says_so(target: str, tmp_path: Path) -> None:
    keys = stage(target=target, instance={"type": "x", "count": 2, "cpu": 1, "memory": "1Gi"}, traffic=["50%", "100%"])
    told = refusal(tmp_path, model(stages=[keys]))
    assert f"stages[0].instance.type: has no effect with `target: {target}`" in told
    assert f"stages[0].instance.count: `target: {target}` is one replica" in told
    assert f"stages[0].traffic: `target: {target}` cannot divide traffic; write [100%], or leave it out" in told


@pytest.mark.parametrize("name", ["name", "workspace", "endpoint", "target", "instance"])
def test_what_a_stage_needs_is_named(name: str, tmp_path: Path) -> None:
    keys = stage()
    del keys[name]
    assert f"models[0].stages[0]: the key {name!r} is missing" in refusal(tmp_path, model(stages=[keys]))
    assert not editors_accept(text_of(model(stages=[keys])))


@pytest.mark.parametrize("name", ["name", "match", "serve", "stages"])
def test_what_a_gate_needs_is_named(name: str, tmp_path: Path) -> None:
    keys = model()
    del keys[name]
    assert f"models[0]: the key {name!r} is missing" in refusal(tmp_path, keys)
    assert not editors_accept(text_of(keys))


@pytest.mark.parametrize(
    ("release", "fault"),
    [
        ({}, "release: expected exactly one of azure-devops, github"),
        (
            {"github": {"project": "a/b", "pipeline": "a.yml"}, "azure-devops": {"project": "a/b", "pipeline": 1}},
            "release: expected exactly one of azure-devops, github",
        ),
        ({"jenkins": {}}, "release.jenkins: unknown key"),
        ({"github": {"project": "a/b", "pipeline": "12"}}, "'12' is not the file name of a workflow"),
        ({"github": {"project": "a", "pipeline": "a.yml"}}, "'a' is not a project"),
        ({"github": {"project": "a/b"}}, "release.github: the key 'pipeline' is missing"),
        ({"azure-devops": {"project": "a/b", "pipeline": "a.yml"}}, "'a.yml' is not the number of a pipeline"),
        ({"azure-devops": {"project": "a/b", "pipeline": 1, "ref": "a..b"}}, "'a..b' is not the name of a branch"),
        ({"azure-devops": {"project": "a/b", "pipeline": 1, "timeout": 5}}, "timeout: '5' is not a duration"),
    ],
)
def test_a_pipeline_that_cannot_be_started_is_refused(release: dict[str, Any], fault: str, tmp_path: Path) -> None:
    keys = model(stages=[{"name": "pro", "workspace": "vision-pro", "release": release}])
    assert fault in refusal(tmp_path, keys)
    assert not editors_accept(text_of(keys))


@pytest.mark.parametrize(
    ("models", "fault"),
    [
        ((model(), model(match={"model": "x"}, stages=[stage(endpoint="other")])), "the name 'digits' is already"),
        (
            (model(), model(name="b", match={"model": "digits-?"}, stages=[stage(endpoint="other")])),
            "models[1]: never reached: 'digits' on line",
        ),
        (
            (model(), model(name="b", match={"model": "digits", "tags": {"a": "b"}}, stages=[stage(endpoint="other")])),
            "models[1]: never reached: 'digits' on line",
        ),
        (
            (
                model(match={"model": "digits", "tags": {"a": "*"}}),
                model(
                    name="b", match={"model": "digits", "tags": {"a": "b", "c": "d"}}, stages=[stage(endpoint="other")]
                ),
            ),
            "models[1]: never reached: 'digits' on line",
        ),
        ((model(stages=[stage(), stage(endpoint="other")]),), "stages[1]: the name 'dev' is already the name of"),
        (
            (model(stages=[stage(), stage(name="int", workspace="VISION-DEV")]),),
            "models[0].stages[1]: the endpoint 'digits-dev' is already that of models[0].stages[0] on line",
        ),
        ((model(), model(name="b", match={"model": "x"})), "models[1].stages[0]: the endpoint 'digits-dev' is already"),
    ],
    ids=["names", "a wider glob", "one without tags", "one of fewer tags", "stages", "endpoints", "endpoints of gates"],
)
def test_what_only_the_whole_file_shows_is_refused(
    models: tuple[dict[str, Any], ...], fault: str, tmp_path: Path
) -> None:
    assert fault in refusal(tmp_path, *models)
    assert editors_accept(text_of(*models))


def test_a_gate_with_more_tags_may_stand_before_one_with_fewer(tmp_path: Path) -> None:
    special = model(name="a", match={"model": "digits*", "tags": {"task": "x"}}, stages=[stage(endpoint="other")])
    assert len(read(tmp_path, special, model()).models) == 2


def test_the_same_name_of_an_endpoint_in_two_workspaces_is_two_endpoints(tmp_path: Path) -> None:
    assert len(one(tmp_path, stages=[stage(), stage(name="int", workspace="vision-int")]).stages) == 2


# The version of a gate -----------------------------------------------------------------------------------------------

STAGE_CHANGES: list[dict[str, Any]] = [
    {"name": "int"},
    {"workspace": "vision"},
    {"endpoint": "digits"},
    {"target": {"kubernetes": "aks"}},
    {"instance": {"type": "Standard_DS2_v2", "cpu": 2, "memory": "7Gi", "count": 2}},
    {"instance": {"type": "Standard_DS2_v2", "cpu": 1, "memory": "7Gi"}},
    {"instance": {"type": "Standard_DS2_v2", "cpu": 2, "memory": "6Gi"}},
    {"instance": {"type": "Standard_DS3_v2", "cpu": 2, "memory": "7Gi"}},
    {"fit": {"memory": "80%"}},
    {"fit": {"latency": "1s"}},
    {"fit": {"startup": "1s"}},
    {"fit": {"size": "1Gi"}},
    {"traffic": ["100%"]},
    {"analysis": {"window": "1m"}},
    {"analysis": {"requests": 1}},
    {"analysis": {"errors": "2%"}},
    {"analysis": {"latency": 2}},
    {"analysis": {"slack": "1ms"}},
    {"analysis": {"shift": "1%"}},
    {"analysis": {"patience": "1m"}},
    {"analysis": {"expires": "1m"}},
    {"soak": "1m"},
    {"approval": {}},
    {"freeze": ["Sat 00:00 - Sun 00:00"]},
]
CHANGES: list[dict[str, Any]] = [
    {"require": {"tags": ["a"]}},
    {"require": {"lineage": ["run"]}},
    {"require": {"metrics": {"a": {"at_least": 1}}}},
    {"require": {"metrics": {"a": {"at_most": 1}}}},
    {"require": {"metrics": {"a": {"at_least": 1, "tolerance": 0}}}},
    {"require": {"max_size": "1Mi"}},
    {"serve": {"image": "scoring/digits:v2"}},
    {"serve": {"image": "scoring/digits:v1", "script": "a.py"}},
    {"serve": {"image": "scoring/digits:v1", "samples": "a.json"}},
    {"serve": {"image": "scoring/digits:v1", "environment": {"A": "1"}}},
    {"registry": "models-of-all"},
    *({"stages": [stage(**keys)]} for keys in STAGE_CHANGES),
]


def test_every_setting_changes_the_version_and_name_and_match_do_not(tmp_path: Path) -> None:
    unchanged: dict[str, Any] = {}
    versions = [one(tmp_path, **keys).version for keys in (unchanged, *CHANGES)]
    assert len(set(versions)) == len(versions)
    assert one(tmp_path, name="other", match={"model": "x", "tags": {"a": "b"}}).version == versions[0]


def test_another_spelling_or_order_is_the_same_gate(tmp_path: Path) -> None:
    written = {
        "registry": "",
        "require": {"tags": ["b", "a"], "lineage": ["data", "run"]},
        "stages": [stage(soak="60m", analysis={"window": "300s"}, fit={"memory": "90.0%", "size": "7168Mi"})],
    }
    short = {"require": {"lineage": ["run", "data"], "tags": ["a", "b"]}}
    assert one(tmp_path, **written) == one(tmp_path, **short)


def test_no_release_changes_the_version_of_an_unchanged_gate_by_accident(tmp_path: Path) -> None:
    """Records of deliveries name it: a new default or field is worth a line in the changelog."""
    assert one(tmp_path).version == "7e2e93471c99"


# The schema says the same --------------------------------------------------------------------------------------------

MODEL_SCHEMA = SCHEMA["$defs"]["modelGate"]["properties"]
STAGE_SCHEMA = SCHEMA["$defs"]["stage"]["properties"]


@pytest.mark.parametrize(
    ("properties", "keys"),
    [
        (MODEL_SCHEMA, model_loading.MODEL_KEYS),
        (MODEL_SCHEMA["match"]["properties"], model_loading.MODEL_MATCH_KEYS),
        (MODEL_SCHEMA["require"]["properties"], model_loading.MODEL_REQUIRE_KEYS),
        (SCHEMA["$defs"]["metric"]["properties"], model_loading.METRIC_KEYS),
        (MODEL_SCHEMA["serve"]["properties"], model_loading.SERVE_KEYS),
        (STAGE_SCHEMA, stage_loading.STAGE_KEYS),
        (STAGE_SCHEMA["instance"]["properties"], stage_loading.INSTANCE_KEYS),
        (STAGE_SCHEMA["fit"]["properties"], stage_loading.FIT_KEYS),
        (STAGE_SCHEMA["analysis"]["properties"], stage_loading.ANALYSIS_KEYS),
        (STAGE_SCHEMA["approval"]["properties"], stage_loading.APPROVAL_KEYS),
        (STAGE_SCHEMA["release"]["properties"], stage_loading.PIPELINES),
        (STAGE_SCHEMA["release"]["properties"]["github"]["properties"], stage_loading.PIPELINE_KEYS),
        (STAGE_SCHEMA["release"]["properties"]["azure-devops"]["properties"], stage_loading.PIPELINE_KEYS),
    ],
)
def test_schema_and_loader_have_the_same_keys(properties: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert tuple(properties) == keys


def test_the_defaults_in_the_schema_are_the_defaults(tmp_path: Path) -> None:
    defaults = {
        part: {key: each["default"] for key, each in STAGE_SCHEMA[part]["properties"].items() if "default" in each}
        for part in ("fit", "analysis", "approval")
    }
    assert (len(defaults["analysis"]), len(defaults["approval"])) == (8, 2)
    long = one_stage(tmp_path, **defaults, soak=STAGE_SCHEMA["soak"]["default"])
    assert long == one_stage(tmp_path, approval={})
    samples = MODEL_SCHEMA["serve"]["properties"]["samples"]["default"]
    assert one(tmp_path).serve == one(tmp_path, serve={**MODEL["serve"], "samples": samples}).serve


def some(*good: Any, bad: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Mostly a good value; now and then a bad one, or what is good nowhere."""
    wrong = [*bad, "", None, [], {}, -1, True, "x y"]
    return st.integers(0, 29).flatmap(lambda dice: st.sampled_from(wrong if dice == 0 else good))


SPANS = some("1s", "5m", "14d", "99999s", bad=("0s", "15d", "1w", 5))
SHARES = some("1%", "10%", "99.999%", "100%", bad=("0%", "1%%", "100.1%"))
DRAWN_STAGES = st.fixed_dictionaries(
    {
        "name": some("dev", "pro-1", bad=("Dev",)),
        "workspace": some("vision", "rg/vision", f"{SUBSCRIPTION}/r.g-1/Vision_1", bad=("a", "r./vision", "a/b/c")),
        "endpoint": some("digits", "a1b", "a-b-c", "a" * 32, bad=("a-", "1ab", "a" * 33)),
        "target": some("managed", {"kubernetes": "aks"}, bad=("local", "container-instance", {"kubernetes": "a_b"})),
        "instance": st.fixed_dictionaries(
            {
                "type": some("Standard_DS2_v2", "gpu", bad=("1a",)),
                "cpu": some(1, 0.5, 416, bad=(0,)),
                "memory": some("16Mi", "7Gi", "12288Gi", bad=("15Mi",)),
            },
            optional={"count": some(1, 100, bad=(101, 1.5))},
        ),
    },
    optional={
        "fit": st.fixed_dictionaries(
            {},
            optional={
                "memory": SHARES,
                "latency": some("200ms", "1s", bad=("0s", 5)),
                "startup": SPANS,
                "size": some("1Ki", "2Gi", bad=("1",)),
            },
        ),
        "traffic": some(
            ["100%"], ["mirror  50%", "1%", "100%"], ["mirror 10%", "100%"], bad=(["101%"], ["mirror 51%", "100%"])
        ),
        "analysis": st.fixed_dictionaries(
            {},
            optional={
                "window": SPANS,
                "requests": some(1, 1_000_000, bad=(0,)),
                "latency": some(0.1, 2, 100, bad=(101,)),
                "slack": some("1ms", "2s", bad=("0ms", 1)),
                "shift": SHARES,
            },
        ),
        "soak": SPANS,
        "approval": st.fixed_dictionaries(
            {},
            optional={
                "quorum": some(1, 10, bad=(11,)),
                "roles": some(["Approver.pro"], ["a", "b"], bad=(["a", "a"], ["-"])),
                "expires": SPANS,
            },
        ),
        "freeze": some(["Fri 16:00 - Mon 08:00"], ["FRI 00:00 - sat 23:59"], bad=(["Fri 16:00-Mon 08:00"],)),
    },
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each drawn file is written; one place, because Hypothesis draws many within one test."""
    return tmp_path_factory.mktemp("drawn")


@settings(deadline=None, max_examples=200)
@given(keys=DRAWN_STAGES)
def test_the_schema_takes_every_stage_that_the_loader_takes(keys: dict[str, Any], drawn: Path) -> None:
    try:
        read(drawn, model(stages=[keys]))
        accepted = True
    except GatesError:
        accepted = False
    event(f"the loader accepts: {accepted}")
    assert editors_accept(text_of(model(stages=[keys]))) >= accepted


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 120), st.integers(0, 999), st.booleans())
def test_schema_and_loader_agree_on_every_percentage(whole: int, part: int, has_part: bool) -> None:
    text = f"{whole}.{part}%" if has_part else f"{whole}%"
    try:
        share(text)
        good = True
    except ValueError:
        good = False
    keys = model(stages=[stage(analysis={"errors": text})])
    assert editors_accept(text_of(keys)) is good


def test_the_settings_that_change_the_version_are_all_there_are() -> None:
    """A new key of a stage needs a line in CHANGES."""
    stages = [keys["stages"][0] for keys in CHANGES if "stages" in keys]
    changed = {name for each in stages for name in each if each[name] != STAGE.get(name)}
    assert changed == set(stage_loading.STAGE_KEYS) - {"release"}
    for part, keys in (("fit", stage_loading.FIT_KEYS), ("analysis", stage_loading.ANALYSIS_KEYS)):
        assert {name for each in stages for name in each.get(part, ())} == set(keys)
