"""One truth for wiring: functions, settings, queues, tables and containers of the code and of infra/ agree."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra import access
from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.conftest import INFRA, ROOT, data
from tidegate import events
from tidegate.bootstrap import WORK_QUEUE
from tidegate.errors import MalformedEvent
from tidegate.settings import PREFIX, Settings

ENVIRONMENTS = ("dev", "int", "pro")

PLATFORM = {
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}


def registered() -> dict[str, set[str]]:
    """Function name -> the decorators of its trigger, read from the source: nothing of the app is started."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "functions").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
                names = {each.func.attr: each for each in calls if isinstance(each.func, ast.Attribute)}
                if "function_name" in names:
                    found[ast.literal_eval(names["function_name"].args[0])] = set(names)
    return found


def test_every_function_runs_in_exactly_one_app() -> None:
    functions = data("functions")

    assert sorted(functions["events"] + functions["api"]) == sorted(registered())


def test_people_reach_http_functions_only_and_all_of_them() -> None:
    http = {name for name, decorators in registered().items() if "route" in decorators}

    assert set(data("functions")["api"]) == http


def test_every_subscription_names_a_function_with_an_event_trigger() -> None:
    triggers = {name for name, decorators in registered().items() if "event_grid_trigger" in decorators}
    named = {each["function"] for each in data("events")["subscriptions"]}

    assert named == triggers


def takes_pushes(event: events.Envelope) -> bool:
    """An event of another type is for nobody; one of this type is read on, and this one has nothing in it."""
    try:
        events.image_pushed(event, staging="s", healthy="h", now=datetime.datetime.now(datetime.UTC))
    except MalformedEvent:
        return True
    return False


TAKEN = {
    "image_pushed": takes_pushes,
    "run_status_changed": events.is_run_status,
    "model_registered": events.is_model_registered,
}


def test_every_event_type_that_is_subscribed_is_one_that_the_code_takes() -> None:
    subscriptions = data("events")["subscriptions"]
    refused = [
        (each["function"], event_type)
        for each in subscriptions
        for event_type in each["eventTypes"]
        if not TAKEN[each["function"]](events.envelope({"type": event_type}))
    ]

    assert TAKEN.keys() == {each["function"] for each in subscriptions}
    assert refused == []
    assert not takes_pushes(events.envelope({"type": "Microsoft.ContainerRegistry.ImagePush"}))


def test_what_stays_warm_is_what_takes_events(project: Project) -> None:
    kept = given_to_app(project, "alwaysReadyFunctions")

    assert set(data("functions")["alwaysReady"]) == {each["function"] for each in data("events")["subscriptions"]}
    assert kept == {
        "eventsApp": tree.Ternary(
            tree.Name("keepWarm"), tree.Member(tree.Name("functions"), "alwaysReady"), tree.Array(())
        )
    }
    assert parameters(INFRA / "main.parameters.pro.json")["keepWarm"] is True


def given_to_app(project: Project, parameter: str) -> dict[str, tree.Expr]:
    """What each of the two apps is given, of those that are given it."""
    found: dict[str, tree.Expr] = {}
    for name in ("eventsApp", "apiApp"):
        declared = project.files[INFRA / "main.bicep"].named(name)
        assert declared is not None
        params = declared.body().get("params")
        assert isinstance(params, tree.Object)
        if (given := params.get(parameter)) is not None:
            found[name] = given
    return found


def test_alert_queries_name_functions_that_exist() -> None:
    named = {
        name for each in data("alerts")["alerts"] for name in re.findall(r"OperationName == '(\w+)'", each["query"])
    }
    triggers = {name for name in named if "/" not in name and "_" in name}

    assert triggers
    assert triggers <= set(registered())


def test_the_workbook_asks_for_tables_of_the_workspace_and_functions_that_exist() -> None:
    queries = [
        item["content"]["query"] for item in data("operations.workbook")["items"] if "query" in item.get("content", {})
    ]
    named = {name for each in queries for name in re.findall(r"OperationName == '(\w+)'", each)}
    tables = {re.split(r"\W", each.strip(), maxsplit=1)[0] for each in queries}

    assert len(queries) > 3
    assert named <= set(registered())
    assert tables <= {
        "AppRequests",
        "AppTraces",
        "AppExceptions",
        "StorageBlobLogs",
        "AzureDiagnostics",
        "AzureMetrics",
    }


def settings_of(project: Project, *names: str) -> dict[str, tree.Expr]:
    """Members of object variables, and of objects that calls of union() add, in one file."""
    found: dict[str, tree.Expr] = {}
    for file in (project.files[INFRA / "main.bicep"], project.files[INFRA / "modules" / "function-app.bicep"]):
        for each in file.of_kind("var", "module"):
            if each.value is not None and each.name in names:
                for node in tree.walk(each.value):
                    if isinstance(node, tree.Object):
                        found |= {
                            str(key.value): value for key, value in node.properties if isinstance(key, tree.Literal)
                        }
    return found


@pytest.mark.parametrize("app", ["eventsApp", "apiApp"])
def test_the_app_settings_are_exactly_the_fields_of_settings(app: str, project: Project) -> None:
    given = {name for name in settings_of(project, "commonSettings", app) if name.startswith(PREFIX)}

    assert given == {f"{PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)}


def test_the_platform_settings_use_no_key(project: Project) -> None:
    assert set(settings_of(project, "platformSettings")) == PLATFORM


def test_settings_that_are_secrets_are_references_that_the_app_reads_as_its_identity(project: Project) -> None:
    file = project.files[INFRA / "modules" / "function-app.bicep"]
    references, app = file.named("referredSettings"), file.named("app")
    assert references is not None
    assert app is not None
    properties = app.body().get("properties")
    assert isinstance(properties, tree.Object)

    assert (
        "'@Microsoft.KeyVault(VaultName=${vaultName};SecretName=" in (INFRA / "modules/function-app.bicep").read_text()
    )
    assert properties.get("keyVaultReferenceIdentity") == tree.Name("identityId")
    assert access.read().allows(
        "events-app", "key-vault", "Microsoft.KeyVault/vaults/secrets/getSecret/action", data=True
    )


def test_the_sign_in_makes_sessions_and_lets_the_app_decide(project: Project) -> None:
    """Who asks is verified in the code, for every route; tests/e2e/test_people.py tries each of them."""
    made = project.files[INFRA / "modules" / "sign-in.bicep"].named("authentication")
    assert made is not None
    value: tree.Expr | None = made.body()
    for name in ("properties", "globalValidation"):
        value = value.get(name) if isinstance(value, tree.Object) else None
    assert isinstance(value, tree.Object)

    assert value.get("requireAuthentication") == tree.Literal(False)
    assert value.get("unauthenticatedClientAction") == tree.Literal("AllowAnonymous")


def test_no_app_setting_fakes_the_sign_in(project: Project) -> None:
    """The platform sets WEBSITE_AUTH_ENABLED where sign-in stands in front of the app; other software trusts it for that."""
    for path in project.files:
        assert "WEBSITE_AUTH_ENABLED" not in path.read_text()


def test_queues_tables_and_containers_are_those_of_the_code(project: Project) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    state = data("state")

    assert state["queues"] == [WORK_QUEUE, f"{WORK_QUEUE}-poison"]
    assert state["tables"] == [f"{defaults['table']}{part}" for part in ("state", "list", "watched")]
    assert state["containers"][0] == defaults["evidence_container"]
    assert data("events")["deadLetterContainer"] == defaults["dead_letter_container"]
    assert defaults["dead_letter_container"] in state["containers"]
    assert settings_of(project, "commonSettings")["TIDEGATE_TABLE"] == tree.Literal(str(defaults["table"]))


def test_packages_lie_in_containers_that_are_made(project: Project) -> None:
    main = project.files[INFRA / "main.bicep"]
    wanted = set()
    for name in ("eventsApp", "apiApp"):
        declared = main.named(name)
        assert declared is not None
        params = declared.body().get("params")
        assert isinstance(params, tree.Object)
        container = params.get("packageContainer")
        assert isinstance(container, tree.Literal)
        wanted.add(container.value)

    assert len(wanted) == 2
    assert wanted <= set(data("state")["containers"])


def parameters(path: Path) -> dict[str, Any]:
    return {name: each["value"] for name, each in json.loads(path.read_text())["parameters"].items()}


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, ""])
def test_a_parameter_file_gives_what_must_be_given_and_nothing_unknown(environment: str, project: Project) -> None:
    path = INFRA / (f"main.parameters.{environment}.json" if environment else "main.parameters.json")
    declared = project.files[INFRA / "main.bicep"].of_kind("param")
    given = set(parameters(path))

    assert given <= {each.name for each in declared}
    assert {each.name for each in declared if each.value is None} <= given
    assert not {each.name for each in declared if each.decorator("secure")} & given


def test_environments_differ_in_values_and_not_in_what_they_say() -> None:
    names = [set(parameters(INFRA / f"main.parameters.{each}.json")) for each in ENVIRONMENTS]

    assert names[0] == names[1] == names[2]


def test_groups_of_an_environment_are_groups_of_the_work_packages() -> None:
    known = {each["group"] for workspace in data("workspaces")["workspaces"] for each in workspace["groups"]}
    for environment in ENVIRONMENTS:
        assert set(parameters(INFRA / f"main.parameters.{environment}.json")["groupIds"]) <= known


def test_production_is_private_and_has_the_cores_that_it_needs() -> None:
    pro = parameters(INFRA / "main.parameters.pro.json")

    assert pro["networkMode"] == "private"
    assert pro["kubernetesPurpose"] == "production"
    assert pro["kubernetesNodeCount"] * pro["kubernetesCoresPerNode"] >= 12


def test_the_machine_gets_every_file_that_its_first_boot_names() -> None:
    folder = INFRA / "data" / "training-vm"
    template = (INFRA / "modules" / "training-vm.bicep").read_text()
    places = set(re.findall(r"@[A-Z]+@", (folder / "cloud-init.yaml").read_text()))

    assert places == set(re.findall(r"'(@[A-Z]+@)'", template))
    for script in re.findall(r"training-vm/([\w.-]+)'", template):
        assert (folder / script).is_file()


def reached(project: Project, file: str, start: str) -> set[str]:
    """Names of one file that a declaration is made of, by way of variables."""
    declarations, found, waiting = project.files[INFRA / file], set[str](), [start]
    while waiting:
        declared = declarations.named(waiting.pop())
        if declared is None or declared.value is None:
            continue
        names = {node.name for node in tree.walk(declared.value) if isinstance(node, tree.Name)} - found
        found |= names
        waiting += [each for each in names if (of := declarations.named(each)) is not None and of.kind == "var"]
    return found


def test_a_deployment_of_one_work_package_leaves_the_apps_with_all_of_them(project: Project) -> None:
    assert "allWorkspaces" in reached(project, "main.bicep", "commonSettings")
    assert "workPackages" not in reached(project, "main.bicep", "commonSettings")


def test_azd_leaves_endpoints_alone_once_they_may_have_traffic(project: Project) -> None:
    """azd gives no endpointTraffic, and an endpoint that is brought up to date without it sends all its callers away."""
    hook = (INFRA / "scripts" / "azd-hooks").read_text()

    assert parameters(INFRA / "main.parameters.json")["deployEndpoints"] == "${TIDEGATE_ENDPOINTS=true}"
    assert hook.index("azd env set TIDEGATE_ENDPOINTS false") < hook.index("azd provision")
    assert "deployEndpoints" in reached(project, "main.bicep", "onlineEndpoints")


def test_a_private_endpoint_is_in_the_region_of_the_network(project: Project) -> None:
    """A work package may be in another region than the network: what joins the network is in the network's."""
    main = project.files[INFRA / "main.bicep"]
    wanted = {"workspace": "endpointLocation", "compute": "subnetLocation"}
    for name, parameter in wanted.items():
        declared = main.named(name)
        assert declared is not None
        params = declared.body().get("params")
        assert isinstance(params, tree.Object)
        assert params.get(parameter) == tree.Name("location"), name
    others = {
        each.name
        for each in main.of_kind("module")
        if isinstance(params := each.body().get("params"), tree.Object)
        if (params.get("endpointSubnetId") or params.get("subnetId")) is not None
        if params.get("location") != tree.Name("location")
    }
    assert others == {*wanted, "trainingJob"}  # preflight compares the region of the job
