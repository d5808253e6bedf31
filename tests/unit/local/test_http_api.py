"""The HTTP API's body, written out as routes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import samtranslator.translator.transform as sam
import yaml
from samtranslator.yaml_helper import yaml_parse

from local.http_api import NotExpanded, expand

ROOT = Path(__file__).parents[3]

INTEGRATION = {
    "type": "aws_proxy",
    "httpMethod": "POST",
    "payloadFormatVersion": "2.0",
    "uri": {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/x/${Intake.Arn}/invocations"},
}


def template(**paths: Any) -> dict[str, Any]:
    body = {"openapi": "3.0.1", "info": {"title": {"Ref": "AWS::StackName"}}, "paths": paths}
    return {
        "Resources": {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body, "Tags": {"a": "b"}}}, "Table": {"Type": "AWS::DynamoDB::Table"}}
    }


def of_type(expanded: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in expanded["Resources"].values() if resource["Type"] == f"AWS::ApiGatewayV2::{kind}"]


def operation(**more: Any) -> dict[str, Any]:
    return {"x-amazon-apigateway-integration": INTEGRATION, "responses": {}, **more}


def test_every_operation_becomes_a_route_to_its_integration() -> None:
    expanded = expand(
        template(**{"/v1/{call}": {"post": operation()}, "/api/{proxy+}": {"x-amazon-apigateway-any-method": operation()}, "/$default": {"get": operation()}})
    )
    assert [route["RouteKey"] for route in of_type(expanded, "Route")] == ["POST /v1/{call}", "ANY /api/{proxy+}", "$default"]
    [integration] = of_type(expanded, "Integration")  # one function, one integration
    assert integration["IntegrationType"] == "AWS_PROXY"
    assert integration["PayloadFormatVersion"] == "2.0"
    name = next(name for name, resource in expanded["Resources"].items() if resource["Type"].endswith("Integration"))
    assert {route["Target"]["Fn::Join"][1][1]["Ref"] for route in of_type(expanded, "Route")} == {name}


def test_the_api_keeps_its_other_properties_and_loses_its_body_and_other_resources_stay() -> None:
    given = template(**{"/v1": {"post": operation()}})
    expanded = expand(copy.deepcopy(given))
    assert of_type(expanded, "Api") == [{"ProtocolType": "HTTP", "Name": {"Ref": "AWS::StackName"}, "Tags": {"a": "b"}}]
    assert expanded["Resources"]["Table"] == given["Resources"]["Table"]


def test_names_are_the_same_from_one_deployment_to_the_next_whatever_the_order() -> None:
    one = expand(template(**{"/a": {"get": operation()}, "/b": {"get": operation()}}))
    other = expand(template(**{"/b": {"get": operation()}, "/a": {"get": operation()}}))
    assert one["Resources"] == other["Resources"]


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        ({"/v1": {"post": operation(security=[{"Keys": []}])}}, "security"),
        ({"/v1": {"Fn::If": ["Condition", {}, {}]}}, "Fn::If"),
        ({"/v1": {"post": {"x-amazon-apigateway-integration": {**INTEGRATION, "requestParameters": {}}}}}, "requestParameters"),
    ],
)
def test_what_is_not_known_is_refused_by_name(paths: dict[str, Any], named: str) -> None:
    with pytest.raises(NotExpanded, match=named):
        expand(template(**paths))


def test_an_authorizer_or_cors_in_the_body_is_refused() -> None:
    given = template(**{"/v1": {"post": operation()}})
    given["Resources"]["Api"]["Properties"]["Body"]["x-amazon-apigateway-cors"] = {}
    with pytest.raises(NotExpanded, match="x-amazon-apigateway-cors"):
        expand(given)


class _NoPolicies:
    def load(self) -> dict[str, str]:
        return {}


def test_the_projects_own_template_is_known_route_by_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    written = yaml_parse((ROOT / "template.yaml").read_text())
    stated: set[str] = set()
    for resource in written["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://bucket/key"
        elif resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
            events = resource["Properties"].get("Events", {}).values()
            stated |= {f"{event['Properties']['Method']} {event['Properties']['Path']}" for event in events if event["Type"] == "HttpApi"}
    expanded = expand(sam.transform(written, {}, _NoPolicies()))
    assert stated
    assert {route["RouteKey"] for route in of_type(expanded, "Route")} == stated
    assert yaml.safe_dump(expanded)
