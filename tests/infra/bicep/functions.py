"""The built-in functions of Bicep that `infra/` may call, with the type of their results."""

from __future__ import annotations

import dataclasses

from tests.infra.bicep import shapes
from tests.infra.bicep.shapes import ANY, ARRAY, BOOL, INT, OBJECT, STRING, ObjectOf, Property, Shape


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    least: int
    most: int
    result: Shape


def _texts(*names: str) -> Shape:
    return ObjectOf({name: Property(STRING) for name in names})


_SUFFIXES = ObjectOf(
    {
        "suffixes": Property(_texts("storage", "keyvaultDns", "acrLoginServer")),
        "authentication": Property(ANY),
        "resourceManager": Property(STRING),
    }
)

FUNCTIONS: dict[str, Function] = {
    "array": Function(1, 1, ARRAY),
    "base64": Function(1, 1, STRING),
    "concat": Function(1, 99, ARRAY),
    "contains": Function(2, 2, BOOL),
    "environment": Function(0, 0, _SUFFIXES),
    "empty": Function(1, 1, BOOL),
    "endsWith": Function(2, 2, BOOL),
    "extensionResourceId": Function(3, 9, STRING),
    "filter": Function(2, 2, ARRAY),
    "first": Function(1, 1, ANY),
    "flatten": Function(1, 1, ARRAY),
    "format": Function(2, 99, STRING),
    "guid": Function(1, 99, STRING),
    "indexOf": Function(2, 2, INT),
    "int": Function(1, 1, INT),
    "items": Function(1, 1, ARRAY),
    "join": Function(2, 2, STRING),
    "json": Function(1, 1, ANY),
    "last": Function(1, 1, ANY),
    "length": Function(1, 1, INT),
    "listCallbackUrl": Function(2, 2, ANY),
    "map": Function(2, 2, ARRAY),
    "max": Function(1, 99, INT),
    "min": Function(1, 99, INT),
    "replace": Function(3, 3, STRING),
    "resourceGroup": Function(0, 2, _texts("id", "name", "location", "managedBy")),
    "resourceId": Function(2, 9, STRING),
    "split": Function(2, 2, shapes.ArrayOf(STRING)),
    "startsWith": Function(2, 2, BOOL),
    "string": Function(1, 1, STRING),
    "subscription": Function(0, 1, _texts("id", "subscriptionId", "tenantId", "displayName")),
    "subscriptionResourceId": Function(2, 9, STRING),
    "substring": Function(2, 3, STRING),
    "take": Function(2, 2, STRING),
    "tenant": Function(0, 0, _texts("tenantId")),
    "toLower": Function(1, 1, STRING),
    "toObject": Function(2, 3, OBJECT),
    "trim": Function(1, 1, STRING),
    "union": Function(2, 99, ANY),
    "uniqueString": Function(1, 99, STRING),
    "utcNow": Function(0, 1, STRING),
}

LOADING = ("loadJsonContent", "loadTextContent", "loadYamlContent", "loadFileAsBase64")

DECORATORS = frozenset(
    {
        "allowed",
        "batchSize",
        "description",
        "discriminator",
        "export",
        "maxLength",
        "maxValue",
        "metadata",
        "minLength",
        "minValue",
        "sealed",
        "secure",
    }
)
