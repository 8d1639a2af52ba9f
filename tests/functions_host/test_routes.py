"""Route templates."""

from __future__ import annotations

import pytest

from local.functions_host.routes import RouteError, RouteTable, compile_route

NOTHING = None


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("jobs", "api/jobs", {}),
        ("/jobs/", "api/jobs", {}),
        ("jobs/{id}", "api/jobs/7", {"id": "7"}),
        ("jobs/{id}", "api/jobs", NOTHING),
        ("jobs/{id}", "api/jobs/7/8", NOTHING),
        ("jobs/{id?}", "api/jobs", {}),
        ("jobs/{id:int}", "api/jobs/-7", {"id": "-7"}),
        ("jobs/{id:int}", "api/jobs/x", NOTHING),
        ("jobs/{id:int?}", "api/jobs", {}),
        ("jobs/{name:alpha}", "api/jobs/Abc", {"name": "Abc"}),
        ("jobs/{flag:bool}", "api/jobs/TRUE", {"flag": "TRUE"}),
        (
            "jobs/{id:guid}",
            "api/jobs/00000000-0000-0000-0000-00000000c0de",
            {"id": "00000000-0000-0000-0000-00000000c0de"},
        ),
        ("files/{*path}", "api/files/a/b", {"path": "a/b"}),
        ("files/{*path}", "api/files", {}),
        ("{*path}", "api/any/thing", {"path": "any/thing"}),
        ("a.b/{x}", "api/axb/1", NOTHING),
        ("jobs/{id}", "api/jobs/a%20b%2Fc", {"id": "a b/c"}),
    ],
)
def test_a_template_matches_the_paths_it_describes(template: str, path: str, parameters: dict[str, str] | None) -> None:
    assert compile_route("f", template, (), "api").match("GET", path) == parameters


@pytest.mark.parametrize("template", ["{a}.{b}", "x/{id:regex(^a$)}", "{id:int:min(1)}", "{unclosed"])
def test_a_template_the_host_cannot_serve_is_refused(template: str) -> None:
    with pytest.raises(RouteError):
        compile_route("f", template, (), "api")


@pytest.mark.parametrize("template", ["admin/x", "runtime/webhooks/x", "Admin"])
def test_the_hosts_own_routes_are_reserved_when_there_is_no_prefix(template: str) -> None:
    with pytest.raises(RouteError, match="conflicts"):
        compile_route("f", template, (), "")
    assert compile_route("f", template, (), "api").template == f"api/{template}"


def test_the_more_specific_of_two_overlapping_routes_answers_and_the_overlap_is_reported() -> None:
    templates = ["{*all}", "jobs/{id}", "jobs/latest", "jobs/{id:int}"]
    table = RouteTable([compile_route(each, each, (), "api") for each in templates])
    found = {path: table.find("GET", path) for path in ("api/jobs/latest", "api/jobs/7", "api/jobs/x", "api/x")}
    assert {path: match[0] for path, match in found.items() if match} == {
        "api/jobs/latest": "jobs/latest",
        "api/jobs/7": "jobs/{id:int}",
        "api/jobs/x": "jobs/{id}",
        "api/x": "{*all}",
    }
    pairs = {(one.function, other.function) for one, other in table.overlaps()}
    assert ("jobs/latest", "jobs/{id}") in pairs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("jobs/{id}", ["GET"]), ("jobs/latest", ["POST"])),
        (("jobs/{id}", []), ("models/{id}", [])),
        (("jobs", []), ("jobs/{id}", [])),
    ],
)
def test_routes_that_no_request_could_confuse_do_not_overlap(
    one: tuple[str, list[str]], other: tuple[str, list[str]]
) -> None:
    assert not RouteTable([compile_route("a", *one, "api"), compile_route("b", *other, "api")]).overlaps()


def test_an_optional_parameter_overlaps_with_the_route_that_leaves_it_out() -> None:
    assert RouteTable([compile_route("a", "jobs/{id?}", (), ""), compile_route("b", "jobs", (), "")]).overlaps()
