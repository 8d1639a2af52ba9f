"""What no template of infra/ may do, whatever else it does: keys, admin users, wide roles, secrets in outputs, silence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra import access
from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.bicep.tree import Declaration, Expr
from tests.infra.conftest import INFRA

FORBIDDEN_ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
}

REQUIRED: dict[str, dict[str, tree.Scalar]] = {
    "Microsoft.Storage/storageAccounts": {
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "defaultToOAuthAuthentication": True,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
        "isLocalUserEnabled": False,
        "isSftpEnabled": False,
    },
    "Microsoft.ContainerRegistry/registries": {"adminUserEnabled": False, "anonymousPullEnabled": False},
    "Microsoft.KeyVault/vaults": {
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": 90,
        "enablePurgeProtection": True,
    },
    "Microsoft.EventGrid/topics": {"disableLocalAuth": True, "minimumTlsVersionAllowed": "1.2"},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
    "Microsoft.MachineLearningServices/workspaces": {
        "systemDatastoresAuthMode": "Identity",
        "v1LegacyMode": False,
        "enableDataIsolation": True,
    },
    "Microsoft.Web/sites": {"httpsOnly": True},
    "Microsoft.ContainerService/managedClusters": {"enableRBAC": True},
    "Microsoft.Communication/communicationServices": {"disableLocalAuth": True},
}

QUIET = {
    "Microsoft.App/jobs",  # its environment speaks for it
    "Microsoft.Authorization/locks",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Authorization/roleDefinitions",
    "Microsoft.Communication/emailServices",
    "Microsoft.Consumption/budgets",
    "Microsoft.ContainerInstance/containerGroups",  # has no diagnostic settings
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Insights/workbooks",
    "Microsoft.KubernetesConfiguration/extensions",  # its cluster speaks for it
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Network/natGateways",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateEndpoints",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Web/connections",
}
"""Types of which a resource sends no diagnostics of its own."""


def made(project: Project) -> list[tuple[Path, Declaration]]:
    """Every resource that the templates make."""
    return [
        (path, each) for path, file in project.files.items() for each in file.of_kind("resource") if not each.existing
    ]


def kind(declaration: Declaration) -> str:
    return declaration.reference.partition("@")[0]


@pytest.mark.parametrize("resource_type", REQUIRED)
def test_every_resource_has_the_baseline_of_its_type(resource_type: str, project: Project) -> None:
    found = [each for _, each in made(project) if kind(each) == resource_type]
    assert found
    for declaration in found:
        properties = declaration.body().get("properties")
        assert isinstance(properties, tree.Object)
        given = {name: properties.get(name) for name in REQUIRED[resource_type]}
        assert given == {name: tree.Literal(value) for name, value in REQUIRED[resource_type].items()}


DEEPER: dict[tuple[str, str], tree.Scalar] = {
    ("Microsoft.Storage/storageAccounts", "encryption.requireInfrastructureEncryption"): True,
    ("Microsoft.Storage/storageAccounts", "networkAcls.bypass"): "AzureServices",
    ("Microsoft.KeyVault/vaults", "networkAcls.bypass"): "AzureServices",
    (
        "Microsoft.EventGrid/systemTopics/eventSubscriptions",
        "deadLetterWithResourceIdentity.identity.type",
    ): "SystemAssigned",
    ("Microsoft.Web/sites", "functionAppConfig.deployment.storage.authentication.type"): "UserAssignedIdentity",
    ("Microsoft.ContainerService/managedClusters", "aadProfile.managed"): True,
    ("Microsoft.ContainerService/managedClusters", "aadProfile.enableAzureRBAC"): True,
    ("Microsoft.Web/sites", "siteConfig.minTlsVersion"): "1.2",
    ("Microsoft.Web/sites", "siteConfig.scmMinTlsVersion"): "1.2",
    ("Microsoft.Web/sites", "siteConfig.remoteDebuggingEnabled"): False,
    ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "allow"): False,
}


def at(declaration: Declaration, path: str) -> Expr | None:
    """What a resource has under a path below its properties."""
    value: Expr | None = declaration.body().get("properties")
    for name in path.split("."):
        value = value.get(name) if isinstance(value, tree.Object) else None
    return value


@pytest.mark.parametrize(("where", "wanted"), DEEPER.items(), ids=[f"{kind} {path}" for kind, path in DEEPER])
def test_every_resource_has_the_baseline_below_its_first_level(
    where: tuple[str, str], wanted: tree.Scalar, project: Project
) -> None:
    found = [each for _, each in made(project) if kind(each) == where[0]]

    assert found
    assert [at(each, where[1]) for each in found] == [tree.Literal(wanted)] * len(found)


CLOSED = tree.Ternary(tree.Name("isPrivate"), tree.Literal("Disabled"), tree.Literal("Enabled"))
CLOSABLE = {
    "Microsoft.Storage/storageAccounts",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.KeyVault/vaults",
    "Microsoft.EventGrid/topics",
    "Microsoft.MachineLearningServices/workspaces",
    "Microsoft.MachineLearningServices/registries",
}


def test_what_has_a_private_endpoint_has_no_public_address(project: Project) -> None:
    found = {path.name: each for path, each in made(project) if kind(each) in CLOSABLE}

    assert {kind(each) for each in found.values()} == CLOSABLE
    for file, each in found.items():
        assert at(each, "publicNetworkAccess") == CLOSED, file
    for file in ("storage.bicep", "key-vault.bicep"):
        rule = tree.Ternary(tree.Name("isPrivate"), tree.Literal("Deny"), tree.Literal("Allow"))
        assert at(found[file], "networkAcls.defaultAction") == rule, file


def zones_of(project: Project, file: str, declared: str) -> set[str]:
    """Texts of private DNS zones in one file, `kind` and the cloud's suffixes left as they stand."""
    return set(re.findall(rf"{declared}'(privatelink[^\n]+)'", (INFRA / "modules" / file).read_text()))


def test_every_private_endpoint_has_a_zone_for_its_name(project: Project) -> None:
    made = zones_of(project, "dns-zones.bicep", "  ")
    suffix = "${environment().suffixes.storage}"
    made = {each.replace("${storageSuffix}", suffix) for each in made}
    wanted: set[str] = set()
    for path in (INFRA / "modules").glob("*.bicep"):
        if path.name not in {"dns-zones.bicep", "private-endpoint.bicep"}:
            wanted |= zones_of(project, path.name, " {6}")
    storage = {f"privatelink.{kind}.{suffix}" for kind in ("blob", "file", "queue", "table")}

    assert wanted - {f"privatelink.${{kind}}.{suffix}"} | storage == made


def test_the_api_app_is_reached_by_its_private_endpoint_alone_where_there_is_one(project: Project) -> None:
    declared = project.files[INFRA / "modules" / "function-app.bicep"].named("app")
    assert declared is not None
    rule = at(declared, "siteConfig.ipSecurityRestrictionsDefaultAction")

    assert isinstance(rule, tree.Ternary)
    assert tree.Name("isPrivate") in tree.walk(rule.condition)
    assert rule.then == tree.Literal("Deny")


def test_a_private_healthy_registry_lets_nothing_be_imported_from_it(project: Project) -> None:
    declared = project.files[INFRA / "modules" / "registry.bicep"].named("registry")
    assert declared is not None
    policy = at(declared, "policies.exportPolicy")

    assert isinstance(policy, tree.Ternary)
    assert isinstance(policy.then, tree.Object)
    assert policy.then.get("status") == tree.Ternary(
        tree.Name("lock"), tree.Literal("disabled"), tree.Literal("enabled")
    )


def test_only_the_account_of_mounted_shares_may_be_opened_by_its_key(project: Project) -> None:
    keyed = given_to_modules(project, "allowSharedKeyAccess")
    account = project.files[INFRA / "modules" / "storage.bicep"].named("allowSharedKeyAccess")

    assert keyed == {"shareAccount": tree.Name("hasTraining")}
    assert account is not None
    assert account.value == tree.Literal(False)


def given_to_modules(project: Project, parameter: str) -> dict[str, tree.Expr]:
    """Module of main.bicep -> what it gives to a parameter, of those that give it."""
    found: dict[str, tree.Expr] = {}
    for each in project.files[INFRA / "main.bicep"].of_kind("module"):
        params = each.body().get("params")
        given = params.get(parameter) if isinstance(params, tree.Object) else None
        if given is not None:
            found[each.name] = given
    return found


def test_a_registry_takes_tokens_of_the_resource_manager_only_for_what_has_no_others(project: Project) -> None:
    file = project.files[INFRA / "modules" / "registry.bicep"]
    registry, accept = file.named("registry"), file.named("acceptArmTokens")
    assert registry is not None
    assert accept is not None
    status = at(registry, "policies.azureADAuthenticationAsArmPolicy.status")

    assert status == tree.Ternary(tree.Name("acceptArmTokens"), tree.Literal("enabled"), tree.Literal("disabled"))
    assert accept.value == tree.Literal(False)
    assert given_to_modules(project, "acceptArmTokens") == {
        "healthyRegistry": tree.Binary("&&", tree.Name("hasTraining"), tree.Name("trainingGpuJob")),
        "stagingRegistry": tree.Binary("&&", tree.Name("isPrivate"), tree.Name("hasImageTask")),
    }


def test_keys_are_read_in_two_places_that_put_them_into_the_vault(project: Project) -> None:
    readers = {path.name for path in project.files if re.search(r"\blist[A-Z]\w*\(", path.read_text())}

    assert readers == {"alert-email.bicep", "share-key.bicep"}


def test_no_output_gives_a_secret(project: Project) -> None:
    for path, file in project.files.items():
        secure = {each.name for each in file.of_kind("param") if each.decorator("secure")}
        for output in file.of_kind("output"):
            assert output.value is not None
            names = {node.name for node in tree.walk(output.value) if isinstance(node, tree.Name)}
            calls = {node.function for node in tree.walk(output.value) if isinstance(node, tree.Call)}
            assert not names & secure, f"{path.name}: {output.name}"
            assert not any(call.startswith("list") for call in calls), f"{path.name}: {output.name}"
            assert not re.search(r"password|connectionString|accountKey", output.name, re.IGNORECASE), output.name


def test_secrets_come_in_by_secure_parameters_without_a_value(project: Project) -> None:
    for path, file in project.files.items():
        for each in file.of_kind("param"):
            looks_secret = re.search(r"token$|password|secret$|^value$", each.name, re.IGNORECASE)
            assert not looks_secret or each.decorator("secure") is not None, f"{path.name}: {each.name}"
            if each.decorator("secure") is not None:
                assert each.value in {None, tree.Literal("")}, f"{path.name}: {each.name}"


def test_no_template_and_no_data_has_a_wide_role() -> None:
    for path in [*INFRA.rglob("*.bicep"), *INFRA.rglob("*.json")]:
        for role, name in FORBIDDEN_ROLES.items():
            assert role not in path.read_text(), f"{path.name}: {name}"


def test_roles_are_assigned_in_one_module_and_above_the_group_in_one_other(project: Project) -> None:
    assigning = {path.name for path, each in made(project) if kind(each) == "Microsoft.Authorization/roleAssignments"}

    assert assigning == {"roles.bicep", "subscription-roles.bicep"}


def test_nobody_but_the_pipeline_may_list_the_local_credential_of_a_cluster() -> None:
    """Azure ML attaches no cluster whose local accounts are disabled."""
    granted = access.read()
    action = "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action"
    may = {
        each.principal
        for each in granted.grants
        if granted.allows(each.principal, "resource-group", action) or granted.roles[each.role].allows(action)
    }

    assert may == {"pipeline"}


def test_what_may_be_there_already_needs_built_in_roles_alone() -> None:
    """A role that is defined in the environment's group cannot be assigned in another one."""
    stored = json.loads((INFRA / "data" / "roles.json").read_text())
    built_in = {each["key"] for each in stored["builtIn"]}
    scopes = {"key-vault", "application-insights", "data-account"}
    roles = {each["role"] for each in stored["grants"] if each["scope"] in scopes}

    assert roles
    assert roles - built_in == set()


def test_each_resource_that_may_be_there_already_gets_its_roles_where_it_is(project: Project) -> None:
    main = project.files[INFRA / "main.bicep"]
    calls = [each for each in main.of_kind("module") if each.reference == "modules/roles.bicep"]
    for parameter in ("existingKeyVaultId", "existingApplicationInsightsId", "existingDataAccountId"):
        scoped = [
            each.name
            for each in calls
            if tree.Name(parameter) in tree.walk(each.body().get("scope") or tree.Literal(None))
        ]
        assert scoped, parameter


def test_every_resource_sends_its_diagnostics(project: Project) -> None:
    silent = []
    for path, file in project.files.items():
        diagnosed = {
            node.name
            for each in file.of_kind("resource")
            if kind(each) == "Microsoft.Insights/diagnosticSettings"
            for node in tree.walk(each.body().get("scope") or tree.Literal(None))
            if isinstance(node, tree.Name)
        }
        for each in file.of_kind("resource"):
            is_child = kind(each).count("/") > 1
            if not (each.existing or is_child or kind(each) in QUIET or each.name in diagnosed):
                silent.append(f"{path.name}: {each.name} ({kind(each)})")
    assert silent == []


def test_one_api_version_a_resource_type(project: Project) -> None:
    versions: dict[str, set[str]] = {}
    for file in project.files.values():
        for each in file.of_kind("resource"):
            versions.setdefault(kind(each).lower(), set()).add(each.reference.partition("@")[2])

    assert {name: sorted(found) for name, found in versions.items() if len(found) > 1} == {}


def test_every_parameter_says_whether_it_must_be_given(project: Project) -> None:
    for path, file in project.files.items():
        for each in file.of_kind("param"):
            description = each.decorator("description")
            assert description is not None, f"{path.name}: {each.name}"
            (text,) = description.arguments
            assert isinstance(text, tree.Literal)
            wanted = "Optional. " if each.value is not None else "Required. "
            assert str(text.value).startswith((wanted, "Conditional. ")), f"{path.name}: {each.name}"


def test_every_output_is_described(project: Project) -> None:
    bare = [
        f"{path.name}: {each.name}"
        for path, file in project.files.items()
        for each in file.of_kind("output")
        if each.decorator("description") is None
    ]
    assert bare == []


def test_every_type_of_the_data_refuses_keys_it_does_not_know(project: Project) -> None:
    types = project.files[INFRA / "types.bicep"].of_kind("type")

    assert types
    assert [each.name for each in types if not (each.decorator("sealed") and each.decorator("export"))] == []


def test_modules_are_local(project: Project) -> None:
    for file in project.files.values():
        assert [each.reference for each in file.of_kind("module") if each.reference.startswith(("br", "ts"))] == []
