"""Models: list, manifest, ONNX download, report, aliases."""

from __future__ import annotations

import base64
import re
from typing import Literal

import structlog
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from app.errors import UnknownVersion
from app.files import read_json
from app.http.control import ControlRoute
from app.http.dependencies import PROBLEMS, RegistryPart, Version
from app.http.report_page import report_page
from app.http.schemas import AliasState, AliasTarget, FileEntry, ModelList, ModelSummary, VersionManifest
from app.inference.derived import read_further
from app.registry.recovery import submitter_of
from surrogate.artifact.files import ENVIRONMENT, MANIFEST, MODEL, MODEL_FLOAT32, REPORT, TRAINING, load_report, verify
from surrogate.artifact.manifest import read_box

router = APIRouter(prefix="/v1/models", tags=["models"], responses=PROBLEMS, route_class=ControlRoute)
FILE = "/{name}/versions/{version}/model.onnx"
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
QUALITY = re.compile(r"q\s*=\s*([0-9](?:\.[0-9]*)?)")


@router.get("")
def list_models(registry: RegistryPart) -> ModelList:
    """Every name with its latest version and aliases."""
    return ModelList(models=[ModelSummary(**model) for model in registry.catalogue()])


@router.get("/{name}/versions/{version}")
def show_version(name: str, version: Version, registry: RegistryPart) -> VersionManifest:
    """The manifest: problem, Box with units, accuracy, sizes, provenance, hashes."""
    number = registry.resolve(name, version)
    folder, model = registry.folder(name, number), registry.model(name)
    sums, manifest = verify(folder), read_json(folder / MANIFEST)
    further = read_further(manifest, read_box(manifest), manifest["outputs"])
    return VersionManifest(
        **manifest
        | {
            "derived_outputs": further.units,
            "name": name,
            "version": number,
            "published": model.versions[number],
            "submitter": submitter_of(folder),
            "environment": read_json(folder / ENVIRONMENT) if ENVIRONMENT in sums else None,
            "aliases": [alias for alias, target in model.aliases.items() if target == number],
            "sha256": sums[MODEL],
            "files": {file: FileEntry(bytes=(folder / file).stat().st_size, sha256=sums[file]) for file in sums},
        }
    )


@router.head(FILE, include_in_schema=False)
@router.get(
    FILE,
    response_class=FileResponse,
    responses={
        206: {"description": "the byte range asked for"},
        304: {"description": "the client's copy is this one"},
        416: {"description": "no such bytes"},
    },
)
def download(
    name: str,
    version: Version,
    registry: RegistryPart,
    request: Request,
    dtype: Literal["float64", "float32"] = "float64",
) -> Response:
    """The ONNX file, float64 unless a published float32 variant is asked for."""
    folder, file = (
        registry.folder(name, registry.resolve(name, version)),
        MODEL if dtype == "float64" else MODEL_FLOAT32,
    )
    sums = verify(folder)
    if file not in sums:
        raise UnknownVersion(
            f"{name} version {folder.name} was published without float32; build it with float32 = true under [export], "
            "unless `float32_unfit` in its manifest says that single precision loses too much"
        )
    etag = f'"{sums[file]}"'
    headers = {
        "etag": etag,
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sums[file])).decode()}:",
        "cache-control": "no-cache" if version != folder.name else "public, max-age=31536000, immutable",
    }
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, "*"}:
        return Response(status_code=304, headers=headers)
    require_range(request.headers.get("range"), (folder / file).stat().st_size)
    return FileResponse(
        folder / file, headers=headers, media_type="application/octet-stream", filename=f"{name}-{folder.name}-{file}"
    )


@router.get(
    "/{name}/versions/{version}/report",
    responses={200: {"content": {"application/json": {}, "text/html": {}}}},
)
def report(name: str, version: Version, registry: RegistryPart, request: Request) -> Response:
    """Accuracy and validation as JSON, or as a page where the client prefers ``text/html``."""
    number = registry.resolve(name, version)
    folder = registry.folder(name, number)
    verify(folder)
    vary = {"vary": "accept"}
    if prefers_html(request.headers.get("accept", "")):
        return HTMLResponse(report_page(name, number, load_report(folder)), headers=vary)
    return JSONResponse(read_json(folder / REPORT), headers=vary)


@router.get("/{name}/versions/{version}/training")
def training(name: str, version: Version, registry: RegistryPart) -> JSONResponse:
    """The losses while it was trained: value, delta and curvature term, by optimiser and start."""
    folder = registry.folder(name, registry.resolve(name, version))
    if TRAINING not in verify(folder):
        raise UnknownVersion(
            f"{name} version {folder.name} has no record of a training: nothing was trained for it, or it is from "
            "before there were records"
        )
    return JSONResponse(read_json(folder / TRAINING))


@router.put("/{name}/aliases/{alias}")
def set_alias(name: str, alias: str, target: AliasTarget, registry: RegistryPart) -> AliasState:
    """Move an alias; clients that price by it get the new version from their next request on."""
    before = registry.aliases(name).get(alias)
    version = registry.set_alias(name, alias, target.version, force=target.force)
    if version != before:
        change = {"from": before, "to": version}
        structlog.get_logger().info("state changed", what=f"alias {alias} of {name}", **change)
    return AliasState(name=name, alias=alias, version=version)


def require_range(header: str | None, size: int) -> None:
    """Refuse a single byte range that cannot be answered, as a problem document."""
    if header is None or "," in header:
        return
    match = RANGE.fullmatch(header.strip())
    first, last = match.groups() if match else ("", "")
    if not (first or last) or (first and last and int(last) < int(first)):
        raise HTTPException(400, f"Range must be as bytes=0-99, bytes=100- or bytes=-100, got {header!r}")
    if first and int(first) >= size:
        raise HTTPException(416, f"the file has {size} bytes", {"content-range": f"bytes */{size}"})


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names ``text/html`` and ranks it above JSON and no lower than anything else."""
    weight = {}
    for entry in accept.lower().split(","):
        kind, _, parameters = entry.partition(";")
        match = QUALITY.search(parameters)
        weight[kind.strip()] = float(match[1]) if match else 1.0
    html = weight.get("text/html", 0.0)
    return html > weight.get("application/json", 0.0) and html >= weight.get("*/*", 0.0)
