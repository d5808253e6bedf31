"""`AWS::ApiGatewayV2::Api` with a `Body`, as SAM's HttpApi becomes, rewritten into the routes and integrations it stands for: the emulator ignores a `Body`.

Only what our template uses is known; anything else is refused, so that no route is deployed here that behaves otherwise on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

_ANY: Final = "x-amazon-apigateway-any-method"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", _ANY})
_KNOWN_IN_BODY: Final = frozenset({"openapi", "info", "paths", "tags"})
_KNOWN_IN_OPERATION: Final = frozenset({"x-amazon-apigateway-integration", "parameters", "responses"})

Json = dict[str, Any]


class NotExpanded(Exception):
    """The API uses something that this module does not know."""


def expand(template: Json) -> Json:
    """The translated template, its APIs' bodies replaced by resources. Raises `NotExpanded`."""
    resources: Json = {}
    for name, resource in template["Resources"].items():
        resources[name] = resource
        if resource.get("Type") == "AWS::ApiGatewayV2::Api" and "Body" in resource.get("Properties", {}):
            properties = dict(resource["Properties"])
            body = properties.pop("Body")
            resources[name] = {**resource, "Properties": {"ProtocolType": "HTTP", "Name": body["info"]["title"], **properties}}
            resources.update(_routes(name, body))
    return {**template, "Resources": resources}


def _routes(api: str, body: Json) -> Iterator[tuple[str, Json]]:
    _only(body, _KNOWN_IN_BODY, api)
    for path, operations in body["paths"].items():
        _only(operations, _METHODS, f"{api} {path}")
        for method, operation in operations.items():
            key = path.removeprefix("/") if path == "/$default" else f"{'ANY' if method == _ANY else method.upper()} {path}"
            _only(operation, _KNOWN_IN_OPERATION, f"{api} {key}")
            stated = operation["x-amazon-apigateway-integration"]
            integration = {
                "ApiId": {"Ref": api},
                "IntegrationMethod": "POST",
                **{_PROPERTIES[name]: value for name, value in stated.items() if name in _PROPERTIES},
            }
            _only(stated, _PROPERTIES.keys() | {"httpMethod"}, f"{api} {key}")
            integration["IntegrationType"] = str(integration["IntegrationType"]).upper()
            name = _name(api, "Integration", json.dumps(integration, sort_keys=True))
            yield name, {"Type": "AWS::ApiGatewayV2::Integration", "Properties": integration}
            target = {"Fn::Join": ["/", ["integrations", {"Ref": name}]]}
            route = {"ApiId": {"Ref": api}, "RouteKey": key, "AuthorizationType": "NONE", "Target": target}
            yield _name(api, "Route", key), {"Type": "AWS::ApiGatewayV2::Route", "Properties": route}


_PROPERTIES: Final = {"type": "IntegrationType", "uri": "IntegrationUri", "payloadFormatVersion": "PayloadFormatVersion", "timeoutInMillis": "TimeoutInMillis"}


def _only(given: Mapping[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise NotExpanded(f"the local stack does not know {', '.join(unknown)} of {where}")


def _name(api: str, kind: str, identity: str) -> str:
    """A logical id that stays the same from one deployment to the next."""
    return f"{api}{kind}{sha256(identity.encode()).hexdigest()[:12]}"
